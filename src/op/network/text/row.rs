//! Forward and backward of one row, and what it leaves in its record.

use crate::op::Function;
use crate::op::pointwise::functions::{LeakyRelu, Relu, Tanh};

use super::{COMPONENT, Text, float, fours, put, sum, vector};

/// f of the vector `z`, of which the first `units` are there.
fn value(function: Option<Function>, z: &str, units: usize) -> String {
    match function {
        None => z.into(),
        Some(f) if f.is::<Relu>() => format!("relu({z})"),
        Some(f) if f.is::<LeakyRelu>() => format!("leaky_relu({z}, {})", float(f.settings[0])),
        Some(f) => {
            let name = if f.is::<Tanh>() {
                "tanh_accurate"
            } else {
                "sigmoid"
            };
            vector(|c| {
                if c < units {
                    format!("{name}({z}.{})", COMPONENT[c])
                } else {
                    // The function of zero need not be zero.
                    "0.0".into()
                }
            })
        }
    }
}

/// The factor f′ of the vector `h` = f(z).
fn slope(function: Option<Function>, h: &str) -> String {
    match function {
        None => String::new(),
        Some(f) if f.is::<Relu>() => format!(" * relu_slope({h})"),
        Some(f) if f.is::<LeakyRelu>() => {
            format!(" * leaky_relu_slope({h}, {})", float(f.settings[0]))
        }
        Some(f) if f.is::<Tanh>() => format!(" * (1.0 - {h} * {h})"),
        Some(_) => format!(" * ({h} * (1.0 - {h}))"),
    }
}

impl Text<'_> {
    pub(super) fn row(&self, text: &mut String, labels: bool) {
        *text += "
// Forward and backward of one row of the data; its record. `share` is 1 by the rows of the batch, and 0 after them.
fn work(lane: u32, row: u32, live: bool, share: f32) {\n";
        let n = self.network.inputs;
        for q in 0..fours(n) {
            let load = if self.x_in_vectors() {
                format!("x[row * {}u + {q}u]", fours(n))
            } else {
                vector(|c| match 4 * q + c {
                    i if i < n => format!("x[row * {n}u + {i}u]"),
                    _ => "0.0".into(),
                })
            };
            put!(text, "let h0_{q} = {load};");
        }
        for l in 1..=self.layers.len() {
            self.layer(text, l);
        }
        self.targets(text, labels);
        self.loss(text, labels);
        self.metrics(text, labels);
        self.slopes(text);
        self.store(text);
        *text += "}\n";
    }

    /// z = x·W + b and h = f(z) of layer `l`, from 1.
    fn layer(&self, text: &mut String, l: usize) {
        let place = self.layers[l - 1];
        let function = self.network.layers[l - 1].function;
        let name = function.map_or("linear".into(), |f| format!("{f:?}"));
        put!(
            text,
            "// Layer {l}: {} → {}, {name}.",
            place.inputs,
            place.units
        );
        for q in 0..fours(place.units) {
            let unit = |c: usize| match 4 * q + c {
                j if j < place.units => {
                    let at = place.kernel + j * fours(place.inputs);
                    sum(fours(place.inputs), |i| {
                        format!("dot(h{}_{i}, weights[{}])", l - 1, at + i)
                    })
                }
                _ => "0.0".into(),
            };
            let bias = place.bias.map(|bias| format!("weights[{}] + ", bias + q));
            put!(
                text,
                "let z{l}_{q} = {}{};",
                bias.unwrap_or_default(),
                vector(unit)
            );
            let units = (place.units - 4 * q).min(4);
            put!(
                text,
                "let h{l}_{q} = {};",
                value(function, &format!("z{l}_{q}"), units)
            );
        }
    }

    /// The name of the last layer's output `j`, before or after its function.
    pub(super) fn output(&self, before: bool, j: usize) -> String {
        let name = if before { "z" } else { "h" };
        format!("{name}{}_{}.{}", self.layers.len(), j / 4, COMPONENT[j % 4])
    }

    /// dz of every layer, from the last.
    fn slopes(&self, text: &mut String) {
        let last = self.layers.len();
        for l in (1..=last).rev() {
            let place = self.layers[l - 1];
            put!(text, "// Slopes of layer {l}.");
            for q in 0..fours(place.units) {
                let dh = match self.layers.get(l) {
                    None => vector(|c| match 4 * q + c {
                        j if j < place.units => format!("s{j}"),
                        _ => "0.0".into(),
                    }),
                    Some(next) => {
                        let term = |j: usize| {
                            let at = next.kernel + j * fours(next.inputs) + q;
                            format!("d{}_{}.{} * weights[{at}]", l + 1, j / 4, COMPONENT[j % 4])
                        };
                        format!("({})", sum(next.units, term))
                    }
                };
                let function = self.network.layers[l - 1].function;
                let function = function.filter(|_| !(l == last && self.network.loss_before));
                put!(
                    text,
                    "let d{l}_{q} = {dh}{};",
                    slope(function, &format!("h{l}_{q}"))
                );
            }
        }
    }

    fn store(&self, text: &mut String) {
        put!(text, "let at = lane * RECORD;");
        for (l, place) in self.layers.iter().enumerate() {
            for q in 0..fours(place.inputs) {
                put!(text, "records[at + {}u] = h{l}_{q};", place.x + q);
            }
        }
        for (l, place) in (1..).zip(&self.layers) {
            for q in 0..fours(place.units) {
                put!(text, "records[at + {}u] = d{l}_{q};", place.dz + q);
            }
        }
        for q in 0..self.sums_vectors() {
            let sums = vector(|c| match 4 * q + c {
                0 => "1.0".into(),
                i if i <= self.network.columns.len() => {
                    format!("select(0.0, column{}, live)", i - 1)
                }
                _ => "0.0".into(),
            });
            put!(text, "records[at + {}u] = {sums};", self.sums + q);
        }
    }
}
