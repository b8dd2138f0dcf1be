//! Kiln's layers from the settings of Keras'.

use kiln::nn::{
    Activation, Add, AlphaDropout, Average, BatchNormalization, Concatenate, Dense, Dot, Dropout,
    Flatten, GaussianDropout, GaussianNoise, GroupNormalization, LayerNormalization, LayerRef,
    Maximum, Minimum, Multiply, PRelu, Permute, RMSNormalization, RepeatVector, Rescaling, Reshape,
    Softmax, Subtract, UnitNormalization,
};

use super::activation::rectifier;
use super::layer::activation;
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::settings::Settings;

/// The layer of the case's class with its settings, if Kiln has one.
pub fn of(case: &Case, settings: &mut Settings<'_>) -> Result<Option<LayerRef>, Stop> {
    let x = case.find("x").or(case.find("x0"));
    let shape = x.map_or(&[][..], |x| &x.shape);
    named(&case.op, shape, settings)
}

/// The layer of that class, for inputs of that shape.
pub fn named(
    class: &str,
    shape: &[usize],
    settings: &mut Settings<'_>,
) -> Result<Option<LayerRef>, Stop> {
    let rank = shape.len();
    let float = |settings: &mut Settings<'_>, key: &str, default: f64| {
        settings.number(key, default).map(|value| value as f32)
    };
    let axis = |settings: &mut Settings<'_>| settings.number("axis", -1.0).map(|a| a as isize);
    let axes = |settings: &mut Settings<'_>| -> Result<Vec<isize>, Stop> {
        let axes = settings.integers("axis")?.unwrap_or_else(|| vec![-1]);
        Ok(axes.into_iter().map(|axis| axis as isize).collect())
    };
    let whole = |settings: &mut Settings<'_>, key: &str| -> Result<Vec<i64>, Stop> {
        Ok(settings.integers(key)?.unwrap_or_default())
    };
    let initializers = [
        "kernel_initializer",
        "bias_initializer",
        "alpha_initializer",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "seed",
    ];
    settings.ignore(&initializers);
    Ok(Some(match class {
        "Dense" => {
            let layer = Dense::new(settings.count("units")? as usize);
            let layer = layer.activation(activation(settings)?);
            match settings.flag("use_bias", true)? {
                true => layer.into(),
                false => layer.without_bias().into(),
            }
        }
        "Activation" => activation(settings)?.into(),
        "Identity" => Activation::Linear.into(),
        "ReLU" => rectifier(settings)?.into(),
        "LeakyReLU" => Activation::LeakyRelu(float(settings, "negative_slope", 0.3)?).into(),
        "ELU" => Activation::Elu(float(settings, "alpha", 1.0)?).into(),
        "PReLU" => {
            let shared = whole(settings, "shared_axes")?.into_iter();
            PRelu {
                shared_axes: shared.map(|axis| axis as usize).collect(),
                ..Default::default()
            }
            .into()
        }
        "Softmax" => Softmax {
            axis: axes(settings)?.into(),
        }
        .into(),
        "Flatten" => Flatten.into(),
        "Reshape" => Reshape::new(whole(settings, "target_shape")?).into(),
        "Permute" => {
            let dims = whole(settings, "dims")?.into_iter().map(|dim| dim as usize);
            Permute::new(dims.collect::<Vec<_>>()).into()
        }
        "RepeatVector" => RepeatVector::new(settings.count("n")? as usize).into(),
        "Rescaling" => {
            let scale = float(settings, "scale", 1.0)?;
            let offset = float(settings, "offset", 0.0)?;
            Rescaling { scale, offset }.into()
        }
        "Add" => Add.into(),
        "Subtract" => Subtract.into(),
        "Multiply" => Multiply.into(),
        "Average" => Average.into(),
        "Maximum" => Maximum.into(),
        "Minimum" => Minimum.into(),
        "Concatenate" => Concatenate {
            axis: axis(settings)?,
        }
        .into(),
        "Dot" => {
            let axes = match whole(settings, "axes")?[..] {
                [axis] => (axis as isize, axis as isize),
                [first, second] => (first as isize, second as isize),
                ref axes => return Stop::unsupported(format!("axes {axes:?}")),
            };
            let normalize = settings.flag("normalize", false)?;
            Dot { axes, normalize }.into()
        }
        "Dropout" => Dropout::new(float(settings, "rate", 0.5)?).into(),
        "AlphaDropout" => AlphaDropout::new(float(settings, "rate", 0.5)?).into(),
        "GaussianDropout" => GaussianDropout::new(float(settings, "rate", 0.5)?).into(),
        "GaussianNoise" => GaussianNoise::new(float(settings, "stddev", 1.0)?).into(),
        "BatchNormalization" => {
            settings.ignore(&["renorm_momentum"]);
            BatchNormalization {
                momentum: float(settings, "momentum", 0.99)?,
                epsilon: float(settings, "epsilon", 1e-3)?,
                axis: axis(settings)?,
                center: settings.flag("center", true)?,
                scale: settings.flag("scale", true)?,
                ..Default::default()
            }
            .into()
        }
        "LayerNormalization" => LayerNormalization {
            epsilon: float(settings, "epsilon", 1e-3)?,
            dims: trailing(settings, rank)?,
            center: settings.flag("center", true)?,
            scale: settings.flag("scale", true)?,
        }
        .into(),
        "RMSNormalization" => RMSNormalization {
            epsilon: float(settings, "epsilon", 1e-6)?,
            dims: trailing(settings, rank)?,
        }
        .into(),
        "GroupNormalization" => {
            // −1 is a group for each channel.
            let groups = match settings.number("groups", 32.0)? {
                -1.0 => shape.last().copied().unwrap_or(1),
                groups => groups as usize,
            };
            let layer = GroupNormalization {
                groups,
                epsilon: float(settings, "epsilon", 1e-3)?,
                center: settings.flag("center", true)?,
                scale: settings.flag("scale", true)?,
            };
            if ![-1, rank as isize - 1].contains(&axis(settings)?) {
                return Stop::unsupported("channels that do not come last");
            }
            layer.into()
        }
        "UnitNormalization" => UnitNormalization {
            axis: axes(settings)?.into(),
        }
        .into(),
        _ => return Ok(None),
    }))
}

/// How many of the last dimensions `axis` names.
fn trailing(settings: &mut Settings<'_>, rank: usize) -> Result<usize, Stop> {
    let axes = settings.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let from_back: Vec<i64> = axes
        .iter()
        .map(|&axis| if axis < 0 { axis } else { axis - rank as i64 })
        .collect();
    let count = from_back.len() as i64;
    if (-count..0).all(|axis| from_back.contains(&axis)) {
        return Ok(from_back.len());
    }
    Stop::unsupported("normalisation over other dimensions than the last")
}
