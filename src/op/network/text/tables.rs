//! Where parameters lie, and of which numbers of a row's record their gradients are products.

use super::{Text, TextPlace, fours, put};

impl Text<'_> {
    pub(super) fn tables(&self, text: &mut String) {
        *text += "
// A vector of parameters: its first element in the slab, the distance to the next, and how many of the four are there.
fn home(i: u32) -> vec3<u32> {\n";
        for (place, layer) in self.layers.iter().zip(&self.network.layers) {
            let (q, units, from) = (fours(place.inputs), place.units, place.kernel);
            put!(text, "if i < {}u {{", from + units * q);
            put!(text, "    let unit = (i - {from}u) / {q}u;");
            put!(text, "    let row = (i - {from}u) % {q}u * 4u;");
            let (at, inputs) = (layer.kernel, place.inputs);
            let first = format!("{at}u + row * {units}u + unit");
            put!(
                text,
                "    return vec3<u32>({first}, {units}u, min({inputs}u - row, 4u));"
            );
            put!(text, "}}");
            if let (Some(bias), Some(at)) = (place.bias, layer.bias) {
                put!(text, "if i < {}u {{", bias + fours(units));
                put!(text, "    let unit = (i - {bias}u) * 4u;");
                put!(
                    text,
                    "    return vec3<u32>({at}u + unit, 1u, min({units}u - unit, 4u));"
                );
                put!(text, "}}");
            }
        }
        *text += "    return vec3<u32>();
}

// A block of four inputs by four units: where inputs and slopes stand in a row's record, the first unit's vector of
// parameters, and the distance to the next unit's. The last blocks are the sums.
fn block(i: u32) -> vec4<u32> {\n";
        self.of_blocks(text, |place, input, unit| {
            let q = fours(place.inputs);
            let (x, dz) = (place.x, place.dz);
            let first = format!("{}u + {unit} * {}u + {input}", place.kernel, 4 * q);
            format!("vec4<u32>({x}u + {input}, {dz}u + {unit}, {first}, {q}u)")
        });
        *text += "    return vec4<u32>(SUMS, SUMS + i - BLOCKS, 0u, 0u);
}

// A block's end: its units, and the vector of their biases, NONE where there are none or another block has them.
fn ends(i: u32) -> vec2<u32> {\n";
        self.of_blocks(text, |place, input, unit| {
            let bias = place.bias.map_or("NONE".into(), |bias| {
                format!("select(NONE, {bias}u + {unit}, {input} == 0u)")
            });
            format!("vec2<u32>(min({}u - {unit} * 4u, 4u), {bias})", place.units)
        });
        *text += "    return vec2<u32>(0u, NONE);\n}\n";
    }

    /// Returns what `told` says of the block `i`, given the names of its vectors of inputs and units.
    fn of_blocks(&self, text: &mut String, told: impl Fn(&TextPlace, &str, &str) -> String) {
        let mut begin = 0;
        for place in &self.layers {
            let q = fours(place.inputs);
            let end = begin + q * fours(place.units);
            put!(text, "if i < {end}u {{");
            put!(text, "    let input = (i - {begin}u) % {q}u;");
            put!(text, "    let unit = (i - {begin}u) / {q}u;");
            put!(text, "    return {};", told(place, "input", "unit"));
            put!(text, "}}");
            begin = end;
        }
    }
}
