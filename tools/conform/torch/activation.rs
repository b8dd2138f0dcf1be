//! PyTorch's activations and functions of one number, as modules and as functions.

use kiln::Tensor;
use serde_json::Value;

use super::arguments::Arguments;
use crate::conform::Stop;

/// f(x), if Kiln has a function of that name: a module's, or that of a function. Settings begin at position `at`.
pub fn apply(
    name: &str,
    x: &Tensor,
    given: &mut Arguments<'_>,
    at: usize,
) -> Result<Option<Tensor>, Stop> {
    // `nn.LeakyReLU` and `leaky_relu` are one.
    let name: String = name
        .chars()
        .filter(|&letter| letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let mut number = |position: usize, keyword: &str, default: f64| {
        let number = given.number(at + position, keyword, default)?;
        Ok::<f32, Stop>(number as f32)
    };
    let y = match name.as_str() {
        "abs" => x.abs(),
        "cos" => x.cos(),
        "erf" => x.erf(),
        "exp" => x.exp(),
        "log" => x.log(),
        "log1p" => x.log1p(),
        "neg" => x.neg(),
        "reciprocal" => x.reciprocal(),
        "rsqrt" => x.rsqrt(),
        "sign" => x.sign(),
        "sin" => x.sin(),
        "sqrt" => x.sqrt(),
        "square" => x.square(),
        "expm1" => x.expm1(),
        "exp2" => x.scale(std::f32::consts::LN_2).exp(),
        "log2" => x.log().scale(std::f32::consts::LOG2_E),
        "log10" => x.log().scale(std::f32::consts::LOG10_E),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round" => x.round(),
        "trunc" => x.abs().floor().mul(&x.sign()),
        "frac" => x.sub(&x.abs().floor().mul(&x.sign())),
        "sgn" => x.sign(),
        "tan" => x.sin().div(&x.cos()),
        "sigmoid" => x.sigmoid(),
        "tanh" => x.tanh(),
        "relu" => x.relu(),
        "relu6" => x.relu6(),
        "leakyrelu" => x.leaky_relu(number(0, "negative_slope", 0.01)?),
        "elu" => x.elu(number(0, "alpha", 1.0)?),
        "selu" => x.selu(),
        "celu" => x.celu(number(0, "alpha", 1.0)?),
        "gelu" => match given.get(at, "approximate").and_then(Value::as_str) {
            None | Some("none") => x.gelu(),
            Some("tanh") => x.gelu_tanh(),
            Some(other) => return Stop::unsupported(format!("gelu by {other}")),
        },
        "silu" => x.silu(),
        "mish" => x.mish(),
        "softplus" => {
            let settings = [number(0, "beta", 1.0)?, number(1, "threshold", 20.0)?];
            x.map(kiln::op::Function::from_name("softplus", &settings)?)
        }
        "softsign" => x.softsign(),
        "logsigmoid" => x.log_sigmoid(),
        "hardsigmoid" => x.hard_sigmoid(),
        "hardswish" => x.hard_silu(),
        "hardtanh" => x.clamp(number(0, "min_val", -1.0)?, number(1, "max_val", 1.0)?),
        "hardshrink" => x.hard_shrink(number(0, "lambd", 0.5)?),
        "softshrink" => x.soft_shrink(number(0, "lambd", 0.5)?),
        "tanhshrink" => x.tanh_shrink(),
        "threshold" => x.threshold(number(0, "threshold", 0.0)?, number(1, "value", 0.0)?),
        "glu" => x.glu(number(0, "dim", -1.0)? as isize),
        "softmax2d" => x.softmax(-3),
        "softmax" | "softmin" | "logsoftmax" => {
            // What PyTorch takes where no dimension is named.
            let default = match x.shape().rank() {
                0 | 1 | 3 => 0.0,
                _ => 1.0,
            };
            let dim = number(0, "dim", default)? as isize;
            given.ignore(0, &["_stacklevel"]);
            // PyTorch lets a scalar have one dimension.
            let dims = x.shape().dims().to_vec();
            let x = if dims.is_empty() {
                x.reshape([1])
            } else {
                x.clone()
            };
            let y = match name.as_str() {
                "softmax" => x.softmax(dim),
                "softmin" => x.neg().softmax(dim),
                _ => x.log_softmax(dim),
            };
            y.reshape(dims)
        }
        _ => return Ok(None),
    };
    given.ignore(0, &["inplace"]);
    Ok(Some(y))
}

/// x for x ≥ 0, else x times the slope of its channel, the second dimension.
pub fn prelu(x: &Tensor, slope: &Tensor) -> Tensor {
    let mut dims: Vec<usize> = slope.shape().dims().to_vec();
    if slope.shape().elements() == 1 {
        dims.clear();
    } else if dims.len() == 1 {
        let after = x.shape().rank().saturating_sub(2);
        dims.extend(std::iter::repeat_n(1, after));
    }
    x.prelu(&slope.reshape(dims))
}
