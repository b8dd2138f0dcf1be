//! ONNX operators, from Kiln's.

use std::collections::BTreeMap;

use kiln::Tensor;
use kiln::op::{Function, MatMul};

use super::Node;
use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::compute::Work;
use crate::conform::keras::layer::whole;
use crate::conform::operation::algebra;
use crate::conform::operation::reduce;
use crate::conform::settings::Settings;
use crate::conform::torch::loss::{Classes, Labels, of_labels};

/// A graph under construction, node by node.
pub struct Run<'a> {
    pub case: &'a Case,
    pub work: Work,
    /// What the nodes so far gave, and inputs in use.
    pub values: BTreeMap<String, Tensor>,
    /// The version of the operators.
    pub opset: i64,
}

impl Run<'_> {
    /// Input `index` of a node.
    pub fn input(&mut self, node: &Node<'_>, index: usize) -> Result<Tensor, Stop> {
        match self.optional(node, index)? {
            Some(tensor) => Ok(tensor),
            None => Err(Stop::Failed(
                self.case.error(format!("{} lacks input {index}", node.op)),
            )),
        }
    }

    pub fn optional(&mut self, node: &Node<'_>, index: usize) -> Result<Option<Tensor>, Stop> {
        let Some(name) = node.inputs.get(index).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if let Some(tensor) = self.values.get(name) {
            return Ok(Some(tensor.clone()));
        }
        let array = self.case.tensor(&format!("in.{name}"))?;
        let tensor = self.work.number(name, array)?;
        self.values.insert(name.clone(), tensor.clone());
        Ok(Some(tensor))
    }

    /// Integers that fix a shape: an input whose values the case states.
    pub fn integers(&self, node: &Node<'_>, index: usize) -> Result<Option<Vec<i64>>, Stop> {
        let Some(name) = node.inputs.get(index).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let array = self.case.tensor(&format!("in.{name}"))?;
        Ok(Some(
            array.values.iter().map(|&value| value as i64).collect(),
        ))
    }

    /// Numbers that fix what a node does: an input whose values the case states.
    pub fn numbers(&self, node: &Node<'_>, index: usize) -> Result<Vec<f64>, Stop> {
        let Some(name) = node.inputs.get(index).filter(|name| !name.is_empty()) else {
            return Ok(Vec::new());
        };
        Ok(self.case.tensor(&format!("in.{name}"))?.values.clone())
    }

    /// The node's first output.
    pub fn output(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Tensor, Stop> {
        Ok(match node.op {
            "Abs" => self.input(node, 0)?.abs(),
            "Exp" => self.input(node, 0)?.exp(),
            "Identity" => self.input(node, 0)?,
            "Ceil" => self.input(node, 0)?.ceil(),
            "Cos" => self.input(node, 0)?.cos(),
            "Erf" => self.input(node, 0)?.erf(),
            "Floor" => self.input(node, 0)?.floor(),
            "Mish" => self.input(node, 0)?.mish(),
            "Reciprocal" => self.input(node, 0)?.reciprocal(),
            "Round" => self.input(node, 0)?.round(),
            "Sign" => self.input(node, 0)?.sign(),
            "Sin" => self.input(node, 0)?.sin(),
            "Softplus" => self.input(node, 0)?.softplus(),
            "Softsign" => self.input(node, 0)?.softsign(),
            "HardSwish" => self.input(node, 0)?.hard_silu(),
            "Elu" => self
                .input(node, 0)?
                .elu(attributes.number("alpha", 1.0)? as f32),
            "Celu" => self
                .input(node, 0)?
                .celu(attributes.number("alpha", 1.0)? as f32),
            "Swish" => self
                .input(node, 0)?
                .swish(attributes.number("alpha", 1.0)? as f32),
            "Selu" => {
                let settings = [
                    attributes.number("alpha", 1.673_263_2)? as f32,
                    attributes.number("gamma", 1.050_701)? as f32,
                ];
                let function = Function::from_name("elu", &settings)?;
                self.input(node, 0)?.map(function)
            }
            "HardSigmoid" => {
                let (slope, offset) = (
                    attributes.number("alpha", 0.2)?,
                    attributes.number("beta", 0.5)?,
                );
                let x = self.input(node, 0)?;
                let settings = [slope as f32, offset as f32];
                x.map(Function::from_name("hard_sigmoid", &settings)?)
            }
            "Shrink" => {
                let (lambda, bias) = (
                    attributes.number("lambd", 0.5)?,
                    attributes.number("bias", 0.0)?,
                );
                let function = Function::from_name("shrink", &[lambda as f32, bias as f32])?;
                self.input(node, 0)?.map(function)
            }
            "ThresholdedRelu" => {
                let alpha = attributes.number("alpha", 1.0)? as f32;
                self.input(node, 0)?.threshold(alpha, 0.0)
            }
            "Gelu" => match attributes.text("approximate", "none")? {
                "none" => self.input(node, 0)?.gelu(),
                "tanh" => self.input(node, 0)?.gelu_tanh(),
                other => return Stop::unsupported(format!("gelu by {other}")),
            },
            "PRelu" => {
                let (x, slope) = (self.input(node, 0)?, self.input(node, 1)?);
                // Before opset 7 a slope for each channel, or one for all; then NumPy's broadcasting.
                let after = x.shape().rank().saturating_sub(2);
                match slope.shape().dims().to_vec()[..] {
                    [channels] if self.opset < 7 && channels > 1 => {
                        let dims = [vec![channels], vec![1; after]].concat();
                        x.prelu(&slope.reshape(dims))
                    }
                    _ => x.prelu(&slope),
                }
            }
            "Clip" => {
                let mut y = self.input(node, 0)?;
                // Before opset 11 both were attributes.
                let low = attributes.number("min", f64::NEG_INFINITY)?;
                let high = attributes.number("max", f64::INFINITY)?;
                if low.is_finite() || high.is_finite() {
                    y = y.clamp(low as f32, high as f32);
                }
                if let Some(low) = self.optional(node, 1)? {
                    y = y.maximum(&low);
                }
                if let Some(high) = self.optional(node, 2)? {
                    y = y.minimum(&high);
                }
                y
            }
            "Log" => self.input(node, 0)?.log(),
            "Neg" => self.input(node, 0)?.neg(),
            "Relu" => self.input(node, 0)?.relu(),
            "Sigmoid" => self.input(node, 0)?.sigmoid(),
            "Sqrt" => self.input(node, 0)?.sqrt(),
            "Tanh" => self.input(node, 0)?.tanh(),
            "LeakyRelu" => {
                let slope = attributes.number("alpha", 0.01)?;
                self.input(node, 0)?.leaky_relu(slope as f32)
            }
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node, attributes)?,
            "Sum" => {
                let mut sum = self.input(node, 0)?;
                for index in 1..node.inputs.len() {
                    sum = sum.add(&self.input(node, index)?);
                }
                sum
            }
            "MatMul" => algebra::matmul(&self.input(node, 0)?, &self.input(node, 1)?)?,
            "Gemm" => self.gemm(node, attributes)?,
            "Softmax" => self.softmax(node, attributes, Tensor::softmax)?,
            "LogSoftmax" => self.softmax(node, attributes, Tensor::log_softmax)?,
            "SwiGLU" => {
                let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
                a.swish(attributes.number("alpha", 1.0)? as f32).mul(&b)
            }
            "Dropout" => {
                // In inference; for training see the check of its law.
                attributes.ignore(&["seed", "ratio", "is_test"]);
                for index in [1, 2] {
                    self.numbers(node, index)?;
                }
                let x = self.input(node, 0)?;
                if let Some(mask) = node.outputs.get(1) {
                    let ones = x.graph().constant([], &[1.0]).expand(x.shape());
                    self.values.insert(mask.clone(), ones);
                }
                x.scale(1.0)
            }
            "Flatten" => {
                let x = self.input(node, 0)?;
                let (dims, axis) = (
                    x.shape().dims().to_vec(),
                    attributes.number("axis", 1.0)? as i64,
                );
                let axis = if axis < 0 {
                    axis + dims.len() as i64
                } else {
                    axis
                };
                let axis = usize::try_from(axis).unwrap_or(0).min(dims.len());
                x.reshape([dims[..axis].iter().product(), dims[axis..].iter().product()])
            }
            "Reshape" => {
                attributes.without(&["allowzero"])?;
                let x = self.input(node, 0)?;
                let dims = x.shape().dims().to_vec();
                let mut shape = match attributes.integers("shape")? {
                    Some(shape) => shape,
                    None => self.integers(node, 1)?.unwrap_or_default(),
                };
                for (index, dim) in shape.iter_mut().enumerate().filter(|(_, dim)| **dim == 0) {
                    *dim = dims.get(index).map_or(0, |&dim| dim as i64);
                }
                x.reshape(whole(self.case, &shape, x.shape().elements() as usize)?)
            }
            "LayerNormalization" | "RMSNormalization" => self.last_norm(node, attributes)?,
            "InstanceNormalization" | "GroupNormalization" => {
                let x = self.input(node, 0)?;
                let (scale, bias) = (self.input(node, 1)?, self.input(node, 2)?);
                let channels = x.shape().dims().get(1).copied().unwrap_or(1);
                let groups = attributes.number("num_groups", channels as f64)? as usize;
                let epsilon = attributes.number("epsilon", 1e-5)? as f32;
                if scale.shape().elements() as usize != channels {
                    return Stop::unsupported("one scale for each group");
                }
                x.group_norm(groups, Some(&scale), Some(&bias), epsilon)
            }
            "BatchNormalization" => self.batch_norm(node, attributes)?,
            "MeanVarianceNormalization" => {
                let x = self.input(node, 0)?;
                match attributes.integers("axes")?.as_deref() {
                    None | Some([0, 2, 3]) => x.batch_norm_training(1, None, None, 1e-18, None).0,
                    Some(_) => return Stop::unsupported("normalisation over other dimensions"),
                }
            }
            "LpNormalization" => {
                let (p, axis) = (
                    attributes.number("p", 2.0)?,
                    attributes.number("axis", -1.0)?,
                );
                let x = self.input(node, 0)?;
                let length = reduce::norm(&x, p, Some(&[axis as i64]), true)?;
                // Where all are 0 they stay so.
                let least = x.graph().constant([], &[f32::MIN_POSITIVE]);
                x.div(&length.maximum(&least))
            }
            "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => {
                self.of_labels(node, attributes)?
            }
            other => match self.tensor_op(node, attributes)? {
                Some(y) => y,
                None => return Stop::unsupported(format!("op {other}")),
            },
        })
    }

    /// NumPy's broadcasting; before opset 7 the second shape began at `axis` of the first.
    fn arithmetic(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Tensor, Stop> {
        let (a, mut b) = (self.input(node, 0)?, self.input(node, 1)?);
        attributes.ignore(&["broadcast"]);
        if attributes.get("axis").is_some() {
            let mut dims = b.shape().dims().to_vec();
            let axis = algebra::dimension(attributes.required("axis")? as i64, a.shape().rank())?;
            let missing = a.shape().rank().saturating_sub(axis + dims.len());
            dims.extend(std::iter::repeat_n(1, missing));
            b = b.reshape(dims);
        }
        Ok(match node.op {
            "Add" => a.add(&b),
            "Sub" => a.sub(&b),
            "Mul" => a.mul(&b),
            _ => a.div(&b),
        })
    }

    /// α·op(A)·op(B) + β·C.
    fn gemm(&mut self, node: &Node<'_>, attributes: &mut Settings<'_>) -> Result<Tensor, Stop> {
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        let transpose_a = attributes.flag("transA", false)?;
        let op = MatMul {
            transpose_a,
            transpose_b: attributes.flag("transB", false)?,
            ..MatMul::default()
        };
        attributes.ignore(&["broadcast"]);
        let (alpha, beta) = (
            attributes.number("alpha", 1.0)?,
            attributes.number("beta", 1.0)?,
        );
        let product = self.work.graph.apply_one(op, &[&a, &b]).scale(alpha as f32);
        Ok(match self.optional(node, 2)? {
            Some(c) => product.add(&c.scale(beta as f32)),
            None => product,
        })
    }

    /// Over one axis; before opset 13 over all from `axis` on.
    fn softmax(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
        along: fn(&Tensor, isize) -> Tensor,
    ) -> Result<Tensor, Stop> {
        let x = self.input(node, 0)?;
        let (dims, default) = (
            x.shape().dims().to_vec(),
            if self.opset < 13 { 1.0 } else { -1.0 },
        );
        let axis = attributes.number("axis", default)? as i64;
        if self.opset >= 13 {
            return Ok(along(&x, axis as isize));
        }
        let (rows, columns) = dims.split_at(algebra::dimension(axis, dims.len())?);
        let x = x.reshape([rows.iter().product(), columns.iter().product()]);
        Ok(along(&x, -1).reshape(dims))
    }

    /// Over the dimensions from `axis` on.
    fn last_norm(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Tensor, Stop> {
        attributes.ignore(&["stash_type"]);
        let (x, scale) = (self.input(node, 0)?, self.input(node, 1)?);
        let rank = x.shape().rank();
        let axis = algebra::dimension(attributes.number("axis", -1.0)? as i64, rank)?;
        let epsilon = attributes.number("epsilon", 1e-5)? as f32;
        if node.op == "RMSNormalization" {
            return Ok(x.rms_norm(rank - axis, Some(&scale), epsilon));
        }
        let bias = self.optional(node, 2)?;
        let shape = x.shape();
        let lead = &shape.dims()[..axis];
        let rows: usize = lead.iter().product();
        let matrix = x.reshape([rows, shape.elements() as usize / rows.max(1)]);
        let (_, mean, variance) = matrix.standardize(-1, epsilon);
        let ones = [lead.to_vec(), vec![1; rank - axis]].concat();
        let inverse = variance.offset(epsilon).rsqrt();
        for (name, tensor) in node.outputs.iter().skip(1).zip([mean, inverse]) {
            self.values
                .insert(name.clone(), tensor.reshape(ones.as_slice()));
        }
        Ok(x.layer_norm(rank - axis, Some(&scale), bias.as_ref(), epsilon))
    }

    fn batch_norm(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Tensor, Stop> {
        attributes.without(&["spatial"])?;
        attributes.ignore(&["is_test"]);
        let x = self.input(node, 0)?;
        let (scale, bias) = (self.input(node, 1)?, self.input(node, 2)?);
        let (mean, variance) = (self.input(node, 3)?, self.input(node, 4)?);
        let epsilon = attributes.number("epsilon", 1e-5)? as f32;
        let keep = attributes.number("momentum", 0.9)? as f32;
        if !attributes.flag("training_mode", false)? {
            let statistics = [&mean, &variance];
            return Ok(x.batch_norm(1, statistics, Some(&scale), Some(&bias), epsilon));
        }
        let (y, batch_mean, batch_variance) =
            x.batch_norm_training(1, Some(&scale), Some(&bias), epsilon, None);
        let running = [(mean, batch_mean), (variance, batch_variance)];
        for (name, (before, batch)) in node.outputs.iter().skip(1).zip(running) {
            let after = before.scale(keep).add(&batch.scale(1.0 - keep));
            self.values.insert(name.clone(), after);
        }
        Ok(y)
    }

    /// Cross-entropy of logits, or the negative log-likelihood, of labels; the logarithms of the probabilities are a second
    /// output of the first.
    fn of_labels(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Tensor, Stop> {
        let x = self.input(node, 0)?;
        let weight = self.optional(node, 2)?;
        let scores = Classes::of(&x);
        let labels = self.case.tensor(&format!("in.{}", node.inputs[1]))?;
        let settings = Labels {
            smoothing: 0.0,
            ignored: attributes.number("ignore_index", f64::NAN)?,
            logits: node.op == "SoftmaxCrossEntropyLoss",
        };
        if let Some(name) = node.outputs.get(1) {
            let logarithms = scores.unrows(&scores.x.log_softmax(-1));
            self.values.insert(name.clone(), logarithms);
        }
        let given = (node.inputs[1].as_str(), labels);
        let losses = of_labels(&mut self.work, &scores, given, settings, weight.as_ref())?;
        losses.reduced(attributes.text("reduction", "mean")?, 1)
    }
}
