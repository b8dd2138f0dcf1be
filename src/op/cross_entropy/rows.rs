//! The loss of a row and its slopes on the processor.

use crate::number::Real;
use crate::op::binary_cross_entropy::{kept, minus_log};
use crate::op::shape::rows::RowTarget;
use crate::op::softmax::{Powers, powers};

#[inline(always)]
pub(in crate::op) fn loss_of_logits<T: Real>(z: &[T], t: RowTarget<'_, T>) -> T {
    loss_of_powers(z, t, Powers::of(z))
}

#[inline(always)]
pub(in crate::op) fn loss_of_powers<T: Real>(z: &[T], t: RowTarget<'_, T>, powers: Powers<T>) -> T {
    if let RowTarget::Label(label) = t {
        return powers.sum.ln() + (powers.largest - z[label]);
    }
    let mut distance = T::zero();
    for (j, &z) in z.iter().enumerate() {
        // A class that is ruled out by a logit of −∞ and by its target costs nothing.
        if t.at(j) != T::zero() {
            distance += t.at(j) * (powers.largest - z);
        }
    }
    t.sum() * powers.sum.ln() + distance
}

pub(in crate::op) fn loss_of_probabilities<T: Real>(p: &[T], t: RowTarget<'_, T>) -> T {
    let total: T = p.iter().copied().sum();
    let terms = p.iter().enumerate();
    terms
        .map(|(j, &p)| t.at(j) * minus_log(kept(p / total)))
        .sum()
}

#[inline(always)]
pub(in crate::op) fn slopes_of_logits<T: Real>(
    z: &[T],
    t: RowTarget<'_, T>,
    dloss: T,
    dz: &mut [T],
) {
    powers(z, z.len(), dz);
    slopes_of_powers(t, dloss, dz);
}

/// dz in place of the powers e^(z − m).
#[inline(always)]
pub(in crate::op) fn slopes_of_powers<T: Real>(t: RowTarget<'_, T>, dloss: T, dz: &mut [T]) {
    let sum = T::total(dz);
    match t {
        RowTarget::Label(label) => {
            let own = (dz[label] / sum - T::one()) * dloss;
            for dz in dz.iter_mut() {
                *dz = *dz / sum * dloss;
            }
            dz[label] = own;
        }
        RowTarget::Shares(shares) => {
            let weights = t.sum();
            for (dz, &t) in dz.iter_mut().zip(shares) {
                *dz = (*dz / sum * weights - t) * dloss;
            }
        }
    }
}

pub(in crate::op) fn slopes_of_probabilities<T: Real>(
    p: &[T],
    t: RowTarget<'_, T>,
    dloss: T,
    dp: &mut [T],
) {
    let total: T = p.iter().copied().sum();
    let inside = |p: T| kept(p / total) == p / total;
    let kept = p.iter().enumerate().filter(|(_, p)| inside(**p));
    let weights: T = kept.map(|(j, _)| t.at(j)).sum();
    for (j, (dp, &p)) in dp.iter_mut().zip(p).enumerate() {
        let own = if inside(p) {
            t.at(j) / (p / total)
        } else {
            T::zero()
        };
        *dp = (weights - own) / total * dloss;
    }
}
