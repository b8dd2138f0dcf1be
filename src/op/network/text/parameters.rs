//! Where parameters lie, how their gradients are summed over the rows, and how they take a step.

use super::super::StepRule;
use super::{Text, fours, line};

impl Text<'_> {
    /// Where vectors of parameters lie in the slab, and of which numbers of a record their gradients are products.
    pub(super) fn tables(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// Of a vector of parameters: its first element in the slab, the distance to the next, and how many of the four are\n// there.\nfn home(i: u32) -> vec3<u32> {",
        );
        for (place, layer) in self.layers.iter().zip(&self.network.layers) {
            let (q, units, from) = (fours(place.inputs), place.units, place.kernel);
            line(
                text,
                1,
                &format!(
                    "if i < {}u {{\n        let unit = (i - {from}u) / {q}u;\n        let row = (i - {from}u) % {q}u * 4u;\n        \
                 return vec3<u32>({}u + row * {units}u + unit, {units}u, min({}u - row, 4u));\n    }}",
                    from + units * q,
                    layer.kernel,
                    place.inputs
                ),
            );
            if let (Some(bias), Some(at)) = (place.bias, layer.bias) {
                line(
                    text,
                    1,
                    &format!(
                        "if i < {}u {{\n        let unit = (i - {bias}u) * 4u;\n        return vec3<u32>({at}u + unit, 1u, min({units}u - unit, 4u));\n    }}",
                        bias + fours(units)
                    ),
                );
            }
        }
        line(text, 1, "return vec3<u32>();\n}\n");
        line(
            text,
            0,
            "// Of a block of four inputs by four units: where inputs and slopes stand in a row's record, the first unit's vector of
// parameters, and the distance to the next unit's. The last blocks are the sums.
fn block(i: u32) -> vec4<u32> {",
        );
        let mut begin = 0;
        for place in &self.layers {
            let q = fours(place.inputs);
            let end = begin + q * fours(place.units);
            line(
                text,
                1,
                &format!(
                    "if i < {end}u {{
        let input = (i - {begin}u) % {q}u;
        let unit = (i - {begin}u) / {q}u;
        return vec4<u32>({}u + input, {}u + unit, {}u + unit * {}u + input, {q}u);
    }}",
                    place.x,
                    place.dz,
                    place.kernel,
                    4 * q
                ),
            );
            begin = end;
        }
        line(
            text,
            1,
            "return vec4<u32>(SUMS, SUMS + i - BLOCKS, 0u, 0u);\n}",
        );
        line(
            text,
            0,
            "\n// Of a block: its units, and the vector of their biases, NONE where there are none or another block has them.
fn ends(i: u32) -> vec2<u32> {",
        );
        let mut begin = 0;
        for place in &self.layers {
            let q = fours(place.inputs);
            let end = begin + q * fours(place.units);
            let bias = match place.bias {
                Some(bias) => {
                    format!("select(NONE, {bias}u + unit, (i - {begin}u) % {q}u == 0u)")
                }
                None => "NONE".into(),
            };
            line(
                text,
                1,
                &format!(
                    "if i < {end}u {{
        let unit = (i - {begin}u) / {q}u;
        return vec2<u32>(min({}u - unit * 4u, 4u), {bias});
    }}",
                    place.units
                ),
            );
            begin = end;
        }
        line(text, 1, "return vec2<u32>(0u, NONE);\n}");
    }

    /// Σ of inputs · slopes over the rows at hand, for four by four of them and the slopes alone.
    pub(super) fn gradient(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// The gradient of a vector of parameters, or what further rows, from `first` on, add to it.
fn add(i: u32, g: vec4<f32>, first: u32) {
    if first > 0u {
        gradients[i] += g;
    } else {
        gradients[i] = g;
    }
}

// Sums of inputs and slopes over the rows at hand, whose first is `first`; those of a block are read once for all its 16
// products, because every load whose address differs by lane is dear on drivers that run on the processor.
fn sum_block(i: u32, place: u32, first: u32) {
    let block = blocks[i];
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var total = vec4<f32>();
    for (var row = 0u; row < params.lanes; row += 2u) {
        let even = row * RECORD;
        let odd = even + RECORD;
        let h0 = records[even + block.x];
        let d0 = records[even + block.y];
        let h1 = records[odd + block.x];
        let d1 = records[odd + block.y];
        g0 += h0 * d0.x + h1 * d1.x;
        g1 += h0 * d0.y + h1 * d1.y;
        g2 += h0 * d0.z + h1 * d1.z;
        g3 += h0 * d0.w + h1 * d1.w;
        total += d0 + d1;
    }
    let end = block_ends[i];
    if end.x > 0u {
        add(block.z, g0, first);
    }
    if end.x > 1u {
        add(block.z + block.w, g1, first);
    }
    if end.x > 2u {
        add(block.z + 2u * block.w, g2, first);
    }
    if end.x > 3u {
        add(block.z + 3u * block.w, g3, first);
    }
    if end.y != NONE {
        add(end.y, total, first);
    }
    if i >= BLOCKS {
        record_sums(i - BLOCKS, total, place, first);
    }
}",
        );
    }

    pub(super) fn update(&self, text: &mut String) {
        line(
            text,
            0,
            "\n// One step of a vector of parameters by its gradient g. `rate` is the learning rate; Adam's, corrected by the powers.\nfn update(i: u32, g: vec4<f32>, rate: f32) {",
        );
        match self.network.rule {
            StepRule::Sgd => line(text, 1, "weights[i] -= rate * g;"),
            StepRule::Momentum(rule) => {
                line(
                    text,
                    1,
                    "let change = rate * g;\n    let velocity = params.momentum * velocities[i] - change;\n    velocities[i] = velocity;",
                );
                line(
                    text,
                    1,
                    if rule.nesterov {
                        "weights[i] = weights[i] + params.momentum * velocity - change;"
                    } else {
                        "weights[i] += velocity;"
                    },
                );
            }
            StepRule::Adam(_) => {
                for statement in [
                    "let mean = means[i] + (g - means[i]) * params.rate_1;",
                    "let square = squares[i] + (g * g - squares[i]) * params.rate_2;",
                    "means[i] = mean;",
                    "squares[i] = square;",
                    "weights[i] -= mean * rate / (sqrt(square) + params.epsilon);",
                ] {
                    line(text, 1, statement);
                }
            }
        }
        line(text, 0, "}");
    }
}
