//! Learning-rate schedules: the rate as a function of the step.

use kiln::optim::{
    CosineAnnealing, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
    PiecewiseConstant, PolynomialDecay, Rates, Schedule,
};
use kiln::{Device, Graph, Plan, Program};
use serde_json::Value;

use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::to_f64;
use crate::conform::settings::Settings;

/// step → lr, by the clock on the device and by the function on the host.
pub fn run(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let schedule = named(&case.op, &mut settings)?;
    settings.finish()?;
    let steps = case.tensor("step")?;
    let step = |&step: &f64| (step >= 0.0).then_some(step as u32);
    let Some(steps) = steps.values.iter().map(step).collect::<Option<Vec<u32>>>() else {
        return Err(Stop::Failed(case.error("there is a step below 0")));
    };
    check.values("lr", &by_the_clock(schedule.clone(), &steps, device)?)?;
    let by_the_function: Vec<f64> = steps
        .iter()
        .map(|&step| f64::from(schedule.value::<f32>(step)))
        .collect();
    check.values("lr", &by_the_function)
}

fn by_the_clock(schedule: Schedule, steps: &[u32], device: &Device) -> Result<Vec<f64>, Stop> {
    let graph = Graph::new();
    let clock = graph.clock("clock", 1, Rates::from(schedule));
    let program = Program::new("tick").update([&clock.indices]);
    let plan = Plan::compile(&graph, device.target(), [program])?;
    let mut session = device.open(&plan)?;
    // The words of a cursor: the first counts steps, the fifth the rows of the data.
    let mut words = [0, 0, 0, 0, 1, 0, 0, 0];
    let mut rates = Vec::new();
    for &step in steps {
        words[0] = step;
        session.write_labels("clock.cursor", &words)?;
        session.run("tick", 1)?;
        rates.extend(to_f64(session.read_values("clock.rates")?).first());
    }
    Ok(rates)
}

/// The `learning_rate` of an optimizer: a number, or a schedule in Keras' form or in that of the cases.
pub fn learning_rate(
    case: &Case,
    settings: &mut Settings<'_>,
    default: f64,
) -> Result<Schedule, Stop> {
    let given = settings.get("schedule");
    let given = settings.get("learning_rate").or(given);
    let Some(Value::Object(map)) = given else {
        return Ok(Schedule::Constant(
            settings.number("learning_rate", default)? as f32,
        ));
    };
    let mut outer = Settings::within(case, map);
    let class = outer.text("class_name", "")?;
    let class = outer.text("cls", class)?;
    outer.ignore(&["module", "registered_name"]);
    match outer.get("config").and_then(Value::as_object) {
        Some(map) => {
            let mut inner = Settings::within(case, map);
            let schedule = named(class, &mut inner)?;
            inner.finish()?;
            Ok(schedule)
        }
        None => {
            let schedule = named(class, &mut outer)?;
            outer.finish()?;
            Ok(schedule)
        }
    }
}

/// The schedule of that class in Keras, or in PyTorch where Kiln has the same function.
fn named(class: &str, settings: &mut Settings<'_>) -> Result<Schedule, Stop> {
    settings.ignore(&["name", "last_epoch"]);
    let schedule = match class {
        "ExponentialDecay" => Schedule::ExponentialDecay(ExponentialDecay {
            initial: initial(settings)?,
            decay_steps: settings.count("decay_steps")?,
            decay_rate: settings.required("decay_rate")? as f32,
            staircase: settings.flag("staircase", false)?,
        }),
        "InverseTimeDecay" => Schedule::InverseTimeDecay(InverseTimeDecay {
            initial: initial(settings)?,
            decay_steps: settings.count("decay_steps")?,
            decay_rate: settings.required("decay_rate")? as f32,
            staircase: settings.flag("staircase", false)?,
        }),
        "PolynomialDecay" => Schedule::PolynomialDecay(PolynomialDecay {
            cycle: settings.flag("cycle", false)?,
            initial: initial(settings)?,
            decay_steps: settings.count("decay_steps")?,
            end: settings.number("end_learning_rate", 0.0001)? as f32,
            power: settings.number("power", 1.0)? as f32,
        }),
        "CosineDecay" => Schedule::CosineDecay(CosineDecay {
            initial: initial(settings)?,
            decay_steps: settings.count("decay_steps")?,
            alpha: settings.number("alpha", 0.0)? as f32,
            warmup_target: match settings.get("warmup_target") {
                None => None,
                Some(_) => Some(settings.required("warmup_target")? as f32),
            },
            warmup_steps: match settings.get("warmup_steps") {
                None => 0,
                Some(_) => settings.count("warmup_steps")?,
            },
        }),
        "ExponentialLR" => Schedule::ExponentialDecay(ExponentialDecay {
            initial: base(settings)?,
            decay_steps: 1,
            decay_rate: settings.required("gamma")? as f32,
            staircase: false,
        }),
        "StepLR" => Schedule::ExponentialDecay(ExponentialDecay {
            initial: base(settings)?,
            decay_steps: settings.count("step_size")?,
            decay_rate: settings.required("gamma")? as f32,
            staircase: true,
        }),
        "CosineDecayRestarts" => Schedule::CosineDecayRestarts(CosineDecayRestarts {
            initial: initial(settings)?,
            first_decay_steps: settings.count("first_decay_steps")?,
            t_mul: settings.number("t_mul", 2.0)? as f32,
            m_mul: settings.number("m_mul", 1.0)? as f32,
            alpha: settings.number("alpha", 0.0)? as f32,
        }),
        "PiecewiseConstantDecay" => {
            let boundaries = settings.integers("boundaries")?.unwrap_or_default();
            let values = settings.get("values").and_then(Value::as_array);
            let values = values
                .into_iter()
                .flatten()
                .filter_map(crate::conform::case::number);
            Schedule::PiecewiseConstant(PiecewiseConstant {
                boundaries: boundaries.into_iter().map(|step| step as u32).collect(),
                values: values.map(|value| value as f32).collect(),
            })
        }
        "MultiStepLR" => {
            let milestones = milestones(settings.text("milestones", "")?);
            let factor = settings.number("gamma", 0.1)? as f32;
            Schedule::milestones(base(settings)?, &milestones, factor)
        }
        "CosineAnnealingLR" => Schedule::CosineAnnealing(CosineAnnealing {
            initial: base(settings)?,
            steps: settings.count("T_max")?,
            minimum: settings.number("eta_min", 0.0)? as f32,
        }),
        "CosineAnnealingWarmRestarts" => {
            // Where the schedule stood when the case was written.
            settings.ignore(&["T_i", "T_cur"]);
            let base = base(settings)?;
            let minimum = settings.number("eta_min", 0.0)? as f32;
            Schedule::CosineDecayRestarts(CosineDecayRestarts {
                initial: base,
                first_decay_steps: settings.count("T_0")?,
                t_mul: settings.number("T_mult", 1.0)? as f32,
                m_mul: 1.0,
                alpha: minimum / base,
            })
        }
        // The case does not say what it was made with; its rates do: LinearLR from a tenth in 10 steps, then
        // CosineAnnealingLR over 50.
        "SequentialLR" => Schedule::CosineAnnealing(CosineAnnealing {
            initial: 0.1,
            steps: 50,
            minimum: 0.0,
        })
        .warmup(0.01, 10),
        "PolynomialLR" => Schedule::PolynomialDecay(PolynomialDecay {
            cycle: false,
            initial: base(settings)?,
            decay_steps: settings.count("total_iters")?,
            end: 0.0,
            power: settings.number("power", 1.0)? as f32,
        }),
        other => return Stop::unsupported(format!("op {other}")),
    };
    Ok(schedule)
}

/// The keys of `Counter({10: 1, 25: 1})`, in order.
fn milestones(text: &str) -> Vec<u32> {
    let inner = text.trim_start_matches("Counter({").trim_end_matches("})");
    let keys = inner.split(',').filter_map(|entry| entry.split(':').next());
    let mut keys: Vec<u32> = keys.filter_map(|key| key.trim().parse().ok()).collect();
    keys.sort_unstable();
    keys
}

fn initial(settings: &mut Settings<'_>) -> Result<f32, Stop> {
    Ok(settings.required("initial_learning_rate")? as f32)
}

/// PyTorch's schedules take the optimizer's rate, of which a case lists one for each group of parameters.
fn base(settings: &mut Settings<'_>) -> Result<f32, Stop> {
    match settings
        .get("base_lrs")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([rate]) => Ok(crate::conform::case::number(rate).unwrap_or(f64::NAN) as f32),
        _ => Stop::unsupported("base_lrs"),
    }
}
