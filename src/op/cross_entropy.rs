//! Cross-entropy of each row: lossᵣ = −Σⱼ tᵣⱼ·ln pᵣⱼ, for a target of shares `[rows, classes]` or of class labels `[rows]`.
//!
//! Of logits, p = softmax z: loss = Σ t·(ln Σ e^z − z), and dz = (softmax z·Σt − t)·dloss. Of probabilities as Keras 3
//! has it for shares: q = p/Σp, kept between 1e-7 and 1 − 1e-7, loss = −Σ t·ln q, and with 0 for the derivative outside
//! dpᵢ = (Σⱼ tⱼ·[qⱼ inside] − tᵢ·[qᵢ inside]/qᵢ)/Σp·dloss. A label stands for a one in its row.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::parallel::{Table, pieces};
use crate::number::{Real, UNIT};
use crate::op::shape::rows::{RowTarget, Rows, Targets, dense, sparse};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::Form;
use super::binary_cross_entropy::{HIGHEST, LOWEST, kept, minus_log};
use super::softmax::{Powers, exp_error, largest, powers};

const SHADER: Shader = shader!("cross_entropy", "cross_entropy_rows", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "cross_entropy",
    shaders: &[SHADER],
    cases,
};

/// loss = −Σ t·ln p over the last dimension. y: `[rows, classes]`; t: the same, or labels `[rows]` of u32; loss: `[rows]`.
///
/// A label that names no class gives NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Whether y are logits or probabilities.
    pub form: Form,
}

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub CrossEntropy);

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        let rows = match t.dtype {
            DType::F32 | DType::F16 | DType::U8 => dense(y, t)?,
            DType::U32 => sparse(y, t)?,
        };
        Ok(vec![TensorType::f32(rows)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        if vjp.wanted[1] {
            return Err("the target of cross_entropy has no gradient".into());
        }
        let dy = y.graph().apply_one(Backward(*self), &[y, t, vjp.dy()?]);
        Ok(vec![Some(dy), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (entry, trees) = match self.form {
            Form::Logits => ("forward_logits", 4),
            Form::Probabilities => ("forward_probabilities", 2),
        };
        let rows = Rows::new(&signature.inputs[0].shape, 2, target);
        Ok(rows
            .launch(SHADER, entry, 2, trees)
            .set("SPARSE", is_sparse(signature))
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let rows = targets(sample);
        vec![
            rows.map(|(y, t)| match self.form {
                Form::Logits => logits_error(y, &t),
                Form::Probabilities => probabilities_error(y, &t),
            } + 1e-37)
            .collect(),
        ]
    }
}

impl Compute for CrossEntropy {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (rows, columns) = io.matrix(0);
        let y = io.input(0);
        let targets = Targets::of(io, 1);
        let operands = (io.output(0), Table(y, columns));
        pieces::<T, _>(
            rows,
            16 * columns,
            operands,
            #[inline(always)]
            |first, (loss, Table(y, _))| {
                // Powers of so many rows at once as fit, because a row may be shorter than a vector.
                let mut room = [T::zero(); 256];
                let group = (room.len() / columns).max(1);
                let groups = loss.chunks_mut(group).zip(y.chunks(group * columns));
                for (g, (loss, y)) in groups.enumerate() {
                    let logits = self.form == Form::Logits;
                    let together = logits && y.len() <= room.len();
                    if together {
                        powers(y, columns, &mut room[..y.len()]);
                    }
                    let rows = loss.iter_mut().zip(y.chunks_exact(columns));
                    for (i, (loss, y)) in rows.enumerate() {
                        let powers = || match room.get(i * columns..(i + 1) * columns) {
                            Some(own) if together => Powers {
                                largest: largest(y),
                                sum: T::total(own),
                            },
                            _ => Powers::of(y),
                        };
                        *loss = match (targets.row(first + g * group + i, columns), self.form) {
                            (None, _) => T::nan(),
                            (Some(t), Form::Logits) => loss_of_powers(y, t, powers()),
                            (Some(t), Form::Probabilities) => loss_of_probabilities(y, t),
                        };
                    }
                }
            },
        );
    }
}

#[inline(always)]
pub(super) fn loss_of_logits<T: Real>(z: &[T], t: RowTarget<'_, T>) -> T {
    loss_of_powers(z, t, Powers::of(z))
}

#[inline(always)]
pub(super) fn loss_of_powers<T: Real>(z: &[T], t: RowTarget<'_, T>, powers: Powers<T>) -> T {
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

pub(super) fn loss_of_probabilities<T: Real>(p: &[T], t: RowTarget<'_, T>) -> T {
    let total: T = p.iter().copied().sum();
    let terms = p.iter().enumerate();
    terms
        .map(|(j, &p)| t.at(j) * minus_log(kept(p / total)))
        .sum()
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "cross_entropy.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (entry, trees) = match self.0.form {
            Form::Logits => ("backward_logits", 3),
            Form::Probabilities => ("backward_probabilities", 2),
        };
        let rows = Rows::new(&signature.inputs[0].shape, 3, target);
        Ok(rows
            .launch(SHADER, entry, 3, trees)
            .set("SPARSE", is_sparse(signature))
            .bind_all(3, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The slope's error times dloss, and the rounding of that product.
        let mut bound = sample.relative(0, 1.0);
        let mut bounds = bound.iter_mut();
        for ((y, t), dloss) in targets(sample).zip(&sample.inputs[2]) {
            let errors = match self.0.form {
                Form::Logits => logits_slope_errors(y, &t),
                Form::Probabilities => probabilities_slope_errors(y, &t),
            };
            for (error, bound) in errors.into_iter().zip(&mut bounds) {
                *bound += (error + 1e-37) * dloss.abs();
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (rows, columns) = io.matrix(0);
        let (y, dloss) = (io.input(0), io.input(2));
        let targets = Targets::of(io, 1);
        let operands = (Table(io.output(0), columns), Table(y, columns), dloss);
        pieces::<T, _>(
            rows,
            24 * columns,
            operands,
            #[inline(always)]
            |first, (Table(dy, _), Table(y, _), dloss)| {
                if self.0.form == Form::Logits {
                    powers(y, columns, dy);
                }
                let rows = dy.chunks_exact_mut(columns).zip(y.chunks_exact(columns));
                for (r, ((dy, y), &dloss)) in (first..).zip(rows.zip(dloss)) {
                    match (targets.row(r, columns), self.0.form) {
                        (None, _) => dy.fill(T::nan()),
                        (Some(t), Form::Logits) => slopes_of_powers(t, dloss, dy),
                        (Some(t), Form::Probabilities) => slopes_of_probabilities(y, t, dloss, dy),
                    }
                }
            },
        );
    }
}

#[inline(always)]
pub(super) fn slopes_of_logits<T: Real>(z: &[T], t: RowTarget<'_, T>, dloss: T, dz: &mut [T]) {
    powers(z, z.len(), dz);
    slopes_of_powers(t, dloss, dz);
}

/// dz in place of the powers e^(z − m).
#[inline(always)]
pub(super) fn slopes_of_powers<T: Real>(t: RowTarget<'_, T>, dloss: T, dz: &mut [T]) {
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

pub(super) fn slopes_of_probabilities<T: Real>(
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

fn is_sparse(signature: &Signature) -> bool {
    signature.inputs[1].dtype == DType::U32
}

/// The rows of y with their targets as shares.
fn targets<'a>(sample: &'a Sample<'_>) -> impl Iterator<Item = (&'a [f64], Vec<f64>)> {
    let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
    let sparse = is_sparse(sample.signature);
    let t = &sample.inputs[1];
    let rows = sample.inputs[0].chunks_exact(columns).enumerate();
    rows.map(move |(r, y)| {
        let shares = if sparse {
            (0..columns)
                .map(|j| f64::from(u8::from(t[r] == j as f64)))
                .collect()
        } else {
            t[r * columns..(r + 1) * columns].to_vec()
        };
        (y, shares)
    })
}

/// Of L·Σt + Σ t·|d|: L inherits the relative error of its sum and takes eight units for log1p; then γ of both sums.
pub(super) fn logits_error(y: &[f64], t: &[f64]) -> f64 {
    let powers = Powers::of(y);
    let log = powers.sum.ln();
    let weights: f64 = t.iter().map(|t| t.abs()).sum();
    let distance: f64 = y
        .iter()
        .zip(t)
        .map(|(y, t)| (t * (y - powers.largest)).abs())
        .sum();
    weights * (powers.sum_error(y) + 2.0 * UNIT + 16.0 * UNIT * log)
        + Sample::gamma(y.len() + 3) * (weights * log + distance)
}

/// Of Σ t·ln(1 + (1 − q)/q): q inherits the error of its sum and a division; the rest as in binary_cross_entropy.
pub(super) fn probabilities_error(y: &[f64], t: &[f64]) -> f64 {
    let shares = Shares::of(y);
    let logarithm = 24.0 * UNIT + Sample::gamma(y.len() + 1);
    y.iter()
        .zip(t)
        .map(|(y, t)| t.abs() * (shares.error + logarithm * minus_log(kept(y / shares.total))))
        .sum()
}

/// Probabilities as shares of their sum.
struct Shares {
    total: f64,
    /// The relative error of a device's share.
    error: f64,
}

impl Shares {
    fn of(row: &[f64]) -> Self {
        let total: f64 = row.iter().sum();
        let magnitudes: f64 = row.iter().map(|p| p.abs()).sum();
        Shares {
            total,
            error: Sample::gamma(row.len()) * magnitudes / total.abs() + 6.0 * UNIT,
        }
    }
}

/// Of p·Σt − t: p inherits the errors of its power, their sum and a division; then γ of Σt and two roundings.
pub(super) fn logits_slope_errors(y: &[f64], t: &[f64]) -> Vec<f64> {
    let powers = Powers::of(y);
    let weights: f64 = t.iter().map(|t| t.abs()).sum();
    let common = powers.sum_error(y) + 8.0 * UNIT + Sample::gamma(y.len());
    y.iter()
        .zip(t)
        .map(|(y, t)| {
            let relative = exp_error(y - powers.largest) + common;
            powers.share(*y) * weights * relative + UNIT * t.abs()
        })
        .collect()
}

/// Of (Σ t·`[inside]` − t·`[inside]`/q)/Σp: γ of the first sum, the error of q and a division in the second term, and both
/// terms' share in the last division. Where q is within its error of an end, a device may be on the other side of it:
/// then t of that class may be in the first sum or not, together with its own second term.
pub(super) fn probabilities_slope_errors(y: &[f64], t: &[f64]) -> Vec<f64> {
    let shares = Shares::of(y);
    let q = |p: &f64| p / shares.total;
    let undecided = |q: f64| {
        let (lowest, highest) = (f64::from(LOWEST), f64::from(HIGHEST));
        (q - lowest).abs() <= lowest * shares.error || (q - highest).abs() <= shares.error
    };
    let pairs = || y.iter().zip(t);
    let weights: f64 = pairs().map(|(_, t)| t.abs()).sum();
    let open: f64 = pairs()
        .filter(|(p, _)| undecided(q(p)))
        .map(|(_, t)| t.abs())
        .sum();
    pairs()
        .map(|(p, t)| {
            let q = q(p);
            let own = if kept(q) == q { (t / q).abs() } else { 0.0 };
            let others = if undecided(q) {
                open - t.abs() + (t - t / q).abs()
            } else {
                open
            };
            let rounding = Sample::gamma(y.len()) * weights + own * (shares.error + 6.0 * UNIT);
            let last = (weights + own) * (shares.error + 2.0 * UNIT);
            (others + rounding + last) / shares.total.abs()
        })
        .collect()
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 14] = [
        &[4],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 2],
        &[257, 3],
        &[1000, 10],
        &[2, 3, 5],
        &[33, 257],
        &[1, 257],
        &[3, 1000],
    ];
    let mut cases = Vec::new();
    let mut push = |form, shape: &[usize], y: Fill, t: Option<Fill>, smooth: bool| {
        let op = CrossEntropy { form };
        let (&classes, rows) = (&shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let target = |case: Case| match &t {
            Some(t) => case.constant(shape, t.clone()),
            None => case.words(rows, Fill::Below(classes as u32)),
        };
        let forward = target(Case::new(op).input(shape, y.clone()));
        cases.push(if smooth {
            forward
        } else {
            forward.without_gradient()
        });
        let backward = target(Case::new(Backward(op)).input(shape, y));
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(backward.without_gradient());
    };
    let kinds = [
        None,
        Some(Fill::OneHot),
        Some(Fill::Probabilities),
        // Weights that do not sum to one.
        Some(Fill::Uniform(0.0, 2.0)),
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        for t in [&kinds[0], &kinds[1 + i % 3]] {
            let logits = Fill::Uniform(-5.0, 5.0);
            push(Form::Logits, shape, logits, t.clone(), true);
            let probabilities = [Fill::Probabilities, Fill::Uniform(0.1, 2.0)][i % 2].clone();
            push(Form::Probabilities, shape, probabilities, t.clone(), true);
        }
    }
    for most in [100.0, 1e4] {
        for (t, shape) in kinds.iter().zip([[33, 10], [17, 257], [255, 3], [2, 1000]]) {
            let logits = Fill::Uniform(-most, most);
            push(Form::Logits, &shape, logits, t.clone(), false);
        }
    }
    for form in [Form::Logits, Form::Probabilities] {
        for t in &kinds[..2] {
            let y = Fill::Uniform(0.1, 2.0);
            push(form, &[2, 70_000], y, t.clone(), false);
        }
    }
    // Sure and right, sure and wrong, undecided; shares outside the ends.
    let edges = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 1e-8, 0.0];
    let t = Fill::Values([1.0, 0.0, 0.0].repeat(4));
    push(
        Form::Probabilities,
        &[4, 3],
        Fill::Values(edges),
        Some(t),
        false,
    );
    // Labels that name no class.
    for form in [Form::Logits, Form::Probabilities] {
        let op = CrossEntropy { form };
        let labels = Fill::Words(vec![0, 3, 2, u32::MAX]);
        let y = Fill::Uniform(0.1, 2.0);
        let forward = Case::new(op).constant(&[4, 3], y.clone());
        cases.push(forward.words(&[4], labels.clone()));
        let backward = Case::new(Backward(op)).constant(&[4, 3], y);
        let backward = backward.words(&[4], labels);
        cases.push(backward.constant(&[4], Fill::Uniform(0.5, 2.0)));
    }
    cases
}

impl Tensor {
    /// The cross-entropy −Σ t·ln p over the last dimension, the classes, which is dropped: a loss for each row.
    ///
    /// The target is either shares of this tensor's shape, such as one-hot rows, or class labels (u32), one for each
    /// row. A label that names no class gives NaN.
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor, form: Form) -> Tensor {
        self.graph()
            .apply_one(CrossEntropy { form }, &[self, target])
    }
}
