//! A row's loss with its slopes, and its metrics.

use crate::op::{Accuracy, RowLoss};

use super::super::RingColumn;
use super::{Text, float, line};

impl Text<'_> {
    pub(super) fn targets(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        line(text, 1, "\n// Targets.");
        if labels {
            line(text, 1, "let label = y[row];");
        }
        for j in 0..n {
            let target = match labels {
                true => format!("select(0.0, 1.0, label == {j}u)"),
                false => format!("y[row * {n}u + {j}u]"),
            };
            line(text, 1, &format!("let t{j} = {target};"));
        }
    }

    /// The row's loss, and its slope by each of the numbers that it reads, times the row's share.
    pub(super) fn loss(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        let y = |j| self.output(self.network.loss_before, j);
        line(text, 1, "\n// The loss and its slopes.");
        match self.network.loss {
            RowLoss::Squared(_) => {
                let squares = (0..n).map(|j| format!("({0} - t{j}) * ({0} - t{j})", y(j)));
                let sum = squares.collect::<Vec<_>>().join(" + ");
                line(text, 1, &format!("let loss = params.scale * ({sum});"));
                for j in 0..n {
                    line(
                        text,
                        1,
                        &format!("let s{j} = 2.0 * params.scale * ({} - t{j}) * share;", y(j)),
                    );
                }
            }
            RowLoss::Binary(_) => {
                let terms =
                    (0..n).map(|j| format!("keep_nan({0}, keep_nan(t{j}, term({0}, t{j})))", y(j)));
                let sum = terms.collect::<Vec<_>>().join(" + ");
                line(text, 1, &format!("let loss = ({sum}) / {n}.0;"));
                for j in 0..n {
                    line(
                        text,
                        1,
                        &format!(
                            "let s{j} = keep_nan({0}, keep_nan(t{j}, slope({0}, t{j}))) * share / {n}.0;",
                            y(j)
                        ),
                    );
                }
            }
            RowLoss::CrossEntropy => {
                let joined = |part: &dyn Fn(usize) -> String| {
                    (0..n).map(part).collect::<Vec<_>>().join(" + ")
                };
                let largest = (1..n).fold(y(0), |most, j| format!("max({most}, {})", y(j)));
                line(text, 1, &format!("let largest = {largest};"));
                for j in 0..n {
                    line(text, 1, &format!("let e{j} = exp_nan({} - largest);", y(j)));
                }
                line(
                    text,
                    1,
                    &format!("let sum = {};", joined(&|j| format!("e{j}"))),
                );
                line(
                    text,
                    1,
                    &format!("let weight = {};", joined(&|j| format!("t{j}"))),
                );
                line(
                    text,
                    1,
                    "// A class that is ruled out by a logit of −∞ and by its target costs nothing.",
                );
                let distance =
                    joined(&|j| format!("select(t{j} * (largest - {}), 0.0, t{j} == 0.0)", y(j)));
                line(text, 1, &format!("let distance = {distance};"));
                let loss = "keep_nan(sum, weight * log1p(sum - 1.0) + distance)";
                line(
                    text,
                    1,
                    &match labels {
                        true => format!("let loss = known_label(label, {n}u, {loss});"),
                        false => format!("let loss = {loss};"),
                    },
                );
                for j in 0..n {
                    let slope = format!("(keep_nan(sum, e{j} / sum) * weight - t{j}) * share");
                    line(
                        text,
                        1,
                        &match labels {
                            true => format!("let s{j} = known_label(label, {n}u, {slope});"),
                            false => format!("let s{j} = {slope};"),
                        },
                    );
                }
            }
        }
    }

    pub(super) fn metrics(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        for (c, column) in self.network.columns.iter().enumerate() {
            let RingColumn::Accuracy { kind, before } = *column else {
                line(text, 1, &format!("let column{c} = loss;"));
                continue;
            };
            let p = |j| self.output(before, j);
            match kind {
                Accuracy::Binary { threshold } => {
                    let right = |j| {
                        let said = format!("select(0.0, 1.0, {} > {})", p(j), float(threshold));
                        format!(
                            "keep_nan({}, keep_nan(t{j}, select(0.0, 1.0, {said} == t{j})))",
                            p(j)
                        )
                    };
                    let sum = (0..n).map(right).collect::<Vec<_>>().join(" + ");
                    line(text, 1, &format!("let column{c} = ({sum}) / {n}.0;"));
                }
                Accuracy::Categorical | Accuracy::Sparse => {
                    self.first_largest(text, &format!("said{c}"), &p);
                    if labels {
                        line(
                            text,
                            1,
                            &format!(
                                "let column{c} = known_label(label, {n}u, keep_nan(said{c}_lost, select(0.0, 1.0, said{c} == label)));"
                            ),
                        );
                    } else {
                        self.first_largest(text, &format!("wanted{c}"), &|j| format!("t{j}"));
                        line(
                            text,
                            1,
                            &format!(
                                "let column{c} = keep_nan(said{c}_lost + wanted{c}_lost, select(0.0, 1.0, said{c} == wanted{c}));"
                            ),
                        );
                    }
                }
            }
        }
    }

    /// `name`, the first of the largest numbers, and `name_lost`: a NaN where there is one among them.
    fn first_largest(&self, text: &mut String, name: &str, number: &dyn Fn(usize) -> String) {
        let n = self.network.outputs();
        let largest = (1..n).fold(number(0), |most, j| format!("max({most}, {})", number(j)));
        line(text, 1, &format!("let {name}_most = {largest};"));
        let first = (0..n).rev().fold("0xffffffffu".to_string(), |later, j| {
            format!("select({later}, {j}u, {} == {name}_most)", number(j))
        });
        line(text, 1, &format!("let {name} = {first};"));
        let lost = (0..n).fold("0.0".to_string(), |lost, j| {
            format!("keep_nan({}, {lost})", number(j))
        });
        line(text, 1, &format!("let {name}_lost = {lost};"));
    }
}
