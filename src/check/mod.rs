//! Checks of an op against its own promises: the device against the f64 reference, gradients against differences.
//!
//! These are the harnesses that every built-in op passes; an op of one's own takes the same three calls.
//!
//! ```
//! use kiln::check;
//! use kiln::op::{Case, Fill, Function};
//! use kiln::Device;
//!
//! let case = Case::new(Function::from_name("tanh", &[])?).input(&[33, 5], Fill::Uniform(-3.0, 3.0));
//! check::parity(&case, &Device::cpu())?;
//! check::gradcheck(&case)?;
//! check::nan(&case, &Device::cpu())?;
//! # Ok::<(), kiln::Error>(())
//! ```

mod compare;
mod draw;
mod gradient;
mod survey;
mod targets;
mod trial;

pub use compare::{Reference, Report, compare};
pub use draw::draw;
pub use gradient::gradcheck;
pub use survey::{Survey, survey};
pub use targets::{Variant, variants};

use crate::contract::{Case, Entry, Sample, Signature};
use crate::{Device, Error, Result, Values, op, optim};

use trial::Trial;

/// Every op that ships, and the rules of all optimizers: what the parity, gradient, shader and benchmark harnesses iterate
/// over.
pub fn all() -> Vec<Entry> {
    let mut all = op::all();
    all.push(optim::ENTRY);
    all
}

/// The seed of all draws: a check is the same on every run.
const SEED: u64 = 1;

/// What an op computes at f64: inputs updated in place, then outputs, with the bounds that a device must keep.
///
/// The inputs are those that [`draw`] gives for the harnesses' own seed.
///
/// # Errors
///
/// The errors of [`Plan::compile`](crate::Plan::compile) and of running the plan.
pub fn reference(case: &Case) -> Result<Vec<Reference>> {
    expected(case, &draw(case, SEED)?)
}

fn expected(case: &Case, inputs: &[Values]) -> Result<Vec<Reference>> {
    let mut trial = Trial::open(case, &Device::reference())?;
    let results = trial.run(inputs)?;
    let signature = Signature {
        inputs: case.inputs.iter().map(|(kind, _)| kind.clone()).collect(),
        outputs: trial.outputs().to_vec(),
    };
    let inputs: Vec<Vec<f64>> = inputs.iter().map(exact).collect();
    let numbers: Vec<Vec<f64>> = results.iter().map(exact).collect();
    let bounds = case.op.bound(&Sample {
        inputs: &inputs,
        results: &numbers,
        signature: &signature,
    });
    if bounds.len() != results.len() {
        let message = format!(
            "gives bounds for {} results, but has {}",
            bounds.len(),
            results.len()
        );
        return Err(failed(case, message));
    }
    let bounds = stored(bounds, &numbers, &signature);
    let of_result = |((values, bounds), result): ((Vec<f64>, Vec<f64>), &Values)| Reference {
        values,
        bounds,
        words: matches!(result, Values::U32(_)),
    };
    let pairs = numbers.into_iter().zip(bounds);
    Ok(pairs.zip(&results).map(of_result).collect())
}

/// The bounds of results that are stored as f16 hold once they are: both sides round to the nearest.
fn stored(mut bounds: Vec<Vec<f64>>, results: &[Vec<f64>], signature: &Signature) -> Vec<Vec<f64>> {
    let updated = results.len() - signature.outputs.len();
    for (port, kind) in signature.outputs.iter().enumerate() {
        if kind.dtype == crate::DType::F16 {
            let values = results[updated + port].iter();
            for (bound, value) in bounds[updated + port].iter_mut().zip(values) {
                *bound = crate::number::stored_error(*value, *bound);
            }
        }
    }
    bounds
}

/// Runs a case on `device` and on the f64 reference and compares every element of every result with the op's bound.
///
/// Before the run everything on the device that is no input is filled with NaNs, so that an element which no kernel
/// writes cannot pass by luck; afterwards everything that the op does not own must still hold them, and inputs that the
/// op does not update must be as they were.
///
/// # Errors
///
/// [`Error::Check`] with the place and the numbers of what differs; whatever compiling and running returns.
pub fn parity(case: &Case, device: &Device) -> Result<Report> {
    if device.is_reference() {
        return Err(Error::argument(
            "device",
            "the reference is what devices are compared with",
        ));
    }
    let inputs = draw(case, SEED)?;
    let references = expected(case, &inputs)?;
    let results = Trial::open(case, device)?.run(&inputs)?;
    let mut report = Report::default();
    for (number, (result, reference)) in results.iter().zip(&references).enumerate() {
        let found = compare(result, reference)
            .map_err(|message| failed(case, format!("result {number}, {message}")))?;
        report.add(number, &found);
    }
    Ok(report)
}

/// Puts a NaN into a random element of each input that [`Case::nan`] lists, one after the other: on the device and on
/// the reference some result must then hold a NaN, told by its bits.
///
/// The report's elements are the NaNs tried.
///
/// # Errors
///
/// [`Error::Check`] with what was found and what was expected, and those of the device.
pub fn nan(case: &Case, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    if case.nan.is_empty() {
        return Ok(report);
    }
    for device in [&Device::reference(), device] {
        let mut trial = Trial::open(case, device)?;
        for &input in &case.nan {
            let mut inputs = draw(case, SEED)?;
            let at = match inputs.get_mut(input) {
                Some(Values::F32(values)) => {
                    let at = draw::index(SEED, input, values.len());
                    values[at] = f32::NAN;
                    at
                }
                _ => {
                    let message = format!("case.nan lists input {input}, which holds no numbers");
                    return Err(failed(case, message));
                }
            };
            if !trial.run(&inputs)?.iter().any(holds_nan) {
                let message =
                    format!("a NaN at element {at} of input {input} is in no result on {device}");
                return Err(failed(case, message));
            }
            report.elements += 1;
        }
    }
    Ok(report)
}

fn holds_nan(values: &Values) -> bool {
    match values {
        Values::F32(values) => values
            .iter()
            .any(|value| value.to_bits() & 0x7fff_ffff > 0x7f80_0000),
        Values::F64(values) => values.iter().any(|value| value.is_nan()),
        Values::U32(_) => false,
    }
}

/// Numbers of either kind as doubles, without loss.
fn exact(values: &Values) -> Vec<f64> {
    match values {
        Values::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
        Values::F64(values) => values.clone(),
        Values::U32(values) => values.iter().map(|&value| f64::from(value)).collect(),
    }
}

/// An [`Error::Check`] that names the op and its inputs' types.
fn failed(case: &Case, message: impl std::fmt::Display) -> Error {
    let inputs: Vec<String> = case
        .inputs
        .iter()
        .map(|(kind, _)| kind.to_string())
        .collect();
    Error::Check {
        op: format!("{} of {}", case.op.name(), inputs.join(", ")),
        message: message.to_string(),
    }
}
