//! What a trace trained, and how.

use std::path::PathBuf;

use kiln::Shape;
use kiln::data::TypedValues;
use kiln::nn::{Activation, Sequential};
use kiln::optim::OptimizerConfig;
use kiln::train::{Fit, Loss, Metric, Model, Takes};
use kiln::{Dataset, Device, Targets};
use serde_json::Value;

use super::architecture::{Piece, architecture};
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::optimizer::settings;
use crate::conform::settings::Settings;

/// What was trained, and how.
pub struct Recipe {
    pub layers: Vec<Piece>,
    loss: Loss,
    metrics: Vec<Metric>,
    rule: OptimizerConfig,
    pub epochs: u64,
    pub batch: usize,
    validation_split: f64,
    class_weight: Vec<(u32, f32)>,
    pub data: Dataset,
    /// Names of the trained tensors in the case, in order.
    pub parameters: Vec<String>,
}

impl Recipe {
    /// What the case describes.
    pub fn read(case: &Case, folders: &[PathBuf]) -> Result<Self, Stop> {
        let mut settings = Settings::of(case);
        let sample = case.find("x").map_or(Shape::from([784]), |x| {
            Shape::from(x.shape.get(1..).unwrap_or_default())
        });
        let (layers, output) = architecture(case, settings.get("arch"), &sample)?;
        let loss = loss_of(settings.text("loss", "")?)?;
        let Some(given) = settings.get("optimizer").and_then(Value::as_object) else {
            return Err(Stop::Failed(case.error("config.optimizer is no object")));
        };
        let mut given = Settings::within(case, given);
        let name = given.text("name", "")?;
        // Keras names an instance after its class: `adam_3`.
        let class = name
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .trim_end_matches('_');
        let rule = settings::keras(class, case, &mut given)?;
        given.finish()?;
        let mut validation_split = 0.0;
        let mut class_weight = Vec::new();
        if let Some(fit) = settings.get("fit").and_then(Value::as_object) {
            let mut fit = Settings::within(case, fit);
            fit.without(&["shuffle"])?;
            fit.ignore(&["verbose", "batch_size", "epochs"]);
            validation_split = fit.number("validation_split", 0.0)?;
            if let Some(weights) = fit.get("class_weight").and_then(Value::as_object) {
                for (class, weight) in weights {
                    let pair = class.parse().ok().zip(weight.as_f64());
                    let unfit = || Stop::Failed(case.error("class_weight has no numbers"));
                    let (class, weight) = pair.ok_or_else(unfit)?;
                    class_weight.push((class, weight as f32));
                }
            }
            fit.finish()?;
        }
        let (epochs, batch) = (settings.count("epochs")?, settings.count("batch_size")?);
        let described = settings.text("data", "")?;
        settings.ignore(&["param_order"]);
        settings.finish()?;
        let mut metrics = Vec::new();
        for series in case.names("history.") {
            match series.strip_prefix("val_").unwrap_or(&series) {
                "loss" => {}
                "accuracy" | "acc" => metrics.push(Metric::Accuracy),
                // Keras knows the means of losses by short names, too.
                other => match Loss::from_name(other) {
                    Ok(loss) => metrics.push(Metric::from(loss).with_name(other)),
                    Err(_unknown) => return Stop::unsupported(format!("metric {other}")),
                },
            }
        }
        metrics.dedup_by(|a, b| a.name() == b.name());
        let names = layers.iter().flat_map(|piece| piece.parameters.clone());
        let outputs = output.dims().last().copied().unwrap_or(1);
        Ok(Recipe {
            parameters: names.collect(),
            data: dataset(case, described, &loss, outputs, folders)?,
            epochs: u64::from(epochs),
            batch: batch as usize,
            layers,
            loss,
            metrics,
            rule,
            validation_split,
            class_weight,
        })
    }

    /// Rows that are trained on: the last ones may be kept for validation.
    pub fn train_rows(&self) -> usize {
        (self.data.rows() as f64 * (1.0 - self.validation_split)) as usize
    }

    /// A run over this many epochs, in the order of the rows.
    pub fn fit(&self, epochs: u64) -> Fit<'static> {
        let fit = Fit::epochs(epochs).batch_size(self.batch).shuffle(false);
        fit.validation_split(self.validation_split)
            .class_weight(self.class_weight.iter().copied())
    }

    /// The model with the first weights of the case.
    pub fn model(&self, case: &Case, device: &Device) -> Result<Model, Stop> {
        let empty = Sequential::new(self.data.columns());
        let layers = self.layers.iter().flat_map(Piece::layers);
        let model = layers.fold(empty, Sequential::layer);
        let loss = self.loss.clone();
        let metrics = self.metrics.iter().cloned();
        let mut model = model.compile_on(device, loss, self.rule.clone(), metrics)?;
        let names: Vec<String> = model
            .weights()?
            .into_iter()
            .map(|weights| weights.name)
            .collect();
        for (ours, theirs) in names.iter().zip(&self.parameters) {
            let first = case.tensor(&format!("init.{theirs}"))?.to_f32();
            model.set_weights([(ours.as_str(), first.as_slice())])?;
        }
        Ok(model)
    }

    /// Whether the loss reads the last layer's output, else what is before its activation; and the loss of those values.
    pub fn reads(&self) -> (bool, Loss) {
        let last = self
            .layers
            .last()
            .map(|piece| piece.activation)
            .unwrap_or_default();
        let matching = match self.loss.name() {
            "binary_crossentropy" => last == Activation::Sigmoid,
            "categorical_crossentropy" | "sparse_categorical_crossentropy" => {
                last == Activation::Softmax
            }
            _ => false,
        };
        let loss = self.loss.clone();
        let by_default = Loss::from_name(loss.name()).ok().as_ref() == Some(&loss);
        if matching && by_default {
            (false, loss.from_logits())
        } else {
            (true, loss)
        }
    }
}

/// A loss and what it reads, from the words that the case describes it with.
fn loss_of(text: &str) -> Result<Loss, Stop> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let Ok(loss) = Loss::from_name(name) else {
        return Stop::unsupported(format!("loss {text}"));
    };
    match rest {
        "" => Ok(loss),
        "from_logits" => Ok(loss.from_logits()),
        rest if rest.starts_with("computed from PROBABILITIES") => Ok(loss.from_probabilities()),
        _ => Stop::unsupported(format!("loss {text}")),
    }
}

/// The case's own rows, or those that it takes from a data set which it names.
fn dataset(
    case: &Case,
    described: &str,
    loss: &Loss,
    outputs: usize,
    folders: &[PathBuf],
) -> Result<Dataset, Stop> {
    if case.find("x").is_none() {
        let count = described
            .strip_prefix("first ")
            .and_then(|text| text.split_once(' '));
        let count = count.and_then(|(count, rest)| Some((count.parse::<usize>().ok()?, rest)));
        let Some((count, "training images of data/mnist, float32 pixel/255, labels int")) = count
        else {
            return Stop::unsupported(format!("data {described}"));
        };
        let folder = folders
            .iter()
            .map(|folder| folder.join("mnist"))
            .find(|folder| folder.is_dir());
        let Some(folder) = folder else {
            return Stop::unsupported("the folder data/mnist is not there");
        };
        let (train, _) = kiln::data::mnist(folder)?;
        let train = train.select(&(0..count).collect::<Vec<usize>>())?;
        let [(_, images)] = train.inputs() else {
            return Stop::unsupported("images of several inputs");
        };
        let TypedValues::U8(pixels) = images.values() else {
            return Stop::unsupported("images whose pixels are no bytes");
        };
        let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0);
        let labels = train.targets().clone();
        return Ok(Dataset::new(pixels.collect(), train.columns(), labels)?);
    }
    let (x, y) = (case.tensor("x")?, case.tensor("y")?);
    if x.shape.len() != 2 {
        return Stop::unsupported("inputs other than rows of numbers");
    }
    let targets = if loss.takes() == Takes::Labels {
        let labels = y.values.iter().map(|&label| label as u32).collect();
        Targets::Labels {
            labels,
            classes: outputs,
        }
    } else {
        let columns = y.shape.iter().skip(1).product();
        Targets::Values {
            values: y.to_f32(),
            columns,
        }
    };
    Ok(Dataset::new(x.to_f32(), x.shape[1], targets)?)
}
