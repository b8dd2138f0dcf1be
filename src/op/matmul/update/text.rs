//! The part of a shader that follows from the layers that share a dispatch: `shaders/matmul_update_many.wgsl` says what.

use crate::op::Shader;
use crate::op::launch::shader;

use super::{LayerPart, LayerUpdates};

/// What stands before it.
const BEGINNING: Shader = shader!(
    "matmul",
    "matmul_blocks",
    "matmul_update",
    "matmul_update_many"
);

/// The first binding behind params, indices and rates.
const FIRST_BINDING: usize = 3;

impl LayerUpdates {
    /// The shader of all layers, one past whose last tiles are `ends`.
    pub(super) fn shader(&self, ends: &[usize]) -> Shader {
        let mut text =
            String::from("// Written for the layers at hand by src/op/matmul/update/text.rs.\n");
        let operands = self.operands();
        for operand in 0..operands {
            text += &format!(
                "@group(0) @binding({}) var<storage, read> operand_{operand}: array<vec4<f32>>;\n",
                FIRST_BINDING + operand
            );
        }
        for (i, name) in ["w", "m", "v"].into_iter().enumerate() {
            text += &format!(
                "@group(0) @binding({}) var<storage, read_write> {name}: array<f32>;\n",
                FIRST_BINDING + operands + i
            );
        }
        text += &load("load_a", "x", self.layers.iter().map(|layer| layer.x));
        text += &load("load_b", "dz", self.layers.iter().map(|layer| layer.dz));
        text += "\nfn begin(tile: u32) -> u32 {\n";
        for (index, (layer, &end)) in self.layers.iter().zip(ends).enumerate() {
            let first = index.checked_sub(1).map_or(0, |before| ends[before]);
            let call = format!(
                "return begin_layer({index}u, tile - {first}u, {}u, {}u, Layer({}u, {}u, {}u), {}, {});",
                layer.rows(),
                layer.units,
                layer.inputs,
                layer.kernel_at,
                layer.bias_at.unwrap_or(0),
                part(layer.x),
                part(layer.dz),
            );
            text += &match index + 1 == self.layers.len() {
                false => format!("    if tile < {end}u {{ {call} }}\n"),
                true => format!("    {call}\n"),
            };
        }
        text += "}\n";
        Shader {
            name: BEGINNING.name,
            source: format!("{}\n{text}", BEGINNING.source).into(),
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
        let case = match i + 1 == operands.len() {
            false => format!("case {operand}u"),
            true => "default".into(),
        };
        text += &format!("        {case}: {{ return operand_{operand}[{matrix}.quad + quad]; }}\n");
    }
    text + "    }\n}\n"
}
