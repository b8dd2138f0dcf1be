//! What the layers of a network leave for their gradients, laid in a few slabs, so that one call can take all of it.

use std::collections::{HashMap, HashSet};

use crate::plan::life::peak_of;
use crate::plan::schedule::{Key, Operand, Typed};
use crate::target::Target;
use crate::{DType, TensorType};

use super::calls::Calls;
use super::slabs::{Apart, Slabs};

/// Tensors that may lie in one slab.
struct SlabColumn {
    /// Whether these are X of their layers, 0, or dZ, 1.
    side: usize,
    /// Elements of all, each rounded up to the device's alignment.
    padded: u64,
    /// The tensors with their elements.
    members: Vec<(Key, u64)>,
}

/// What became of X and dZ.
pub(super) struct Laid {
    /// The slabs of the plan, with those that were made.
    pub slabs: Slabs,
    /// How many were made.
    pub made: usize,
    /// How many were not, because the peak would have risen.
    pub refused: usize,
}

/// Lays X and dZ of layers in slabs, as far as they may: what is fetched, a variable or in a slab already stays where it is.
///
/// Two tensors of which a call writes one and reads the other go to different slabs, since a call's written operands have
/// slots of their own: in a chain of layers every second X, and every second dZ. A slab lives from the first of its members to the
/// last, and X lives longer than dZ does, so that they go to different slabs too. Where the peak would rise by more than a
/// twentieth nevertheless, as where much else lives between forward and backward, tensors stay by themselves.
pub(super) fn laid(program: &Calls, layers: &[[Typed; 2]], slabs: &Slabs, target: &Target) -> Laid {
    let apart = Apart::of(std::iter::once(program));
    let most = most_elements(target);
    let mut columns: Vec<SlabColumn> = Vec::new();
    let mut column_of: HashMap<Key, usize> = HashMap::new();
    for side in 0..2 {
        for (operand, kind) in layers.iter().map(|matrices| &matrices[side]) {
            let Operand::Value(key) = *operand else {
                continue;
            };
            let free = key.program.is_some()
                && kind.dtype == DType::F32
                && slabs.home(key).is_none()
                && !program.is_fetched(*operand);
            if column_of.contains_key(&key) || !free {
                continue;
            }
            let elements = slabs.padded(kind.elements());
            let neighbours = apart.neighbours(key);
            let clashing = neighbours.filter_map(|other| column_of.get(&other).copied());
            let clashing: HashSet<usize> = clashing.collect();
            let takes = |(number, column): &(usize, &SlabColumn)| {
                column.side == side
                    && column.padded + elements <= most
                    && !clashing.contains(number)
            };
            let place = columns.iter().enumerate().find(takes);
            let place = place.map_or(columns.len(), |(number, _)| number);
            if place == columns.len() {
                columns.push(SlabColumn {
                    side,
                    padded: 0,
                    members: Vec::new(),
                });
            }
            columns[place].members.push((key, kind.elements()));
            columns[place].padded += elements;
            column_of.insert(key, place);
        }
    }
    let before = peak(program, slabs);
    let mut laid = Laid {
        slabs: slabs.clone(),
        made: 0,
        refused: 0,
    };
    for column in columns.iter().filter(|column| column.members.len() > 1) {
        let mut with = laid.slabs.clone();
        with.find_or_make(&column.members);
        if peak(program, &with) <= before + before / 20 {
            laid.slabs = with;
            laid.made += 1;
        } else {
            laid.refused += 1;
        }
    }
    laid
}

/// These tensors in a slab of their own, and the slabs of the plan with it, if they may lie in one.
pub(super) fn column(
    program: &Calls,
    column: &[(Key, u64)],
    slabs: &Slabs,
    target: &Target,
) -> Option<(Slabs, usize)> {
    let apart = Apart::of(std::iter::once(program));
    let elements: u64 = column.iter().map(|member| slabs.padded(member.1)).sum();
    if elements > most_elements(target) || apart.parts_any(column) || !slabs.fits(column) {
        return None;
    }
    let mut with = slabs.clone();
    let slab = with.find_or_make(column);
    Some((with, slab))
}

/// The longest slab that a call can bind.
fn most_elements(target: &Target) -> u64 {
    target.max_binding_bytes.min(target.max_buffer_bytes) / DType::F32.bytes()
}

/// The most bytes that a program's temporaries take, each from the first call that uses it, or its slab, to the last.
fn peak(program: &Calls, slabs: &Slabs) -> u64 {
    let mut lives: HashMap<Operand, (usize, usize, u64)> = HashMap::new();
    let mut live = |operand: Operand, kind: &TensorType, step: usize| {
        let slab = match operand {
            Operand::Slab(slab) => Some(slab),
            Operand::Value(key) => slabs.slab_of(key),
        };
        let operand = slab.map_or(operand, Operand::Slab);
        let (elements, key) = match operand {
            // A slab outlives a run as a whole or not at all.
            Operand::Slab(slab) => (slabs.elements(slab), slabs.members(slab)[0].key),
            Operand::Value(key) => (slabs.padded(kind.elements()), key),
        };
        if key.program.is_some() {
            let size = elements.saturating_mul(kind.dtype.bytes());
            lives.entry(operand).or_insert((step, step, size)).1 = step;
        }
    };
    for (step, (_, draft)) in program.iter().enumerate() {
        let inputs = draft.inputs.iter().zip(&draft.signature.inputs);
        let outputs = draft.outputs.iter().zip(&draft.signature.outputs);
        for (operand, kind) in inputs.chain(outputs) {
            live(*operand, kind, step);
        }
    }
    for (_, kind, key) in &program.rest.fetches {
        live(Operand::Value(*key), kind, program.len());
    }
    peak_of(lives.into_values())
}
