//! On GPUs: the gradients of dense layers as one call; with the update that takes them, where that is all that does.

use std::collections::HashMap;

use crate::op::{Adam, LayerGradients, LayerPart, LayerSlab};
use crate::plan::schedule::{Draft, Operand, Typed};
use crate::target::Target;

use super::calls::{CallId, Calls};
use super::dense_gradient::{DenseGradient, GradientGroup, gradient, is_column_sum, sole_producer};
use super::matrices;
use super::slabs::Slabs;

/// The largest batch whose gradients are worth sums in one piece where tiles are few; longer ones are split among workgroups
/// instead.
const MAX_ROWS: usize = 1024;

/// Tiles of 32×32 that keep a GPU busy whatever the batch.
const ENOUGH_TILES: usize = 64;

/// Operands that X and dZ of any number of layers fit: two slabs of each.
const FEWEST_OPERANDS: usize = 4;

pub(super) fn join(program: &mut Calls, slabs: &mut Slabs, target: &Target) {
    if !LayerGradients::suits(target) {
        return;
    }
    // With room for fewer an update is a dispatch for every layer: then gradients are better stored.
    let few = LayerGradients::most_operands(true, target) < FEWEST_OPERANDS;
    let calls = program.iter();
    let updates = calls.filter(|(_, draft)| draft.op.downcast::<Adam>().is_some());
    for update in updates.map(|(call, _)| call).collect::<Vec<_>>() {
        let found = FoundLayer::taken_by(program, slabs, update);
        if let Some(found) = found.filter(|found| !few || found.layers.len() <= 2) {
            found.replace(program, slabs, target);
        }
    }
    while FoundLayer::store(program, slabs, target) {}
}

/// Gradients that all come from dense layers.
struct FoundLayer {
    /// The update that takes them, and its place; or none, and the last of the calls that compute them.
    update: Option<Adam>,
    at: CallId,
    /// The inputs before the operands: the slab of gradients, or those of parameters and states, and the rates.
    slabs: Vec<Typed>,
    layers: Vec<DenseGradient>,
    batch: usize,
    gather: bool,
}

/// Layers of one call, the operands in which their X and dZ lie, and the nodes that the call stands for.
#[derive(Default)]
struct Group {
    layers: Vec<LayerSlab>,
    operands: Vec<Typed>,
    merged: usize,
}

impl FoundLayer {
    /// The gradients that the update at a call takes from their slab, which nothing else reads.
    fn taken_by(program: &Calls, slabs: &Slabs, at: CallId) -> Option<Self> {
        let draft = program.get(at)?;
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
        let mut layers: Vec<DenseGradient> = Vec::new();
        let mut sums = Vec::new();
        for (member, gradient) in slabs.members(g).iter().enumerate() {
            let call = sole_producer(program, gradient.key, at)?;
            match DenseGradient::of(program, call) {
                Some(mut layer) => {
                    layer.slab.kernel_at = offset(member)?;
                    layers.push(layer);
                }
                None => sums.push((call, offset(member)?)),
            }
        }
        // The layers of each dZ, the first one last.
        let mut of_dz: HashMap<Operand, Vec<usize>> = HashMap::new();
        for (number, layer) in layers.iter().enumerate().rev() {
            of_dz.entry(layer.dz(program)).or_default().push(number);
        }
        for (call, at) in sums {
            let summed = is_column_sum(&program[call]).then(|| program[call].inputs[0])?;
            let layer = of_dz.get_mut(&summed)?.pop()?;
            (layers[layer].sum, layers[layer].slab.bias_at) = (Some(call), Some(at));
        }
        let slabs = [0, 1, 2, 4].map(|i| draft.input(i)).to_vec();
        Self::of(program, Some(rule), at, slabs, layers)
    }

    /// Gradients that something else reads: joins those that lie in one slab, or may, where one call for them saves
    /// dispatches. Returns whether there were any.
    fn store(program: &mut Calls, slabs: &mut Slabs, target: &Target) -> bool {
        let mut stored = false;
        for group in GradientGroup::all(program, slabs) {
            if let Some(found) = Self::stored_in(program, slabs, group, target) {
                found.replace(program, slabs, target);
                stored = true;
            }
        }
        stored
    }

    /// These gradients in their slab, or in one that is made for them.
    fn stored_in(
        program: &Calls,
        slabs: &mut Slabs,
        group: GradientGroup,
        target: &Target,
    ) -> Option<Self> {
        let GradientGroup {
            slab, mut layers, ..
        } = group;
        let calls: Vec<CallId> = layers.iter().flat_map(DenseGradient::calls).collect();
        let (&first, &at) = (calls.iter().min()?, calls.iter().max()?);
        let keys = calls.iter().filter_map(|&call| gradient(program, call));
        // What is computed later than it was may not have been read before.
        let results = keys.map(Operand::Value).chain(slab.map(Operand::Slab));
        let mut readers = results.flat_map(|result| program.readers_between(result, first, at));
        if calls.len() < 2 || readers.next().is_some() {
            return None;
        }
        let (own, slab) = match slab {
            Some(slab) => (slabs.clone(), slab),
            None => {
                let sized = |&call: &CallId| {
                    let elements = program[call].signature.outputs[0].elements();
                    Some((gradient(program, call)?, elements))
                };
                let column: Vec<_> = calls.iter().filter_map(sized).collect();
                matrices::column(program, &column, slabs, target)?
            }
        };
        let place = |call: CallId| {
            let (_, at) = own.home(gradient(program, call)?)?;
            usize::try_from(at).ok()
        };
        for layer in &mut layers {
            layer.slab.kernel_at = place(layer.product)?;
            if let Some(sum) = layer.sum {
                layer.slab.bias_at = Some(place(sum)?);
            }
        }
        let found = Self::of(program, None, at, vec![own.operand(slab)], layers)?;
        // As many calls as X and dZ need, against a product and a sum for each layer.
        let most = LayerGradients::most_operands(false, target);
        if found.calls_of(program, &own, most).len() >= calls.len() {
            return None;
        }
        *slabs = own;
        Some(found)
    }

    fn of(
        program: &Calls,
        update: Option<Adam>,
        at: CallId,
        slabs: Vec<Typed>,
        mut layers: Vec<DenseGradient>,
    ) -> Option<Self> {
        // Only the first layer's rows may be gathered.
        layers.sort_by_key(|layer| (!layer.gathers(program), layer.slab.kernel_at));
        let gather = layers.first()?.gathers(program);
        let later = layers.iter().skip(1).any(|layer| layer.gathers(program));
        let batch = layers.first()?.rows(program);
        let alike = layers.iter().all(|layer| layer.rows(program) == batch);
        let tiles =
            |layer: &DenseGradient| layer.slab.inputs.div_ceil(32) * layer.slab.units.div_ceil(32);
        let busy = layers.iter().map(tiles).sum::<usize>() >= ENOUGH_TILES;
        let mut calls = layers.iter().flat_map(DenseGradient::calls);
        let fits = !later
            && alike
            && (batch <= MAX_ROWS || busy)
            && calls.all(|call| call == at || program.may_wait(call, at));
        fits.then_some(FoundLayer {
            update,
            at,
            slabs,
            layers,
            batch,
            gather,
        })
    }

    fn calls(&self) -> impl Iterator<Item = CallId> {
        self.layers.iter().flat_map(DenseGradient::calls)
    }

    /// Puts one call in their place, or one for every few layers where X and dZ lie in too many operands.
    fn replace(self, program: &mut Calls, slabs: &mut Slabs, target: &Target) {
        let most = LayerGradients::most_operands(self.update.is_some(), target);
        let mut joined = self.calls_of(program, slabs, most);
        let mut note = String::new();
        if joined.len() > 1 {
            let matrices = self.layers.iter().map(|layer| {
                let product = &program[layer.product];
                [0, 1].map(|i| product.input(i))
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
        let updates = self.update.map_or("", |_| " and their updates");
        program.note(format!(
            "the gradients of {} layers{updates} are {} call(s){note}",
            self.layers.len(),
            joined.len()
        ));
        self.put(program, joined);
    }

    /// Puts calls in the update's place, or after the last of the calls that go.
    fn put(&self, program: &mut Calls, joined: Vec<Draft>) {
        for call in self.calls() {
            program.remove(call);
        }
        program.remove(self.at);
        program.insert_after(self.at, joined);
    }

    /// The layers' calls, each with as many layers as lie in `most` operands.
    fn calls_of(&self, program: &Calls, slabs: &Slabs, most: usize) -> Vec<Draft> {
        let mut groups: Vec<Group> = Vec::new();
        for layer in &self.layers {
            let product = &program[layer.product];
            let parts = [0, 1].map(|i| home(slabs, product.input(i)));
            let takes = |group: &Group| {
                let known = |operand| group.operands.iter().any(|(other, _)| *other == operand);
                let unknown = |((operand, _), _): &&(Typed, usize)| !known(*operand);
                group.operands.len() + parts.iter().filter(unknown).count() <= most
            };
            if !groups.last().is_some_and(takes) {
                groups.push(Group::default());
            }
            let Some(group) = groups.last_mut() else {
                continue;
            };
            let [x, dz] = parts.map(|(operand, at)| {
                let known = &mut group.operands;
                let place = known.iter().position(|other| other.0 == operand.0);
                let operand = place.unwrap_or_else(|| {
                    known.push(operand);
                    known.len() - 1
                });
                LayerPart { operand, at }
            });
            group.layers.push(LayerSlab {
                x,
                dz,
                ..layer.slab
            });
            // The gradients, and their updates.
            let calls = layer.calls().map(|call| program[call].merged);
            let updates = self.update.map_or(0, |_| layer.calls().count());
            group.merged += calls.sum::<usize>() + updates;
        }
        let calls = groups.into_iter().enumerate();
        let calls = calls.map(|(number, group)| {
            let gather = self.gather && number == 0;
            let product = &program[self.layers[0].product];
            let indices = gather.then(|| product.input(2));
            let operands = group.operands.into_iter().chain(indices);
            let inputs = self.slabs.iter().cloned().chain(operands);
            let op = LayerGradients {
                update: self.update,
                layers: group.layers,
                batch: self.batch,
                gather,
            };
            Draft::new(op, inputs, [], group.merged)
        });
        calls.collect()
    }
}

/// The slab in which an operand lies, and the offset there; else the operand itself.
fn home(slabs: &Slabs, operand: Typed) -> (Typed, usize) {
    let found = match operand.0 {
        Operand::Value(key) if key.program.is_some() => slabs.home(key),
        _ => None,
    };
    found.map_or((operand, 0), |(slab, at)| {
        (
            slabs.operand(slab),
            usize::try_from(at).unwrap_or(usize::MAX),
        )
    })
}
