//! The layers of a trace.

use kiln::nn::{Activation, Dense};
use serde_json::Value;

use super::Stop;
use super::activation::rectifier;
use super::case::Case;
use super::layer;
use super::settings::Settings;

/// Dense layers from a list of objects, or of short texts such as `Dense(10,relu)`. A layer that is only an activation
/// becomes that of the linear layer before it, which is the same network.
pub fn architecture(case: &Case, arch: Option<&Value>) -> Result<Vec<Dense>, Stop> {
    let list = arch.and_then(Value::as_array);
    let list = list.ok_or_else(|| Stop::Failed(case.error("config.arch is no list of layers")))?;
    let mut layers: Vec<Dense> = Vec::new();
    for value in list {
        let added = match value {
            Value::String(text) => Added::Dense(short(text)?),
            Value::Object(map) => {
                let mut settings = Settings::within(case, map);
                let added = long(&mut settings)?;
                settings.finish()?;
                added
            }
            other => {
                let message = format!("config.arch has {other}, no layer");
                return Err(Stop::Failed(case.error(message)));
            }
        };
        match (added, layers.last_mut()) {
            (Added::Dense(dense), _) => layers.push(dense),
            (Added::Activation(activation), Some(before))
                if before.activation == Activation::Linear =>
            {
                before.activation = activation;
            }
            (Added::Activation(_), _) => {
                return Stop::unsupported("an activation that does not follow a linear layer");
            }
        }
    }
    Ok(layers)
}

enum Added {
    Dense(Dense),
    Activation(Activation),
}

fn short(text: &str) -> Result<Dense, Stop> {
    let unknown = || Stop::Unsupported(format!("layer {text}"));
    let inner = text
        .strip_prefix("Dense(")
        .and_then(|text| text.strip_suffix(')'));
    let inner = inner.ok_or_else(unknown)?;
    let (units, name) = inner.split_once(',').unwrap_or((inner, "linear"));
    let units = units.trim().parse().map_err(|_unparsed| unknown())?;
    let activation = Activation::named(name.trim());
    let activation =
        activation.or_else(|_unknown| Stop::unsupported(format!("activation {name}")))?;
    Ok(Dense::new(units).activation(activation))
}

fn long(settings: &mut Settings<'_>) -> Result<Added, Stop> {
    Ok(Added::Activation(match settings.text("cls", "")? {
        "Dense" => {
            let dense = Dense::new(settings.count("units")? as usize);
            let mut dense = dense.activation(layer::activation(settings)?);
            dense.use_bias = settings.flag("use_bias", true)?;
            return Ok(Added::Dense(dense));
        }
        "Activation" => layer::activation(settings)?,
        "ReLU" => rectifier(settings)?,
        "LeakyReLU" => Activation::LeakyRelu(settings.number("negative_slope", 0.3)? as f32),
        "ELU" => Activation::Elu(settings.number("alpha", 1.0)? as f32),
        "Softmax" => match settings.number("axis", -1.0)? {
            -1.0 | 1.0 => Activation::Softmax,
            _ => return Stop::unsupported("softmax over another axis than the last"),
        },
        other => return Stop::unsupported(format!("layer {other}")),
    }))
}
