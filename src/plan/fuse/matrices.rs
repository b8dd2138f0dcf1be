//! What the layers of a network leave for their gradients, laid in a few slabs, so that one call can take all of it.

use std::collections::HashMap;

use crate::plan::schedule::{Key, Operand, Scheduled};
use crate::target::Target;
use crate::{DType, TensorType};

use super::slabs::{Slabs, apart};

/// Tensors of one slab, with their elements.
type Column = Vec<(Key, u64)>;

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
pub(super) fn laid(
    program: &Scheduled,
    layers: &[[(Operand, TensorType); 2]],
    slabs: &Slabs,
    target: &Target,
) -> Laid {
    let apart = apart(std::slice::from_ref(program));
    let most = most_elements(target);
    let mut columns: Vec<(usize, Column)> = Vec::new();
    for side in 0..2 {
        for (operand, kind) in layers.iter().map(|matrices| &matrices[side]) {
            let Operand::Value(key) = *operand else {
                continue;
            };
            let known = columns
                .iter()
                .any(|(_, column)| column.iter().any(|m| m.0 == key));
            let free = key.program.is_some()
                && kind.dtype == DType::F32
                && slabs.home(key).is_none()
                && program.uses(*operand).is_some();
            if known || !free {
                continue;
            }
            let elements = slabs.padded(kind.elements());
            let takes = |(other, column): &&mut (usize, Column)| {
                let filled: u64 = column.iter().map(|member| slabs.padded(member.1)).sum();
                *other == side
                    && filled + elements <= most
                    && !column.iter().any(|member| apart.contains(&(member.0, key)))
            };
            match columns.iter_mut().find(takes) {
                Some((_, column)) => column.push((key, kind.elements())),
                None => columns.push((side, vec![(key, kind.elements())])),
            }
        }
    }
    let before = peak(program, slabs);
    let mut laid = Laid {
        slabs: slabs.clone(),
        made: 0,
        refused: 0,
    };
    for (_, column) in columns.iter().filter(|(_, column)| column.len() > 1) {
        let mut with = laid.slabs.clone();
        with.find_or_make(column);
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
    program: &Scheduled,
    column: &Column,
    slabs: &Slabs,
    target: &Target,
) -> Option<(Slabs, usize)> {
    let apart = apart(std::slice::from_ref(program));
    let elements: u64 = column.iter().map(|member| slabs.padded(member.1)).sum();
    let clash = |a: &(Key, u64)| {
        column
            .iter()
            .any(|b| a.0 != b.0 && apart.contains(&(a.0, b.0)))
    };
    if elements > most_elements(target) || column.iter().any(clash) || !slabs.fits(column) {
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
fn peak(program: &Scheduled, slabs: &Slabs) -> u64 {
    #[derive(PartialEq, Eq, Hash)]
    enum Place {
        Alone(Key),
        Slab(usize),
    }
    let mut lives: HashMap<Place, (usize, usize, u64)> = HashMap::new();
    let mut live = |operand: &Operand, kind: &TensorType, step: usize| {
        let bytes = kind.dtype.bytes();
        let slab = match *operand {
            Operand::Slab(slab) => Some(slab),
            Operand::Value(key) => slabs.home(key).map(|(slab, _)| slab),
        };
        let (place, elements, temporary) = match (slab, *operand) {
            (Some(slab), _) => {
                let members = slabs.members(slab);
                let temporary = members.iter().any(|member| member.key.program.is_some());
                (Place::Slab(slab), slabs.elements(slab), temporary)
            }
            (None, Operand::Value(key)) => {
                let elements = slabs.padded(kind.elements());
                (Place::Alone(key), elements, key.program.is_some())
            }
            (None, Operand::Slab(_)) => return,
        };
        if temporary {
            let size = elements.saturating_mul(bytes);
            lives.entry(place).or_insert((step, step, size)).1 = step;
        }
    };
    for (step, draft) in program.drafts.iter().enumerate() {
        let inputs = draft.inputs.iter().zip(&draft.signature.inputs);
        let outputs = draft.outputs.iter().zip(&draft.signature.outputs);
        for (operand, kind) in inputs.chain(outputs) {
            live(operand, kind, step);
        }
    }
    for (_, kind, key) in &program.fetches {
        live(&Operand::Value(*key), kind, program.drafts.len());
    }
    let at = |step: usize| {
        let alive = lives
            .values()
            .filter(|(first, last, _)| (*first..=*last).contains(&step));
        alive.map(|(.., bytes)| bytes).sum()
    };
    (0..=program.drafts.len()).map(at).max().unwrap_or(0)
}
