//! Optimizers: parameters after each step, for given gradients.

use kiln::optim::{Adam, Optimizer, Schedule, Sgd};
use kiln::{Device, Graph, Program, Session, Tensor};

use super::Stop;
use super::case::{Array, Case};
use super::check::Check;
use super::compute::to_f64;
use super::schedule::learning_rate;
use super::settings::Settings;

/// An optimizer of Kiln's.
#[derive(Debug, Clone)]
pub enum Rule {
    Sgd(Sgd),
    Adam(Adam),
}

impl Rule {
    fn optimizer(&self) -> &dyn Optimizer {
        match self {
            Rule::Sgd(sgd) => sgd,
            Rule::Adam(adam) => adam,
        }
    }

    fn schedule(&self) -> Schedule {
        self.optimizer().rates().learning_rate
    }

    /// Kiln's name of a state that Keras calls `momentum` or `velocity`.
    fn state(&self, keras: &str) -> Option<&'static str> {
        match (self, keras) {
            (Rule::Sgd(_), "momentum") => Some("momentum"),
            (Rule::Adam(_), "momentum") => Some("m"),
            (Rule::Adam(_), "velocity") => Some("v"),
            _ => None,
        }
    }
}

/// param.P and grads.P → after.P, lr, slot.*, final.*.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let rule = keras(&case.op, case, &mut settings)?;
    settings.finish()?;
    let mut steps = Steps::open(case, "", &rule, device)?;
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
            &[f64::from(rule.schedule().value::<f32>(next))],
        )?;
    }
    for slot in case.names("slot.") {
        let state = slot
            .rsplit_once('_')
            .and_then(|(name, state)| Some((name, rule.state(state)?)));
        let Some((name, state)) = state else { continue };
        let values = to_f64(steps.session.read_values(&format!("{name}.{state}"))?);
        check.values(&format!("slot.{slot}"), &values)?;
    }
    Ok(())
}

/// in.param.P and in.grads.P → after.P and state.P.S, by PyTorch's rules where they are Kiln's.
pub fn run_torch(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let all = case
        .config
        .get("defaults")
        .and_then(serde_json::Value::as_object);
    let all = all.ok_or_else(|| Stop::Failed(case.error("config has no `defaults`")))?;
    let rule = match case.op.as_str() {
        "SGD" => torch_sgd(&mut Settings::within(case, all))?,
        "Adam" => return Stop::unsupported("Adam with its epsilon beside the corrected root"),
        other => return Stop::unsupported(format!("op {other}")),
    };
    let mut steps = Steps::open(case, "in.", &rule, device)?;
    let rates = steps.run(check)?;
    for state in case.names("state.") {
        if let Some(name) = state.strip_suffix(".momentum_buffer") {
            // PyTorch's buffer is the sum of gradients, Keras' velocity that sum times −η.
            let rate = rates.last().copied().unwrap_or(f64::NAN);
            let velocity = to_f64(steps.session.read_values(&format!("{name}.momentum"))?);
            let buffer: Vec<f64> = velocity.iter().map(|velocity| -velocity / rate).collect();
            check.values(&format!("state.{state}"), &buffer)?;
        }
    }
    Ok(())
}

/// The optimizer of that class in Keras.
pub fn keras(class: &str, case: &Case, settings: &mut Settings<'_>) -> Result<Rule, Stop> {
    if !matches!(class, "SGD" | "Adam") {
        return Stop::unsupported(format!("op {class}"));
    }
    settings.ignore(&["name", "jit_compile", "is_legacy_optimizer"]);
    settings.without(&[
        "weight_decay",
        "clipnorm",
        "global_clipnorm",
        "clipvalue",
        "use_ema",
        "ema_overwrite_frequency",
        "loss_scale_factor",
        "gradient_accumulation_steps",
        "amsgrad",
    ])?;
    // It has no bearing without `use_ema`.
    settings.ignore(&["ema_momentum"]);
    let rule = match class {
        "SGD" => Rule::Sgd(Sgd {
            learning_rate: learning_rate(case, settings, 0.01)?,
            momentum: settings.number("momentum", 0.0)? as f32,
            nesterov: settings.flag("nesterov", false)?,
        }),
        _ => Rule::Adam(Adam {
            learning_rate: learning_rate(case, settings, 0.001)?,
            beta_1: settings.number("beta_1", 0.9)? as f32,
            beta_2: settings.number("beta_2", 0.999)? as f32,
            epsilon: settings.number("epsilon", 1e-7)? as f32,
        }),
    };
    rule.optimizer().validate()?;
    Ok(rule)
}

/// PyTorch's SGD, which is Keras' at a rate that stays: its buffer is Keras' velocity over −η.
fn torch_sgd(settings: &mut Settings<'_>) -> Result<Rule, Stop> {
    settings.without(&["weight_decay", "dampening", "maximize", "differentiable"])?;
    let sgd = Sgd {
        learning_rate: Schedule::Constant(settings.number("lr", 0.001)? as f32),
        momentum: settings.number("momentum", 0.0)? as f32,
        nesterov: settings.flag("nesterov", false)?,
    };
    sgd.validate()?;
    Ok(Rule::Sgd(sgd))
}

/// A session that takes a step for each given gradient.
struct Steps<'a> {
    case: &'a Case,
    /// Names of the parameters, with the gradients of all steps.
    parameters: Vec<(String, &'a Array)>,
    session: Session,
}

impl<'a> Steps<'a> {
    fn open(case: &'a Case, prefix: &str, rule: &Rule, device: &Device) -> Result<Self, Stop> {
        let graph = Graph::new();
        let clock = graph.clock("clock", 1, rule.optimizer().rates());
        // The clock has to be asked for: nothing here takes its batch.
        let (mut parameters, mut updates) = (Vec::new(), vec![clock.indices.clone()]);
        for name in case.names(&format!("{prefix}param.")) {
            let first = case.tensor(&format!("{prefix}param.{name}"))?;
            let gradients = case.tensor(&format!("{prefix}grads.{name}"))?;
            let parameter = graph.parameter(&name, first.shape.as_slice(), &first.to_f32());
            let gradient = graph.input(format!("gradient.{name}"), first.shape.as_slice());
            updates.push(
                rule.optimizer()
                    .update(&name, &parameter, &gradient, &clock),
            );
            parameters.push((name, gradients));
        }
        let updates: Vec<&Tensor> = updates.iter().collect();
        let plan = graph.compile(device.target(), [Program::new("step").update(updates)])?;
        Ok(Steps {
            case,
            parameters,
            session: device.open(&plan)?,
        })
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
