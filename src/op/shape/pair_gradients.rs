//! Gradients of the gradients of losses that sum a function of pairs over a row: dy = slope(y, t)·dloss.

use crate::Tensor;
use crate::contract::Vjp;
use crate::number::Dual;
use crate::op::pointwise::GraphNumber;

/// What a slope is differentiated on.
type PairOperand<'a> = Dual<GraphNumber<'a>>;

/// dL/dy, dL/dt and dL/d(dloss) from g = dL/d(dy): the slope differentiated by y and by t, times g and dloss, and the slopes
/// times g summed over a row. `scaled` multiplies by what the slope lacks.
pub(crate) fn pair_gradients(
    vjp: &Vjp<'_>,
    slope: impl for<'a> Fn(PairOperand<'a>, PairOperand<'a>) -> PairOperand<'a>,
    scaled: impl Fn(Tensor) -> Tensor,
) -> Result<Vec<Option<Tensor>>, String> {
    let (y, t, dloss, g) = (&vjp.inputs[0], &vjp.inputs[1], &vjp.inputs[2], vjp.dy()?);
    let (rows, columns) = y.shape().rows_and_columns();
    let times = |factor: GraphNumber<'_>| match factor.as_constant() {
        Some(0.0) => None,
        Some(factor) => Some(scaled(g.scale(factor as f32))),
        None => Some(scaled(g.mul(&factor.tensor(y.graph())))),
    };
    let by = |operand: usize| {
        let mut operands = [y, t].map(|tensor| Dual::flat(GraphNumber::of(tensor)));
        operands[operand] = Dual::variable(operands[operand].value);
        let [y, t] = operands;
        slope(y, t)
    };
    let by_operand = |operand: usize| {
        let product = times(by(operand).slope)?.reshape([rows, columns]);
        Some(product.mul(&dloss.reshape([rows, 1])).reshape(y.shape()))
    };
    let by_dloss = || {
        let terms = times(by(0).value)?.reshape([rows, columns]);
        Some(terms.sum_over(1).reshape(dloss.shape()))
    };
    Ok(vec![
        vjp.wanted[0].then(|| by_operand(0)).flatten(),
        vjp.wanted[1].then(|| by_operand(1)).flatten(),
        vjp.wanted[2].then(by_dloss).flatten(),
    ])
}
