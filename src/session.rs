//! An open plan: variables written and read by name, programs run by name.

use std::collections::BTreeMap;

use crate::plan::{Place, Plan};
use crate::{DType, Error, Result, TensorType, cpu, gpu};

/// A plan opened on a [`Device`](crate::Device).
#[derive(Debug)]
pub struct Session {
    executor: Executor,
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

/// Every variable of a session at one moment, by name. What checkpoints, restarts and moves between sessions are made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Type and elements of each variable.
    pub variables: BTreeMap<String, (TensorType, Values)>,
}

/// A readback under way: see [`Session::run_and_copy`].
#[derive(Debug)]
pub struct Pending(PendingKind);

#[derive(Debug)]
enum PendingKind {
    Ready(Vec<f32>),
    Gpu(gpu::Pending),
}

impl Session {
    pub(crate) fn open_cpu(plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Cpu(cpu::Session::open(plan)?),
        })
    }

    pub(crate) fn open_reference(plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Reference(cpu::Session::open(plan)?),
        })
    }

    pub(crate) fn open_gpu(device: &gpu::Device, plan: &Plan) -> Result<Self> {
        Ok(Session {
            executor: Executor::Gpu(Box::new(gpu::Session::open(device, plan)?)),
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

    /// Runs `steps` steps of a program. A GPU gets them in one submission and works on while this returns.
    pub fn run(&mut self, program: &str, steps: u64) -> Result<()> {
        let index = self.index(program)?;
        match &mut self.executor {
            Executor::Cpu(session) => session.run(index, steps),
            Executor::Reference(session) => session.run(index, steps),
            Executor::Gpu(session) => session.run(index, steps)?,
        }
        Ok(())
    }

    /// Runs `steps` steps and copies a tensor of numbers for the host, without waiting for it.
    pub fn run_and_copy(&mut self, program: &str, steps: u64, tensor: &str) -> Result<Pending> {
        let index = self.index(program)?;
        let place = self.place(tensor, DType::F32)?;
        Ok(Pending(match &mut self.executor {
            Executor::Cpu(session) => {
                session.run(index, steps);
                PendingKind::Ready(session.read(place).to_vec())
            }
            Executor::Reference(session) => {
                session.run(index, steps);
                PendingKind::Ready(
                    session
                        .read(place)
                        .iter()
                        .map(|&value| value as f32)
                        .collect(),
                )
            }
            Executor::Gpu(session) => PendingKind::Gpu(session.run_and_copy(index, steps, place)?),
        }))
    }

    /// Waits for a copy.
    pub async fn finish(&mut self, pending: Pending) -> Result<Vec<f32>> {
        match (pending.0, &mut self.executor) {
            (PendingKind::Ready(values), _) => Ok(values),
            (PendingKind::Gpu(pending), Executor::Gpu(session)) => {
                session.finish(pending, floats).await
            }
            (PendingKind::Gpu(_), _) => {
                Err(Error::argument("pending", "it belongs to another session"))
            }
        }
    }

    /// Writes a variable of numbers, row-major, before the next run.
    pub fn write(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.sized(variable, DType::F32, values.len())?;
        match &mut self.executor {
            Executor::Cpu(session) => session.write(place, values),
            Executor::Reference(session) => session.write(place, values),
            Executor::Gpu(session) => session.write(place, values)?,
        }
        Ok(())
    }

    /// Writes the leading elements of a variable of numbers and leaves the others.
    pub fn write_head(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.head(variable, DType::F32, values.len())?;
        match &mut self.executor {
            Executor::Cpu(session) => session.write(place, values),
            Executor::Reference(session) => session.write(place, values),
            Executor::Gpu(session) => session.write(place, values)?,
        }
        Ok(())
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

    fn write_words_at(&mut self, place: Place, values: &[u32]) -> Result<()> {
        match &mut self.executor {
            Executor::Cpu(session) => session.write_words(place, values),
            Executor::Reference(session) => session.write_words(place, values),
            Executor::Gpu(session) => session.write_words(place, values)?,
        }
        Ok(())
    }

    /// Reads a variable, or what the program run last fetches under this name, as f32.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        self.block_on_read(name, Self::read_async)
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
        self.block_on_read(name, Self::read_values_async)
    }

    /// [`Session::read_values`] without blocking the thread.
    pub async fn read_values_async(&mut self, name: &str) -> Result<Values> {
        let (kind, place) = self.plan().readable(name)?;
        let words = kind.dtype == DType::U32;
        Ok(match &mut self.executor {
            Executor::Cpu(session) if words => Values::U32(session.read_words(place).to_vec()),
            Executor::Cpu(session) => Values::F32(session.read(place).to_vec()),
            Executor::Reference(session) if words => {
                Values::U32(session.read_words(place).to_vec())
            }
            Executor::Reference(session) => Values::F64(session.read(place).to_vec()),
            Executor::Gpu(session) if words => {
                Values::U32(session.read(place, bytemuck::pod_collect_to_vec).await?)
            }
            Executor::Gpu(session) => Values::F32(session.read(place, floats).await?),
        })
    }

    /// Every variable, by name.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let names: Vec<String> = self
            .plan()
            .variables
            .iter()
            .map(|variable| variable.name.clone())
            .collect();
        let mut snapshot = Snapshot::default();
        for name in names {
            let kind = self.plan().variable(&name)?.kind.clone();
            let values = self.read_values(&name)?;
            snapshot.variables.insert(name, (kind, values));
        }
        Ok(snapshot)
    }

    /// Sets every variable that the snapshot and the plan both have; their types must be the same.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
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
            let place = variable.place;
            match (values, &mut self.executor) {
                (Values::U32(values), _) => self.write_words_at(place, values)?,
                (Values::F64(values), Executor::Reference(session)) => {
                    session.write_exact(place, values)
                }
                (Values::F32(values), Executor::Reference(session)) => session.write(place, values),
                (Values::F32(values), Executor::Cpu(session)) => session.write(place, values),
                (Values::F32(values), Executor::Gpu(session)) => session.write(place, values)?,
                (Values::F64(values), _) => {
                    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                    self.write(name, &values)?;
                }
            }
        }
        Ok(())
    }

    fn block_on_read<'a, T, F: Future<Output = Result<T>> + 'a>(
        &'a mut self,
        name: &'a str,
        read: impl FnOnce(&'a mut Self, &'a str) -> F,
    ) -> Result<T> {
        let device = match &self.executor {
            Executor::Gpu(session) => Some(session.device().clone()),
            Executor::Cpu(_) | Executor::Reference(_) => None,
        };
        let future = read(self, name);
        match device {
            Some(device) => device.block_on(future),
            None => pollster::block_on(future),
        }
    }

    fn index(&self, program: &str) -> Result<usize> {
        let programs = &self.plan().programs;
        match programs.iter().position(|known| known.name == program) {
            Some(index) => Ok(index),
            None => self.plan().program(program).map(|_| 0),
        }
    }

    fn place(&self, name: &str, dtype: DType) -> Result<Place> {
        let (kind, place) = self.plan().readable(name)?;
        if kind.dtype == dtype {
            return Ok(place);
        }
        Err(Error::Argument {
            name: "name",
            message: format!("`{name}` holds {}, not {dtype}", kind.dtype),
        })
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

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}
