//! Tensors by name: variables written before a run, variables and results read after it.

use crate::number::half_value;
use crate::plan::{Place, PlannedVariable};
use crate::{DType, Error, Result, TensorType};

use super::{ElementsRef, Executor, Session, Values};

impl Session {
    /// Writes a variable of numbers, row-major, before the next run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such variable, [`Error::Argument`] where the values are not as many or not of its
    /// type; on a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn write(&mut self, variable: &str, values: &[f32]) -> Result<()> {
        self.write_elements(variable, ElementsRef::F32(values), true)
    }

    /// Writes a variable of integers, row-major, before the next run.
    ///
    /// # Errors
    ///
    /// The errors of [`Session::write`].
    pub fn write_labels(&mut self, variable: &str, values: &[u32]) -> Result<()> {
        self.write_elements(variable, ElementsRef::U32(values), true)
    }

    /// Writes the leading elements of a variable and leaves the others, unless all are to be written.
    pub(crate) fn write_elements(
        &mut self,
        variable: &str,
        values: ElementsRef<'_>,
        all: bool,
    ) -> Result<()> {
        let PlannedVariable { kind, place, .. } = self.plan().variable(variable)?;
        let (given, fits) = match values {
            ElementsRef::F32(_) => ("f32", matches!(kind.dtype, DType::F32 | DType::F16)),
            ElementsRef::U32(_) => ("u32", kind.dtype == DType::U32),
        };
        if !fits {
            let message = format!("`{variable}` holds {}, not {given}", kind.dtype);
            return Err(Error::argument("name", message));
        }
        let len = values.len() as u64;
        if len > place.len || (all && len < place.len) {
            let message = format!("`{variable}` is {kind}, but {len} values were given");
            return Err(Error::argument("values", message));
        }
        let place = Place { len, ..*place };
        self.write_at(place, values)
    }

    /// Reads a variable, or what the program run last fetches under this name, as f32.
    ///
    /// What another program fetches is an error: programs share the memory of their temporaries.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is neither such a variable nor such a result of the program run last,
    /// [`Error::Argument`] where it holds no numbers; on a GPU [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        self.block_on(async |session| session.read_async(name).await)
    }

    /// [`Session::read`] without blocking the thread.
    pub(crate) async fn read_async(&mut self, name: &str) -> Result<Vec<f32>> {
        let place = self.place(name, DType::F32)?;
        floats_of(self.values_at(place, DType::F32).await?)
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
    pub(crate) async fn read_values_async(&mut self, name: &str) -> Result<Values> {
        let (kind, place) = self.readable(name)?;
        let dtype = kind.dtype;
        self.values_at(place, dtype).await
    }

    /// For debugging: fills what no variable covers with NaNs, so that a read of something never written, or a write
    /// beyond a tensor's end, shows. Temporaries get the bits `temporary`, the space after variables `padding`.
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
        let on_gpu = matches!(self.executor, Executor::Gpu(_));
        for (place, dtype, bits) in free {
            let len = usize::try_from(place.len).unwrap_or(usize::MAX);
            if dtype == DType::U32 || (on_gpu && dtype != DType::F16) {
                self.write_at(place, ElementsRef::U32(&vec![bits; len]))?;
            } else {
                let value = f32::from_bits(bits);
                self.write_at(place, ElementsRef::F32(&vec![value; len]))?;
            }
        }
        Ok(())
    }

    /// The elements of a whole slot of the plan: variables, temporaries and padding.
    pub(crate) fn read_slot(&mut self, slot: usize) -> Result<Values> {
        let kind = &self.plan().slots[slot];
        let dtype = kind.dtype;
        let place = Place {
            slot,
            offset: 0,
            len: kind.elements,
        };
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

    fn place(&self, name: &str, dtype: DType) -> Result<Place> {
        let (kind, place) = self.readable(name)?;
        if kind.dtype == dtype {
            return Ok(place);
        }
        let message = format!("`{name}` holds {}, not {dtype}", kind.dtype);
        Err(Error::argument("name", message))
    }

    pub(super) fn places(&self, tensors: &[&str]) -> Result<Vec<Place>> {
        let place = |tensor: &&str| self.place(tensor, DType::F32);
        tensors.iter().map(place).collect()
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

/// Numbers of either precision as f32.
pub(super) fn floats_of(values: Values) -> Result<Vec<f32>> {
    match values {
        Values::F32(values) => Ok(values),
        Values::F64(values) => Ok(values.into_iter().map(|value| value as f32).collect()),
        Values::U32(_) => Err(Error::argument("tensor", "it holds u32, not f32")),
    }
}
