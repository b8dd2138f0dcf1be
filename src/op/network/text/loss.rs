//! A row's loss with its slopes, and its metrics.

use crate::op::{Accuracy, RowLoss};

use super::super::RingColumn;
use super::{Text, float, put, sum};

/// The largest of some numbers.
fn largest(count: usize, number: impl Fn(usize) -> String) -> String {
    (1..count).fold(number(0), |most, j| format!("max({most}, {})", number(j)))
}

impl Text<'_> {
    pub(super) fn targets(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        if labels {
            put!(text, "let label = y[row];");
        }
        for j in 0..n {
            let target = if labels {
                format!("select(0.0, 1.0, label == {j}u)")
            } else {
                format!("y[row * {n}u + {j}u]")
            };
            put!(text, "let t{j} = {target};");
        }
    }

    /// The row's loss, and its slope by each of the numbers that it reads, times the row's share.
    pub(super) fn loss(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        let y = |j| self.output(self.network.loss_before, j);
        put!(text, "// The loss and its slopes.");
        match self.network.loss {
            RowLoss::Squared(_) => {
                let squares = sum(n, |j| format!("({0} - t{j}) * ({0} - t{j})", y(j)));
                put!(text, "let loss = params.scale * ({squares});");
                for j in 0..n {
                    put!(
                        text,
                        "let s{j} = 2.0 * params.scale * ({} - t{j}) * share;",
                        y(j)
                    );
                }
            }
            RowLoss::Binary(_) => {
                let of = |name: &str, j: usize| {
                    format!("keep_nan({0}, keep_nan(t{j}, {name}({0}, t{j})))", y(j))
                };
                put!(text, "let loss = ({}) / {n}.0;", sum(n, |j| of("term", j)));
                for j in 0..n {
                    put!(text, "let s{j} = {} * share / {n}.0;", of("slope", j));
                }
            }
            RowLoss::CrossEntropy => {
                put!(text, "let largest = {};", largest(n, y));
                for j in 0..n {
                    put!(text, "let e{j} = exp_nan({} - largest);", y(j));
                }
                put!(text, "let sum = {};", sum(n, |j| format!("e{j}")));
                put!(text, "let weight = {};", sum(n, |j| format!("t{j}")));
                // A class that is ruled out by a logit of −∞ and by its target costs nothing.
                let far = |j| format!("select(t{j} * (largest - {}), 0.0, t{j} == 0.0)", y(j));
                put!(text, "let distance = {};", sum(n, far));
                let known = |value: &str| {
                    if labels {
                        format!("known_label(label, {n}u, {value})")
                    } else {
                        value.into()
                    }
                };
                let loss = "keep_nan(sum, weight * log1p(sum - 1.0) + distance)";
                put!(text, "let loss = {};", known(loss));
                for j in 0..n {
                    let slope = format!("(keep_nan(sum, e{j} / sum) * weight - t{j}) * share");
                    put!(text, "let s{j} = {};", known(&slope));
                }
            }
        }
    }

    pub(super) fn metrics(&self, text: &mut String, labels: bool) {
        let n = self.network.outputs();
        for (c, column) in self.network.columns.iter().enumerate() {
            let RingColumn::Accuracy { kind, before } = *column else {
                put!(text, "let column{c} = loss;");
                continue;
            };
            let p = |j| self.output(before, j);
            match kind {
                Accuracy::Binary { threshold } => {
                    let right = |j| {
                        let said = format!("select(0.0, 1.0, {} > {})", p(j), float(threshold));
                        let right = format!("select(0.0, 1.0, {said} == t{j})");
                        format!("keep_nan({}, keep_nan(t{j}, {right}))", p(j))
                    };
                    put!(text, "let column{c} = ({}) / {n}.0;", sum(n, right));
                }
                Accuracy::Categorical | Accuracy::Sparse => {
                    let said = format!("said{c}");
                    self.first_largest(text, &said, &p);
                    let value = if labels {
                        let right = format!("select(0.0, 1.0, {said} == label)");
                        format!("known_label(label, {n}u, keep_nan({said}_lost, {right}))")
                    } else {
                        let wanted = format!("wanted{c}");
                        self.first_largest(text, &wanted, &|j| format!("t{j}"));
                        let right = format!("select(0.0, 1.0, {said} == {wanted})");
                        format!("keep_nan({said}_lost + {wanted}_lost, {right})")
                    };
                    put!(text, "let column{c} = {value};");
                }
            }
        }
    }

    /// `name`, the first of the largest numbers, and `name_lost`: a NaN where there is one among them.
    fn first_largest(&self, text: &mut String, name: &str, number: &dyn Fn(usize) -> String) {
        let n = self.network.outputs();
        put!(text, "let {name}_most = {};", largest(n, number));
        let first = (0..n).rev().fold("0xffffffffu".to_string(), |later, j| {
            format!("select({later}, {j}u, {} == {name}_most)", number(j))
        });
        put!(text, "let {name} = {first};");
        let lost = (0..n).fold("0.0".to_string(), |lost, j| {
            format!("keep_nan({}, {lost})", number(j))
        });
        put!(text, "let {name}_lost = {lost};");
    }
}
