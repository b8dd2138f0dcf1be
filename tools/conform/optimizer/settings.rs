//! Optimizers by the settings that Keras, PyTorch and ONNX have.

use kiln::optim::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, Common, CommonSettings, Ftrl, Lamb,
    Lion, Muon, Nadam, Optimizer, OptimizerConfig, Radam, RmsProp, Rprop, Schedule, Sgd,
    StepLength,
};
use serde_json::Value;

use crate::conform::Stop;
use crate::conform::case::{Case, number};
use crate::conform::keras::schedule::learning_rate;
use crate::conform::settings::Settings;

/// The optimizer of that class in Keras.
pub fn keras(
    class: &str,
    case: &Case,
    settings: &mut Settings<'_>,
) -> Result<OptimizerConfig, Stop> {
    settings.ignore(&["name", "jit_compile", "is_legacy_optimizer"]);
    settings.without(&["loss_scale_factor"])?;
    let mut float = |key: &str, default: f32| {
        let value = settings.number(key, f64::from(default));
        value.map(|value| value as f32)
    };
    // Traces have the classes as their instances are named: `adam_w`.
    let class = class.to_lowercase().replace('_', "");
    let mut rule = match class.as_str() {
        "sgd" => OptimizerConfig::Sgd(Sgd::default().momentum(float("momentum", 0.0)?)),
        "rmsprop" => OptimizerConfig::RmsProp(RmsProp {
            rho: float("rho", 0.9)?,
            momentum: float("momentum", 0.0)?,
            epsilon: float("epsilon", 1e-7)?,
            ..RmsProp::default()
        }),
        "adagrad" => OptimizerConfig::Adagrad(Adagrad {
            initial_accumulator_value: float("initial_accumulator_value", 0.1)?,
            epsilon: float("epsilon", 1e-7)?,
            ..Adagrad::default()
        }),
        "adadelta" => OptimizerConfig::Adadelta(Adadelta {
            rho: float("rho", 0.95)?,
            epsilon: float("epsilon", 1e-7)?,
            ..Adadelta::default()
        }),
        "adam" | "adamw" => OptimizerConfig::Adam(Adam {
            beta_1: float("beta_1", 0.9)?,
            beta_2: float("beta_2", 0.999)?,
            epsilon: float("epsilon", 1e-7)?,
            ..if class == "adamw" {
                AdamW::new(0.001)
            } else {
                Adam::default()
            }
        }),
        "adamax" => OptimizerConfig::Adamax(Adamax {
            beta_1: float("beta_1", 0.9)?,
            beta_2: float("beta_2", 0.999)?,
            epsilon: float("epsilon", 1e-7)?,
            ..Adamax::default()
        }),
        "nadam" => OptimizerConfig::Nadam(Nadam {
            beta_1: float("beta_1", 0.9)?,
            beta_2: float("beta_2", 0.999)?,
            epsilon: float("epsilon", 1e-7)?,
            ..Nadam::default()
        }),
        "adafactor" => {
            // A rate that stays is bounded by 1/√t in either case.
            settings.flag("relative_step", true)?;
            let mut float = |key: &str, default: f32| {
                let value = settings.number(key, f64::from(default));
                value.map(|value| value as f32)
            };
            OptimizerConfig::Adafactor(Adafactor {
                beta_2_decay: float("beta_2_decay", -0.8)?,
                epsilon_1: float("epsilon_1", 1e-30)?,
                epsilon_2: float("epsilon_2", 1e-3)?,
                clip_threshold: float("clip_threshold", 1.0)?,
                ..Adafactor::default()
            })
        }
        "ftrl" => OptimizerConfig::Ftrl(Ftrl {
            learning_rate_power: float("learning_rate_power", -0.5)?,
            initial_accumulator_value: float("initial_accumulator_value", 0.1)?,
            l1_regularization_strength: float("l1_regularization_strength", 0.0)?,
            l2_regularization_strength: float("l2_regularization_strength", 0.0)?,
            l2_shrinkage_regularization_strength: float(
                "l2_shrinkage_regularization_strength",
                0.0,
            )?,
            beta: float("beta", 0.0)?,
            ..Ftrl::default()
        }),
        "lion" => OptimizerConfig::Lion(Lion {
            beta_1: float("beta_1", 0.9)?,
            beta_2: float("beta_2", 0.99)?,
            ..Lion::default()
        }),
        "lamb" => OptimizerConfig::Lamb(Lamb {
            beta_1: float("beta_1", 0.9)?,
            beta_2: float("beta_2", 0.999)?,
            epsilon: float("epsilon", 1e-7)?,
            ..Lamb::default()
        }),
        "muon" => OptimizerConfig::Muon(keras_muon(settings)?),
        other => return Stop::unsupported(format!("op {other}")),
    };
    match &mut rule {
        OptimizerConfig::Sgd(sgd) => sgd.nesterov = settings.flag("nesterov", false)?,
        OptimizerConfig::RmsProp(rmsprop) => {
            rmsprop.centered = settings.flag("centered", false)?;
        }
        OptimizerConfig::Adam(adam) => adam.amsgrad = settings.flag("amsgrad", false)?,
        _ => {}
    }
    let default = match rule.learning_rate_mut() {
        Schedule::Constant(rate) => f64::from(*rate),
        _ => 0.001,
    };
    *rule.learning_rate_mut() = learning_rate(case, settings, default)?;
    let common = rule.common_mut();
    *common = keras_common(settings, common)?;
    rule.validate()?;
    Ok(rule)
}

/// What all of Keras' optimizers have.
fn keras_common(settings: &mut Settings<'_>, default: &Common) -> Result<Common, Stop> {
    let mut optional = |key: &str| -> Result<Option<f32>, Stop> {
        let value = settings.number(key, 0.0)? as f32;
        Ok((value != 0.0).then_some(value))
    };
    let common = Common {
        clipnorm: optional("clipnorm")?,
        global_clipnorm: optional("global_clipnorm")?,
        clipvalue: optional("clipvalue")?,
        ema_overwrite_frequency: optional("ema_overwrite_frequency")?.map(|n| n as u32),
        gradient_accumulation_steps: optional("gradient_accumulation_steps")?
            .map_or(1, |n| n as u32),
        weight_decay: match settings.get("weight_decay") {
            Some(_) => settings.number("weight_decay", 0.0)? as f32,
            None => default.weight_decay,
        },
        use_ema: settings.flag("use_ema", false)?,
        ema_momentum: settings.number("ema_momentum", 0.99)? as f32,
        ..Common::default()
    };
    Ok(common)
}

fn keras_muon(settings: &mut Settings<'_>) -> Result<Muon, Stop> {
    // Layers by name or as embeddings, of which the cases have none.
    settings.without(&["exclude_layers"])?;
    settings.ignore(&["exclude_embeddings"]);
    let step_length = match settings.get("rms_rate") {
        Some(_) => StepLength::Rms(settings.number("rms_rate", 0.2)? as f32),
        None => StepLength::Original,
    };
    let nesterov = settings.flag("nesterov", true)?;
    let ns_steps = settings.number("ns_steps", 5.0)? as u32;
    let mut float = |key: &str, default: f32| {
        let value = settings.number(key, f64::from(default));
        value.map(|value| value as f32)
    };
    Ok(Muon {
        adam_beta_1: float("adam_beta_1", 0.9)?,
        adam_beta_2: float("adam_beta_2", 0.999)?,
        adam_weight_decay: float("adam_weight_decay", 0.004)?,
        adam_lr_ratio: float("adam_lr_ratio", 1.0)?,
        epsilon: float("epsilon", 1e-7)?,
        coefficients: [
            float("muon_a", 3.4445)?,
            float("muon_b", -4.775)?,
            float("muon_c", 2.0315)?,
        ],
        momentum: float("momentum", 0.95)?,
        ns_steps,
        nesterov,
        step_length,
        ..Muon::default()
    })
}

/// The optimizer of that class in PyTorch, in PyTorch's form.
pub fn torch(case: &Case) -> Result<OptimizerConfig, Stop> {
    let all = case.config.get("defaults").and_then(Value::as_object);
    let all = all.ok_or_else(|| Stop::Failed(case.error("config has no `defaults`")))?;
    let mut settings = Settings::within(case, all);
    settings.ignore(&["foreach", "fused", "capturable", "differentiable"]);
    let given = case
        .config
        .get("kwargs")
        .and_then(|kwargs| kwargs.get("lr"));
    let rate = match given.and_then(number) {
        Some(rate) => rate,
        None => settings.required("lr")?,
    };
    settings.ignore(&["lr"]);
    let rate = Schedule::Constant(rate as f32);
    let pair = |value: Option<&Value>| -> Option<[f32; 2]> {
        let list = value?.as_array()?;
        let [a, b] = &list[..] else { return None };
        Some([number(a)? as f32, number(b)? as f32])
    };
    let [beta_1, beta_2] = pair(settings.get("betas")).unwrap_or([0.9, 0.999]);
    let mut float = |key: &str, default: f32| {
        let value = settings.number(key, f64::from(default));
        value.map(|value| value as f32)
    };
    let decay = float("weight_decay", 0.0)?;
    let mut decoupled = matches!(case.op.as_str(), "AdamW" | "Muon" | "Adafactor");
    let mut rule = match case.op.as_str() {
        "SGD" => OptimizerConfig::Sgd(Sgd {
            momentum: float("momentum", 0.0)?,
            dampening: Some(float("dampening", 0.0)?),
            nesterov: settings.flag("nesterov", false)?,
            ..Sgd::default()
        }),
        "RMSprop" => OptimizerConfig::RmsProp(RmsProp {
            rho: float("alpha", 0.99)?,
            momentum: float("momentum", 0.0)?,
            epsilon: float("eps", 1e-8)?,
            centered: settings.flag("centered", false)?,
            ..RmsProp::default().pytorch()
        }),
        "Adagrad" => OptimizerConfig::Adagrad(Adagrad {
            initial_accumulator_value: float("initial_accumulator_value", 0.0)?,
            epsilon: float("eps", 1e-10)?,
            ..Adagrad::default().pytorch()
        }),
        "Adadelta" => OptimizerConfig::Adadelta(Adadelta {
            rho: float("rho", 0.9)?,
            epsilon: float("eps", 1e-6)?,
            ..Adadelta::default()
        }),
        "Adam" | "AdamW" => OptimizerConfig::Adam(Adam {
            beta_1,
            beta_2,
            epsilon: float("eps", 1e-8)?,
            amsgrad: settings.flag("amsgrad", false)?,
            ..Adam::default().pytorch()
        }),
        "Adamax" => OptimizerConfig::Adamax(Adamax {
            beta_1,
            beta_2,
            epsilon: float("eps", 1e-8)?,
            ..Adamax::default().pytorch()
        }),
        "NAdam" => OptimizerConfig::Nadam(Nadam {
            beta_1,
            beta_2,
            epsilon: float("eps", 1e-8)?,
            momentum_decay: float("momentum_decay", 0.004)?,
            ..Nadam::default()
        }),
        "RAdam" => OptimizerConfig::Radam(Radam {
            beta_1,
            beta_2,
            epsilon: float("eps", 1e-8)?,
            ..Radam::default()
        }),
        "Adafactor" => {
            let decay = float("beta2_decay", -0.8)?;
            let threshold = float("d", 1.0)?;
            let default = Adafactor::default().pytorch();
            let eps = settings.get("eps").and_then(Value::as_array);
            let eps = |i: usize, default: f32| {
                let value = eps.and_then(|eps| eps.get(i)).and_then(number);
                value.map_or(default, |value| value as f32)
            };
            OptimizerConfig::Adafactor(Adafactor {
                beta_2_decay: decay,
                clip_threshold: threshold,
                epsilon_1: eps(0, default.epsilon_1),
                epsilon_2: eps(1, default.epsilon_2),
                ..default
            })
        }
        "ASGD" => OptimizerConfig::Asgd(Asgd {
            lambd: float("lambd", 1e-4)?,
            alpha: float("alpha", 0.75)?,
            t0: float("t0", 1e6)?,
            ..Asgd::default()
        }),
        "Rprop" => OptimizerConfig::Rprop(Rprop {
            etas: pair(settings.get("etas")).unwrap_or([0.5, 1.2]),
            step_sizes: pair(settings.get("step_sizes")).unwrap_or([1e-6, 50.0]),
            ..Rprop::default()
        }),
        "Muon" => OptimizerConfig::Muon(torch_muon(case, &mut settings)?),
        other => return Stop::unsupported(format!("op {other}")),
    };
    decoupled |= settings.flag("decoupled_weight_decay", false)?;
    *rule.learning_rate_mut() = match (settings.number("lr_decay", 0.0)? as f32, rate) {
        (decay, Schedule::Constant(rate)) if decay != 0.0 => {
            Schedule::inverse_time_decay(rate, 1, decay)
        }
        (_, rate) => rate,
    };
    *rule.common_mut() = Common {
        weight_decay: if decoupled { decay } else { 0.0 },
        l2: if decoupled { 0.0 } else { decay },
        maximize: settings.flag("maximize", false)?,
        ..Common::default()
    };
    settings.finish()?;
    Ok(rule)
}

fn torch_muon(case: &Case, settings: &mut Settings<'_>) -> Result<Muon, Stop> {
    let coefficients = settings.get("ns_coefficients").and_then(Value::as_array);
    let coefficients: Option<Vec<f32>> = coefficients.map(|list| {
        let numbers = list.iter().filter_map(number);
        numbers.map(|c| c as f32).collect()
    });
    let default = Muon::default().pytorch();
    let coefficients = match coefficients.as_deref() {
        None => default.coefficients,
        Some(&[a, b, c]) => [a, b, c],
        Some(_) => return Err(Stop::Failed(case.error("ns_coefficients are not three"))),
    };
    let step_length = match settings.text("adjust_lr_fn", "original")? {
        "original" => StepLength::Original,
        "match_rms_adamw" => StepLength::Rms(0.2),
        "spectral_unclamped" => StepLength::Spectral,
        other => return Stop::unsupported(format!("adjust_lr_fn {other}")),
    };
    Ok(Muon {
        coefficients,
        step_length,
        momentum: settings.number("momentum", 0.95)? as f32,
        epsilon: settings.number("eps", 1e-7)? as f32,
        ns_steps: settings.number("ns_steps", 5.0)? as u32,
        nesterov: settings.flag("nesterov", true)?,
        ..default
    })
}

/// ONNX' optimizer, and the states in the order of its inputs.
pub fn onnx(case: &Case) -> Result<(Box<dyn Optimizer>, &'static [&'static str]), Stop> {
    let mut settings = Settings::within(case, attributes(case)?);
    let mut float = |key: &str, default: f32| {
        let value = settings.number(key, f64::from(default));
        value.map(|value| value as f32)
    };
    let l2 = float("norm_coefficient", 0.0)?;
    let (rule, states): (Box<dyn Optimizer>, &[&str]) = match case.op.as_str() {
        "Adagrad" => {
            float("decay_factor", 0.0)?;
            let adagrad = Adagrad {
                epsilon: float("epsilon", 1e-6)?,
                ..Adagrad::default().pytorch().l2(l2)
            };
            (Box::new(adagrad), &["accumulator"])
        }
        "Adam" => {
            settings.without(&["norm_coefficient_post"])?;
            let mut float = |key: &str, default: f32| {
                let value = settings.number(key, f64::from(default));
                value.map(|value| value as f32)
            };
            let adam = Adam {
                beta_1: float("alpha", 0.9)?,
                beta_2: float("beta", 0.999)?,
                epsilon: float("epsilon", 0.0)?,
                ..Adam::default().l2(l2)
            };
            (Box::new(adam), &["m", "v"])
        }
        "Momentum" => {
            let (alpha, beta) = (float("alpha", 0.9)?, float("beta", 1.0)?);
            let t = case.tensor("in.T")?.values[0];
            let nesterov = settings.text("mode", "standard")? == "nesterov";
            // The gradient's factor counts from the second step.
            let dampening = if t > 0.0 { 1.0 - beta } else { 0.0 };
            let sgd = Sgd {
                nesterov,
                ..Sgd::default().momentum(alpha).dampening(dampening).l2(l2)
            };
            (Box::new(sgd), &["momentum_buffer"])
        }
        other => return Stop::unsupported(format!("op ai.onnx.preview.training.{other}")),
    };
    settings.finish()?;
    rule.validate()?;
    Ok((rule, states))
}

fn attributes(case: &Case) -> Result<&serde_json::Map<String, Value>, Stop> {
    let map = case.config.get("attributes").and_then(Value::as_object);
    map.ok_or_else(|| Stop::Failed(case.error("config has no `attributes`")))
}

/// The clock's rates for a step of ONNX', which is given the rate and the number of steps done: no power where it is 0.
pub fn onnx_rates(case: &Case, rate: f64, steps: f64) -> Result<Vec<f32>, Stop> {
    let mut settings = Settings::within(case, attributes(case)?);
    // The numbers of a clock that counts updates: η, β₁ᵗ, β₂ᵗ, a factor, t, flags, and six more.
    let mut rates = vec![0.0; 12];
    let slower = 1.0 + steps * settings.number("decay_factor", 0.0)?;
    rates[0] = (rate / slower) as f32;
    if case.op == "Adam" && steps > 0.0 {
        rates[1] = settings.number("alpha", 0.9)?.powf(steps) as f32;
        rates[2] = settings.number("beta", 0.999)?.powf(steps) as f32;
    }
    // Not the first update, which has no buffer before it; one that updates.
    (rates[4], rates[5]) = (2.0, 1.0);
    Ok(rates)
}
