//! The calls of a program that compute the gradients of dense layers.

use std::collections::{HashMap, HashSet};

use crate::DType;
use crate::op::{End, LayerPart, LayerSlab, MatMul, Sum};
use crate::plan::schedule::{Draft, Key, Operand};

use super::calls::{CallId, Calls};
use super::slabs::Slabs;

/// Where a layer's matrices lie before that is decided.
const NOWHERE: LayerPart = LayerPart { operand: 0, at: 0 };

/// A layer's gradients: where its parameters lie, and the calls that compute them.
pub(super) struct DenseGradient {
    pub slab: LayerSlab,
    pub product: CallId,
    pub sum: Option<CallId>,
}

impl DenseGradient {
    /// The layer whose gradient of W a call computes; where it lies is told later.
    pub fn of(program: &Calls, product: CallId) -> Option<Self> {
        matrix_gradient(&program[product])?;
        let &[inputs, units] = program[product].signature.outputs[0].shape.dims() else {
            return None;
        };
        Some(DenseGradient {
            slab: LayerSlab {
                inputs,
                units,
                kernel_at: 0,
                bias_at: None,
                x: NOWHERE,
                dz: NOWHERE,
            },
            product,
            sum: None,
        })
    }

    /// dZ, whose column sums are the gradient of the bias.
    pub fn dz(&self, program: &Calls) -> Operand {
        program[self.product].inputs[1]
    }

    /// Rows of X and dZ.
    pub fn rows(&self, program: &Calls) -> usize {
        let dz = &program[self.product].signature.inputs[1];
        dz.shape.rows_and_columns().0
    }

    pub fn gathers(&self, program: &Calls) -> bool {
        matrix_gradient(&program[self.product]) == Some(true)
    }

    pub fn calls(&self) -> impl Iterator<Item = CallId> + use<> {
        [Some(self.product), self.sum].into_iter().flatten()
    }
}

/// Layers whose gradients lie in one slab, or in none, and whose batches have as many rows.
#[derive(Default)]
pub(super) struct GradientGroup {
    pub slab: Option<usize>,
    pub layers: Vec<DenseGradient>,
    /// The column sums among their calls.
    sums: HashSet<CallId>,
    /// Whether one of the layers gathers its rows.
    gathers: bool,
}

impl GradientGroup {
    /// All layers of a program in such groups, with the sums that are the gradients of their biases.
    pub fn all(program: &Calls, slabs: &Slabs) -> Vec<GradientGroup> {
        let mut alike: Vec<GradientGroup> = Vec::new();
        let mut known: HashMap<(Option<usize>, usize), usize> = HashMap::new();
        for product in program.ids() {
            let Some(mut layer) = DenseGradient::of(program, product) else {
                continue;
            };
            let Some(key) = gradient(program, product) else {
                continue;
            };
            let slab = slabs.slab_of(key);
            let place = *known
                .entry((slab, layer.rows(program)))
                .or_insert(alike.len());
            if place == alike.len() {
                alike.push(GradientGroup {
                    slab,
                    ..GradientGroup::default()
                });
            }
            let group = &mut alike[place];
            let mut readers = program.readers(layer.dz(program));
            layer.sum = readers.find_map(|(call, position)| {
                let same = gradient(program, call).is_some_and(|key| slabs.slab_of(key) == slab);
                // One of the layers that share dZ has the bias.
                let free = !group.sums.contains(&call);
                let fits = position == 0 && same && free && is_column_sum(&program[call]);
                fits.then_some(call)
            });
            // One layer alone may gather its rows.
            let gathers = layer.gathers(program);
            if !(gathers && group.gathers) {
                group.gathers |= gathers;
                group.sums.extend(layer.sum);
                group.layers.push(layer);
            }
        }
        alike
    }
}

/// The gradient of a layer that a call computes, if it is a temporary that the host does not read.
pub(super) fn gradient(program: &Calls, call: CallId) -> Option<Key> {
    match program[call].outputs[..] {
        [Operand::Value(key)] if key.program.is_some() => {
            (!program.is_fetched(Operand::Value(key))).then_some(key)
        }
        _ => None,
    }
}

/// The call before `update` that makes a gradient, if nothing but the update's slab takes it.
pub(super) fn sole_producer(program: &Calls, gradient: Key, update: CallId) -> Option<CallId> {
    let gradient = Operand::Value(gradient);
    let call = program.maker(gradient)?;
    let fits = call < update && program[call].outputs.len() == 1;
    (fits && program.uses(gradient)?.next().is_none()).then_some(call)
}

/// Whether a call is Xᵀ·dZ, and if so whether it gathers the rows of X.
fn matrix_gradient(draft: &Draft) -> Option<bool> {
    let product: &MatMul = draft.op.downcast()?;
    let transposed = product.transpose_a && !product.transpose_b;
    let plain = transposed && !product.bias && product.end == End::Plain;
    plain.then_some(product.gather)
}

/// Whether a call sums the rows of a matrix.
pub(super) fn is_column_sum(draft: &Draft) -> bool {
    let matrix = &draft.signature.inputs[0];
    let sum = draft.op.downcast::<Sum>();
    sum.is_some_and(|sum| (sum.first, sum.last) == (0, 1))
        && matrix.shape.rank() == 2
        && matrix.dtype == DType::F32
}
