//! Handles: variables and programs of a plan that were found once, and are reached without their names from then on.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use crate::edge::{Ending, WallTime};
use crate::plan::{Place, Plan};
use crate::{DType, Error, Result, Session};

use super::access::{floats, floats_of};
use super::{Executor, Pending, PendingKind, Values};

/// A variable of a plan, or what one of its programs fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    dtype: DType,
    place: Place,
}

impl Handle {
    /// Whether its elements are integers.
    pub fn is_integer(self) -> bool {
        self.dtype == DType::U32
    }

    /// Where it lies in the plan's slots.
    pub fn place(self) -> Place {
        self.place
    }

    pub fn elements(self) -> u64 {
        self.place.len
    }
}

/// A program of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgramHandle(pub(super) usize);

/// Elements on the host that are written to a variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ElementsRef<'a> {
    F32(&'a [f32]),
    U32(&'a [u32]),
}

impl<'a> ElementsRef<'a> {
    pub fn len(self) -> usize {
        match self {
            ElementsRef::F32(values) => values.len(),
            ElementsRef::U32(values) => values.len(),
        }
    }

    /// The elements of these rows, where there are `count` rows in all.
    pub fn picked(self, count: usize, rows: &[u32]) -> HostElements<'static> {
        fn of<T: Copy>(from: &[T], count: usize, rows: &[u32]) -> Vec<T> {
            let width = from.len() / count.max(1);
            let mut picked = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                picked.extend_from_slice(&from[row as usize * width..][..width]);
            }
            picked
        }
        match self {
            ElementsRef::F32(values) => HostElements::F32(of(values, count, rows).into()),
            ElementsRef::U32(values) => HostElements::U32(of(values, count, rows).into()),
        }
    }

    /// The elements of these numbers.
    pub fn range(self, range: Range<usize>) -> ElementsRef<'a> {
        match self {
            ElementsRef::F32(values) => ElementsRef::F32(&values[range]),
            ElementsRef::U32(values) => ElementsRef::U32(&values[range]),
        }
    }
}

/// Elements on the host as a device holds them, borrowed or owned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HostElements<'a> {
    F32(Cow<'a, [f32]>),
    /// Integers, or bytes four to a word.
    U32(Cow<'a, [u32]>),
}

impl HostElements<'_> {
    pub fn as_ref(&self) -> ElementsRef<'_> {
        match self {
            HostElements::F32(values) => ElementsRef::F32(values),
            HostElements::U32(values) => ElementsRef::U32(values),
        }
    }

    pub fn into_owned(self) -> HostElements<'static> {
        match self {
            HostElements::F32(values) => HostElements::F32(Cow::Owned(values.into_owned())),
            HostElements::U32(values) => HostElements::U32(Cow::Owned(values.into_owned())),
        }
    }

    /// Adds elements of the same type; those of another are left out.
    pub fn extend(&mut self, more: ElementsRef<'_>) {
        match (self, more) {
            (HostElements::F32(values), ElementsRef::F32(more)) => {
                values.to_mut().extend_from_slice(more);
            }
            (HostElements::U32(values), ElementsRef::U32(more)) => {
                values.to_mut().extend_from_slice(more);
            }
            // An array of a data set has one type.
            _ => {}
        }
    }
}

impl Plan {
    /// The variable of that name; none where no program uses one.
    pub(crate) fn handle(&self, variable: &str) -> Option<Handle> {
        let found = self.find_variable(variable)?;
        Some(Handle {
            dtype: found.kind.dtype,
            place: found.place,
        })
    }

    /// The program of that name; none where the plan has no such program.
    pub(crate) fn program_handle(&self, name: &str) -> Option<ProgramHandle> {
        let mut programs = self.programs.iter();
        programs
            .position(|known| known.name == name)
            .map(ProgramHandle)
    }

    /// What a program fetches under that name.
    pub(crate) fn fetched(&self, program: ProgramHandle, name: &str) -> Option<Handle> {
        let (kind, place) = self.programs.get(program.0)?.fetched(name)?;
        Some(Handle {
            dtype: kind.dtype,
            place,
        })
    }
}

impl Session {
    /// Writes elements of a variable from element `from` on, and leaves the others.
    pub(crate) fn put(
        &mut self,
        variable: Handle,
        from: usize,
        elements: ElementsRef<'_>,
    ) -> Result<()> {
        let Handle { dtype, place } = variable;
        let (from, len) = (from as u64, elements.len() as u64);
        let integers = matches!(elements, ElementsRef::U32(_));
        if from.saturating_add(len) > place.len || integers != (dtype == DType::U32) {
            let message = format!(
                "{len} {} from element {from} on do not fit a variable of {} {dtype}",
                if integers { "integers" } else { "numbers" },
                place.len
            );
            return Err(Error::argument("values", message));
        }
        let place = Place {
            offset: place.offset + from,
            len,
            ..place
        };
        self.write_at(place, elements)
    }

    pub(super) fn write_at(&mut self, place: Place, values: ElementsRef<'_>) -> Result<()> {
        match (&mut self.executor, values) {
            (Executor::Cpu(session), ElementsRef::F32(values)) => session.write(place, values),
            (Executor::Cpu(session), ElementsRef::U32(words)) => session.write_words(place, words),
            (Executor::Reference(session), ElementsRef::F32(values)) => {
                session.write(place, values)
            }
            (Executor::Reference(session), ElementsRef::U32(words)) => {
                session.write_words(place, words)
            }
            (Executor::Gpu(session), ElementsRef::F32(values)) => session.write(place, values)?,
            (Executor::Gpu(session), ElementsRef::U32(words)) => {
                session.write_words(place, words)?
            }
        }
        Ok(())
    }

    /// The elements of a variable, or of what the program that ran last fetches, in the session's own precision.
    pub(crate) async fn get(&mut self, tensor: Handle) -> Result<Values> {
        self.values_at(tensor.place, tensor.dtype).await
    }

    /// The numbers of a variable as f32.
    pub(crate) async fn get_floats(&mut self, tensor: Handle) -> Result<Vec<f32>> {
        floats_of(self.get(tensor).await?)
    }

    /// Runs steps of a program without waiting for them: see [`submit`](Self::submit).
    pub(crate) fn submit_program(
        &mut self,
        program: ProgramHandle,
        steps: u64,
        copied: &[Handle],
    ) -> Result<Pending> {
        if steps > 0 {
            self.last = Some(program.0);
        }
        self.submit_at(program.0, steps, &places(copied))
    }

    /// Waits for a submission as [`finish`](Self::finish) does, each poll for a GPU as long as `patience` says: its copy, and
    /// between which moments it ended.
    pub(crate) async fn finish_within(
        &mut self,
        pending: Pending,
        patience: Duration,
    ) -> Result<(Vec<f32>, Ending)> {
        match (pending.0, &mut self.executor) {
            (PendingKind::Gpu(pending), Executor::Gpu(session)) => {
                session.finish_within(pending, patience, floats).await
            }
            (kind, _) => {
                let copy = self.finish(Pending(kind)).await?;
                Ok((copy, Ending::at(WallTime::now())))
            }
        }
    }

    /// Runs a step up to the call that first writes a number that is not finite: see
    /// `cpu::Session::first_not_finite`.
    pub(crate) fn first_not_finite(
        &mut self,
        program: ProgramHandle,
    ) -> Option<(usize, Place, f32)> {
        self.last = Some(program.0);
        match &mut self.executor {
            Executor::Cpu(session) => session.first_not_finite(program.0),
            Executor::Reference(session) => {
                let found = session.first_not_finite(program.0);
                found.map(|(call, place, value)| (call, place, value as f32))
            }
            Executor::Gpu(_) => None,
        }
    }

    /// The most steps of a program that one dispatch does: see
    /// [`limit_steps_per_dispatch`](Self::limit_steps_per_dispatch).
    pub(crate) fn limit_program(&mut self, program: ProgramHandle, steps: u64) {
        if let Executor::Gpu(session) = &mut self.executor {
            session.limit_steps_per_dispatch(program.0, steps);
        }
    }

    /// Makes the buffers for `count` copies of these tensors under way at once, which are else made when they are needed.
    pub(crate) fn reserve(&mut self, copied: &[Handle], count: usize) -> Result<()> {
        match &mut self.executor {
            Executor::Gpu(session) => session.reserve_readbacks(&places(copied), count),
            Executor::Cpu(_) | Executor::Reference(_) => Ok(()),
        }
    }
}

pub(super) fn places(handles: &[Handle]) -> Vec<Place> {
    handles.iter().map(|handle| handle.place).collect()
}
