//! A data set as a model takes it: checked, preprocessed, every array in the form in which the device holds it.

mod targets;
mod weights;

use std::borrow::Cow;

use crate::data::check::check_finite;
use crate::data::{Features, TypedValues};
use crate::op::Gather;
use crate::reserve::reserved;
use crate::session::{ElementsRef, HostElements};
use crate::{Dataset, Error, Result};

use super::features::Arranged;
use super::programs::Recipe;

/// A data set as the device takes it.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub rows: usize,
    /// Every input of the model, in its order.
    inputs: Vec<HostElements<'a>>,
    /// The targets of every objective.
    targets: Vec<HostElements<'a>>,
    /// A weight for each row, or side by side one for each output.
    pub weights: Option<Cow<'a, [f32]>>,
    /// The most positions that an output has.
    pub positions: usize,
}

impl<'a> Prepared<'a> {
    /// Weights of a row: none, one for all outputs, or one for each.
    pub fn weight_columns(&self) -> usize {
        let weights = self.weights.as_deref();
        weights.map_or(0, |weights| weights.len() / self.rows.max(1))
    }

    /// Every array of the data set, in the order of [`Recipe::arrays`].
    pub fn arrays(&self) -> Vec<ElementsRef<'_>> {
        let arrays = self.inputs.iter().chain(&self.targets);
        let weights = self.weights.as_deref().map(ElementsRef::F32);
        arrays.map(HostElements::as_ref).chain(weights).collect()
    }

    /// The arrays themselves, in the same order.
    pub fn into_arrays(self) -> Vec<HostElements<'static>> {
        let arrays = self.inputs.into_iter().chain(self.targets);
        let weights = self.weights.map(HostElements::F32);
        let all = arrays.chain(weights);
        all.map(HostElements::into_owned).collect()
    }
}

impl Recipe<'_> {
    /// Checks a data set against the model and preprocesses it: ready for upload.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the data set does not fit the model, or holds what is not finite.
    pub(super) fn prepare<'a>(&self, data: &'a Dataset) -> Result<Prepared<'a>> {
        if data.rows() == 0 {
            return Err(Error::data(
                "the data set is empty; give it at least one row",
            ));
        }
        if u32::try_from(data.rows()).is_err() {
            return Err(Error::data(format!(
                "the data set has {} rows; 2³² − 1 is the most",
                data.rows()
            )));
        }
        let preprocessing = self.architecture.preprocessing.as_ref();
        // A missing cell is what preprocessing may be there for, so its result is what is looked at.
        if preprocessing.is_some() {
            data.check_finite_targets()?;
        } else {
            data.check_finite()?;
        }
        let Arranged { inputs, .. } = self.arranged(Features::from(data))?;
        if let (Some(steps), [TypedValues::F32(cells)]) = (preprocessing, &inputs[..]) {
            check_finite(cells, steps.outputs())?;
        }
        let (targets, positions) = self.fitted_targets(data)?;
        let stored = inputs
            .into_list()
            .into_iter()
            .zip(&self.architecture.inputs);
        let stored = stored.map(|(values, input)| stored_rows(values, input.width()));
        Ok(Prepared {
            rows: data.rows(),
            inputs: stored.collect::<Result<_>>()?,
            targets,
            weights: self.weights_of(data)?,
            positions,
        })
    }
}

/// Rows of `width` elements as the device holds them: bytes four to a word, the first in its low bits, every row from a word
/// on.
fn stored_rows(values: TypedValues<'_>, width: usize) -> Result<HostElements<'_>> {
    let bytes = match values {
        TypedValues::F32(values) => return Ok(HostElements::F32(values)),
        TypedValues::U32(values) => return Ok(HostElements::U32(values)),
        TypedValues::U8(bytes) => bytes,
    };
    let words = Gather::words(width);
    if cfg!(target_endian = "little")
        && width.is_multiple_of(size_of::<u32>())
        && let Cow::Borrowed(bytes) = bytes
        && let Ok(words) = bytemuck::try_cast_slice(bytes)
    {
        // They lie so already.
        return Ok(HostElements::U32(Cow::Borrowed(words)));
    }
    let mut packed = reserved(
        (bytes.len() / width.max(1)).checked_mul(words),
        "bytes packed in words",
    )?;
    for row in bytes.chunks(width.max(1)) {
        for four in row.chunks(size_of::<u32>()) {
            let mut word = [0; size_of::<u32>()];
            word[..four.len()].copy_from_slice(four);
            packed.push(u32::from_le_bytes(word));
        }
    }
    Ok(HostElements::U32(packed.into()))
}
