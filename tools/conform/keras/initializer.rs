//! First values of weights: those that are certain, and the statistics of those that are drawn.

use kiln::nn::{Distribution, Fan, Initializer};
use serde_json::Value;

use crate::conform::Stop;
use crate::conform::case::{Case, number};
use crate::conform::check::Check;
use crate::conform::settings::Settings;

/// Seeds whose draws are summed up.
const SEEDS: u64 = 20;

/// How far a mean of draws may lie from another, in standard errors of their difference. One comparison in
/// 500 000 000 goes wrong by chance.
const DEVIATIONS: f64 = 6.0;

/// config → value, or stats.SHAPE: mean, standard deviation, least and largest of each of many seeds.
pub fn run(case: &Case, check: &mut Check<'_>) -> Result<(), Stop> {
    let initializer = named(case)?;
    if case.find("value").is_some() {
        let expected = case.tensor("value")?;
        let drawn = initializer.draw(&expected.shape, 0, 0);
        let drawn: Vec<f64> = drawn.into_iter().map(f64::from).collect();
        check.values("value", &drawn)?;
    }
    for shape in case.names("stats.") {
        statistics(case, initializer, &shape, check)?;
    }
    Ok(())
}

fn named(case: &Case) -> Result<Initializer, Stop> {
    let mut settings = match case.config.get("get_config") {
        Some(Value::Object(config)) => Settings::within(case, config),
        _ => Settings::of(case),
    };
    settings.ignore(&["seed", "shapes", "get_config"]);
    let initializer = match case.op.as_str() {
        "zeros" => Initializer::Zeros,
        "ones" => Initializer::Constant(1.0),
        "constant" => Initializer::Constant(settings.number("value", 0.0)? as f32),
        "glorot_uniform" => Initializer::GlorotUniform,
        "glorot_normal" => Initializer::GlorotNormal,
        "he_uniform" => Initializer::HeUniform,
        "he_normal" => Initializer::HeNormal,
        "random_uniform" => {
            let low = settings.number("minval", -0.05)? as f32;
            Initializer::Uniform(low, settings.number("maxval", 0.05)? as f32)
        }
        "random_normal" => {
            let mean = settings.number("mean", 0.0)? as f32;
            Initializer::Normal(mean, settings.number("stddev", 0.05)? as f32)
        }
        "lecun_uniform" => Initializer::LecunUniform,
        "lecun_normal" => Initializer::LecunNormal,
        "truncated_normal" => {
            let mean = settings.number("mean", 0.0)? as f32;
            Initializer::TruncatedNormal(mean, settings.number("stddev", 0.05)? as f32)
        }
        "orthogonal" => Initializer::Orthogonal(settings.number("gain", 1.0)? as f32),
        "identity" => {
            // A case need not say its gain: the first element does.
            let first = case.tensor("value")?.values.first().copied();
            Initializer::Identity(settings.number("gain", first.unwrap_or(1.0))? as f32)
        }
        "variance_scaling" => Initializer::VarianceScaling {
            scale: settings.number("scale", 1.0)? as f32,
            fan: match settings.text("mode", "fan_in")? {
                "fan_in" => Fan::In,
                "fan_out" => Fan::Out,
                _ => Fan::Average,
            },
            distribution: match settings.text("distribution", "truncated_normal")? {
                "uniform" => Distribution::Uniform,
                "untruncated_normal" => Distribution::UntruncatedNormal,
                _ => Distribution::TruncatedNormal,
            },
        },
        other => return Stop::unsupported(format!("op {other}")),
    };
    settings.finish()?;
    Ok(initializer)
}

/// Mean, standard deviation, least and largest.
struct Statistics {
    mean: f64,
    deviation: f64,
    least: f64,
    largest: f64,
}

impl Statistics {
    fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / values.len() as f64;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Statistics {
            mean,
            deviation: variance.sqrt(),
            least,
            largest,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Compares the draws of a shape. Draws themselves are not portable, but what they have in common is: over all seeds
/// the mean of means and of standard deviations, and the ends of the range.
fn statistics(
    case: &Case,
    initializer: Initializer,
    shape: &str,
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let name = format!("stats.{shape}");
    let stats = case.tensor(&name)?;
    let meta = case
        .config
        .get("shapes")
        .and_then(|shapes| shapes.get(shape));
    let field = |key: &str| meta.and_then(|meta| meta.get(key)).and_then(number);
    let count = |key: &str| {
        field(key)
            .filter(|value| *value >= 1.0)
            .map(|value| value as usize)
    };
    let (Some(fan_in), Some(fan_out), Some(elements)) =
        (count("fan_in"), count("fan_out"), count("n"))
    else {
        return Err(Stop::Failed(case.error(format!(
            "config.shapes.{shape} lacks fan_in, fan_out or n"
        ))));
    };
    if stats.shape.len() != 2 || stats.shape[1] != 4 {
        return Err(Stop::Failed(
            case.error(format!("{name} is {:?}, not [seeds, 4]", stats.shape)),
        ));
    }
    let dims: Option<Vec<usize>> = shape.split('x').map(|size| size.parse().ok()).collect();
    let Some(dims) = dims.filter(|dims| dims.iter().product::<usize>() == elements) else {
        let message = format!("{name} is not named by sizes of {elements} elements");
        return Err(Stop::Failed(case.error(message)));
    };
    let draw = |seed| {
        let drawn = initializer.draw(&dims, seed, 0);
        Statistics::of(&drawn.into_iter().map(f64::from).collect::<Vec<_>>())
    };
    let ours: Vec<Statistics> = (0..SEEDS).map(draw).collect();
    let theirs = |column: usize| -> Vec<f64> {
        stats
            .values
            .iter()
            .skip(column)
            .step_by(4)
            .copied()
            .collect()
    };
    let ours_of = |field: fn(&Statistics) -> f64| -> Vec<f64> { ours.iter().map(field).collect() };
    let drawn = (fan_in * fan_out) as f64;
    for (column, what, field) in [
        (
            0,
            "mean",
            (|s: &Statistics| s.mean) as fn(&Statistics) -> f64,
        ),
        (1, "standard deviation", |s| s.deviation),
    ] {
        let (theirs, ours) = (
            Statistics::of(&theirs(column)),
            Statistics::of(&ours_of(field)),
        );
        let seeds = stats.shape[0] as f64;
        // Keras draws a tensor of the same seed for every shape of as many elements, and ours may be larger.
        let error =
            (theirs.deviation.powi(2) / seeds + ours.deviation.powi(2) / SEEDS as f64).sqrt();
        let what = format!("the {what} of {shape} over {SEEDS} seeds");
        check.within(&what, ours.mean, theirs.mean, DEVIATIONS * error);
    }
    // The ends: of a range they are approached as 1/n, and those of a cut normal 18 times as slowly; the tails of a whole
    // normal go on for ever, by one part in 4 for e times as many draws.
    let deviation = mean(&theirs(1)).hypot(Statistics::of(&theirs(0)).deviation);
    let fewest = drawn.min(elements as f64) * SEEDS.min(stats.shape[0] as u64) as f64;
    let slack = match initializer {
        Initializer::Normal(..) | Initializer::Orthogonal(_) => 2.5 * deviation,
        Initializer::GlorotNormal
        | Initializer::HeNormal
        | Initializer::LecunNormal
        | Initializer::TruncatedNormal(..) => 200.0 * deviation / fewest,
        Initializer::VarianceScaling { distribution, .. } => match distribution {
            Distribution::Uniform => 40.0 * deviation / fewest,
            Distribution::TruncatedNormal => 200.0 * deviation / fewest,
            Distribution::UntruncatedNormal => 2.5 * deviation,
        },
        _ => 40.0 * deviation / fewest,
    };
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ends = [
        ("least", least(&ours_of(|s| s.least)), least(&theirs(2))),
        (
            "largest",
            largest(&ours_of(|s| s.largest)),
            largest(&theirs(3)),
        ),
    ];
    for (what, ours, theirs) in ends {
        check.within(&format!("the {what} of {shape}"), ours, theirs, slack);
    }
    Ok(())
}
