//! Normalisations and noise: of Keras' layers, PyTorch's modules and functions, ONNX' nodes.

use kiln::op::{Noise, NoiseKind, RunningAverage};
use kiln::{Device, Graph, Initial, Program, Tensor, TensorType};

use super::Stop;
use super::arguments::Arguments;
use super::case::{Array, Case};
use super::check::Check;
use super::compute::{Work, to_f64};
use super::settings::{Settings, integers};
use super::torch::Call;

/// A layer of Keras, if it is one of these, on the last dimensions of x.
pub fn keras(
    case: &Case,
    settings: &mut Settings<'_>,
    training: bool,
    x: &Tensor,
    weight: impl Fn(&str) -> Option<Tensor>,
) -> Result<Option<Tensor>, Stop> {
    let rank = x.shape().rank() as i64;
    let mut epsilon = |default: f64| settings.number("epsilon", default).map(|e| e as f32);
    let y = match case.op.as_str() {
        "LayerNormalization" => {
            let (gamma, beta) = (weight("gamma"), weight("beta"));
            let epsilon = epsilon(1e-3)?;
            let dims = trailing(settings, rank)?;
            settings.ignore(&["center", "scale"]);
            x.layer_norm(dims, gamma.as_ref(), beta.as_ref(), epsilon)
        }
        "RMSNormalization" => {
            let (scale, epsilon) = (weight("scale"), epsilon(1e-6)?);
            x.rms_norm(trailing(settings, rank)?, scale.as_ref(), epsilon)
        }
        "GroupNormalization" => {
            let epsilon = epsilon(1e-3)?;
            let groups = settings.number("groups", 32.0)? as usize;
            settings.ignore(&["center", "scale"]);
            if settings.number("axis", -1.0)? != -1.0 {
                return Stop::unsupported("channels that do not come last");
            }
            let (gamma, beta) = (weight("gamma"), weight("beta"));
            // Kiln's channels come second.
            let rank = rank as usize;
            let second: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
            let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
            let y = x.permute(&second);
            let y = y.group_norm(groups, gamma.as_ref(), beta.as_ref(), epsilon);
            y.permute(&last)
        }
        "UnitNormalization" => x.unit_norm(settings.number("axis", -1.0)? as isize),
        "BatchNormalization" => {
            let epsilon = epsilon(1e-3)?;
            let axis = settings.number("axis", -1.0)? as isize;
            settings.ignore(&["momentum", "center", "scale", "renorm_momentum"]);
            let (gamma, beta) = (weight("gamma"), weight("beta"));
            let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
            if training {
                x.batch_norm_training(axis, gamma, beta, epsilon, None).0
            } else {
                let [mean, variance] = ["moving_mean", "moving_variance"].map(weight);
                let (Some(mean), Some(variance)) = (mean, variance) else {
                    return Err(Stop::Failed(
                        case.error("the moving statistics are missing"),
                    ));
                };
                x.batch_norm(axis, [&mean, &variance], gamma, beta, epsilon)
            }
        }
        // In inference they do nothing; in training Keras draws as Kiln does not: see the check of its statistics.
        "Dropout" | "GaussianDropout" | "GaussianNoise" | "AlphaDropout" if !training => {
            settings.ignore(&["rate", "stddev", "seed"]);
            x.scale(1.0)
        }
        _ => return Ok(None),
    };
    Ok(Some(y))
}

/// How many of the last dimensions `axis` names.
fn trailing(settings: &mut Settings<'_>, rank: i64) -> Result<usize, Stop> {
    let axes = settings.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let from_back: Vec<i64> = axes
        .iter()
        .map(|&axis| if axis < 0 { axis } else { axis - rank })
        .collect();
    let count = from_back.len() as i64;
    if (-count..0).all(|axis| from_back.contains(&axis)) {
        return Ok(from_back.len());
    }
    Stop::unsupported("normalisation over other dimensions than the last")
}

/// The running statistics of a batch normalisation after each of up to three calls: `before` and `after` are the case's
/// names of them.
pub struct Running<'a> {
    pub axis: isize,
    pub keep: f32,
    pub unbiased: bool,
    pub input: &'a str,
    pub before: [&'a str; 2],
}

impl Running<'_> {
    /// Compares them with the tensors `after.NAME`, `after2.NAME` and `after3.NAME` of the case.
    pub fn check(&self, case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
        let graph = Graph::new();
        let array = case.tensor(self.input)?;
        let x = graph.input("x", array.shape.as_slice());
        let channels = array.shape[self.axis.rem_euclid(array.shape.len() as isize) as usize];
        let (_, mean, variance) = x.batch_norm_training(self.axis, None, None, 1e-3, None);
        let mut program = Program::new("call");
        let values = [
            (mean, None),
            (
                variance,
                self.unbiased.then_some(array.values.len() / channels),
            ),
        ];
        for (name, (value, unbiased)) in self.before.into_iter().zip(values) {
            let initial = case.tensor(&format!("w.{name}"))?.to_f32();
            let initial = Initial::Floats(initial.as_slice().into());
            let average = graph.variable(name, TensorType::f32([channels]), initial);
            let op = RunningAverage {
                keep: self.keep,
                unbiased,
                ragged: None,
            };
            program = program.update(&average.running_average(op, &value, None));
        }
        let plan = graph.compile(device.target(), [program])?;
        let mut session = device.open(&plan)?;
        session.write("x", &array.to_f32())?;
        for call in ["after", "after2", "after3"] {
            session.run("call", 1)?;
            for name in self.before {
                let after = format!("{call}.{name}");
                if case.find(&after).is_some() {
                    check.values(&after, &to_f64(session.read_values(name)?))?;
                }
            }
        }
        Ok(())
    }
}

/// PyTorch's `layer_norm` and `rms_norm`: x, then shape, weight, bias and ε from position `at` on.
pub fn torch_last(
    name: &str,
    x: &Tensor,
    [weight, bias]: [Option<Tensor>; 2],
    given: &mut Arguments<'_>,
    (shape_at, epsilon_at): (usize, usize),
) -> Result<Tensor, Stop> {
    let dims = given.get(shape_at, "normalized_shape").and_then(integers);
    let Some(dims) = dims.map(|dims| dims.len()) else {
        return Stop::unsupported("normalisation of no shape");
    };
    let default = if name == "layer_norm" {
        1e-5
    } else {
        f64::from(f32::EPSILON)
    };
    let epsilon = epsilon(given, epsilon_at, default)?;
    Ok(match name {
        "layer_norm" => x.layer_norm(dims, weight.as_ref(), bias.as_ref(), epsilon),
        _ => x.rms_norm(dims, weight.as_ref(), epsilon),
    })
}

/// ε, which PyTorch lets be negative.
pub fn epsilon(given: &mut Arguments<'_>, position: usize, default: f64) -> Result<f32, Stop> {
    let epsilon = given.number(position, "eps", default)?;
    if epsilon < 0.0 {
        return Stop::unsupported("a negative epsilon");
    }
    Ok(epsilon as f32)
}

/// Dropout in training. Another library's draws cannot be had, but their law: factors of mean 1 and variance p/(1 − p), the
/// same of y as of dx.
pub fn noise(
    case: &Case,
    settings: &mut Settings<'_>,
    device: &Device,
    check: &mut Check<'_>,
) -> Result<(), Stop> {
    let rate = settings.required("rate")? as f32;
    let kind = match case.op.as_str() {
        "Dropout" => NoiseKind::Dropout { rate },
        _ => NoiseKind::GaussianDropout { rate },
    };
    let mut work = Work::new();
    let (x, dy) = (work.input(case, "x")?, work.input(case, "dy")?);
    let cursor = Array::floats(&[8], vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let cursor = work.label("cursor", &cursor, &[8].into())?;
    let (seed, stream) = (1, 0);
    let y = x.noise(&cursor, Noise { kind, seed, stream });
    work.fetch("y", &y);
    for dx in work.graph.gradients(&y.mul(&dy), &[&x]) {
        work.fetch("dx", &dx);
    }
    let results = work.run(device)?;
    let factors = |result: &Array, of: &str| -> Result<Vec<f64>, Stop> {
        let of = case.tensor(of)?;
        Ok(result
            .values
            .iter()
            .zip(&of.values)
            .map(|(y, x)| y / x)
            .collect())
    };
    let (of_y, of_dx) = (factors(&results[0].1, "x")?, factors(&results[1].1, "dy")?);
    let n = of_y.len() as f64;
    let mean = of_y.iter().sum::<f64>() / n;
    let variance = of_y.iter().map(|f| (f - mean) * (f - mean)).sum::<f64>() / n;
    let wanted = f64::from(rate) / (1.0 - f64::from(rate));
    check.within("the mean factor", mean, 1.0, 5.0 * (wanted / n).sqrt());
    check.within(
        "the factors' variance",
        variance,
        wanted,
        8.0 * wanted / n.sqrt(),
    );
    let apart = of_y.iter().zip(&of_dx).map(|(a, b)| (a - b).abs());
    check.within(
        "the factors of dx less those of y",
        apart.fold(0.0, f64::max),
        0.0,
        1e-4,
    );
    for name in ["y", "dx"] {
        check.skip(name);
    }
    Ok(())
}

/// PyTorch's functions and modules but for their running statistics.
pub fn torch(
    name: &str,
    call: &mut Call<'_>,
    given: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    let optional =
        |call: &mut Call<'_>, given: &mut Arguments<'_>, at: usize, keyword: &str| match given
            .get(at, keyword)
        {
            None => Ok(None),
            Some(_) => call.tensor(given, at, keyword).map(Some),
        };
    Ok(Some(match name {
        "layer_norm" | "native_layer_norm" => {
            let x = call.tensor(given, 0, "input")?;
            let weight = optional(call, given, 2, "weight")?;
            let bias = optional(call, given, 3, "bias")?;
            if name == "native_layer_norm" {
                let dims = given.get(1, "normalized_shape").and_then(integers);
                let dims = dims.map_or(1, |dims| dims.len());
                let epsilon = epsilon(given, 4, 1e-5)?;
                let shape = x.shape();
                let lead = &shape.dims()[..shape.rank() - dims];
                let rows: usize = lead.iter().product();
                let matrix = x.reshape([rows, shape.elements() as usize / rows.max(1)]);
                let (_, mean, variance) = matrix.standardize(-1, epsilon);
                let ones = [lead.to_vec(), vec![1; dims]].concat();
                call.work.fetch("y1", &mean.reshape(ones.as_slice()));
                let inverse = variance.offset(epsilon).rsqrt();
                call.work.fetch("y2", &inverse.reshape(ones));
            }
            torch_last("layer_norm", &x, [weight, bias], given, (1, 4))?
        }
        "rms_norm" => {
            let x = call.tensor(given, 0, "input")?;
            let weight = optional(call, given, 2, "weight")?;
            torch_last("rms_norm", &x, [weight, None], given, (1, 3))?
        }
        "group_norm" => {
            let x = call.tensor(given, 0, "input")?;
            let groups = given.number(1, "num_groups", f64::NAN)? as usize;
            let weight = optional(call, given, 2, "weight")?;
            let bias = optional(call, given, 3, "bias")?;
            let epsilon = epsilon(given, 4, 1e-5)?;
            x.group_norm(groups, weight.as_ref(), bias.as_ref(), epsilon)
        }
        "normalize" => {
            let x = call.tensor(given, 0, "input")?;
            if given.number(1, "p", 2.0)? != 2.0 || x.shape().rank() == 0 {
                return Stop::unsupported("lengths other than Euclid's");
            }
            given.ignore(0, &["eps"]);
            x.unit_norm(given.number(2, "dim", 1.0)? as isize)
        }
        "batch_norm" | "native_batch_norm" => {
            let native = name == "native_batch_norm";
            let x = call.tensor(given, 0, "input")?;
            let at = if native { [3, 4, 1, 2] } else { [1, 2, 3, 4] };
            let mean = optional(call, given, at[0], "running_mean")?;
            let variance = optional(call, given, at[1], "running_var")?;
            let weight = optional(call, given, at[2], "weight")?;
            let bias = optional(call, given, at[3], "bias")?;
            let (weight, bias) = (weight.as_ref(), bias.as_ref());
            let training = given.flag(5, "training", false)?;
            given.ignore(7, &["momentum"]);
            let epsilon = epsilon(given, 7, 1e-5)?;
            if training {
                let (y, mean, variance) = x.batch_norm_training(1, weight, bias, epsilon, None);
                if native {
                    call.work.fetch("y1", &mean);
                    call.work.fetch("y2", &variance.offset(epsilon).rsqrt());
                }
                y
            } else {
                match (mean, variance) {
                    (Some(mean), Some(variance)) if !native => {
                        x.batch_norm(1, [&mean, &variance], weight, bias, epsilon)
                    }
                    _ => return Stop::unsupported("statistics of no batch"),
                }
            }
        }
        _ => return Ok(None),
    }))
}

/// PyTorch's modules.
pub fn torch_module(
    name: &str,
    call: &mut Call<'_>,
    module: &mut Arguments<'_>,
    forward: &mut Arguments<'_>,
) -> Result<Option<Tensor>, Stop> {
    let case = call.case;
    let known = [
        "LayerNorm",
        "RMSNorm",
        "GroupNorm",
        "BatchNorm1d",
        "BatchNorm2d",
        "BatchNorm3d",
    ];
    if !known.contains(&name) {
        return Ok(None);
    }
    let x = call.tensor(forward, 0, "input")?;
    let mut weight = |name: &str| match case.find(&format!("w.{name}")) {
        None => Ok(None),
        Some(_) => call.weight(name).map(Some),
    };
    let (scale, offset) = (weight("weight")?, weight("bias")?);
    Ok(Some(match name {
        "LayerNorm" => {
            module.ignore(4, &["elementwise_affine", "bias"]);
            torch_last("layer_norm", &x, [scale, offset], module, (0, 1))?
        }
        "RMSNorm" => {
            module.ignore(3, &["elementwise_affine"]);
            torch_last("rms_norm", &x, [scale, None], module, (0, 1))?
        }
        "GroupNorm" => {
            let groups = module.number(0, "num_groups", f64::NAN)? as usize;
            module.ignore(5, &["num_channels", "affine", "bias"]);
            let epsilon = epsilon(module, 2, 1e-5)?;
            x.group_norm(groups, scale.as_ref(), offset.as_ref(), epsilon)
        }
        _ => {
            let epsilon = epsilon(module, 1, 1e-5)?;
            module.ignore(
                5,
                &["num_features", "momentum", "affine", "track_running_stats"],
            );
            let (scale, offset) = (scale.as_ref(), offset.as_ref());
            let statistics = (weight("running_mean")?, weight("running_var")?);
            let training = case.config.get("training") != Some(&serde_json::Value::Bool(false));
            match statistics {
                (Some(mean), Some(variance)) if !training => {
                    x.batch_norm(1, [&mean, &variance], scale, offset, epsilon)
                }
                _ => x.batch_norm_training(1, scale, offset, epsilon, None).0,
            }
        }
    }))
}

/// The running statistics of PyTorch's batch normalisation, if the case has them.
pub fn torch_running(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<bool, Stop> {
    if case.find("after.running_mean").is_none() {
        return Ok(false);
    }
    let mut module = Arguments::of(case, "constructor_args", "constructor_kwargs")?;
    // Without a momentum the average is of all batches so far: the first is the whole of it.
    let momentum = match case
        .config
        .get("constructor_args")
        .and_then(|args| args.get(2))
    {
        Some(serde_json::Value::Null) => {
            let before = case.tensor("w.num_batches_tracked")?;
            1.0 / (before.values.first().copied().unwrap_or(0.0) + 1.0)
        }
        _ => module.number(2, "momentum", 0.1)?,
    };
    let running = Running {
        axis: 1,
        keep: (1.0 - momentum) as f32,
        unbiased: true,
        input: "in0",
        before: ["running_mean", "running_var"],
    };
    running.check(case, device, check)?;
    // A count of calls, which Kiln's clock keeps.
    check.skip("after.num_batches_tracked");
    Ok(true)
}
