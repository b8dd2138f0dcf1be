//! Forward and backward of one row, and what it leaves in its record.

use crate::op::pointwise::functions::{LeakyRelu, Relu, Tanh};
use crate::op::{Function, RowLoss};

use super::{COMPONENT, Text, float, fours, line};

impl Text<'_> {
    /// The functions of the layers, where they are less than a word.
    fn functions(&self, text: &mut String) {
        let uses = |wanted: fn(&Function) -> bool| {
            let mut functions = self
                .network
                .layers
                .iter()
                .filter_map(|layer| layer.function);
            functions.any(|function| wanted(&function))
        };
        let relu = uses(|f| f.is::<Relu>());
        let leaky = uses(|f| f.is::<LeakyRelu>());
        if relu || leaky {
            line(
                text,
                0,
                "
fn keep_nans(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(y, x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}",
            );
        }
        if relu {
            line(
                text,
                0,
                "
fn relu(z: vec4<f32>) -> vec4<f32> {
    return keep_nans(z, select(z, vec4<f32>(), z < vec4<f32>()));
}

fn relu_slope(h: vec4<f32>) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(), vec4<f32>(1.0), h > vec4<f32>()));
}",
            );
        }
        if leaky {
            line(
                text,
                0,
                "
fn leaky_relu(z: vec4<f32>, slope: f32) -> vec4<f32> {
    return select(z, slope * z, z < vec4<f32>());
}

fn leaky_relu_slope(h: vec4<f32>, slope: f32) -> vec4<f32> {
    return keep_nans(h, select(vec4<f32>(slope), vec4<f32>(1.0), h > vec4<f32>()));
}",
            );
        }
        if matches!(self.network.loss, RowLoss::CrossEntropy) {
            line(
                text,
                0,
                "
fn exp_nan(x: f32) -> f32 {
    return keep_nan(x, exp(x));
}",
            );
        }
    }

    pub(super) fn row(&self, text: &mut String, labels: bool) {
        self.functions(text);
        line(
            text,
            0,
            "\n// Forward and backward of one row of the data; its record. `share` is 1 by the rows of the batch, and 0 behind them.\nfn work(lane: u32, row: u32, live: bool, share: f32) {",
        );
        for q in 0..fours(self.network.inputs) {
            let load = if self.x_in_vectors() {
                format!("x[row * {}u + {q}u]", fours(self.network.inputs))
            } else {
                let n = self.network.inputs;
                let parts = |c| match 4 * q + c {
                    i if i < n => format!("x[row * {n}u + {i}u]"),
                    _ => "0.0".into(),
                };
                format!(
                    "vec4<f32>({})",
                    (0..4).map(parts).collect::<Vec<_>>().join(", ")
                )
            };
            line(text, 1, &format!("let h0_{q} = {load};"));
        }
        for l in 1..=self.layers.len() {
            self.layer(text, l);
        }
        self.targets(text, labels);
        self.loss(text, labels);
        self.metrics(text, labels);
        self.slopes(text);
        self.store(text);
        line(text, 0, "}");
    }

    /// z = x·W + b and h = f(z) of layer `l`, from 1.
    fn layer(&self, text: &mut String, l: usize) {
        let place = self.layers[l - 1];
        let function = self.network.layers[l - 1].function;
        let name = function.map_or("linear".into(), |f| format!("{f:?}"));
        line(
            text,
            1,
            &format!(
                "\n// NetworkLayer {l}: {} → {}, {name}.",
                place.inputs, place.units
            ),
        );
        for q in 0..fours(place.units) {
            let unit = |c: usize| match 4 * q + c {
                j if j < place.units => {
                    let at = place.kernel + j * fours(place.inputs);
                    let terms = (0..fours(place.inputs))
                        .map(|i| format!("dot(h{}_{i}, weights[{}])", l - 1, at + i));
                    terms.collect::<Vec<_>>().join(" + ")
                }
                _ => "0.0".into(),
            };
            let bias = place
                .bias
                .map_or(String::new(), |bias| format!("weights[{}] + ", bias + q));
            line(text, 1, &format!("let z{l}_{q} = {bias}vec4<f32>("));
            (0..4).for_each(|c| line(text, 2, &format!("{},", unit(c))));
            line(text, 1, ");");
            let value = match function {
                None => format!("z{l}_{q}"),
                Some(f) => {
                    let units = (place.units - 4 * q).min(4);
                    if f.is::<Relu>() {
                        format!("relu(z{l}_{q})")
                    } else if f.is::<LeakyRelu>() {
                        format!("leaky_relu(z{l}_{q}, {})", float(f.settings[0]))
                    } else {
                        let name = if f.is::<Tanh>() {
                            "tanh_accurate"
                        } else {
                            "sigmoid"
                        };
                        let part = |c| match c < units {
                            true => format!("{name}(z{l}_{q}.{})", COMPONENT[c]),
                            // The function of zero need not be zero.
                            false => "0.0".into(),
                        };
                        let parts = (0..4).map(part).collect::<Vec<_>>().join(", ");
                        format!("vec4<f32>({parts})")
                    }
                }
            };
            line(text, 1, &format!("let h{l}_{q} = {value};"));
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
            line(text, 1, &format!("\n// Slopes of layer {l}."));
            for q in 0..fours(place.units) {
                let dh = if l == last {
                    let part = |c| match 4 * q + c {
                        j if j < place.units => format!("s{j}"),
                        _ => "0.0".into(),
                    };
                    format!(
                        "vec4<f32>({})",
                        (0..4).map(part).collect::<Vec<_>>().join(", ")
                    )
                } else {
                    let next = self.layers[l];
                    let term = |j: usize| {
                        let at = next.kernel + j * fours(next.inputs) + q;
                        format!("d{}_{}.{} * weights[{at}]", l + 1, j / 4, COMPONENT[j % 4])
                    };
                    format!(
                        "({})",
                        (0..next.units).map(term).collect::<Vec<_>>().join(" + ")
                    )
                };
                let function = self.network.layers[l - 1].function;
                let slope = match function.filter(|_| !(l == last && self.network.loss_before)) {
                    Some(f) if f.is::<Relu>() => format!(" * relu_slope(h{l}_{q})"),
                    Some(f) if f.is::<LeakyRelu>() => {
                        format!(" * leaky_relu_slope(h{l}_{q}, {})", float(f.settings[0]))
                    }
                    Some(f) if f.is::<Tanh>() => format!(" * (1.0 - h{l}_{q} * h{l}_{q})"),
                    Some(_) => format!(" * (h{l}_{q} * (1.0 - h{l}_{q}))"),
                    None => String::new(),
                };
                line(text, 1, &format!("let d{l}_{q} = {dh}{slope};"));
            }
        }
    }

    fn store(&self, text: &mut String) {
        line(text, 1, "\nlet at = lane * RECORD;");
        for (index, place) in self.layers.iter().enumerate() {
            for q in 0..fours(place.inputs) {
                line(
                    text,
                    1,
                    &format!("records[at + {}u] = h{index}_{q};", place.x + q),
                );
            }
        }
        for (index, place) in self.layers.iter().enumerate() {
            for q in 0..fours(place.units) {
                line(
                    text,
                    1,
                    &format!("records[at + {}u] = d{}_{q};", place.dz + q, index + 1),
                );
            }
        }
        for q in 0..self.sums_vectors() {
            let part = |c| match 4 * q + c {
                0 => "1.0".into(),
                i if i <= self.network.columns.len() => {
                    format!("select(0.0, column{}, live)", i - 1)
                }
                _ => "0.0".to_string(),
            };
            let parts = (0..4).map(part).collect::<Vec<_>>().join(", ");
            line(
                text,
                1,
                &format!("records[at + {}u] = vec4<f32>({parts});", self.sums + q),
            );
        }
    }
}
