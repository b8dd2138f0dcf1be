//! Normalisations of PyTorch's modules and functions.

use kiln::{Device, Graph, Initial, Plan, Program, Tensor, TensorType};

use super::Call;
use super::arguments::Arguments;
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::to_f64;
use crate::conform::operation::distance;
use crate::conform::operation::reduce;
use crate::conform::settings::integers;

/// The running statistics of a batch normalisation after each of up to three calls: `before` and `after` are the case's
/// names of them.
pub struct Running<'a> {
    pub axis: isize,
    pub keep: f32,
    pub unbiased: bool,
    pub input: &'a str,
    pub before: [&'a str; 2],
    /// Whether the statistics are the means of those of each sample.
    pub instances: bool,
    /// How many dimensions a channel has.
    pub spatial: usize,
}

impl Running<'_> {
    /// Compares them with the tensors `after.NAME`, `after2.NAME` and `after3.NAME` of the case.
    pub fn check(&self, case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
        let graph = Graph::new();
        let array = case.tensor(self.input)?;
        if array.values.is_empty() {
            return Stop::unsupported(
                "statistics of a batch without elements: `fit` takes no step without a row",
            );
        }
        let x = graph.input("x", array.shape.as_slice());
        let channels = case.tensor(&format!("w.{}", self.before[0]))?.values.len();
        let (mean, variance, count) = match self.instances {
            false => {
                let (_, mean, variance) = x.batch_norm_training(self.axis, None, None, 1e-3, None);
                (mean, variance, array.values.len() / channels)
            }
            true => {
                let rows = array.shape.iter().product::<usize>();
                let len: usize = array.shape[array.shape.len() - self.spatial..]
                    .iter()
                    .product();
                let (_, mean, variance) = x.reshape([rows / len, len]).standardize(-1, 1e-3);
                let samples = rows / len / channels;
                let over = |t: &Tensor| {
                    let sum = t.reshape([samples, channels]).sum_over(0);
                    sum.scale(1.0 / samples as f32)
                };
                (over(&mean), over(&variance), len)
            }
        };
        let mut program = Program::new("call");
        let values = [(mean, None), (variance, self.unbiased.then_some(count))];
        for (name, (value, unbiased)) in self.before.into_iter().zip(values) {
            let initial = case.tensor(&format!("w.{name}"))?.to_f32();
            let initial = Initial::Floats(initial.as_slice().into());
            let average = graph.variable(name, TensorType::f32([channels]), initial);
            program = program.update([&average.running_average(&value, self.keep, unbiased)]);
        }
        let plan = Plan::compile(&graph, device.target(), [program])?;
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

/// ε.
pub fn epsilon(given: &mut Arguments<'_>, position: usize, default: f64) -> Result<f32, Stop> {
    Ok(given.number(position, "eps", default)? as f32)
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
                let inverse = variance.offset(epsilon).rsqrt();
                call.outputs = vec![mean.reshape(ones.as_slice()), inverse.reshape(ones)];
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
            let (p, axis) = (
                given.number(1, "p", 2.0)?,
                given.number(2, "dim", 1.0)? as i64,
            );
            let least = given.number(3, "eps", 1e-12)?;
            let least = x.graph().constant([], &[least as f32]);
            let length = reduce::norm(&x, p, Some(&[axis]), true)?;
            x.div(&length.maximum(&least))
        }
        "local_response_norm" => {
            let x = call.tensor(given, 0, "input")?;
            let size = given.number(1, "size", f64::NAN)? as usize;
            let settings = [
                given.number(2, "alpha", 1e-4)?,
                given.number(3, "beta", 0.75)?,
                given.number(4, "k", 1.0)?,
            ];
            distance::local_response(&x, (size / 2, (size - 1) / 2), settings)
        }
        "instance_norm" => {
            let x = call.tensor(given, 0, "input")?;
            let mean = optional(call, given, 1, "running_mean")?;
            let variance = optional(call, given, 2, "running_var")?;
            let weight = optional(call, given, 3, "weight")?;
            let bias = optional(call, given, 4, "bias")?;
            let (weight, bias) = (weight.as_ref(), bias.as_ref());
            let own = given.flag(5, "use_input_stats", true)?;
            given.ignore(7, &["momentum"]);
            let epsilon = epsilon(given, 7, 1e-5)?;
            match (mean, variance) {
                (Some(mean), Some(variance)) if !own => {
                    x.batch_norm(1, [&mean, &variance], weight, bias, epsilon)
                }
                _ => x.group_norm(x.shape().dims()[1], weight, bias, epsilon),
            }
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
                    call.outputs = vec![mean, variance.offset(epsilon).rsqrt()];
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
        "InstanceNorm1d",
        "InstanceNorm2d",
        "InstanceNorm3d",
        "LocalResponseNorm",
        "CrossMapLRN2d",
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
        "LocalResponseNorm" | "CrossMapLRN2d" => {
            let size = module.number(0, "size", f64::NAN)? as usize;
            let settings = [
                module.number(1, "alpha", 1e-4)?,
                module.number(2, "beta", 0.75)?,
                module.number(3, "k", 1.0)?,
            ];
            distance::local_response(&x, (size / 2, (size - 1) / 2), settings)
        }
        _ => {
            let epsilon = epsilon(module, 1, 1e-5)?;
            module.ignore(
                5,
                &["num_features", "momentum", "affine", "track_running_stats"],
            );
            let (scale, offset) = (scale.as_ref(), offset.as_ref());
            let statistics = (weight("running_mean")?, weight("running_var")?);
            // A count of calls, which Kiln's clock keeps.
            case.find("w.num_batches_tracked");
            let training = case.config.get("training") != Some(&serde_json::Value::Bool(false));
            if let Some(spatial) = spatial(name) {
                // A sample may come alone.
                let shape = x.shape();
                let x = match shape.rank() == spatial + 1 {
                    true => x.reshape([&[1], shape.dims()].concat()),
                    false => x.clone(),
                };
                let y = match statistics {
                    (Some(mean), Some(variance)) if !training => {
                        x.batch_norm(1, [&mean, &variance], scale, offset, epsilon)
                    }
                    _ => x.group_norm(x.shape().dims()[1], scale, offset, epsilon),
                };
                return Ok(Some(y.reshape(shape)));
            }
            match statistics {
                (Some(mean), Some(variance)) if !training => {
                    x.batch_norm(1, [&mean, &variance], scale, offset, epsilon)
                }
                _ => x.batch_norm_training(1, scale, offset, epsilon, None).0,
            }
        }
    }))
}

/// How many dimensions a channel has in a normalisation of each sample.
fn spatial(name: &str) -> Option<usize> {
    let digit = name
        .trim_start_matches("nn.")
        .strip_prefix("InstanceNorm")?;
    digit.trim_end_matches('d').parse().ok()
}

/// The running statistics of PyTorch's batch and instance normalisations, if the case has them.
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
        instances: spatial(&case.op).is_some(),
        spatial: spatial(&case.op).unwrap_or(0),
    };
    running.check(case, device, check)?;
    // A count of calls, which Kiln's clock keeps.
    check.skip("after.num_batches_tracked");
    Ok(true)
}
