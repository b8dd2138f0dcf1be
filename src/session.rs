//! An open plan: programs run by name, on any device.

mod access;
mod clock;
mod handle;
mod sliced;
mod snapshot;

use std::time::Duration;

use crate::edge::{block_on, slice};
use crate::identity::Identity;
use crate::plan::{Place, Plan};
use crate::{Error, Result, cpu, gpu};

use access::floats;
pub(crate) use clock::{note_powers, resize, resize_rates};
pub(crate) use handle::{ElementsRef, Handle, HostElements, ProgramHandle};
pub(crate) use sliced::PieceTimes;
pub(crate) use snapshot::PendingSnapshot;
pub use snapshot::Snapshot;

/// The most measurements of a profile.
const MAX_REPEATS: u64 = 1 << 16;

/// A plan opened on a [`Device`](crate::Device).
#[derive(Debug)]
pub struct Session {
    executor: Executor,
    /// The program that ran last: its fetches are what can be read, because programs share their temporaries' memory.
    last: Option<usize>,
    /// The identity of a CPU session; a GPU's session has its own.
    identity: Identity,
}

#[derive(Debug)]
enum Executor {
    Cpu(cpu::Session<f32>),
    Reference(cpu::Session<f64>),
    Gpu(Box<gpu::Session>),
}

/// The elements of a tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers of the product's precision.
    F32(Vec<f32>),
    /// Numbers of the reference's precision.
    F64(Vec<f64>),
    /// Integers.
    U32(Vec<u32>),
}

impl Values {
    /// Numbers in the product's precision; none where they are integers.
    pub(crate) fn to_f32(&self) -> Option<Vec<f32>> {
        match self {
            Values::F32(values) => Some(values.clone()),
            Values::F64(values) => Some(values.iter().map(|&value| value as f32).collect()),
            Values::U32(_) => None,
        }
    }

    /// Appends elements of the same precision.
    fn extend(&mut self, more: Values) {
        match (self, more) {
            (Values::F32(values), Values::F32(more)) => values.extend(more),
            (Values::F64(values), Values::F64(more)) => values.extend(more),
            (Values::U32(values), Values::U32(more)) => values.extend(more),
            // A variable has one precision.
            _ => {}
        }
    }
}

/// Steps under way, and what is copied after them: see [`Session::submit`].
#[derive(Debug)]
pub struct Pending(PendingKind);

#[derive(Debug)]
enum PendingKind {
    Ready(Identity, Vec<f32>),
    Gpu(gpu::Pending),
}

impl Session {
    pub(crate) fn open_cpu(plan: &Plan) -> Result<Self> {
        cpu::Session::open(plan).map(|session| Self::of(Executor::Cpu(session)))
    }

    pub(crate) fn open_reference(plan: &Plan) -> Result<Self> {
        cpu::Session::open(plan).map(|session| Self::of(Executor::Reference(session)))
    }

    pub(crate) fn open_gpu(device: &gpu::Device, plan: &Plan) -> Result<Self> {
        let session = gpu::Session::open(device, plan)?;
        Ok(Self::of(Executor::Gpu(Box::new(session))))
    }

    fn of(executor: Executor) -> Self {
        Session {
            executor,
            last: None,
            identity: Identity::new(),
        }
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Plan {
        match &self.executor {
            Executor::Cpu(session) => session.plan(),
            Executor::Reference(session) => session.plan(),
            Executor::Gpu(session) => session.plan(),
        }
    }

    /// The bytes it holds now, and the least that any assignment of the plan's tensors to memory would need.
    pub fn bytes(&self) -> (u64, u64) {
        let plan = self.plan();
        let bound = plan.lower_bound_bytes();
        // The CPU sessions keep every element in their own precision's room.
        let elements: u64 = plan.slots.iter().map(|slot| slot.elements).sum();
        match &self.executor {
            Executor::Cpu(_) => (elements * 4, bound),
            Executor::Reference(_) => (elements * 8, bound * 2),
            Executor::Gpu(session) => {
                let overhead = session.overhead_bytes();
                (plan.slot_bytes() + overhead, bound + overhead)
            }
        }
    }

    /// Runs `steps` steps of a program. A GPU gets them in one submission, or in several where they are very many dispatches,
    /// and works on while this returns; where too many are under way, it waits for the first with the device's deadline.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such program; on a GPU [`Error::Gpu`], and
    /// [`Error::DeviceLost`] and [`Error::Timeout`] where the device is gone or does not answer.
    pub fn run(&mut self, program: &str, steps: u64) -> Result<()> {
        let index = self.begin(program, steps)?;
        match &mut self.executor {
            Executor::Cpu(session) => session.run(index, steps),
            Executor::Reference(session) => session.run(index, steps),
            Executor::Gpu(session) => session.run(index, steps)?,
        }
        Ok(())
    }

    /// Runs `steps` steps without waiting for them, in one submission unless they are very many dispatches:
    /// [`Session::finish`] says when the last has ended, and returns the numbers of the tensors that were to be copied, one
    /// after the other. No steps only copy: how a tensor is read without blocking the thread. Where too many are under way, it
    /// waits for the first with the device's deadline.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::run`], and [`Error::NotFound`] where there is no such tensor.
    pub fn submit(&mut self, program: &str, steps: u64, copied: &[&str]) -> Result<Pending> {
        let before = self.last;
        let index = self.begin(program, steps)?;
        // What is copied may be what this program fetches.
        let places = self.places(copied).inspect_err(|_| self.last = before)?;
        self.submit_at(index, steps, &places)
    }

    fn submit_at(&mut self, index: usize, steps: u64, places: &[Place]) -> Result<Pending> {
        Ok(Pending(match &mut self.executor {
            Executor::Cpu(session) => {
                session.run(index, steps);
                let read = |&place| session.read(place).iter().copied();
                PendingKind::Ready(self.identity, places.iter().flat_map(read).collect())
            }
            Executor::Reference(session) => {
                session.run(index, steps);
                let read = |&place| session.read(place).iter().map(|&value| value as f32);
                PendingKind::Ready(self.identity, places.iter().flat_map(read).collect())
            }
            Executor::Gpu(session) => PendingKind::Gpu(session.submit(index, steps, places)?),
        }))
    }

    /// Where one dispatch of a program does many steps: the most that it does from now on, if its kernel allows as many.
    /// Until this is called, a rule by floating-point operations decides. Results are the same bits for any.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such program.
    pub fn limit_steps_per_dispatch(&mut self, program: &str, steps: u64) -> Result<()> {
        let index = self.begin(program, 0)?;
        self.limit_program(ProgramHandle(index), steps);
        Ok(())
    }

    /// Waits for a submission to end, and returns its copy.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for what another session submitted; [`Error::Timeout`] beyond the device's deadline.
    pub async fn finish(&mut self, pending: Pending) -> Result<Vec<f32>> {
        match (pending.0, &mut self.executor) {
            (PendingKind::Ready(of, values), _) => {
                self.identity.check(of)?;
                // The CPU sessions never wait, and would keep an executor to themselves.
                slice::time_for(Duration::ZERO).await;
                Ok(values)
            }
            (PendingKind::Gpu(pending), Executor::Gpu(session)) => {
                session.finish(pending, floats).await
            }
            (PendingKind::Gpu(_), _) => {
                Err(Error::argument("pending", "it belongs to another session"))
            }
        }
    }

    /// Measures every dispatch of a program; on the CPU sessions every call. [`gpu::Profile::timestamps`] says how, and
    /// whether the variables hold nonsense afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `repeat` is above 65 536, as every measurement is kept; what the device raises.
    pub fn profile(&mut self, program: &str, repeat: u64) -> Result<gpu::Profile> {
        if repeat > MAX_REPEATS {
            let message =
                format!("{repeat} measurements are asked for, and at most {MAX_REPEATS} are kept");
            return Err(Error::argument("repeat", message));
        }
        let repeat = repeat.max(2);
        let index = self.begin(program, repeat)?;
        match &mut self.executor {
            Executor::Cpu(session) => Ok(gpu::Profile::of_calls(session.profile(index, repeat))),
            Executor::Reference(session) => {
                Ok(gpu::Profile::of_calls(session.profile(index, repeat)))
            }
            Executor::Gpu(session) => {
                let device = session.device().clone();
                device.block_on(session.profile(index, repeat))
            }
        }
    }

    /// Whether it is on a GPU that was lost, so that nothing on it can be read any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.device().is_some_and(gpu::Device::is_gone)
    }

    fn device(&self) -> Option<&gpu::Device> {
        match &self.executor {
            Executor::Gpu(session) => Some(session.device()),
            Executor::Cpu(_) | Executor::Reference(_) => None,
        }
    }

    /// Blocks the thread on a readback, driving the device meanwhile.
    fn block_on<T>(&mut self, read: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let device = self.device().cloned();
        let future = read(self);
        match device {
            Some(device) => device.block_on(future),
            None => block_on(future),
        }
    }

    /// The program's index; from here on its fetches are what can be read.
    fn begin(&mut self, program: &str, steps: u64) -> Result<usize> {
        let programs = &self.plan().programs;
        let Some(index) = programs.iter().position(|known| known.name == program) else {
            return self.plan().program(program).map(|_| 0);
        };
        if steps > 0 {
            self.last = Some(index);
        }
        Ok(index)
    }
}
