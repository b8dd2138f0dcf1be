//! Optimizers: parameters after each step, for given gradients.

pub mod settings;

use std::collections::BTreeMap;

use kiln::optim::{Optimizer as _, OptimizerConfig};
use kiln::{Device, Graph, Plan, Program, Session, Tensor};

use crate::conform::Stop;
use crate::conform::case::{Array, Case};
use crate::conform::check::Check;
use crate::conform::compute::to_f64;
use crate::conform::settings::Settings;
use settings::{keras, torch};

/// Places in a clock's rates: the number of the update, and the product that Nadam keeps.
const UPDATE: usize = 4;
const MOMENTUM_PRODUCT: usize = 7;

/// param.P and grads.P → after.P, lr, slot.*, final.*, ema_final.P.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let mut rule = keras(&case.op, case, &mut settings)?;
    settings.finish()?;
    let schedule = rule.learning_rate_mut().clone();
    let mut steps = Steps::open(case, "", rule.clone(), device)?;
    let rates = steps.run(check)?;
    if case.find("lr").is_some() {
        check.values("lr", &rates)?;
    }
    if case.find("final.iteration").is_some() {
        check.values("final.iteration", &[rates.len() as f64])?;
    }
    if case.find("final.learning_rate").is_some() {
        // Keras reports the rate that the next step would take.
        let next = u32::try_from(rates.len()).unwrap_or(u32::MAX);
        check.values(
            "final.learning_rate",
            &[f64::from(schedule.value::<f32>(next))],
        )?;
    }
    for parameter in case.names("ema_final.") {
        // What `finalize_variable_values` puts in the weights' place.
        let mean = steps.state(&parameter, "average")?;
        check.values(&format!("ema_final.{parameter}"), &mean)?;
    }
    for slot in case.names("slot.") {
        let name = format!("slot.{slot}");
        let owner = steps.parameters.iter().map(|(name, _)| name.as_str());
        let owner = owner
            .filter(|owner| slot.starts_with(owner))
            .max_by_key(|owner| owner.len());
        let Some(owner) = owner.map(String::from) else {
            if matches!(rule, OptimizerConfig::Nadam(_)) {
                let product = steps.rate(MOMENTUM_PRODUCT)?;
                check.values(&name, &[product])?;
            }
            continue;
        };
        let keras = slot[owner.len()..].trim_start_matches('_');
        match (&rule, keras) {
            // Adafactor's states have no names of their own in Keras: the last one is c, or none where there is none. It
            // keeps what follows from r and c.
            (OptimizerConfig::Adafactor(_), "") if case.tensor(&name)?.shape.is_empty() => {
                check.skip(&name);
            }
            (OptimizerConfig::Adafactor(_), "") => {
                check.values(&name, &steps.state(&owner, "c")?)?
            }
            (OptimizerConfig::Adafactor(_), "velocity") if steps.has(&owner, "c") => {
                check.skip(&name);
            }
            (_, keras) => {
                let matrix = steps.has(&owner, "momentum");
                check.values(
                    &name,
                    &steps.state(&owner, keras_state(&rule, keras, matrix))?,
                )?;
            }
        }
    }
    Ok(())
}

/// Kiln's name of a state that Keras calls by that name.
fn keras_state<'a>(rule: &OptimizerConfig, keras: &'a str, matrix: bool) -> &'a str {
    use OptimizerConfig::{Adam, Adamax, Lamb, Lion, Muon, Nadam};
    match (rule, keras) {
        (Muon(_), "momentum") if matrix => "momentum",
        (Adam(_) | Adamax(_) | Nadam(_) | Lamb(_) | Lion(_) | Muon(_), "momentum") => "m",
        (Adam(_) | Nadam(_) | Lamb(_) | Muon(_), "velocity") => "v",
        (Adam(_), "velocity_hat") => "v_hat",
        (Adamax(_), "norm") => "u",
        (_, keras) => keras,
    }
}

/// in.param.P and in.grads.P → after.P and state.P.S, by PyTorch's rules.
pub fn run_torch(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let rule = torch(case)?;
    let mut steps = Steps::open(case, "in.", rule.clone(), device)?;
    steps.run(check)?;
    for state in case.names("state.") {
        let name = format!("state.{state}");
        let Some((owner, torch)) = state.rsplit_once('.') else {
            continue;
        };
        let values = match torch {
            "step" => vec![steps.rate(UPDATE)?],
            "mu_product" => vec![steps.rate(MOMENTUM_PRODUCT)?],
            // PyTorch keeps those of the step to come.
            "eta" | "mu" => {
                check.skip(&name);
                continue;
            }
            torch => steps.state(owner, torch_state(&rule, torch))?,
        };
        check.values(&name, &values)?;
    }
    Ok(())
}

/// Kiln's name of a state that PyTorch calls by that name.
fn torch_state<'a>(rule: &OptimizerConfig, torch: &'a str) -> &'a str {
    match (rule, torch) {
        (_, "exp_avg") => "m",
        (_, "exp_avg_sq") => "v",
        (_, "max_exp_avg_sq") => "v_hat",
        (_, "exp_inf") => "u",
        (OptimizerConfig::Adadelta(_), "square_avg") => "accumulated_grad",
        (_, "acc_delta") => "accumulated_delta_var",
        (_, "square_avg" | "variance") => "velocity",
        (_, "grad_avg") => "average_gradient",
        (OptimizerConfig::RmsProp(_) | OptimizerConfig::Muon(_), "momentum_buffer") => "momentum",
        (_, "sum") => "accumulator",
        (_, "row_var") => "r",
        (_, "col_var") => "c",
        (_, torch) => torch,
    }
}

/// A node of ONNX' that trains: `ai.onnx.preview.training`. R, T, then for each tensor X, G and its states → X_new and
/// the states.
pub fn run_onnx(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let (rule, states) = settings::onnx(case)?;
    let count = states.len() + 2;
    let names = |key: &str| -> Vec<String> {
        let list = case.config.get(key).and_then(serde_json::Value::as_array);
        let texts = list
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str);
        texts.map(String::from).collect()
    };
    let (inputs, outputs) = (names("node_inputs"), names("node_outputs"));
    let tensors = inputs.len().saturating_sub(2) / count;
    let graph = Graph::new();
    let clock = graph.clock("clock", 1, rule.rates());
    let mut parameters = Vec::new();
    for i in 0..tensors {
        let x = case.tensor(&format!("in.{}", inputs[2 + i]))?;
        let g = case.tensor(&format!("in.{}", inputs[2 + tensors + i]))?;
        let parameter = graph.parameter(format!("x{i}"), x.shape.as_slice(), &x.to_f32());
        let gradient = graph.parameter(format!("g{i}"), g.shape.as_slice(), &g.to_f32());
        parameters.push((format!("x{i}"), parameter, gradient));
    }
    let all: Vec<(&str, &Tensor, &Tensor)> = parameters
        .iter()
        .map(|(name, parameter, gradient)| (name.as_str(), parameter, gradient))
        .collect();
    let updates = rule.updates(&all, &clock);
    let plan = Plan::compile(
        &graph,
        device.target(),
        [Program::new("step").update(&updates)],
    )?;
    let mut session = device.open(&plan)?;
    let (rate, t) = (case.tensor("in.R")?, case.tensor("in.T")?);
    session.write(
        "clock.rates",
        &settings::onnx_rates(case, rate.values[0], t.values[0])?,
    )?;
    for (s, state) in states.iter().enumerate() {
        for i in 0..tensors {
            let first = case.tensor(&format!("in.{}", inputs[2 + (2 + s) * tensors + i]))?;
            session.write(&format!("x{i}.{state}"), &first.to_f32())?;
        }
    }
    session.run("step", 1)?;
    for (o, output) in outputs.iter().enumerate() {
        let name = match o / tensors {
            0 => format!("x{o}"),
            s => format!("x{}.{}", o % tensors, states[s - 1]),
        };
        let values = to_f64(session.read_values(&name)?);
        check.values(&format!("out.{output}"), &values)?;
    }
    Ok(())
}

/// A session that takes a step for each given gradient.
struct Steps<'a> {
    case: &'a Case,
    /// Names of the parameters, with the gradients of all steps.
    parameters: Vec<(String, &'a Array)>,
    session: Session,
}

impl<'a> Steps<'a> {
    fn open(
        case: &'a Case,
        prefix: &str,
        rule: OptimizerConfig,
        device: &Device,
    ) -> Result<Self, Stop> {
        rule.validate()?;
        let graph = Graph::new();
        let clock = graph.clock("clock", 1, rule.rates());
        let (mut parameters, mut tensors) = (Vec::new(), BTreeMap::new());
        for name in case.names(&format!("{prefix}param.")) {
            let first = case.tensor(&format!("{prefix}param.{name}"))?;
            let gradients = case.tensor(&format!("{prefix}grads.{name}"))?;
            let parameter = graph.parameter(&name, first.shape.as_slice(), &first.to_f32());
            let gradient = graph.input(format!("gradient.{name}"), first.shape.as_slice());
            parameters.push((name.clone(), gradients));
            tensors.insert(name, (parameter, gradient));
        }
        let all: Vec<(&str, &Tensor, &Tensor)> = tensors
            .iter()
            .map(|(name, (parameter, gradient))| (name.as_str(), parameter, gradient))
            .collect();
        // The clock has to be asked for: nothing here takes its batch.
        let mut updates = vec![clock.indices.clone()];
        updates.extend(rule.updates(&all, &clock));
        let plan = Plan::compile(
            &graph,
            device.target(),
            [Program::new("step").update(&updates)],
        )?;
        Ok(Steps {
            case,
            parameters,
            session: device.open(&plan)?,
        })
    }

    /// Whether the parameter has a state of that name.
    fn has(&self, parameter: &str, state: &str) -> bool {
        let name = format!("{parameter}.{state}");
        self.session.plan().variable(&name).is_ok()
    }

    fn state(&mut self, parameter: &str, state: &str) -> Result<Vec<f64>, Stop> {
        Ok(to_f64(
            self.session.read_values(&format!("{parameter}.{state}"))?,
        ))
    }

    /// A number of the clock's rates, or the count of steps where the clock keeps none.
    fn rate(&mut self, word: usize) -> Result<f64, Stop> {
        let rates = to_f64(self.session.read_values("clock.rates")?);
        rates
            .get(word)
            .copied()
            .ok_or_else(|| Stop::Failed(self.case.error("the clock counts no updates")))
    }

    /// Takes every step, compares the parameters after each, and returns the rates.
    fn run(&mut self, check: &mut Check<'_>) -> Result<Vec<f64>, Stop> {
        let steps = self
            .parameters
            .first()
            .and_then(|(_, gradients)| gradients.shape.first());
        let steps = steps.copied().unwrap_or(0);
        let mut rates = Vec::new();
        let mut after: Vec<Vec<f64>> = vec![Vec::new(); self.parameters.len()];
        for step in 0..steps {
            for (name, gradients) in &self.parameters {
                if gradients.shape.first() != Some(&steps) {
                    let message = format!("the gradients of {name} are not of {steps} steps");
                    return Err(Stop::Failed(self.case.error(message)));
                }
                self.session
                    .write(&format!("gradient.{name}"), &gradients.entry(step).to_f32())?;
            }
            self.session.run("step", 1)?;
            rates.extend(to_f64(self.session.read_values("clock.rates")?).first());
            for ((name, _), after) in self.parameters.iter().zip(&mut after) {
                after.extend(to_f64(self.session.read_values(name)?));
            }
        }
        for ((name, _), after) in self.parameters.iter().zip(&after) {
            check.values(&format!("after.{name}"), after)?;
        }
        Ok(rates)
    }
}
