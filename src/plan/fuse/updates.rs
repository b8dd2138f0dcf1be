//! On GPUs: the gradients of dense layers and the update that takes them as one call, the gradients never stored.

use std::sync::Arc;

use crate::op::{Adam, Dense, End, LayerPart, LayerSlab, LayerUpdates, MatMul, Sum};
use crate::plan::schedule::{Draft, Key, Operand, Scheduled};
use crate::plan::{Class, Target};
use crate::{DType, TensorType};

use super::matrices;
use super::slabs::Slabs;

/// The largest batch whose gradient is worth a sum in one piece; longer ones are split among workgroups instead.
const MOST_ROWS: usize = 1024;

pub(super) fn join(program: &mut Scheduled, slabs: &mut Slabs, target: &Target) {
    if target.class != Class::Gpu {
        return;
    }
    while let Some(found) =
        (0..program.drafts.len()).find_map(|call| Found::at(program, slabs, call))
    {
        found.replace(program, slabs, target);
    }
}

/// Where a layer's matrices lie before that is decided.
const NOWHERE: LayerPart = LayerPart { operand: 0, at: 0 };

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
    batch: usize,
    gather: bool,
}

/// Layers of one call, the operands in which their X and dZ lie, and the nodes that the call stands for.
#[derive(Default)]
struct Group {
    layers: Vec<LayerSlab>,
    operands: Vec<(Operand, TensorType)>,
    merged: usize,
}

impl Found {
    fn at(program: &Scheduled, slabs: &Slabs, update: usize) -> Option<Self> {
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
        let offset = |member: usize| usize::try_from(slabs.members(w)[member].offset).ok();
        let mut layers: Vec<Layer> = Vec::new();
        let mut sums = Vec::new();
        for (member, gradient) in slabs.members(g).iter().enumerate() {
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
                            x: NOWHERE,
                            dz: NOWHERE,
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
            batch,
            gather,
        };
        (fits && found.calls().all(|call| program.may_wait(call, update))).then_some(found)
    }

    fn calls(&self) -> impl Iterator<Item = usize> {
        let of = |layer: &Layer| [Some(layer.product), layer.sum];
        self.layers.iter().flat_map(of).flatten()
    }

    /// Puts one call where the update stood, or one for every few layers where X and dZ lie in too many operands.
    fn replace(self, program: &mut Scheduled, slabs: &mut Slabs, target: &Target) {
        let (most, together) = LayerUpdates::most_operands(target);
        let mut joined = self.calls_of(program, slabs, most);
        let mut note = String::new();
        if together && joined.len() > 1 {
            let matrices = self.layers.iter().map(|layer| {
                let product = &program.drafts[layer.product];
                [0, 1].map(|i| (product.inputs[i], product.signature.inputs[i].clone()))
            });
            let matrices: Vec<_> = matrices.collect();
            let mut apart = program.clone();
            self.put(&mut apart, joined.clone());
            let laid = matrices::laid(&apart, &matrices, slabs, target);
            let fewer = self.calls_of(program, &laid.slabs, most);
            if fewer.len() < joined.len() {
                note = format!("; X and dZ lie in {} slabs", laid.made);
                (joined, *slabs) = (fewer, laid.slabs);
            }
            if laid.refused > 0 {
                note += &format!("; {} more would raise the peak of bytes", laid.refused);
            }
        }
        program.notes.push(format!(
            "the gradients of {} layers and their updates are {} call(s){note}",
            self.layers.len(),
            joined.len()
        ));
        self.put(program, joined);
    }

    fn put(&self, program: &mut Scheduled, joined: Vec<Draft>) {
        program.drafts.splice(self.update..=self.update, joined);
        let mut calls: Vec<usize> = self.calls().collect();
        calls.sort_unstable();
        for call in calls.into_iter().rev() {
            program.drafts.remove(call);
        }
    }

    /// The layers' calls, each with as many layers as lie in `most` operands.
    fn calls_of(&self, program: &Scheduled, slabs: &Slabs, most: usize) -> Vec<Draft> {
        let update = &program.drafts[self.update];
        let mut groups: Vec<Group> = Vec::new();
        for layer in &self.layers {
            let product = &program.drafts[layer.product];
            let parts = [0, 1].map(|i| {
                let (operand, kind) = (product.inputs[i], product.signature.inputs[i].clone());
                home(slabs, operand, kind)
            });
            let takes = |group: &Group| {
                let unknown = |(operand, ..): &&(Operand, TensorType, usize)| {
                    group.operands.iter().all(|(other, _)| other != operand)
                };
                group.operands.len() + parts.iter().filter(unknown).count() <= most
            };
            if !groups.last().is_some_and(takes) {
                groups.push(Group::default());
            }
            let Some(group) = groups.last_mut() else {
                continue;
            };
            let [x, dz] = parts.map(|(operand, kind, at)| {
                let known = &mut group.operands;
                let place = known.iter().position(|(other, _)| *other == operand);
                let operand = place.unwrap_or_else(|| {
                    known.push((operand, kind));
                    known.len() - 1
                });
                LayerPart { operand, at }
            });
            group.layers.push(LayerSlab {
                x,
                dz,
                ..layer.slab
            });
            // The gradient, its update, and those of the bias.
            group.merged += product.merged + 1 + 2 * usize::from(layer.sum.is_some());
        }
        let calls = groups.into_iter().enumerate();
        let calls = calls.map(|(number, group)| {
            let of = |draft: &Draft, i: usize| (draft.inputs[i], draft.signature.inputs[i].clone());
            let gather = self.gather && number == 0;
            let product = &program.drafts[self.layers[0].product];
            let inputs = [0, 1, 2, 4].into_iter().map(|i| of(update, i));
            let inputs = inputs
                .chain(group.operands)
                .chain(gather.then(|| of(product, 2)));
            let (inputs, kinds) = inputs.unzip();
            let mut signature = update.signature.clone();
            signature.inputs = kinds;
            let op = LayerUpdates {
                rule: self.rule,
                layers: group.layers,
                batch: self.batch,
                gather,
            };
            Draft {
                op: Arc::new(op),
                signature,
                inputs,
                outputs: Vec::new(),
                merged: group.merged,
            }
        });
        calls.collect()
    }
}

/// The slab in which an operand lies, its type and the offset there; else the operand itself.
fn home(slabs: &Slabs, operand: Operand, kind: TensorType) -> (Operand, TensorType, usize) {
    let found = match operand {
        Operand::Value(key) if key.program.is_some() => slabs.home(key),
        _ => None,
    };
    let size = |elements: u64| usize::try_from(elements).unwrap_or(usize::MAX);
    match found {
        Some((slab, at)) => (
            Operand::Slab(slab),
            TensorType::f32([size(slabs.elements(slab))]),
            size(at),
        ),
        None => (operand, kind, 0),
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
