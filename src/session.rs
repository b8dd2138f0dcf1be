//! An open plan: variables written and read by name, programs run by name.

mod snapshot;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use crate::cpu::half_value;
use crate::plan::{Place, Plan};
use crate::{DType, Error, Result, TensorType, cpu, gpu};

pub(crate) use snapshot::PendingSnapshot;
pub use snapshot::Snapshot;

/// Most measurements of a profile.
const MOST_REPEATS: u64 = 1 << 16;

/// A plan opened on a [`Device`](crate::Device).
#[derive(Debug)]
pub struct Session {
    executor: Executor,
    /// The program that ran last: its fetches are what can be read, because programs share their temporaries' memory.
    last: Option<usize>,
    /// Of the CPU sessions; a GPU's has its own.
    identity: Identity,
}

/// Which session of the process something is of. One that is opened again on another device, or on one made again, is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    /// One that no other session has.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Identity(NEXT.fetch_add(1, Relaxed))
    }

    /// Refuses what is of another session.
    pub fn check(self, other: Identity) -> Result<()> {
        match self == other {
            true => Ok(()),
            false => Err(Error::argument("pending", "it belongs to another session")),
        }
    }
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

/// A readback under way: see [`Session::run_and_copy`].
#[derive(Debug)]
pub struct Pending(PendingKind);

#[derive(Debug)]
enum PendingKind {
    Ready(Identity, Vec<f32>),
    Gpu(gpu::Pending),
}

impl Session {
    pub(crate) fn open_cpu(plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Cpu(cpu::Session::open(plan)?),
            last: None,
            identity: Identity::new(),
        })
    }

    pub(crate) fn open_reference(plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Reference(cpu::Session::open(plan)?),
            last: None,
            identity: Identity::new(),
        })
    }

    pub(crate) fn open_gpu(device: &gpu::Device, plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Gpu(Box::new(gpu::Session::open(device, plan)?)),
            last: None,
            identity: Identity::new(),
        })
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
        let (slots, bound) = (self.plan().slot_bytes(), self.plan().lower_bound_bytes());
        match &self.executor {
            Executor::Cpu(_) => (self.elements() * 4, bound),
            Executor::Reference(_) => (self.elements() * 8, bound * 2),
            Executor::Gpu(session) => (
                slots + session.overhead_bytes(),
                bound + session.overhead_bytes(),
            ),
        }
    }

    /// Elements of all slots: the CPU sessions keep each in their own precision's room.
    fn elements(&self) -> u64 {
        self.plan().slots.iter().map(|slot| slot.elements).sum()
    }

    /// Runs `steps` steps of a program. A GPU gets them in one submission, or in several where they are very many dispatches,
    /// and works on while this returns; where too many are under way, it waits for the first with the device's deadline.
    pub fn run(&mut self, program: &str, steps: u64) -> Result<()> {
        let index = self.begin(program, steps)?;
        match &mut self.executor {
            Executor::Cpu(session) => session.run(index, steps),
            Executor::Reference(session) => session.run(index, steps),
            Executor::Gpu(session) => session.run(index, steps)?,
        }
        Ok(())
    }

    /// Runs a step on the processor up to the call that first writes a number that is not finite: see
    /// [`cpu::Session::first_not_finite`].
    pub(crate) fn first_not_finite(
        &mut self,
        program: &str,
    ) -> Result<Option<(usize, Place, f32)>> {
        let index = self.begin(program, 1)?;
        Ok(match &mut self.executor {
            Executor::Cpu(session) => session.first_not_finite(index),
            Executor::Reference(session) => {
                let found = session.first_not_finite(index);
                found.map(|(call, place, value)| (call, place, value as f32))
            }
            Executor::Gpu(_) => None,
        })
    }

    /// Runs `steps` steps and copies a tensor of numbers for the host, without waiting for it.
    pub fn run_and_copy(&mut self, program: &str, steps: u64, tensor: &str) -> Result<Pending> {
        self.submit(program, steps, &[tensor])
    }

    /// Runs `steps` steps without waiting for them, in one submission unless they are very many dispatches:
    /// [`Session::finish`] says when the last has ended, and returns the numbers of the tensors that were to be copied, one
    /// after the other. Where too many are under way, it waits for the first with the device's deadline.
    pub fn submit(&mut self, program: &str, steps: u64, copied: &[&str]) -> Result<Pending> {
        let index = self.begin(program, steps)?;
        let places = self.places(copied)?;
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
            Executor::Gpu(session) => PendingKind::Gpu(session.submit(index, steps, &places)?),
        }))
    }

    /// Where one dispatch of a program does many steps: the most that it does from now on, if its kernel allows as many.
    /// Until this is called, a rule by floating-point operations decides. Results are the same bits for any.
    pub fn limit_steps_per_dispatch(&mut self, program: &str, steps: u64) -> Result<()> {
        let index = self.begin(program, 0)?;
        if let Executor::Gpu(session) = &mut self.executor {
            session.limit_steps_per_dispatch(index, steps);
        }
        Ok(())
    }

    /// Makes the buffers for so many copies of these tensors under way at once, which are else made when they are needed.
    pub fn reserve_readbacks(&mut self, tensors: &[&str], count: usize) -> Result<()> {
        let places = self.places(tensors)?;
        match &mut self.executor {
            Executor::Gpu(session) => session.reserve_readbacks(&places, count),
            Executor::Cpu(_) | Executor::Reference(_) => Ok(()),
        }
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
                give_way().await;
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
        if repeat > MOST_REPEATS {
            let message =
                format!("{repeat} measurements are asked for, and at most {MOST_REPEATS} are kept");
            return Err(Error::argument("repeat", message));
        }
        let index = self.begin(program, repeat)?;
        let repeat = repeat.max(2);
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

    /// Writes a variable of numbers, row-major, before the next run.
    pub fn write(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.sized(variable, self.numbers(variable)?, values.len())?;
        self.write_at(place, values)
    }

    /// Writes the leading elements of a variable of numbers and leaves the others.
    pub fn write_head(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.head(variable, DType::F32, values.len())?;
        self.write_at(place, values)
    }

    /// Writes a variable of integers, row-major, before the next run.
    pub fn write_labels(&mut self, variable: &str, values: &[u32]) -> Result<()> {
        let place = self.sized(variable, DType::U32, values.len())?;
        self.write_words_at(place, values)
    }

    /// Writes the leading elements of a variable of integers and leaves the others.
    pub fn write_labels_head(&mut self, variable: &str, values: &[u32]) -> Result<()> {
        let place = self.head(variable, DType::U32, values.len())?;
        self.write_words_at(place, values)
    }

    /// Writes elements of a variable of numbers from element `from` on, and leaves the others.
    pub(crate) fn write_part(&mut self, variable: &str, from: usize, values: &[f32]) -> Result<()> {
        let place = self.part(variable, DType::F32, from, values.len())?;
        self.write_at(place, values)
    }

    /// Writes elements of a variable of integers from element `from` on, and leaves the others.
    pub(crate) fn write_labels_part(
        &mut self,
        variable: &str,
        from: usize,
        values: &[u32],
    ) -> Result<()> {
        let place = self.part(variable, DType::U32, from, values.len())?;
        self.write_words_at(place, values)
    }

    fn write_at(&mut self, place: Place, values: &[f32]) -> Result<()> {
        match &mut self.executor {
            Executor::Cpu(session) => session.write(place, values),
            Executor::Reference(session) => session.write(place, values),
            Executor::Gpu(session) => session.write(place, values)?,
        }
        Ok(())
    }

    fn write_words_at(&mut self, place: Place, values: &[u32]) -> Result<()> {
        match &mut self.executor {
            Executor::Cpu(session) => session.write_words(place, values),
            Executor::Reference(session) => session.write_words(place, values),
            Executor::Gpu(session) => session.write_words(place, values)?,
        }
        Ok(())
    }

    /// Reads a variable, or what the program run last fetches under this name, as f32.
    ///
    /// What another program fetches is an error: programs share the memory of their temporaries.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        self.block_on(async |session| session.read_async(name).await)
    }

    /// [`Session::read`] without blocking the thread.
    pub async fn read_async(&mut self, name: &str) -> Result<Vec<f32>> {
        let place = self.place(name, DType::F32)?;
        match &mut self.executor {
            Executor::Cpu(session) => Ok(session.read(place).to_vec()),
            Executor::Reference(session) => Ok(session
                .read(place)
                .iter()
                .map(|&value| value as f32)
                .collect()),
            Executor::Gpu(session) => session.read(place, floats).await,
        }
    }

    /// Reads numbers or integers in the session's own precision.
    pub fn read_values(&mut self, name: &str) -> Result<Values> {
        self.block_on(async |session| session.read_values_async(name).await)
    }

    /// [`Session::read_values`] without blocking the thread.
    pub async fn read_values_async(&mut self, name: &str) -> Result<Values> {
        let (kind, place) = self.readable(name)?;
        let dtype = kind.dtype;
        self.values_at(place, dtype).await
    }

    /// Whether it is on a GPU that was lost, so that nothing on it can be read any more.
    pub(crate) fn is_lost(&self) -> bool {
        match &self.executor {
            Executor::Gpu(session) => session.device().is_gone(),
            Executor::Cpu(_) | Executor::Reference(_) => false,
        }
    }

    /// For debugging: fills what no variable covers with NaNs, so that a read of something never written, or a write
    /// behind a tensor's end, shows. Temporaries get the bits `temporary`, the space behind variables `padding`.
    pub fn poison(&mut self, temporary: u32, padding: u32) -> Result<()> {
        let plan = self.plan();
        let free: Vec<(Place, DType, u32)> = plan
            .outside(plan.variables.iter().map(|variable| variable.place))
            .into_iter()
            .map(|place| {
                let slot = &plan.slots[place.slot];
                let bits = if slot.persistent { padding } else { temporary };
                (place, slot.dtype, bits)
            })
            .collect();
        for (place, dtype, bits) in free {
            let len = usize::try_from(place.len).unwrap_or(usize::MAX);
            match (&mut self.executor, dtype) {
                (_, DType::U32) => self.write_words_at(place, &vec![bits; len])?,
                (Executor::Cpu(session), _) => {
                    session.write(place, &vec![f32::from_bits(bits); len])
                }
                (Executor::Reference(session), _) => {
                    session.write(place, &vec![f32::from_bits(bits); len]);
                }
                (Executor::Gpu(session), DType::F16) => {
                    session.write(place, &vec![f32::from_bits(bits); len])?;
                }
                (Executor::Gpu(session), _) => session.write_words(place, &vec![bits; len])?,
            }
        }
        Ok(())
    }

    /// For debugging: the elements of a whole slot of the plan, variables, temporaries and padding.
    pub fn read_slot(&mut self, slot: usize) -> Result<Values> {
        let Some(kind) = self.plan().slots.get(slot) else {
            let count = self.plan().slots.len();
            return Err(Error::argument(
                "slot",
                format!("the plan has {count} slots, so there is no slot {slot}"),
            ));
        };
        let place = Place {
            slot,
            offset: 0,
            len: kind.elements,
        };
        let dtype = kind.dtype;
        self.block_on(async move |session| session.values_at(place, dtype).await)
    }

    async fn values_at(&mut self, place: Place, dtype: DType) -> Result<Values> {
        if let Some(values) = self.values_here(place, dtype) {
            return Ok(values);
        }
        match &mut self.executor {
            Executor::Gpu(session) => {
                let read = |bytes: &[u8]| values_of(dtype, place.len, bytes);
                session.read(place, read).await
            }
            Executor::Cpu(_) | Executor::Reference(_) => Ok(values_of(dtype, 0, &[])),
        }
    }

    /// What need not come from a device: the values of the CPU sessions, and no values.
    fn values_here(&self, place: Place, dtype: DType) -> Option<Values> {
        let words = dtype == DType::U32;
        match &self.executor {
            Executor::Gpu(_) if place.len == 0 => Some(values_of(dtype, 0, &[])),
            Executor::Gpu(_) => None,
            Executor::Cpu(session) if words => {
                Some(Values::U32(session.read_words(place).to_vec()))
            }
            Executor::Cpu(session) => Some(Values::F32(session.read(place).to_vec())),
            Executor::Reference(session) if words => {
                Some(Values::U32(session.read_words(place).to_vec()))
            }
            Executor::Reference(session) => Some(Values::F64(session.read(place).to_vec())),
        }
    }

    /// Blocks the thread on a readback, driving the device meanwhile.
    fn block_on<T>(&mut self, read: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let device = match &self.executor {
            Executor::Gpu(session) => Some(session.device().clone()),
            Executor::Cpu(_) | Executor::Reference(_) => None,
        };
        let future = read(self);
        match device {
            Some(device) => device.block_on(future),
            None => pollster::block_on(future),
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

    /// Type and place of a variable, or of what the program run last fetches.
    fn readable(&self, name: &str) -> Result<(&TensorType, Place)> {
        let plan = self.plan();
        if let Ok(variable) = plan.variable(name) {
            return Ok((&variable.kind, variable.place));
        }
        let ran = self.last.map(|index| &plan.programs[index]);
        if let Some(found) = ran.and_then(|program| program.fetched(name)) {
            return Ok(found);
        }
        // An error that lists the names, where no program fetches it.
        plan.readable(name)?;
        let message = match ran {
            Some(program) => format!(
                "`{name}` is another program's: `{}` ran last, and programs share memory",
                program.name
            ),
            None => format!("`{name}` is there once a program that fetches it has run"),
        };
        Err(Error::argument("name", message))
    }

    /// How a variable of numbers is stored; f32 for one of integers, which is then refused.
    fn numbers(&self, variable: &str) -> Result<DType> {
        let stored = self.plan().variable(variable)?.kind.dtype;
        Ok(if stored == DType::F16 {
            stored
        } else {
            DType::F32
        })
    }

    fn place(&self, name: &str, dtype: DType) -> Result<Place> {
        let (kind, place) = self.readable(name)?;
        if kind.dtype == dtype {
            return Ok(place);
        }
        Err(Error::Argument {
            name: "name",
            message: format!("`{name}` holds {}, not {dtype}", kind.dtype),
        })
    }

    fn places(&self, tensors: &[&str]) -> Result<Vec<Place>> {
        let place = |tensor: &&str| self.place(tensor, DType::F32);
        tensors.iter().map(place).collect()
    }

    fn head(&self, variable: &str, dtype: DType, len: usize) -> Result<Place> {
        let kind = &self.plan().variable(variable)?.kind;
        let place = self.place(variable, dtype)?;
        if len as u64 <= place.len {
            return Ok(Place {
                len: len as u64,
                ..place
            });
        }
        Err(Error::argument(
            "values",
            format!("`{variable}` is {kind}, but {len} values were given"),
        ))
    }

    fn part(&self, variable: &str, dtype: DType, from: usize, len: usize) -> Result<Place> {
        let whole = self.head(variable, dtype, from.saturating_add(len))?;
        Ok(Place {
            offset: whole.offset + from as u64,
            len: len as u64,
            ..whole
        })
    }

    fn sized(&self, variable: &str, dtype: DType, len: usize) -> Result<Place> {
        let place = self.head(variable, dtype, len)?;
        let kind = &self.plan().variable(variable)?.kind;
        if kind.elements() == place.len {
            return Ok(place);
        }
        Err(Error::argument(
            "values",
            format!("`{variable}` is {kind}, but {len} values were given"),
        ))
    }
}

/// Lets other tasks of the thread run, or drop this one: the CPU sessions never wait, and a `fit` on them would keep an
/// executor to itself.
async fn give_way() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The elements of a tensor that was read as bytes, in whole words.
fn values_of(dtype: DType, len: u64, bytes: &[u8]) -> Values {
    match dtype {
        DType::U32 => Values::U32(bytemuck::pod_collect_to_vec(bytes)),
        DType::F16 => {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let bits: Vec<u16> = bytemuck::pod_collect_to_vec(bytes);
            Values::F32(bits.into_iter().take(len).map(half_value).collect())
        }
        _ => Values::F32(floats(bytes)),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}
