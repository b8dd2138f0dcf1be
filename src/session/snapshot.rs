//! The variables that runs change, read back at one moment and set again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::edge::{WallTime, slice};
use crate::graph::Role;
use crate::plan::{Place, PlannedVariable};
use crate::{DType, Error, Result, TensorType, gpu};

use super::access::values_of;
use super::{ElementsRef, Executor, Session, Values};

/// The most bytes that are read back at once.
const MAX_AT_ONCE: u64 = 64 << 20;

/// The most bytes that are copied on the host within a poll, and what that takes where memory is slow.
const MAX_OF_POLL: (u64, Duration) = (1 << 20, Duration::from_millis(1));

/// The most bytes of a readback while steps run, which are copied on the host within a poll too.
const MAX_BESIDE: u64 = 4 << 20;

/// The least: below, a readback costs what it costs.
const MIN_AT_ONCE: u64 = 64 << 10;

/// Where a readback can be waited for, it needs at most one part in this many of what the plan has.
const SHARE_AT_ONCE: u64 = 32;

/// The variables of a session that runs change, at one moment, by name. What checkpoints, restarts and moves between sessions are made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Type and elements of each variable.
    pub variables: BTreeMap<String, (TensorType, Values)>,
}

/// A snapshot on its way: of the moment at which it was begun, whatever runs meanwhile.
#[derive(Debug)]
pub(crate) struct PendingSnapshot {
    parts: Vec<SnapshotPart>,
    begun: WallTime,
}

/// Variables that come in one readback.
#[derive(Debug)]
struct SnapshotPart {
    variables: Vec<Stretch>,
    values: PartValues,
}

/// A variable of a snapshot, or a stretch of one: what was read before goes on with it.
type Stretch = (String, TensorType, Place);

#[derive(Debug)]
enum PartValues {
    Here(Vec<Values>),
    Under(gpu::Pending),
}

impl PendingSnapshot {
    /// When all of it could be read; none where that is still to come.
    pub fn arrived(&self) -> Option<WallTime> {
        let when = |part: &SnapshotPart| match &part.values {
            PartValues::Here(_) => Some(self.begun),
            PartValues::Under(pending) => pending.arrived(),
        };
        let mut parts = self.parts.iter();
        parts.try_fold(self.begun, |last, part| Some(last.max(when(part)?)))
    }
}

impl Session {
    /// The variables that runs change, by name: parameters, states, and where a run is. Restored, a session that is
    /// given the same data goes on with the same bits.
    ///
    /// # Errors
    ///
    /// On a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.block_on(async |session| session.snapshot_async(Role::is_kept).await)
    }

    /// The variables of some roles, without blocking the thread.
    pub(crate) async fn snapshot_async(&mut self, kept: fn(Role) -> bool) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        let share = self.plan().slot_bytes() / SHARE_AT_ONCE;
        let most = match &self.executor {
            Executor::Gpu(_) => share.clamp(MIN_AT_ONCE, MAX_AT_ONCE),
            Executor::Cpu(_) | Executor::Reference(_) => MAX_OF_POLL.0,
        };
        // One after the other, so that no more than one needs room.
        for variables in self.parts(kept, most) {
            slice::time_for(MAX_OF_POLL.1).await;
            let part = self.begin_part(variables)?;
            self.finish_part(part, &mut snapshot).await?;
        }
        Ok(snapshot)
    }

    /// Copies the variables of some roles after all that was submitted, without waiting: a GPU goes on with what is submitted
    /// next, and [`finish_snapshot`](Self::finish_snapshot) reads them when they have [arrived](PendingSnapshot::arrived).
    pub(crate) fn begin_snapshot(&mut self, kept: fn(Role) -> bool) -> Result<PendingSnapshot> {
        let parts = self.parts(kept, MAX_BESIDE).into_iter();
        let parts = parts.map(|variables| self.begin_part(variables));
        Ok(PendingSnapshot {
            parts: parts.collect::<Result<_>>()?,
            begun: WallTime::now(),
        })
    }

    /// Waits for a snapshot of this session.
    pub(crate) async fn finish_snapshot(&mut self, pending: PendingSnapshot) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for part in pending.parts {
            slice::time_for(MAX_OF_POLL.1).await;
            self.finish_part(part, &mut snapshot).await?;
        }
        Ok(snapshot)
    }

    /// Bytes of the variables that a snapshot of these roles has.
    pub(crate) fn snapshot_bytes(&self, kept: fn(Role) -> bool) -> u64 {
        self.kept(kept).map(|variable| variable.kind.bytes()).sum()
    }

    fn kept(&self, roles: fn(Role) -> bool) -> impl Iterator<Item = &PlannedVariable> {
        let variables = self.plan().variables.iter();
        variables.filter(move |variable| roles(variable.role) && !variable.constant)
    }

    /// The variables of some roles in parts of at most `most` bytes; larger variables are cut.
    fn parts(&self, kept: fn(Role) -> bool, most: u64) -> Vec<Vec<Stretch>> {
        // Whole words where two elements share one.
        let most = most / 4 / 2 * 2;
        let mut parts: Vec<Vec<Stretch>> = Vec::new();
        let mut room = 0;
        for variable in self.kept(kept) {
            let Place { slot, offset, len } = variable.place;
            let mut taken = 0;
            while taken < len || len == 0 {
                if parts.is_empty() || room < (len - taken).min(most) {
                    parts.push(Vec::new());
                    room = most;
                }
                let stretch = Place {
                    slot,
                    offset: offset + taken,
                    len: (len - taken).min(room),
                };
                taken += stretch.len;
                room -= stretch.len;
                if let Some(part) = parts.last_mut() {
                    part.push((variable.name.clone(), variable.kind.clone(), stretch));
                }
                if len == 0 {
                    break;
                }
            }
        }
        parts
    }

    fn begin_part(&mut self, variables: Vec<Stretch>) -> Result<SnapshotPart> {
        let values = match &mut self.executor {
            Executor::Gpu(session) => {
                let places: Vec<Place> = variables.iter().map(|(.., place)| *place).collect();
                PartValues::Under(session.copy(&places)?)
            }
            Executor::Cpu(_) | Executor::Reference(_) => {
                let here = |(_, kind, place): &Stretch| self.values_here(*place, kind.dtype);
                PartValues::Here(variables.iter().filter_map(here).collect())
            }
        };
        Ok(SnapshotPart { variables, values })
    }

    async fn finish_part(&mut self, part: SnapshotPart, snapshot: &mut Snapshot) -> Result<()> {
        let SnapshotPart { variables, values } = part;
        let values = match (values, &mut self.executor) {
            (PartValues::Here(values), _) => values,
            (PartValues::Under(pending), Executor::Gpu(session)) => {
                let lens: Vec<usize> = variables
                    .iter()
                    .map(|(.., place)| session.copied_bytes(*place))
                    .collect();
                let split = |mut bytes: &[u8]| {
                    let mut each = Vec::with_capacity(lens.len());
                    for (len, (_, kind, place)) in lens.iter().zip(&variables) {
                        let (own, rest) = bytes.split_at((*len).min(bytes.len()));
                        each.push(values_of(kind.dtype, place.len, own));
                        bytes = rest;
                    }
                    each
                };
                session.finish(pending, split).await?
            }
            (PartValues::Under(_), _) => {
                return Err(Error::argument("pending", "it belongs to another session"));
            }
        };
        for ((name, kind, _), values) in variables.into_iter().zip(values) {
            match snapshot.variables.get_mut(&name) {
                Some((_, first)) => first.extend(values),
                None => drop(snapshot.variables.insert(name, (kind, values))),
            }
        }
        Ok(())
    }

    /// Sets every variable that the snapshot and the plan both have; their types must be the same.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where a variable's type differs or its elements are not of that type, before any is set.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut found = Vec::new();
        for (name, (kind, values)) in &snapshot.variables {
            let Ok(variable) = self.plan().variable(name) else {
                continue;
            };
            if variable.kind != *kind {
                let message = format!(
                    "`{name}` is {} here, but {kind} in the snapshot",
                    variable.kind
                );
                return Err(Error::argument("snapshot", message));
            }
            let (len, dtype) = match values {
                Values::F32(values) => (values.len(), DType::F32),
                Values::F64(values) => (values.len(), DType::F32),
                Values::U32(values) => (values.len(), DType::U32),
            };
            let same = (dtype == DType::U32) == (kind.dtype == DType::U32);
            if !same || len as u64 != kind.elements() {
                let message = format!("`{name}` is {kind}, but holds {len} values of {dtype}");
                return Err(Error::argument("snapshot", message));
            }
            found.push((variable.place, values));
        }
        for (place, values) in found {
            match (values, &mut self.executor) {
                (Values::U32(values), _) => self.write_at(place, ElementsRef::U32(values))?,
                (Values::F64(values), Executor::Reference(session)) => {
                    session.write_exact(place, values)
                }
                (Values::F64(values), _) => {
                    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                    self.write_at(place, ElementsRef::F32(&values))?;
                }
                (Values::F32(values), _) => self.write_at(place, ElementsRef::F32(values))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use crate::{Device, Graph, Plan, Program};

    use super::*;

    #[test]
    fn a_large_snapshot_on_the_processor_takes_several_polls() {
        let (graph, len) = (Graph::new(), 1_500_000);
        let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let large = graph.parameter("large", [len], &numbers);
        let small = graph.parameter("small", [3], &[1.0, 2.0, 3.0]);
        let program = Program::new("p").update([&large.assign(&-&large), &small.assign(&-&small)]);
        let device = Device::cpu();
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.run("p", 1).unwrap();
        let whole = session.snapshot().unwrap();
        let reading = session.snapshot_async(Role::is_kept);
        let mut reading = pin!(slice::sliced(Some(Duration::ZERO), reading));
        let (mut context, mut polls) = (Context::from_waker(Waker::noop()), 0);
        let read = loop {
            match reading.as_mut().poll(&mut context) {
                Poll::Ready(read) => break read.unwrap(),
                Poll::Pending => polls += 1,
            }
        };
        // Six megabytes.
        assert!(polls >= 6, "{polls} polls");
        assert_eq!(read, whole);
        let negated: Vec<f32> = numbers.iter().map(|number| -number).collect();
        let (_, values) = &read.variables["large"];
        assert_eq!(values, &Values::F32(negated));
    }
}
