//! Weights as other programs name and lay them out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::nn::{Functional, Parameter};
use crate::train::Model;
use crate::{Error, Result};

use super::tensors;
use super::tensors::HostTensor;

/// How the file of another program names the weights of its layers, for [`Model::import_weights`].
///
/// | | Keras | PyTorch | here |
/// |---|---|---|---|
/// | a layer | all before the last `/`: `sequential/dense_1` | all before the last `.`: `net.2` | `dense_1` |
/// | dense | `kernel` `[in, out]`, `bias` | `weight` `[out, in]`, turned on the way, `bias` | `kernel` `[in, out]`, `bias` |
/// | normalisation | `gamma`, `beta`, `moving_mean`, `moving_variance` | `weight`, `bias`, `running_mean`, `running_var` | as Keras |
/// | RMS normalisation, PReLU | `scale`, `alpha` | `weight` | as Keras |
///
/// Keras' own archives give a layer's tensors by number, `layers/dense/vars/0`, which is read too. What is no float, such as
/// PyTorch's `num_batches_tracked`, is passed over where no layer of the model keeps what has its name, and refused where one does.
///
/// Layers are those that [`layer`](Self::layer) names; of the others those with the names of the model's, if all of them are
/// there, each once; else they are taken in their order, where the names tell it: `dense_3`, `dense_4` or `0`, `2`, `10`. The
/// model's own order is that of its names too, but of a network whose layers follow one another, as in a
/// [`Sequential`](crate::nn::Sequential), the layers' own, whatever they are called.
#[derive(Debug, Clone)]
pub struct Import {
    program: Exporter,
    layers: Vec<(String, String)>,
    partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Exporter {
    Keras,
    PyTorch,
}

impl Import {
    /// From Keras: `numpy.savez(file, **{v.path: v.numpy() for v in model.weights})`, or the same with safetensors.
    pub fn keras() -> Self {
        Import {
            program: Exporter::Keras,
            layers: Vec::new(),
            partial: false,
        }
    }

    /// From PyTorch: `safetensors.torch.save_file(model.state_dict(), file)`, or `numpy.savez`.
    pub fn pytorch() -> Self {
        Import {
            program: Exporter::PyTorch,
            ..Self::keras()
        }
    }

    /// Takes the weights of the file's layer `theirs` for the model's layer `ours`.
    pub fn layer(mut self, theirs: impl Into<String>, ours: impl Into<String>) -> Self {
        self.layers.push((theirs.into(), ours.into()));
        self
    }

    /// Whether layers of the file or the model that have no counterpart are passed over; default false, an error. Only names
    /// tell then which layers belong together.
    pub fn partial(mut self, partial: bool) -> Self {
        self.partial = partial;
        self
    }
}

/// Sets the weights of layers from a file of another program: see [`Model::import_weights`].
///
/// # Errors
///
/// [`Error::Format`] where layers of the file and the model do not belong together.
pub(super) fn import_weights(
    model: &mut Model,
    path: &Path,
    import: &Import,
) -> Result<Vec<String>> {
    let ours = kept(model);
    let (tensors, _) = tensors::read(path, model)?;
    let theirs = groups(tensors, import.program, &ours);
    let unfit = |message: String| Error::format(path, None, message);
    let order = order(model.architecture());
    let pairs = import
        .pairs(&theirs, &ours, order.as_deref())
        .map_err(unfit)?;
    let mut found = BTreeMap::new();
    let mut named: Vec<Parameter> = Vec::new();
    for (their_name, own_name) in pairs {
        let (group, layer) = (&theirs[&their_name], &ours[&own_name]);
        for (number, parameter) in layer.iter().enumerate() {
            let key = key_of(parameter, import.program);
            let numbered = number.to_string();
            let tensor = group.get(key).or_else(|| group.get(&numbered));
            let Some(tensor) = tensor else {
                return Err(unfit(format!(
                    "the layer `{their_name}` has no `{key}` for `{}`",
                    parameter.name
                )));
            };
            let numbers = fitted(tensor, parameter, import.program)
                .map_err(|message| unfit(format!("`{key}` of `{their_name}` {message}")))?;
            found.insert(parameter.name.clone(), numbers);
            named.push(parameter.clone());
        }
        if group.len() > layer.len() && !import.partial {
            let keys: Vec<&str> = group.keys().map(String::as_str).collect();
            return Err(unfit(format!(
                "the layer `{their_name}` has {}, more than `{own_name}` takes",
                keys.join(", ")
            )));
        }
    }
    let mut all = ours.values().flatten();
    let unset = all.find(|own| !found.contains_key(&own.name));
    if let (false, Some(own)) = (import.partial, unset) {
        return Err(unfit(format!("nothing of it goes to `{}`", own.name)));
    }
    tensors::set(model, path, &found, &named)?;
    Ok(found.into_keys().collect())
}

/// What each layer that keeps something keeps, by its name.
fn kept(model: &Model) -> BTreeMap<String, Vec<Parameter>> {
    let mut layers: BTreeMap<String, Vec<Parameter>> = BTreeMap::new();
    for parameter in model.architecture().parameters() {
        let layer = parameter.name.rsplit_once('/');
        let layer = layer.map_or("", |(layer, _)| layer).to_string();
        layers.entry(layer).or_default().push(parameter);
    }
    layers
}

/// The names of the layers in the order in which they follow one another; none in a network with branches, and where a model
/// within may have some.
fn order(architecture: &Functional) -> Option<Vec<String>> {
    let mut layers = architecture.layers();
    if !architecture.is_chain() || layers.any(|(_, layer)| layer.class() == MODEL_WITHIN) {
        return None;
    }
    let names = architecture.layers().map(|(name, _)| name.to_string());
    Some(names.collect())
}

/// The class of a model that is a layer of another.
const MODEL_WITHIN: &str = "Functional";

/// The tensors of each layer of a file, by their own names.
type Groups = BTreeMap<String, BTreeMap<String, HostTensor>>;

/// The tensors by layers, without those that are no floats and that no layer of ours keeps: counters of batches, scales.
fn groups(
    tensors: BTreeMap<String, HostTensor>,
    program: Exporter,
    ours: &BTreeMap<String, Vec<Parameter>>,
) -> Groups {
    let keys: BTreeSet<&str> = (ours.values().flatten())
        .map(|parameter| key_of(parameter, program))
        .collect();
    let is_whole = |kind: &str| kind.starts_with(['I', 'U']) || kind == "BOOL";
    let mut groups = Groups::new();
    for (name, tensor) in tensors {
        let (separator, list) = match program {
            Exporter::Keras => ("/", "/vars"),
            Exporter::PyTorch => (".", ""),
        };
        let (layer, key) = name.rsplit_once(separator).unwrap_or(("", &name));
        let layer = layer.strip_suffix(list).unwrap_or(layer);
        if let Err(kind) = &tensor.values {
            // By number alone, nothing but its type tells a counter from a weight.
            let is_number = key.parse::<u32>().is_ok();
            if !keys.contains(key) && (!is_number || is_whole(kind)) {
                continue;
            }
        }
        let group = groups.entry(layer.into()).or_default();
        group.insert(key.into(), tensor);
    }
    groups
}

/// What another program calls a parameter within its layer.
fn key_of(parameter: &Parameter, program: Exporter) -> &str {
    let own = parameter.name.rsplit('/').next().unwrap_or_default();
    match (program, own) {
        (Exporter::PyTorch, "kernel" | "gamma" | "scale" | "alpha") => "weight",
        (Exporter::PyTorch, "beta") => "bias",
        (Exporter::PyTorch, "moving_mean") => "running_mean",
        (Exporter::PyTorch, "moving_variance") => "running_var",
        _ => own,
    }
}

/// A tensor as the parameter wants it: turned, or repeated where it is the one slope of all channels.
fn fitted(
    tensor: &HostTensor,
    parameter: &Parameter,
    program: Exporter,
) -> Result<HostTensor, String> {
    let wanted = parameter.shape.dims();
    let values = match &tensor.values {
        Ok(values) => values,
        Err(kind) => return Err(format!("is {kind}")),
    };
    let (shape, values) = match (program, &tensor.shape[..], wanted) {
        (Exporter::PyTorch, &[rows, columns], [_, _]) => {
            let turned = (0..rows * columns).map(|at| values[at % rows * columns + at / rows]);
            (vec![columns, rows], turned.collect())
        }
        // `nn.PReLU` has one slope for all channels by default.
        (Exporter::PyTorch, [1], [_]) if parameter.name.ends_with("/alpha") => {
            (wanted.to_vec(), vec![values[0]; parameter.elements()])
        }
        (_, shape, _) => (shape.to_vec(), values.clone()),
    };
    if shape != wanted {
        return Err(format!(
            "is {:?}, which does not make the {} of `{}`",
            tensor.shape, parameter.shape, parameter.name
        ));
    }
    let values = Ok(values);
    Ok(HostTensor { shape, values })
}

impl Import {
    /// Which layer of the file goes to which of the model.
    fn pairs(
        &self,
        theirs: &Groups,
        ours: &BTreeMap<String, Vec<Parameter>>,
        order: Option<&[String]>,
    ) -> Result<Vec<(String, String)>, String> {
        let mut pairs = Vec::new();
        for (their_name, own_name) in &self.layers {
            if !theirs.contains_key(their_name) {
                let there = listed(theirs.keys());
                return Err(format!("it has no layer `{their_name}`; there is: {there}"));
            }
            if !ours.contains_key(own_name) {
                let there = listed(ours.keys());
                return Err(format!(
                    "the model has no layer `{own_name}` with weights; there is: {there}"
                ));
            }
            let twice = |(a, b): &(String, String)| a == their_name || b == own_name;
            if let Some((a, b)) = pairs.iter().find(|pair| twice(pair)) {
                return Err(format!(
                    "`{their_name}` cannot go to `{own_name}`, as `{a}` goes to `{b}`"
                ));
            }
            pairs.push((their_name.clone(), own_name.clone()));
        }
        let named = |name: &String| self.layers.iter().any(|(theirs, _)| theirs == name);
        let left: Vec<&String> = theirs.keys().filter(|name| !named(name)).collect();
        let named = |name: &String| self.layers.iter().any(|(_, ours)| ours == name);
        let ours_left: Vec<&String> = ours.keys().filter(|name| !named(name)).collect();
        let by_name: Vec<(String, String)> = left
            .iter()
            .filter(|name| ours_left.iter().any(|own| *own == last(name)))
            .map(|name| (name.to_string(), last(name).to_string()))
            .collect();
        // `encoder/dense` and `decoder/dense` are both a `dense`: a name tells nothing then.
        let claims = |own: &str| {
            let mut claims = by_name.iter().filter(|(_, ours)| ours == own);
            Some((&claims.next()?.0, &claims.next()?.0))
        };
        let claimed = ours_left
            .iter()
            .find_map(|own| Some((own, claims(own.as_str())?)));
        if let (true, Some((own, (one, other)))) = (self.partial, claimed) {
            return Err(format!(
                "`{one}` and `{other}` both have the name of `{own}`: say which it is by `Import::layer`"
            ));
        }
        let one_to_one =
            claimed.is_none() && by_name.len() == ours_left.len() && left.len() == ours_left.len();
        if self.partial || one_to_one {
            pairs.extend(by_name);
            return Ok(pairs);
        }
        if left.len() != ours_left.len() {
            return Err(format!(
                "it has {} layers with weights ({}), and the model {} ({}): say which belong together by \
                 `Import::layer`, or take some of them by `partial`",
                left.len(),
                listed(left.into_iter()),
                ours_left.len(),
                listed(ours_left.into_iter())
            ));
        }
        let ours_left = ours_left.into_iter().map(|name| (name, &ours[name]));
        let left = left.into_iter().map(|name| (name, &theirs[name]));
        pairs.extend(in_order(self.program, left, ours_left, order)?);
        Ok(pairs)
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What tells kinds of layers apart: the names of their tensors, and how many dimensions they have.
type LayerKind = BTreeSet<(String, usize)>;

/// Layers in the order that their names tell, kind by kind; the model's in `order`, where it has one.
fn in_order<'a>(
    program: Exporter,
    theirs: impl Iterator<Item = (&'a String, &'a BTreeMap<String, HostTensor>)>,
    ours: impl Iterator<Item = (&'a String, &'a Vec<Parameter>)>,
    order: Option<&[String]>,
) -> Result<Vec<(String, String)>, String> {
    let mut kinds: BTreeMap<LayerKind, [Vec<&String>; 2]> = BTreeMap::new();
    // Keras' archives: dense layers have a matrix first, normalisations do not.
    let mut any_numbered = false;
    for (name, group) in theirs {
        let numbered = group.keys().all(|key| key.parse::<u32>().is_ok());
        any_numbered |= numbered;
        let kind = group.iter().map(|(key, tensor)| {
            let prefix = if numbered { "tensor " } else { "" };
            (format!("{prefix}{key}"), tensor.shape.len())
        });
        kinds.entry(kind.collect()).or_default()[0].push(name);
    }
    for (name, parameters) in ours {
        let kind = parameters.iter().enumerate().map(|(number, parameter)| {
            let key = if any_numbered {
                format!("tensor {number}")
            } else {
                key_of(parameter, program).to_string()
            };
            (key, parameter.shape.rank())
        });
        kinds.entry(kind.collect()).or_default()[1].push(name);
    }
    let mut pairs = Vec::new();
    for (kind, [mut theirs, mut ours]) in kinds {
        if theirs.len() != ours.len() {
            let keys: Vec<&str> = kind.iter().map(|(key, _)| key.as_str()).collect();
            return Err(format!(
                "it has {} layers of {}, and the model has {}: say which belong together by `Import::layer`",
                theirs.len(),
                keys.join(", "),
                ours.len()
            ));
        }
        let stem = |name: &String| name.replace(|c: char| c.is_ascii_digit() || c == '_', "");
        let told_by_names = match order {
            Some(_) => &[&theirs][..],
            None => &[&theirs, &ours],
        };
        for names in told_by_names {
            if let Some(other) = names.iter().find(|name| stem(name) != stem(names[0])) {
                return Err(format!(
                    "nothing tells which of `{}` and `{other}` comes first: say what they are here by `Import::layer`",
                    names[0]
                ));
            }
        }
        theirs.sort_by(|a, b| by_number(a, b));
        match order {
            Some(order) => ours.sort_by_key(|name| order.iter().position(|own| own == *name)),
            None => ours.sort_by(|a, b| by_number(a, b)),
        }
        let pair = |(theirs, ours): (&String, &String)| (theirs.clone(), ours.clone());
        pairs.extend(theirs.into_iter().zip(ours).map(pair));
    }
    Ok(pairs)
}

/// `dense`, `dense_2`, `dense_10`: numbers in names by their value.
fn by_number(a: &str, b: &str) -> Ordering {
    fn parts(name: &str) -> Vec<(u64, &str)> {
        let mut parts = Vec::new();
        let mut rest = name;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let text = after.bytes().take_while(|b| !b.is_ascii_digit()).count();
            let (text, after) = after.split_at(text);
            parts.push((number.parse().unwrap_or(0), text));
            rest = after;
        }
        parts
    }
    parts(a).cmp(&parts(b))
}

/// A layer's own name, without those of what it is a part of.
fn last(name: &str) -> &str {
    name.rsplit(['/', '.']).next().unwrap_or(name)
}
