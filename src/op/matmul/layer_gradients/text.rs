//! The part of a shader that follows from the layers that share a dispatch: `shaders/layer_gradients.wgsl` says what.

use std::ops::Range;

use crate::contract::{Shader, WRITTEN_FOR, shader};

use super::{LayerGradients, LayerPart};

/// What stands before it, where gradients are stored.
const STORED: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "layer_gradients",
    "layer_gradients_slab"
);

/// What stands before it, where an update takes them.
const ADAM: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "layer_gradients",
    "layer_gradients_adam"
);

/// The first binding after params, indices and the inputs before the operands.
const FIRST_BINDING: usize = 2;

impl LayerGradients {
    /// The shader of some layers, one past whose last tiles are `ends`, with the operands that they lie in bound in order.
    pub(super) fn shader(
        &self,
        layers: Range<usize>,
        ends: &[usize],
        operands: &[usize],
    ) -> Shader {
        let mut text =
            format!("{WRITTEN_FOR}the layers at hand by src/op/matmul/layer_gradients/text.rs.\n");
        for (place, operand) in operands.iter().enumerate() {
            text += &format!(
                "@group(0) @binding({}) var<storage, read> operand_{operand}: array<vec4<f32>>;\n",
                FIRST_BINDING + self.first() + place
            );
        }
        let own = &self.layers[layers.clone()];
        text += &load("load_a", "x", own.iter().map(|layer| layer.x));
        text += &load("load_b", "dz", own.iter().map(|layer| layer.dz));
        text += "\nfn begin(tile: u32) -> Problem {\n";
        let mut first = 0;
        for ((index, layer), &end) in layers.zip(own).zip(ends) {
            let bias = layer
                .bias_at
                .map_or("NO_BIAS".into(), |at| format!("{at}u"));
            let call = format!(
                "return begin_layer({index}u, tile - {first}u, {}u, {}u, Layer({}u, {bias}), {}, {});",
                layer.inputs,
                layer.units,
                layer.kernel_at,
                part(layer.x),
                part(layer.dz),
            );
            text += &if ends.last() == Some(&end) {
                format!("    {call}\n")
            } else {
                format!("    if tile < {end}u {{ {call} }}\n")
            };
            first = end;
        }
        text += "}\n";
        let beginning = match self.update {
            Some(_) => ADAM,
            None => STORED,
        };
        Shader {
            name: beginning.name,
            source: format!("{}\n{text}", beginning.source).into(),
        }
    }
}

fn part(part: LayerPart) -> String {
    format!("Part({}u, {}u)", part.operand, part.at / 4)
}

/// The function that reads a quad of `matrix`, from any of the operands in which a layer's may lie.
fn load(name: &str, matrix: &str, parts: impl Iterator<Item = LayerPart>) -> String {
    let mut operands: Vec<usize> = parts.map(|part| part.operand).collect();
    operands.sort_unstable();
    operands.dedup();
    let mut text =
        format!("\nfn {name}(quad: u32) -> vec4<f32> {{\n    switch {matrix}.operand {{\n");
    for (i, operand) in operands.iter().enumerate() {
        let case = if i + 1 == operands.len() {
            "default".into()
        } else {
            format!("case {operand}u")
        };
        text += &format!("        {case}: {{ return operand_{operand}[{matrix}.quad + quad]; }}\n");
    }
    text + "    }\n}\n"
}
