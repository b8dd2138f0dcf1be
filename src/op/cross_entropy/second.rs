//! Gradients of the gradient, as nodes of the graph.

use crate::Tensor;
use crate::op::binary_cross_entropy::{HIGHEST, LOWEST};
use crate::op::shape::row_map::{RowMap, RowMapBackward};
use crate::op::softmax::Softmax;

/// dz/dloss = softmax z·Σt − t, and what g = dL/d(dz) makes of its change by z: softmax's own gradient, times Σt.
pub(super) fn second_of_logits(
    z: &Tensor,
    weights: &Tensor,
    t: &Tensor,
    g: &Tensor,
) -> (Tensor, Tensor) {
    let p = z.softmax(-1);
    let own = RowMapBackward(RowMap {
        function: Softmax,
        axis: -1,
    });
    let by_z = z.graph().apply_one(own, &[&p, g]).mul(weights);
    (p.mul(weights).sub(t), by_z)
}

/// dp/dloss = W/S − t/p, the second term inside the ends alone, with S = Σp and W the sum of t inside; and what g makes
/// of its change by p: g·t/p² inside, less W·Σg/S².
pub(super) fn second_of_probabilities(
    p: &Tensor,
    t: &Tensor,
    g: &Tensor,
    sum: &dyn Fn(&Tensor) -> Tensor,
) -> (Tensor, Tensor) {
    let number = |value: f32| p.graph().constant([], &[value]);
    let total = sum(p);
    let q = p.div(&total);
    let inside = q.greater_equal(&number(LOWEST));
    let inside = inside.mul(&number(HIGHEST).greater_equal(&q));
    let share = sum(&t.mul(&inside)).div(&total);
    let own = inside.choose(&t.div(p), &number(0.0));
    let bend = inside.choose(&g.mul(&own).div(p), &number(0.0));
    let by_p = bend.sub(&share.mul(&sum(g)).div(&total));
    (share.sub(&own), by_p)
}
