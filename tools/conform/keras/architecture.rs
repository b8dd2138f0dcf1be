//! The layers of a trace.

use kiln::Shape;
use kiln::nn::{Activation, Dense, LayerRef};
use serde_json::Value;

use super::activation::rectifier;
use super::layer;
use super::object;
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::settings::Settings;

/// A layer with the activation after it, which may be part of it or a layer of its own: the same network.
pub struct Piece {
    /// The layer without its activation.
    pub layer: LayerRef,
    pub activation: Activation,
    /// The names of its tensors in the case: `l2.kernel` is that of the third layer that has some.
    pub parameters: Vec<String>,
    dense: Option<Dense>,
}

impl Piece {
    fn new(layer: impl Into<LayerRef>, dense: Option<Dense>) -> Self {
        Piece {
            layer: layer.into(),
            activation: Activation::Linear,
            parameters: Vec::new(),
            dense,
        }
    }

    /// The layers as a model has them.
    pub fn layers(&self) -> Vec<LayerRef> {
        match (&self.dense, self.activation) {
            (Some(dense), activation) => vec![dense.clone().activation(activation).into()],
            (None, Activation::Linear) => vec![self.layer.clone()],
            (None, activation) => vec![self.layer.clone(), activation.into()],
        }
    }
}

/// Layers from a list of objects, or of short texts such as `Dense(10,relu)`, for samples of `shape`; and the shape of their
/// output.
pub fn architecture(
    case: &Case,
    arch: Option<&Value>,
    shape: &Shape,
) -> Result<(Vec<Piece>, Shape), Stop> {
    let list = arch.and_then(Value::as_array);
    let list = list.ok_or_else(|| Stop::Failed(case.error("config.arch is no list of layers")))?;
    let mut pieces: Vec<Piece> = Vec::new();
    for value in list {
        let (piece, activation) = match value {
            Value::String(text) => short(text)?,
            Value::Object(map) => {
                let mut settings = Settings::within(case, map);
                let batch = [&[1], shape.dims()].concat();
                let found = long(&mut settings, &batch)?;
                settings.finish()?;
                found
            }
            other => {
                let message = format!("config.arch has {other}, no layer");
                return Err(Stop::Failed(case.error(message)));
            }
        };
        pieces.extend(piece);
        match pieces.last_mut() {
            Some(last) if last.activation == Activation::Linear => last.activation = activation,
            _ => return Stop::unsupported("an activation that follows none but another"),
        }
    }
    let (mut shape, mut number) = (shape.clone(), 0);
    for piece in &mut pieces {
        let layer = &piece.layer;
        let inputs = [shape];
        let tensors = layer.parameters(&inputs);
        let names = tensors
            .iter()
            .map(|tensor| format!("l{number}.{}", tensor.name));
        piece.parameters = names.collect();
        number += usize::from(!tensors.is_empty());
        let refused = |message| Stop::Failed(case.error(message));
        shape = layer.output_shape(&inputs).map_err(refused)?;
    }
    Ok((pieces, shape))
}

/// A layer, or none where it is only an activation, and the activation after it.
type Found = (Option<Piece>, Activation);

fn short(text: &str) -> Result<Found, Stop> {
    let unknown = || Stop::Unsupported(format!("layer {text}"));
    let inner = text
        .strip_prefix("Dense(")
        .and_then(|text| text.strip_suffix(')'));
    let inner = inner.ok_or_else(unknown)?;
    let (units, name) = inner.split_once(',').unwrap_or((inner, "linear"));
    let units = units.trim().parse().map_err(|_unparsed| unknown())?;
    let activation = Activation::from_name(name.trim());
    let activation =
        activation.or_else(|_unknown| Stop::unsupported(format!("activation {name}")))?;
    let dense = Dense::new(units);
    Ok((Some(Piece::new(dense.clone(), Some(dense))), activation))
}

fn long(settings: &mut Settings<'_>, shape: &[usize]) -> Result<Found, Stop> {
    let class = settings.text("cls", "")?;
    Ok(match class {
        "Dense" => {
            let mut dense = Dense::new(settings.count("units")? as usize);
            dense.use_bias = settings.flag("use_bias", true)?;
            let activation = layer::activation(settings)?;
            (Some(Piece::new(dense.clone(), Some(dense))), activation)
        }
        "Activation" => (None, layer::activation(settings)?),
        "ReLU" => (None, rectifier(settings)?),
        "LeakyReLU" => {
            let slope = settings.number("negative_slope", 0.3)?;
            (None, Activation::LeakyRelu(slope as f32))
        }
        "ELU" => (None, Activation::Elu(settings.number("alpha", 1.0)? as f32)),
        "Softmax" => match settings.number("axis", -1.0)? {
            -1.0 | 1.0 => (None, Activation::Softmax),
            _ => return Stop::unsupported("softmax over another axis than the last"),
        },
        class => match object::named(class, shape, settings)? {
            Some(layer) => (Some(Piece::new(layer, None)), Activation::Linear),
            None => return Stop::unsupported(format!("layer {class}")),
        },
    })
}
