//! Tensors by name: variables written before a run, variables and results read after it.

use crate::number::half_value;
use crate::plan::Place;
use crate::{DType, Error, Result, TensorType};

use super::{Executor, Session, Values};

impl Session {
    /// Writes a variable of numbers, row-major, before the next run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such variable, [`Error::Argument`] where the values are not as many or
    /// not of its type; on a
    /// GPU [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn write(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.sized(variable, self.numbers(variable)?, values.len())?;
        self.write_at(place, values)
    }

    /// Writes the leading elements of a variable of numbers and leaves the others.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::write`].
    pub fn write_head(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        let place = self.head(variable, DType::F32, values.len())?;
        self.write_at(place, values)
    }

    /// Writes a variable of integers, row-major, before the next run.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::write`].
    pub fn write_labels(&mut self, variable: &str, values: &[u32]) -> Result<()> {
        let place = self.sized(variable, DType::U32, values.len())?;
        self.write_words_at(place, values)
    }

    /// Writes the leading elements of a variable of integers and leaves the others.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::write`].
    pub fn write_labels_head(&mut self, variable: &str, values: &[u32]) -> Result<()> {
        let place = self.head(variable, DType::U32, values.len())?;
        self.write_words_at(place, values)
    }

    pub(super) fn write_at(&mut self, place: Place, values: &[f32]) -> Result<()> {
        match &mut self.executor {
            Executor::Cpu(session) => session.write(place, values),
            Executor::Reference(session) => session.write(place, values),
            Executor::Gpu(session) => session.write(place, values)?,
        }
        Ok(())
    }

    pub(super) fn write_words_at(&mut self, place: Place, values: &[u32]) -> Result<()> {
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
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is neither such a variable nor such a result of the program run last,
    /// [`Error::Argument`] where it holds
    /// no numbers; on a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        self.block_on(async |session| session.read_async(name).await)
    }

    /// [`Session::read`] without blocking the thread.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::read`].
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
    ///
    /// # Errors
    ///
    /// The errors of [`Session::read`].
    pub fn read_values(&mut self, name: &str) -> Result<Values> {
        self.block_on(async |session| session.read_values_async(name).await)
    }

    /// [`Session::read_values`] without blocking the thread.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::read`].
    pub async fn read_values_async(&mut self, name: &str) -> Result<Values> {
        let (kind, place) = self.readable(name)?;
        let dtype = kind.dtype;
        self.values_at(place, dtype).await
    }

    /// For debugging: fills what no variable covers with NaNs, so that a read of something never written, or a write
    /// behind a tensor's end, shows. Temporaries get the bits `temporary`, the space behind variables `padding`.
    ///
    /// # Errors
    ///
    /// On a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
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
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the plan has no such slot; on a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
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

    pub(super) async fn values_at(&mut self, place: Place, dtype: DType) -> Result<Values> {
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
    pub(super) fn values_here(&self, place: Place, dtype: DType) -> Option<Values> {
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

    pub(super) fn places(&self, tensors: &[&str]) -> Result<Vec<Place>> {
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

/// The elements of a tensor that was read as bytes, in whole words.
pub(super) fn values_of(dtype: DType, len: u64, bytes: &[u8]) -> Values {
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

pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}
