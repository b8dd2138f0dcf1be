//! Rewrites of the schedule: nodes that become one call. The unfused schedule stays the specification: tests compile it
//! with [`Target::fusion`] off and compare.

mod calls;
mod dense_gradient;
mod gradients;
mod halves;
mod head;
mod layers;
mod matrices;
mod slabs;
mod tiny;
mod whole_step;

use crate::graph::Record;
use crate::target::{Class, Precision, Target};

use super::schedule::Scheduled;
use calls::Calls;

pub(super) use slabs::TensorSlab;

/// All rewrites, in order: each finds the calls that the one before has left or made.
pub(super) fn rewrite(
    programs: Vec<Scheduled>,
    records: &[Record],
    target: &Target,
) -> (Vec<Scheduled>, Vec<TensorSlab>) {
    if !target.fusion {
        return (programs, Vec::new());
    }
    let mut slabs = slabs::Slabs::new(target);
    let mut programs: Vec<Calls> = programs.into_iter().map(Calls::new).collect();
    tiny::join(&mut programs, records, &mut slabs, target);
    for program in &mut programs {
        head::join(program, records);
        layers::join(program, target);
        if target.class == Class::Gpu {
            head::join_last_layers(program);
        }
    }
    slabs::merge_updates(&mut programs, &mut slabs);
    for program in &mut programs {
        match target.precision {
            Precision::Single => gradients::join(program, &mut slabs, target),
            // A gradient that is never stored cannot be looked at before it is used.
            Precision::Half => halves::store(program),
        }
    }
    let programs = programs.into_iter().map(Calls::into_scheduled);
    (programs.collect(), slabs.into_list())
}
