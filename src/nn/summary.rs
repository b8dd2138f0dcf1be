//! The table of an architecture: layers, shapes, counts, and what is connected to what.

use std::fmt::Write;

use crate::{DType, TensorType};

use super::Functional;
use super::functional::{LayerCall, NamedLayer, TensorSource};

/// The columns: title, shape, count, and what the layer is connected to.
type Line = [String; 4];

impl Functional {
    /// A table of the layers with output shapes and parameter counts, as Keras prints it; where the model branches, with
    /// the inputs and what each layer is connected to.
    pub fn summary(&self) -> String {
        let chain = self.is_chain();
        let mut lines = Vec::new();
        if !chain {
            for input in &self.inputs {
                let title = format!("{} (InputLayer)", input.name);
                lines.push([title, batch(&input.kind), "0".into(), "-".into()]);
            }
        }
        let mut seen = vec![false; self.members.len()];
        for step in &self.calls {
            let member = &self.members[step.member];
            let again = std::mem::replace(&mut seen[step.member], true);
            let from: Vec<&str> = step.inputs.iter().map(|&s| self.name_of(s)).collect();
            // A shared layer's weights are counted once.
            let count = if again {
                "shared".into()
            } else {
                own_count(member).to_string()
            };
            lines.push([title(member), batch(&step.kind), count, from.join(", ")]);
        }
        let widest = |column: usize, least: usize| {
            let widths = lines
                .iter()
                .map(|line: &Line| line[column].chars().count() + 2);
            widths.max().unwrap_or(0).max(least)
        };
        let (title, shape) = (widest(0, 28), widest(1, 20));
        let from = if chain { 0 } else { widest(3, 14) + 2 };
        let rule = format!("{}\n", "─".repeat(title + shape + 16 + from));
        let line = |a: &str, b: &str, c: &str, d: &str| {
            let columns = format!("{a:<title$}{b:<shape$}{c:>16}");
            if chain {
                columns + "\n"
            } else {
                format!("{columns}  {d}\n")
            }
        };
        let head = line("Layer (type)", "Output shape", "Parameters", "Connected to");
        let mut table = format!("{rule}{head}{rule}");
        for [title, shape, count, from] in &lines {
            table += &line(title, shape, count, from);
        }
        let (total, trained) = (self.parameter_count(), self.trainable_count());
        table += &rule;
        let mut tell = |what: &str, count: usize| {
            let kibibytes = count as f64 * 4.0 / 1024.0;
            // Writing to a string cannot fail.
            writeln!(table, "{what} parameters: {count} ({kibibytes:.2} KiB)").unwrap_or_default();
        };
        tell("Total", total);
        if trained != total {
            tell("Trainable", trained);
            tell("Non-trainable", total - trained);
        }
        table + &rule
    }

    /// Whether each layer feeds the next and nothing else.
    pub(crate) fn is_chain(&self) -> bool {
        let feeds = |(index, step): (usize, &LayerCall)| match index.checked_sub(1) {
            None => step.inputs == [TensorSource::Input(0)],
            Some(before) => step.inputs == [TensorSource::Call(before)],
        };
        self.inputs.len() <= 1
            && self.outputs.len() <= 1
            && self.calls.iter().enumerate().all(feeds)
    }

    /// The name of the input or layer that a tensor comes from.
    pub(super) fn name_of(&self, source: TensorSource) -> &str {
        match source {
            TensorSource::Input(index) => &self.inputs[index].name,
            TensorSource::Call(index) => &self.members[self.calls[index].member].name,
        }
    }
}

/// `dense (Dense, relu)`.
fn title(member: &NamedLayer) -> String {
    let layer = &member.layer;
    let detail = layer
        .detail()
        .map_or_else(String::new, |detail| format!(", {detail}"));
    let frozen = if member.layer.trainable {
        ""
    } else {
        ", frozen"
    };
    format!("{} ({}{detail}{frozen})", member.name, layer.class())
}

fn own_count(member: &NamedLayer) -> usize {
    let counts = member.parameters.iter().map(super::Parameter::elements);
    counts.fold(0, usize::saturating_add)
}

/// `(any, 8)`: any number of rows of that shape; the type follows where it is not f32.
fn batch(kind: &TensorType) -> String {
    let dims = kind.shape.dims().iter().map(|dim| format!(", {dim}"));
    let shape = format!("(any{})", dims.collect::<String>());
    if kind.dtype == DType::F32 {
        shape
    } else {
        format!("{shape} {}", kind.dtype)
    }
}
