//! On GPUs: the gradients of dense layers and the update that takes them as one call, the gradients never stored.

use std::sync::Arc;

use crate::op::{Adam, Dense, End, LayerSlab, LayerUpdates, MOST_LAYERS, MatMul, Sum};
use crate::plan::schedule::{Draft, Key, Operand, Scheduled};
use crate::plan::{Class, Target};
use crate::{DType, TensorType};

use super::slabs::Slab;

/// The largest batch whose gradient is worth a sum in one piece; longer ones are split among workgroups instead.
const MOST_ROWS: usize = 1024;

pub(super) fn join(program: &mut Scheduled, slabs: &[Slab], target: &Target) {
    if target.class != Class::Gpu {
        return;
    }
    while let Some(found) =
        (0..program.drafts.len()).find_map(|call| Found::at(program, slabs, call))
    {
        found.replace(program);
    }
}

/// A layer's gradients: where its parameters lie, and the calls that compute them.
struct Layer {
    slab: LayerSlab,
    product: usize,
    sum: Option<usize>,
}

/// An update over slabs whose gradients all come from dense layers.
struct Found {
    update: usize,
    rule: Adam,
    layers: Vec<Layer>,
    gather: bool,
}

impl Found {
    fn at(program: &Scheduled, slabs: &[Slab], update: usize) -> Option<Self> {
        let draft = &program.drafts[update];
        let rule = *draft.op.downcast::<Adam>()?;
        let [
            Operand::Slab(w),
            Operand::Slab(_),
            Operand::Slab(_),
            Operand::Slab(g),
        ] = *draft.inputs.get(..4)?
        else {
            return None;
        };
        let offset = |member: usize| usize::try_from(slabs[w].members[member].offset).ok();
        let mut layers: Vec<Layer> = Vec::new();
        let mut sums = Vec::new();
        for (member, gradient) in slabs[g].members.iter().enumerate() {
            let call = sole_producer(program, gradient.key, update)?;
            let made = &program.drafts[call];
            match matrix_gradient(made) {
                Some(_) => {
                    let &[inputs, units] = made.signature.outputs[0].shape.dims() else {
                        return None;
                    };
                    layers.push(Layer {
                        slab: LayerSlab {
                            inputs,
                            units,
                            kernel_at: offset(member)?,
                            bias_at: None,
                        },
                        product: call,
                        sum: None,
                    });
                }
                None if is_column_sum(made) => sums.push((call, offset(member)?)),
                None => return None,
            }
        }
        for (call, at) in sums {
            let dz = program.drafts[call].inputs[0];
            let same = |layer: &&mut Layer| {
                layer.sum.is_none() && program.drafts[layer.product].inputs[1] == dz
            };
            let layer = layers.iter_mut().find(same)?;
            (layer.sum, layer.slab.bias_at) = (Some(call), Some(at));
        }
        layers.sort_by_key(|layer| layer.slab.kernel_at);
        // Only the first layer's rows may be gathered.
        let gathers = |layer: &Layer| matrix_gradient(&program.drafts[layer.product]) == Some(true);
        let gather = layers.first().is_some_and(gathers);
        let later = layers.iter().skip(1).any(gathers);
        let rows = |layer: &Layer| {
            let dz = &program.drafts[layer.product].signature.inputs[1];
            dz.shape.rows_and_columns().0
        };
        let batch = layers.first().map(rows)?;
        let alike = layers.iter().all(|layer| rows(layer) == batch);
        let fits = !later && alike && batch <= MOST_ROWS;
        let found = Found {
            update,
            rule,
            layers,
            gather,
        };
        (fits && found.calls().all(|call| program.may_wait(call, update))).then_some(found)
    }

    fn calls(&self) -> impl Iterator<Item = usize> {
        let of = |layer: &Layer| [Some(layer.product), layer.sum];
        self.layers.iter().flat_map(of).flatten()
    }

    /// Puts one call for every few layers where the update stood.
    fn replace(self, program: &mut Scheduled) {
        let update = &program.drafts[self.update];
        let mut joined = Vec::new();
        for (number, layers) in self.layers.chunks(MOST_LAYERS).enumerate() {
            let mut inputs: Vec<(Operand, TensorType)> = [0, 1, 2, 4]
                .map(|i| (update.inputs[i], update.signature.inputs[i].clone()))
                .into();
            let mut merged = 0;
            let gather = self.gather && number == 0;
            let mut indices = None;
            for layer in layers {
                let product = &program.drafts[layer.product];
                let operand = |i: usize| (product.inputs[i], product.signature.inputs[i].clone());
                inputs.extend([operand(0), operand(1)]);
                if matrix_gradient(product) == Some(true) {
                    indices = Some(operand(2));
                }
                // The gradient, its update, and those of the bias.
                merged += product.merged + 1 + 2 * usize::from(layer.sum.is_some());
            }
            inputs.extend(indices);
            let (inputs, kinds) = inputs.into_iter().unzip();
            let mut signature = update.signature.clone();
            signature.inputs = kinds;
            let op = LayerUpdates {
                rule: self.rule,
                layers: layers.iter().map(|layer| layer.slab).collect(),
                gather,
            };
            joined.push(Draft {
                op: Arc::new(op),
                signature,
                inputs,
                outputs: Vec::new(),
                merged,
            });
        }
        program.notes.push(format!(
            "the gradients of {} layers and their updates are {} call(s)",
            self.layers.len(),
            joined.len()
        ));
        program.drafts.splice(self.update..=self.update, joined);
        let mut calls: Vec<usize> = self.calls().collect();
        calls.sort_unstable();
        for call in calls.into_iter().rev() {
            program.drafts.remove(call);
        }
    }
}

/// The call before `update` that makes a gradient, if nothing but the update's slab takes it.
fn sole_producer(program: &Scheduled, gradient: Key, update: usize) -> Option<usize> {
    let gradient = Operand::Value(gradient);
    let makes = |draft: &Draft| draft.outputs[..] == [gradient];
    let call = program.drafts[..update].iter().position(makes)?;
    program.uses(gradient)?.is_empty().then_some(call)
}

/// Whether a call is Xᵀ·dZ, and if so whether it gathers the rows of X.
fn matrix_gradient(draft: &Draft) -> Option<bool> {
    let is_gradient = |matmul: &MatMul| matmul.transpose_a && !matmul.transpose_b;
    if draft.op.downcast().is_some_and(is_gradient) {
        return Some(false);
    }
    let dense = draft.op.downcast::<Dense>()?;
    let plain = is_gradient(&dense.matmul) && !dense.bias && dense.end == End::Plain;
    plain.then_some(dense.gather)
}

/// Whether a call sums the rows of a matrix.
fn is_column_sum(draft: &Draft) -> bool {
    let matrix = &draft.signature.inputs[0];
    let sum = draft.op.downcast::<Sum>();
    sum.is_some_and(|sum| (sum.first, sum.last) == (0, 1))
        && matrix.shape.rank() == 2
        && matrix.dtype == DType::F32
}
