//! Numbers that record what is computed with them: a formula that is run on values of a graph becomes nodes.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::graph::ValueId;
use crate::number::Number;
use crate::{Graph, Tensor};

/// factor·t + offset with a value t of a graph, or a constant: products with constants and sums with them fold, and only
/// what is left is recorded.
#[derive(Clone, Copy)]
pub(in crate::op) struct GraphNumber<'a> {
    value: Option<(&'a Graph, ValueId)>,
    factor: f64,
    offset: f64,
}

/// The outcome of a comparison.
#[derive(Clone, Copy)]
pub(in crate::op) enum GraphTruth<'a> {
    /// The same for every element.
    Sure(bool),
    /// 1 where it holds, else 0.
    Mask(&'a Graph, ValueId),
}

impl<'a> GraphNumber<'a> {
    /// The values of a tensor.
    pub fn of(tensor: &'a Tensor) -> Self {
        GraphNumber::recorded(tensor.graph(), tensor)
    }

    /// The number, if it is the same for every element.
    pub fn as_constant(self) -> Option<f64> {
        self.value.is_none().then_some(self.offset)
    }

    /// The number as a tensor; a constant has no dimensions.
    pub fn tensor(self, graph: &Graph) -> Tensor {
        let Some((graph, id)) = self.value else {
            return graph.constant([], &[self.offset as f32]);
        };
        let tensor = graph.tensor(id);
        let scaled = match self.factor {
            1.0 => tensor,
            -1.0 => tensor.neg(),
            factor => tensor.scale(factor as f32),
        };
        match self.offset {
            0.0 => scaled,
            offset => scaled.offset(offset as f32),
        }
    }

    fn recorded(graph: &'a Graph, tensor: &Tensor) -> Self {
        GraphNumber {
            value: Some((graph, tensor.id())),
            factor: 1.0,
            offset: 0.0,
        }
    }

    fn fixed(offset: f64) -> Self {
        GraphNumber {
            value: None,
            factor: 0.0,
            offset,
        }
    }

    fn same(self, other: Self) -> bool {
        let ids = [self, other].map(|number| number.value.map(|(_, id)| id));
        ids[0] == ids[1] && self.factor == other.factor && self.offset == other.offset
    }

    /// `record` of the tensor, or `compute` of the constant.
    fn apply(self, compute: impl Fn(f64) -> f64, record: impl Fn(&Tensor) -> Tensor) -> Self {
        match self.value {
            Some((graph, _)) => GraphNumber::recorded(graph, &record(&self.tensor(graph))),
            None => GraphNumber::fixed(compute(self.offset)),
        }
    }

    /// `record` of both tensors; `None` where both are constants.
    fn both(self, other: Self, record: impl Fn(&Tensor, &Tensor) -> Tensor) -> Option<Self> {
        let (graph, _) = self.value.or(other.value)?;
        let recorded = record(&self.tensor(graph), &other.tensor(graph));
        Some(GraphNumber::recorded(graph, &recorded))
    }

    fn scaled(self, by: f64) -> Self {
        if by == 0.0 {
            // Not 0·∞.
            return GraphNumber::fixed(0.0);
        }
        GraphNumber {
            factor: self.factor * by,
            offset: self.offset * by,
            ..self
        }
    }
}

impl Add for GraphNumber<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let ids = [self, other].map(|number| number.value.map(|(_, id)| id));
        if ids.contains(&None) || ids[0] == ids[1] {
            let sum = GraphNumber {
                value: self.value.or(other.value),
                factor: self.factor + other.factor,
                offset: self.offset + other.offset,
            };
            let none = sum.factor == 0.0;
            return if none {
                GraphNumber::fixed(sum.offset)
            } else {
                sum
            };
        }
        self.both(other, Tensor::add)
            .unwrap_or_else(|| GraphNumber::fixed(self.offset + other.offset))
    }
}

impl Sub for GraphNumber<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let ids = [self, other].map(|number| number.value.map(|(_, id)| id));
        if ids.contains(&None) || ids[0] == ids[1] {
            return self + -other;
        }
        self.both(other, Tensor::sub)
            .unwrap_or_else(|| GraphNumber::fixed(self.offset - other.offset))
    }
}

impl Mul for GraphNumber<'_> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        match (self.as_constant(), other.as_constant()) {
            (Some(factor), _) => other.scaled(factor),
            (_, Some(factor)) => self.scaled(factor),
            // Factors are left for what comes after.
            _ if self.offset == 0.0 && other.offset == 0.0 => {
                let alone = |number: Self| GraphNumber {
                    factor: 1.0,
                    ..number
                };
                let (a, b) = (alone(self), alone(other));
                let product = if a.same(b) {
                    a.apply(|x| x * x, Tensor::square)
                } else {
                    a.both(b, Tensor::mul).unwrap_or(a)
                };
                product.scaled(self.factor * other.factor)
            }
            _ if self.same(other) => self.apply(|x| x * x, Tensor::square),
            _ => self.both(other, Tensor::mul).unwrap_or(self),
        }
    }
}

impl Div for GraphNumber<'_> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        match (self.as_constant(), other.as_constant()) {
            (_, Some(divisor)) => self.scaled(1.0 / divisor),
            (Some(dividend), _) => other
                .apply(|x| 1.0 / x, Tensor::reciprocal)
                .scaled(dividend),
            _ => self.both(other, Tensor::div).unwrap_or(self),
        }
    }
}

impl Neg for GraphNumber<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.scaled(-1.0)
    }
}

/// Functions that have a name as methods of both tensors and numbers.
macro_rules! named {
    ($($name:ident $method:ident)*) => {
        $(fn $name(self) -> Self {
            self.apply(Number::$name, Tensor::$method)
        })*
    };
}

impl<'a> Number for GraphNumber<'a> {
    type Truth = GraphTruth<'a>;

    fn constant(value: f64) -> Self {
        GraphNumber::fixed(value)
    }

    fn given(value: f32) -> Self {
        GraphNumber::fixed(f64::from(value))
    }

    /// Against an infinity nothing is recorded.
    fn is_less(self, other: Self) -> GraphTruth<'a> {
        match (self.as_constant(), other.as_constant()) {
            (Some(a), Some(b)) => GraphTruth::Sure(a < b),
            (Some(a), None) if a.is_infinite() => GraphTruth::Sure(a < 0.0),
            (None, Some(b)) if b.is_infinite() => GraphTruth::Sure(b > 0.0),
            _ => match other.both(self, Tensor::greater) {
                Some(GraphNumber {
                    value: Some((graph, id)),
                    ..
                }) => GraphTruth::Mask(graph, id),
                _ => GraphTruth::Sure(false),
            },
        }
    }

    fn choose(holds: GraphTruth<'a>, yes: Self, no: Self) -> Self {
        let (graph, mask) = match holds {
            GraphTruth::Sure(true) => return yes,
            GraphTruth::Sure(false) => return no,
            GraphTruth::Mask(..) if yes.same(no) => return yes,
            GraphTruth::Mask(graph, id) => (graph, graph.tensor(id)),
        };
        match (yes.as_constant(), no.as_constant()) {
            // The mask itself.
            (Some(yes), Some(no)) => GraphNumber {
                factor: yes - no,
                offset: no,
                ..GraphNumber::recorded(graph, &mask)
            },
            _ => {
                let chosen = mask.choose(&yes.tensor(graph), &no.tensor(graph));
                GraphNumber::recorded(graph, &chosen)
            }
        }
    }

    /// A NaN of a slope shows in the slope's own op.
    fn keep_nan(self, result: Self) -> Self {
        result
    }

    fn to_the(self, exponent: f64) -> Self {
        match exponent {
            0.0 => GraphNumber::fixed(1.0),
            1.0 => self,
            _ => self.apply(|x| x.powf(exponent), |x| x.pow(exponent as f32)),
        }
    }

    fn log_of_one_plus(self) -> Self {
        self.logarithm_of_one_plus()
    }

    fn complement_of_erf(self) -> Self {
        GraphNumber::fixed(1.0) - self.error_function()
    }

    fn normal(self) -> Self {
        let scaled = self.scaled(std::f64::consts::FRAC_1_SQRT_2);
        (scaled.error_function() + GraphNumber::fixed(1.0)).scaled(0.5)
    }

    named! {
        root sqrt magnitude abs sign sign power_of_e exp power_of_e_minus_one expm1 logarithm log
        logarithm_of_one_plus log1p tangent tanh error_function erf sine sin cosine cos
        whole_below floor whole_above ceil nearest_whole round logistic sigmoid softplus softplus
    }
}
