//! Gradients against differences, in f64.

use rand_pcg::Pcg32;

use crate::contract::{Case, Signature};
use crate::plan::{Plan, Program};
use crate::target::{Class, Target};
use crate::{DType, Device, Graph, Initial, Result, Session, Snapshot, Tensor, TensorType, Values};

use super::compare::Report;
use super::{draw, exact, failed};

/// The most elements of an input that are differentiated; a large input is sampled.
const MAX_SAMPLES: usize = 64;
/// The most operations, as the op's launch states them, that one case may take for all its differences.
const MAX_OPERATIONS: u64 = 20_000_000;
/// The step of a difference as a share of the element, and the least element it is taken of.
const STEP: f64 = 1e-3;
const LEAST: f64 = 0.1;
/// How far differences over h and 2h may be apart before the step is taken to cross a kink and made shorter.
const SMOOTH: f64 = 1e-4;
/// The share of the gradient that the check allows.
const TOLERANCE: f64 = 1e-6;

/// Compares the op's gradient with central differences, in f64, in the middle of a graph:
/// L = 2.5·Σ c ⊙ op(x) + ¼·Σ x² with random c and x = p/2, differentiated by p.
///
/// The step h is 10⁻³·max(|p|, 0.1). Differences over h and 2h, extrapolated to zero, are wrong by some h⁴ ≈ 10⁻¹² of
/// the fifth derivative; rounding adds ε·|terms|/h, where only elements of the results that changed count, because
/// differences are summed and not sums subtracted. Allowed are 10⁻⁶·|gradient| and 64 of these roundings. Where the two
/// differences do not agree with each other, the step crosses a kink and is made shorter.
///
/// A case that lists no input in [`Case::gradients`] passes with no elements.
///
/// # Errors
///
/// [`Error::Check`](crate::Error::Check) with the element and both numbers; whatever compiling and running returns.
pub fn gradcheck(case: &Case) -> Result<Report> {
    let mut report = Report::default();
    if case.gradients.is_empty() {
        return Ok(report);
    }
    let mut check = Check::open(case)?;
    let gradients = check.gradients()?;
    for (position, (&input, gradient)) in case.gradients.iter().zip(&gradients).enumerate() {
        let mut random = draw::generator(super::SEED ^ 0x9e37, input);
        for at in check.samples(gradient.len(), &mut random) {
            let (difference, noise) = check.difference(position, at)?;
            let error = (difference - gradient[at]).abs();
            let allowed = TOLERANCE * gradient[at].abs() + noise;
            let ratio = error / allowed;
            report.elements += 1;
            if ratio > report.worst || ratio.is_nan() {
                (report.worst, report.result, report.index) = (ratio, input, at);
            }
            if error > allowed || ratio.is_nan() {
                let message = format!(
                    "dL/dx of input {input}, element {at}: {:e} by the gradient rule, {difference:e} by differences, {ratio:.3} times the {allowed:e} allowed",
                    gradient[at]
                );
                return Err(failed(case, message));
            }
        }
    }
    Ok(report)
}

struct Check<'a> {
    case: &'a Case,
    session: Session,
    /// The values of p for the differentiated inputs.
    values: Vec<(usize, TensorType, Vec<f64>)>,
    /// The names of the terms of L, fetched element by element.
    terms: Vec<String>,
    /// The terms at the inputs as they are.
    base: Vec<Vec<f64>>,
    cost: u64,
}

impl<'a> Check<'a> {
    fn open(case: &'a Case) -> Result<Self> {
        let graph = Graph::new();
        let drawn = draw(case, super::SEED)?;
        let mut parameters = Vec::new();
        let mut inputs = Vec::new();
        let mut values = Vec::new();
        for (i, ((kind, _), drawn)) in case.inputs.iter().zip(&drawn).enumerate() {
            let name = parameter_name(i);
            if case.gradients.contains(&i) {
                let p = graph.variable(name, kind.clone(), Initial::Zeros);
                inputs.push(p.scale(0.5));
                parameters.push(p);
                let doubled = exact(drawn).iter().map(|x| 2.0 * x).collect();
                values.push((i, kind.clone(), doubled));
            } else {
                let initial = match drawn {
                    Values::F32(values) => Initial::Floats(values.as_slice().into()),
                    Values::U32(values) => Initial::Words(values.as_slice().into()),
                    Values::F64(_) => unreachable!("inputs are drawn as f32"),
                };
                inputs.push(graph.variable(name, kind.clone(), initial));
            }
        }
        let operands: Vec<&Tensor> = inputs.iter().collect();
        let outputs = graph.apply_at(case.op.clone(), &operands, std::panic::Location::caller());
        graph.check()?;
        let mut terms: Vec<Tensor> = Vec::new();
        let mut random = draw::generator(super::SEED ^ 0xc0ef, case.inputs.len());
        for output in outputs.iter().filter(|output| output.dtype() == DType::F32) {
            let factors: Vec<f32> = (0..output.shape().elements())
                .map(|_| draw::between(&mut random, -1.0, 1.0))
                .collect();
            let factors = graph.constant(output.shape(), &factors);
            terms.push(output.mul(&factors).scale(2.5));
        }
        for &i in &case.gradients {
            terms.push(inputs[i].square().scale(0.25));
        }
        let loss = terms
            .iter()
            .map(Tensor::sum)
            .reduce(|sum, term| sum.add(&term))
            .unwrap_or_else(|| unreachable!("there is a differentiated input"));
        let wanted: Vec<&Tensor> = parameters.iter().collect();
        let gradients = graph.gradients(&loss, &wanted);
        let (mut forward, mut backward) = (Program::new("terms"), Program::new("gradients"));
        let names: Vec<String> = (0..terms.len()).map(|i| format!("term{i}")).collect();
        for (name, term) in names.iter().zip(&terms) {
            forward = forward.fetch(name, term);
        }
        for (&i, gradient) in case.gradients.iter().zip(&gradients) {
            backward = backward.fetch(gradient_name(i), gradient);
        }
        let device = Device::reference();
        let plan = Plan::compile(&graph, device.target(), [forward, backward])?;
        let mut check = Check {
            session: device.open(&plan)?,
            case,
            values,
            terms: names,
            base: Vec::new(),
            cost: cost(case),
        };
        for input in 0..check.values.len() {
            check.set(input, None)?;
        }
        check.base = check.evaluate()?;
        Ok(check)
    }

    fn gradients(&mut self) -> Result<Vec<Vec<f64>>> {
        self.session.run("gradients", 1)?;
        let read = |&i: &usize| Ok(exact(&self.session.read_values(&gradient_name(i))?));
        self.case.gradients.iter().map(read).collect()
    }

    /// Elements to differentiate: all of a small input, some of a large one, its ends among them.
    fn samples(&self, len: usize, random: &mut Pcg32) -> Vec<usize> {
        let affordable = usize::try_from(MAX_OPERATIONS / (4 * self.cost)).unwrap_or(MAX_SAMPLES);
        let count = affordable.clamp(4, MAX_SAMPLES);
        if len <= count {
            return (0..len).collect();
        }
        let drawn = (2..count).map(|_| draw::below(random, len));
        let mut samples: Vec<usize> = [0, len - 1].into_iter().chain(drawn).collect();
        samples.sort_unstable();
        samples.dedup();
        samples
    }

    /// dL/dp at one element of the differentiated input of that position, and the rounding noise in it.
    fn difference(&mut self, position: usize, at: usize) -> Result<(f64, f64)> {
        let p = self.values[position].2[at];
        let mut h = STEP * p.abs().max(LEAST);
        for _ in 0..6 {
            let (near, near_noise) = self.central(position, at, p, h)?;
            let (far, _) = self.central(position, at, p, 2.0 * h)?;
            let noise = 2.0 * near_noise;
            if (near - far).abs() <= SMOOTH * (near.abs() + far.abs()) + 4.0 * noise {
                return Ok(((4.0 * near - far) / 3.0, noise));
            }
            h /= 8.0;
        }
        let input = self.values[position].0;
        let message = format!(
            "input {input}, element {at}: p = {p} is at a kink, so no difference tells its gradient"
        );
        Err(failed(self.case, message))
    }

    fn central(&mut self, position: usize, at: usize, p: f64, h: f64) -> Result<(f64, f64)> {
        let (right, moved_right) = self.change(position, at, p + h)?;
        let (left, moved_left) = self.change(position, at, p - h)?;
        // The distance that was really gone.
        let distance = (p + h) - (p - h);
        let noise = 64.0 * f64::EPSILON * (moved_right + moved_left + f64::MIN_POSITIVE);
        Ok(((right - left) / distance, noise / distance))
    }

    /// The sum of what the terms changed by at a point beside the base, and the magnitudes of those that did.
    fn change(&mut self, position: usize, at: usize, p: f64) -> Result<(f64, f64)> {
        self.set(position, Some((at, p)))?;
        let now = self.evaluate()?;
        self.set(position, None)?;
        let (mut sum, mut magnitude) = (0.0, 0.0);
        for (now, base) in now.iter().flatten().zip(self.base.iter().flatten()) {
            // A NaN is no equal of anything, so it ends up in the sum.
            if now != base {
                sum += now - base;
                magnitude += now.abs() + base.abs();
            }
        }
        Ok((sum, magnitude))
    }

    fn evaluate(&mut self) -> Result<Vec<Vec<f64>>> {
        self.session.run("terms", 1)?;
        let read = |name: &String| Ok(exact(&self.session.read_values(name)?));
        self.terms.iter().map(read).collect()
    }

    /// Writes p, with one element changed, in full precision.
    fn set(&mut self, position: usize, changed: Option<(usize, f64)>) -> Result<()> {
        let (input, kind, values) = &self.values[position];
        let mut values = values.clone();
        if let Some((at, value)) = changed {
            values[at] = value;
        }
        let mut snapshot = Snapshot::default();
        snapshot
            .variables
            .insert(parameter_name(*input), (kind.clone(), Values::F64(values)));
        self.session.restore(&snapshot)
    }
}

/// Operations of one evaluation, as the op's GPU launch states them, or one an element.
fn cost(case: &Case) -> u64 {
    let inputs: Vec<TensorType> = case.inputs.iter().map(|(kind, _)| kind.clone()).collect();
    let mut elements: u64 = inputs.iter().map(TensorType::elements).sum();
    let mut flops = 0;
    if let Ok(outputs) = case.op.infer(&inputs) {
        elements += outputs.iter().map(TensorType::elements).sum::<u64>();
        let signature = Signature { inputs, outputs };
        if let Ok(launches) = case.op.launch(&signature, &Target::new(Class::Gpu, None)) {
            flops = launches.launches.iter().map(|launch| launch.flops).sum();
        }
    }
    flops + 10 * elements.max(1)
}

fn parameter_name(i: usize) -> String {
    format!("p{i}")
}

fn gradient_name(i: usize) -> String {
    format!("dp{i}")
}
