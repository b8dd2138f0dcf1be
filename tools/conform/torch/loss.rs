//! PyTorch's losses, from Kiln's and a reduction.

use kiln::op::{Form, OneHot};
use kiln::{Tensor, train};

use super::Call;
use super::arguments::Arguments;
use super::margin;
use crate::conform::Stop;
use crate::conform::case::{Array, Case, Kind};
use crate::conform::compute::Work;

/// A module, the function that it calls, and its settings with their defaults.
type Module = (&'static str, &'static str, &'static [(&'static str, f64)]);

/// PyTorch's modules, the functions that they call, and their settings with the defaults; switches are 0 or 1.
const MODULES: &[Module] = &[
    ("MSELoss", "mse_loss", &[]),
    ("L1Loss", "l1_loss", &[]),
    ("SmoothL1Loss", "smooth_l1_loss", &[("beta", 1.0)]),
    ("HuberLoss", "huber_loss", &[("delta", 1.0)]),
    ("BCELoss", "binary_cross_entropy", &[]),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", &[]),
    (
        "CrossEntropyLoss",
        "cross_entropy",
        &[("label_smoothing", 0.0), ("ignore_index", -100.0)],
    ),
    ("NLLLoss", "nll_loss", &[("ignore_index", -100.0)]),
    ("KLDivLoss", "kl_div", &[("log_target", 0.0)]),
    (
        "PoissonNLLLoss",
        "poisson_nll_loss",
        &[("log_input", 1.0), ("full", 0.0), ("eps", 1e-8)],
    ),
    (
        "GaussianNLLLoss",
        "gaussian_nll_loss",
        &[("full", 0.0), ("eps", 1e-6)],
    ),
    ("SoftMarginLoss", "soft_margin_loss", &[]),
    (
        "HingeEmbeddingLoss",
        "hinge_embedding_loss",
        &[("margin", 1.0)],
    ),
    (
        "MarginRankingLoss",
        "margin_ranking_loss",
        &[("margin", 0.0)],
    ),
    (
        "CosineEmbeddingLoss",
        "cosine_embedding_loss",
        &[("margin", 0.0)],
    ),
    (
        "MultiLabelSoftMarginLoss",
        "multilabel_soft_margin_loss",
        &[],
    ),
    (
        "MultiMarginLoss",
        "multi_margin_loss",
        &[("p", 1.0), ("margin", 1.0)],
    ),
    ("MultiLabelMarginLoss", "multilabel_margin_loss", &[]),
    (
        "TripletMarginLoss",
        "triplet_margin_loss",
        &[("margin", 1.0), ("p", 2.0), ("eps", 1e-6), ("swap", 0.0)],
    ),
];

/// A loss with its settings.
pub struct Loss {
    name: &'static str,
    reduction: String,
    settings: Vec<(&'static str, f64)>,
}

/// Losses before they are reduced, and what their mean is divided by where that is not their number.
pub struct Losses {
    pub values: Tensor,
    pub weights: Option<Tensor>,
}

impl From<Tensor> for Losses {
    fn from(values: Tensor) -> Self {
        let weights = None;
        Losses { values, weights }
    }
}

impl Losses {
    /// What the reduction of that name makes of them, where a batch has `rows` rows.
    pub fn reduced(self, name: &str, rows: usize) -> Result<Tensor, Stop> {
        let Losses { values, weights } = self;
        match (name, weights) {
            ("none", _) => Ok(values),
            ("sum", _) => Ok(values.sum()),
            ("mean", None) => Ok(values.mean()),
            ("mean", Some(weights)) => Ok(values.sum().div(&weights.sum())),
            ("batchmean", _) => Ok(values.sum().scale(1.0 / rows as f32)),
            (other, _) => Stop::unsupported(format!("reduction {other}")),
        }
    }
}

impl Loss {
    /// Whether there is a loss of that module or function.
    pub fn known(name: &str) -> bool {
        MODULES
            .iter()
            .any(|(module, function, _)| *module == name || *function == name)
    }

    /// The loss of that module, or of the function that it calls.
    pub fn of(name: &str, arguments: &mut Arguments<'_>) -> Result<Self, Stop> {
        let entry = MODULES
            .iter()
            .find(|(module, function, _)| *module == name || *function == name);
        let Some((module, _, defaults)) = entry else {
            return Stop::unsupported(format!("op {name}"));
        };
        let given = arguments.keywords.text("reduction", "mean")?;
        arguments.keywords.without(&["size_average", "reduce"])?;
        let mut settings = Vec::new();
        for (key, default) in *defaults {
            let value = match arguments.keywords.get(key) {
                None => *default,
                Some(value) => match value.as_bool() {
                    Some(flag) => f64::from(u8::from(flag)),
                    None => arguments.keywords.number(key, *default)?,
                },
            };
            settings.push((*key, value));
        }
        Ok(Loss {
            name: module,
            reduction: given.into(),
            settings,
        })
    }

    /// The setting of that name.
    pub fn setting(&self, name: &str) -> f64 {
        let found = self.settings.iter().find(|(key, _)| *key == name);
        found.map_or(f64::NAN, |(_, value)| *value)
    }

    /// The reduced loss of the forward arguments; `weight` and `pos_weight` as the module or the call has them.
    pub fn apply(
        &self,
        call: &mut Call<'_>,
        forward: &mut Arguments<'_>,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
    ) -> Result<Tensor, Stop> {
        let x = call.tensor(forward, 0, "input")?;
        let rows = x.shape().dims().first().copied().unwrap_or(1);
        let losses = match self.name {
            "MSELoss" => x.sub(&call.tensor(forward, 1, "target")?).square().into(),
            "L1Loss" => {
                let target = call.tensor(forward, 1, "target")?;
                each(&x, &target, &train::Loss::MeanAbsoluteError).into()
            }
            "HuberLoss" => {
                let huber = train::Loss::huber(self.setting("delta") as f32);
                each(&x, &call.tensor(forward, 1, "target")?, &huber).into()
            }
            "SmoothL1Loss" => {
                let (target, beta) = (call.tensor(forward, 1, "target")?, self.setting("beta"));
                if beta == 0.0 {
                    each(&x, &target, &train::Loss::MeanAbsoluteError).into()
                } else {
                    let huber = each(&x, &target, &train::Loss::huber(beta as f32));
                    huber.scale((1.0 / beta) as f32).into()
                }
            }
            "BCELoss" | "BCEWithLogitsLoss" => {
                let target = data(call, forward, 1, "target")?;
                let form = match self.name {
                    "BCELoss" => Form::Probabilities,
                    _ => Form::Logits,
                };
                let values = match pos_weight {
                    None => binary(&x, &target, form),
                    Some(factor) => {
                        let (ones, zeros) = (of_all(&x, 1.0), of_all(&x, 0.0));
                        let hits = binary(&x, &ones, form).mul(&target).mul(factor);
                        let others = target.scale(-1.0).offset(1.0);
                        hits.add(&binary(&x, &zeros, form).mul(&others))
                    }
                };
                weight
                    .map_or(values.clone(), |weight| values.mul(weight))
                    .into()
            }
            "CrossEntropyLoss" | "NLLLoss" => {
                let target = call.name(forward, 1, "target")?;
                self.categorical(call, &x, &target, weight)?
            }
            "KLDivLoss" => {
                let target = call.tensor(forward, 1, "target")?;
                match self.setting("log_target") == 0.0 {
                    true => target.mul(&target.log().sub(&x)).into(),
                    false => target.exp().mul(&target.sub(&x)).into(),
                }
            }
            "PoissonNLLLoss" => self.poisson(&x, &call.tensor(forward, 1, "target")?).into(),
            "GaussianNLLLoss" => {
                let target = call.tensor(forward, 1, "target")?;
                let variance = call.tensor(forward, 2, "var")?;
                self.gaussian(&x, &target, &variance).into()
            }
            _ => margin::losses(self.name, self, call, forward, &x, weight)?,
        };
        losses.reduced(&self.reduction, rows)
    }

    /// x = ln of the rate or the rate itself, without the terms of the target alone unless they are asked for, which
    /// Stirling's formula has for targets above 1.
    fn poisson(&self, x: &Tensor, target: &Tensor) -> Tensor {
        let values = match self.setting("log_input") == 0.0 {
            false => x.exp().sub(&target.mul(x)),
            true => x.sub(&target.mul(&x.offset(self.setting("eps") as f32).log())),
        };
        if self.setting("full") == 0.0 {
            return values;
        }
        let one = of_all(target, 1.0);
        let (above, large) = (one.sub(&one.greater_equal(target)), target.maximum(&one));
        let half_log = large.scale(std::f32::consts::TAU).log().scale(0.5);
        let stirling = large.mul(&large.log()).sub(&large).add(&half_log);
        values.add(&stirling.mul(&above))
    }

    /// ½·(ln v + (x − t)²/v), v no less than eps.
    fn gaussian(&self, x: &Tensor, target: &Tensor, variance: &Tensor) -> Tensor {
        let least = of_all(variance, self.setting("eps"));
        let variance = variance.maximum(&least);
        let squares = x.sub(target).square().div(&variance);
        let values = squares.add(&variance.log()).scale(0.5);
        match self.setting("full") == 0.0 {
            true => values,
            false => values.offset(std::f32::consts::TAU.ln() * 0.5),
        }
    }

    /// The cross-entropy, or the negative log-likelihood, over dimension 1 or the only one: of labels or of shares, which
    /// weights multiply.
    fn categorical(
        &self,
        call: &mut Call<'_>,
        x: &Tensor,
        target: &str,
        weight: Option<&Tensor>,
    ) -> Result<Losses, Stop> {
        let classes = Classes::of(x);
        let given: &Array = call.case.tensor(target)?;
        let (smoothing, logits) = match self.name {
            "NLLLoss" => (0.0, false),
            _ => (self.setting("label_smoothing"), true),
        };
        if given.kind == Kind::Integer {
            let ignored = self.setting("ignore_index");
            return of_labels(
                &mut call.work,
                &classes,
                (target, given),
                Labels {
                    smoothing,
                    ignored,
                    logits,
                },
                weight,
            );
        }
        let share = classes.rows(&call.work.number(target, given)?);
        let smooth = match smoothing {
            0.0 => share,
            s => share
                .scale((1.0 - s) as f32)
                .offset((s / classes.classes as f64) as f32),
        };
        let target = weight.map_or(smooth.clone(), |weight| smooth.mul(weight));
        let losses = classes.x.cross_entropy(&target, Form::Logits);
        Ok(classes.shaped(&losses).into())
    }
}

/// Scores with the classes as the last dimension, and the shape that a number for each row has.
pub struct Classes {
    pub x: Tensor,
    pub classes: usize,
    shape: Vec<usize>,
}

impl Classes {
    /// Classes are dimension 1, or the only one.
    pub fn of(x: &Tensor) -> Self {
        let dims = x.shape().dims().to_vec();
        let (shape, classes) = match dims.as_slice() {
            [] => (vec![], 1),
            [classes] => (vec![], *classes),
            [rows, classes, rest @ ..] => ([&[*rows], rest].concat(), *classes),
        };
        let mut own = Classes {
            x: x.clone(),
            classes,
            shape,
        };
        own.x = own.rows(x);
        own
    }

    /// A tensor of the scores' shape as rows of classes.
    pub fn rows(&self, x: &Tensor) -> Tensor {
        let count: usize = self.shape.iter().product();
        let first = self.shape.first().copied().unwrap_or(1);
        x.reshape([first, self.classes, count / first])
            .permute(&[0, 2, 1])
            .reshape([count, self.classes])
    }

    /// Rows of classes back in the scores' shape.
    pub fn unrows(&self, x: &Tensor) -> Tensor {
        let count: usize = self.shape.iter().product();
        let first = self.shape.first().copied().unwrap_or(1);
        let mut shape = self.shape.clone();
        shape.insert(shape.len().min(1), self.classes);
        x.reshape([first, count / first, self.classes])
            .permute(&[0, 2, 1])
            .reshape(shape)
    }

    /// A number for each row.
    pub fn shaped(&self, rows: &Tensor) -> Tensor {
        rows.reshape(self.shape.as_slice())
    }
}

/// How labels are compared with scores.
pub struct Labels {
    pub smoothing: f64,
    pub ignored: f64,
    /// Whether the scores are logits, else logarithms of probabilities.
    pub logits: bool,
}

/// The losses of labels. Their mean is over what the labels weigh, of which there is nothing for an ignored one.
pub fn of_labels(
    work: &mut Work,
    scores: &Classes,
    (name, labels): (&str, &Array),
    settings: Labels,
    weight: Option<&Tensor>,
) -> Result<Losses, Stop> {
    let ignores = labels.values.contains(&settings.ignored);
    let mut numbers = labels.clone();
    for label in &mut numbers.values {
        // It may be negative, or that of a class.
        if *label == settings.ignored {
            *label = f64::from(u32::MAX);
        }
    }
    let count = labels.values.len();
    let labels = work.label(name, &numbers, &[count].into())?;
    if settings.logits && settings.smoothing == 0.0 && !ignores && weight.is_none() {
        let losses = scores.x.cross_entropy(&labels, Form::Logits);
        return Ok(scores.shaped(&losses).into());
    }
    let shares = |smoothing: f64| {
        let op = OneHot {
            classes: scores.classes,
            smoothing: smoothing as f32,
            ignored: ignores.then_some(u32::MAX),
        };
        match weight {
            None => work.graph.apply_one(op, &[&labels]),
            Some(weight) => work.graph.apply_one(op, &[&labels, weight]),
        }
    };
    let target = shares(settings.smoothing);
    let losses = if settings.logits {
        scores.x.cross_entropy(&target, Form::Logits)
    } else {
        train::Loss::NegativeLogLikelihood.each_row(&scores.x, &target)
    };
    Ok(Losses {
        values: scores.shaped(&losses),
        weights: Some(shares(0.0).sum_over(1)),
    })
}

/// An argument that is data: it has no gradient.
pub fn data(
    call: &mut Call<'_>,
    forward: &mut Arguments<'_>,
    position: usize,
    keyword: &str,
) -> Result<Tensor, Stop> {
    let name = call.name(forward, position, keyword)?;
    let case: &Case = call.case;
    call.work.input(case, &name)
}

/// One number in the shape of x.
pub fn of_all(x: &Tensor, value: f64) -> Tensor {
    let shape = x.shape();
    let values = vec![value as f32; shape.elements() as usize];
    x.graph().constant(shape, &values)
}

/// A row for each element, so that nothing is added up yet.
fn column(x: &Tensor) -> Tensor {
    x.reshape([x.shape().elements() as usize, 1])
}

fn each(x: &Tensor, target: &Tensor, loss: &train::Loss) -> Tensor {
    let losses = loss.each_row(&column(x), &column(target));
    losses.reshape(x.shape())
}

/// Binary cross-entropy, element by element.
pub fn binary(x: &Tensor, target: &Tensor, form: Form) -> Tensor {
    column(x)
        .binary_cross_entropy(&column(target), form)
        .reshape(x.shape())
}
