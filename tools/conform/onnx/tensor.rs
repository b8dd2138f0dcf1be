//! ONNX operators that move, choose, compare and reduce, from Kiln's tensors.

use kiln::Tensor;

use super::Node;
use super::op::Run;
use crate::conform::Stop;
use crate::conform::case::Kind;
use crate::conform::operation::algebra::dimension;
use crate::conform::operation::distance;
use crate::conform::operation::einsum::einsum;
use crate::conform::operation::rearrange::{self, Padding};
use crate::conform::operation::reduce;
use crate::conform::settings::Settings;

impl Run<'_> {
    /// The node's first output, if its operator is one of these.
    pub fn tensor_op(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Option<Tensor>, Stop> {
        if let Some(y) = self.between(node)? {
            return Ok(Some(y));
        }
        if let Some(y) = self.reduction(node, attributes)? {
            return Ok(Some(y));
        }
        if let Some(y) = self.by_index(node, attributes)? {
            return Ok(Some(y));
        }
        let axis = |attributes: &mut Settings<'_>, default: f64, rank: usize| {
            dimension(attributes.number("axis", default)? as i64, rank)
        };
        Ok(Some(match node.op {
            "Concat" => {
                let parts = self.all(node)?;
                let default = if self.opset < 4 { 1.0 } else { f64::NAN };
                let axis = axis(attributes, default, parts[0].shape().rank())?;
                parts[0].concat(&parts[1..].iter().collect::<Vec<_>>(), axis as isize)
            }
            "Split" => {
                let x = self.input(node, 0)?;
                let axis = axis(attributes, 0.0, x.shape().rank())?;
                let len = x.shape().dims()[axis];
                let count = attributes.number("num_outputs", node.outputs.len() as f64)? as usize;
                let sizes = self.listed(node, 1, "split", attributes)?;
                let sizes: Vec<usize> = match sizes {
                    Some(sizes) => sizes.iter().map(|&size| size as usize).collect(),
                    None => rearrange::sizes(len, len.div_ceil(count.max(1))),
                };
                let mut parts = rearrange::split(&x, axis, &sizes)?;
                self.further(node, &parts[1..]);
                parts.remove(0)
            }
            "Slice" => self.slice(node, attributes)?,
            "Squeeze" | "Unsqueeze" => {
                let x = self.input(node, 0)?;
                let axes = self.listed(node, 1, "axes", attributes)?;
                let mut dims = x.shape().dims().to_vec();
                if node.op == "Squeeze" {
                    let axes = axes.map(|axes| reduce::dimensions(Some(&axes), dims.len()));
                    let axes = axes.transpose()?;
                    let mut number = 0;
                    dims.retain(|&dim| {
                        let own = axes.as_ref().is_some_and(|axes| axes.contains(&number));
                        number += 1;
                        !own && (axes.is_some() || dim != 1)
                    });
                } else {
                    let axes = axes.unwrap_or_default();
                    for axis in reduce::dimensions(Some(&axes), dims.len() + axes.len())? {
                        dims.insert(axis, 1);
                    }
                }
                x.reshape(dims)
            }
            "Transpose" => {
                let x = self.input(node, 0)?;
                let rank = x.shape().rank() as isize;
                let order = attributes.integers("perm")?;
                let order = order.map(|order| order.iter().map(|&axis| axis as isize).collect());
                x.permute(&order.unwrap_or_else(|| (0..rank).rev().collect::<Vec<_>>()))
            }
            "Expand" => {
                let x = self.input(node, 0)?;
                let wanted = self.integers(node, 1)?.unwrap_or_default();
                let own = x.shape().dims().to_vec();
                let rank = own.len().max(wanted.len());
                let size = |axis: usize| {
                    let back = rank - axis;
                    let of = |len: usize| len.checked_sub(back);
                    let own = of(own.len()).map_or(1, |at| own[at]);
                    let wanted = of(wanted.len()).map_or(1, |at| wanted[at] as usize);
                    own.max(wanted)
                };
                x.expand((0..rank).map(size).collect::<Vec<_>>())
            }
            "Tile" => {
                let x = self.input(node, 0)?;
                let times = self.integers(node, 1)?.unwrap_or_default();
                let times = times.iter().enumerate();
                times.fold(x, |x, (axis, &times)| {
                    rearrange::tile(&x, axis, times as usize)
                })
            }
            "Pad" => self.pad(node, attributes)?,
            "CumSum" => {
                let x = self.input(node, 0)?;
                let axis = self.integers(node, 1)?.unwrap_or_default();
                let axis = axis.first().copied().unwrap_or(0);
                let axis = dimension(axis, x.shape().rank())?;
                let exclusive = attributes.flag("exclusive", false)?;
                let reverse = attributes.flag("reverse", false)?;
                rearrange::running_sum(&x, axis, exclusive, reverse)
            }
            "Trilu" => {
                let x = self.input(node, 0)?;
                let k = self.integers(node, 1)?.unwrap_or_default();
                let upper = attributes.flag("upper", true)?;
                rearrange::triangle(&x, k.first().copied().unwrap_or(0), upper)
            }
            "SpaceToDepth" | "DepthToSpace" => self.blocks(node, attributes)?,
            "Einsum" => einsum(attributes.text("equation", "")?, &self.all(node)?)?,
            "LRN" => {
                let x = self.input(node, 0)?;
                let size = attributes.count("size")? as usize;
                let settings = [
                    attributes.number("alpha", 1e-4)?,
                    attributes.number("beta", 0.75)?,
                    attributes.number("bias", 1.0)?,
                ];
                distance::local_response(&x, ((size - 1) / 2, size / 2), settings)
            }
            "Gradient" => {
                let names = attributes.get("xs").and_then(serde_json::Value::as_array);
                // Texts are recorded as Python's bytes.
                let plain = |text: &str| {
                    let inner = text.strip_prefix("b'");
                    let inner = inner.and_then(|text| text.strip_suffix('\''));
                    inner.unwrap_or(text).to_string()
                };
                let names = names.into_iter().flatten().filter_map(|name| name.as_str());
                let y = plain(attributes.text("y", "")?);
                let missing = || Stop::Unsupported("gradients of an unknown tensor".into());
                let y = self.values.get(&y).cloned().ok_or_else(missing)?;
                let of = names.map(|name| self.values.get(&plain(name)).cloned());
                let of = of.collect::<Option<Vec<_>>>().ok_or_else(missing)?;
                let gradients = y.graph().gradients(&y, &of.iter().collect::<Vec<_>>());
                self.further(node, gradients.get(1..).unwrap_or_default());
                gradients.first().cloned().ok_or_else(missing)?
            }
            _ => return Ok(None),
        }))
    }

    /// Operators between tensors, element by element.
    fn between(&mut self, node: &Node<'_>) -> Result<Option<Tensor>, Stop> {
        let of: fn(&Tensor, &Tensor) -> Tensor = match node.op {
            "Max" => Tensor::maximum,
            "Min" => Tensor::minimum,
            "Equal" => Tensor::equal,
            "Greater" => Tensor::greater,
            "Less" => |a, b| b.greater(a),
            "GreaterOrEqual" => Tensor::greater_equal,
            "LessOrEqual" => |a, b| b.greater_equal(a),
            "And" => Tensor::mul,
            "Or" => Tensor::maximum,
            "Xor" => |a, b| a.sub(b).abs(),
            "Pow" => Tensor::power,
            "Where" => {
                let condition = self.input(node, 0)?;
                let (a, b) = (self.input(node, 1)?, self.input(node, 2)?);
                return Ok(Some(condition.choose(&a, &b)));
            }
            "Not" => return Ok(Some(self.input(node, 0)?.neg().offset(1.0))),
            "Mean" => {
                let parts = self.all(node)?;
                let sum = parts[1..]
                    .iter()
                    .fold(parts[0].clone(), |sum, x| sum.add(x));
                return Ok(Some(sum.scale(1.0 / parts.len() as f32)));
            }
            _ => return Ok(None),
        };
        let parts = self.all(node)?;
        let y = parts[1..].iter().fold(parts[0].clone(), |y, x| of(&y, x));
        let whole = node.op == "Pow" && self.is_whole(node, 0);
        Ok(Some(if whole { y.round() } else { y }))
    }

    fn reduction(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Option<Tensor>, Stop> {
        let Some(kind) = node.op.strip_prefix("Reduce") else {
            return Ok(None);
        };
        let x = self.input(node, 0)?;
        let axes = self.listed(node, 1, "axes", attributes)?;
        let axes = axes.filter(|axes| !axes.is_empty());
        let keep = attributes.flag("keepdims", true)?;
        if attributes.flag("noop_with_empty_axes", false)? && axes.is_none() {
            return Ok(Some(x));
        }
        let axes = axes.as_deref();
        Ok(Some(match kind {
            "Sum" => reduce::sum(&x, axes, keep)?,
            "Mean" => reduce::mean(&x, axes, keep)?,
            "Max" => reduce::over(&x, axes, keep, reduce::largest)?,
            "Min" => reduce::over(&x, axes, keep, reduce::least)?,
            "Prod" => reduce::over(&x, axes, keep, reduce::product)?,
            "L1" => reduce::norm(&x, 1.0, axes, keep)?,
            "L2" => reduce::norm(&x, 2.0, axes, keep)?,
            "SumSquare" => reduce::sum(&x.square(), axes, keep)?,
            "LogSum" => reduce::sum(&x, axes, keep)?.log(),
            "LogSumExp" => reduce::over(&x, axes, keep, reduce::log_sum_exp)?,
            _ => return Ok(None),
        }))
    }

    fn by_index(
        &mut self,
        node: &Node<'_>,
        attributes: &mut Settings<'_>,
    ) -> Result<Option<Tensor>, Stop> {
        let of_x = |x: &Tensor, attributes: &mut Settings<'_>, default: f64| {
            dimension(attributes.number("axis", default)? as i64, x.shape().rank())
        };
        Ok(Some(match node.op {
            "ArgMax" | "ArgMin" => {
                let x = self.input(node, 0)?;
                let axis = of_x(&x, attributes, 0.0)?;
                let last = attributes.flag("select_last_index", false)?;
                let keep = attributes.flag("keepdims", true)?;
                let [_, index] = reduce::extremum(&x, axis, node.op == "ArgMin", last, keep);
                index
            }
            "Hardmax" => {
                let x = self.input(node, 0)?;
                let dims = x.shape().dims().to_vec();
                let axis = of_x(&x, attributes, if self.opset < 13 { 1.0 } else { -1.0 })?;
                let y = match self.opset < 13 {
                    true => {
                        let (rows, columns) = dims.split_at(axis);
                        x.reshape([rows.iter().product(), columns.iter().product()])
                    }
                    false => x,
                };
                let axis = axis.min(y.shape().rank() - 1);
                one_hot(&y.argmax(axis as isize), y.shape().dims()[axis], axis).reshape(dims)
            }
            "TopK" => {
                let x = self.input(node, 0)?;
                let k = self.listed(node, 1, "k", attributes)?.unwrap_or_default();
                let k = k.first().copied().unwrap_or(1) as usize;
                let axis = of_x(&x, attributes, -1.0)?;
                attributes.ignore(&["sorted"]);
                let least = !attributes.flag("largest", true)?;
                let [values, indices] = reduce::top(&x, axis, k, least);
                self.further(node, &[indices]);
                values
            }
            "Gather" => {
                let x = self.input(node, 0)?;
                let axis = of_x(&x, attributes, 0.0)?;
                let indices = self.places(node, 1, x.shape().dims()[axis])?;
                x.take(axis as isize, &indices)
            }
            "GatherElements" => {
                let x = self.input(node, 0)?;
                let axis = of_x(&x, attributes, 0.0)?;
                let indices = self.places(node, 1, x.shape().dims()[axis])?;
                x.take_along(axis as isize, &indices)
            }
            "ScatterElements" => {
                let x = self.input(node, 0)?;
                let axis = of_x(&x, attributes, 0.0)?;
                let reduction = attributes.text("reduction", "none")?;
                let indices = self.places(node, 1, x.shape().dims()[axis])?;
                let updates = self.input(node, 2)?;
                scattered(x, axis, &indices, &updates, reduction)?
            }
            "OneHot" => {
                let depth = self.numbers(node, 1)?.first().copied().unwrap_or(0.0) as usize;
                let indices = self.places(node, 0, depth)?;
                let values = self.numbers(node, 2)?;
                let rank = indices.shape().rank() + 1;
                let axis = dimension(attributes.number("axis", -1.0)? as i64, rank)?;
                let mark = one_hot(&indices, depth, axis);
                let [off, on] = [0, 1].map(|i| values.get(i).copied().unwrap_or(0.0) as f32);
                let [off, on] = [off, on].map(|value| mark.graph().constant([], &[value]));
                mark.choose(&on, &off)
            }
            _ => return Ok(None),
        }))
    }

    fn slice(&mut self, node: &Node<'_>, attributes: &mut Settings<'_>) -> Result<Tensor, Stop> {
        let x = self.input(node, 0)?;
        let rank = x.shape().rank();
        let starts = self
            .listed(node, 1, "starts", attributes)?
            .unwrap_or_default();
        let ends = self
            .listed(node, 2, "ends", attributes)?
            .unwrap_or_default();
        let axes = self.listed(node, 3, "axes", attributes)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.listed(node, 4, "steps", attributes)?;
        let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
        let mut y = x;
        for (((axis, start), end), step) in axes.iter().zip(starts).zip(ends).zip(steps) {
            y = rearrange::stretch(&y, dimension(*axis, rank)?, start, end, step)?;
        }
        Ok(y)
    }

    fn pad(&mut self, node: &Node<'_>, attributes: &mut Settings<'_>) -> Result<Tensor, Stop> {
        let x = self.input(node, 0)?;
        let rank = x.shape().rank();
        let mode = attributes.text("mode", "constant")?;
        let pads = match attributes.integers("paddings")? {
            Some(pads) => pads,
            None => self
                .listed(node, 1, "pads", attributes)?
                .unwrap_or_default(),
        };
        let value = match node.inputs.len() > 2 {
            true => self.numbers(node, 2)?.first().copied().unwrap_or(0.0),
            false => attributes.number("value", 0.0)?,
        };
        let axes = match node.inputs.len() > 3 {
            true => self.integers(node, 3)?,
            false => None,
        };
        let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
        let padding = Padding::named(mode, value)?;
        let (before, after) = pads.split_at(pads.len() / 2);
        let mut y = x;
        for ((axis, &before), &after) in axes.iter().zip(before).zip(after) {
            y = padding.apply(&y, dimension(*axis, rank)?, before, after)?;
        }
        Ok(y)
    }

    /// Squares of pixels as channels, or back, in ONNX' two orders of the channels.
    fn blocks(&mut self, node: &Node<'_>, attributes: &mut Settings<'_>) -> Result<Tensor, Stop> {
        let x = self.input(node, 0)?;
        let b = attributes.count("blocksize")? as usize;
        let columns_first = attributes.text("mode", "DCR")? == "CRD";
        let &[n, c, h, w] = x.shape().dims() else {
            return Stop::unsupported("pictures of other than four dimensions");
        };
        let (parts, order, to) = match (node.op, columns_first) {
            ("SpaceToDepth", false) => (
                [n, c, h / b, b, w / b, b],
                [0, 3, 5, 1, 2, 4],
                [n, c * b * b, h / b, w / b],
            ),
            ("SpaceToDepth", true) => (
                [n, c, h / b, b, w / b, b],
                [0, 1, 3, 5, 2, 4],
                [n, c * b * b, h / b, w / b],
            ),
            (_, false) => (
                [n, b, b, c / (b * b), h, w],
                [0, 3, 4, 1, 5, 2],
                [n, c / (b * b), h * b, w * b],
            ),
            (_, true) => (
                [n, c / (b * b), b, b, h, w],
                [0, 1, 4, 2, 5, 3],
                [n, c / (b * b), h * b, w * b],
            ),
        };
        Ok(x.reshape(parts).permute(&order).reshape(to))
    }

    /// All inputs.
    fn all(&mut self, node: &Node<'_>) -> Result<Vec<Tensor>, Stop> {
        (0..node.inputs.len())
            .map(|index| self.input(node, index))
            .collect()
    }

    /// Whole numbers of an attribute, or of an input.
    fn listed(
        &mut self,
        node: &Node<'_>,
        index: usize,
        name: &str,
        attributes: &mut Settings<'_>,
    ) -> Result<Option<Vec<i64>>, Stop> {
        match attributes.integers(name)? {
            Some(list) => Ok(Some(list)),
            None => self.integers(node, index),
        }
    }

    /// An input as indices of a dimension of `len`.
    fn places(&mut self, node: &Node<'_>, index: usize, len: usize) -> Result<Tensor, Stop> {
        let name = node
            .inputs
            .get(index)
            .map(String::as_str)
            .unwrap_or_default();
        let array = self.case.tensor(&format!("in.{name}"))?;
        self.work.places(name, array, len)
    }

    fn is_whole(&self, node: &Node<'_>, index: usize) -> bool {
        let name = node
            .inputs
            .get(index)
            .map(String::as_str)
            .unwrap_or_default();
        let array = self.case.find(&format!("in.{name}"));
        array.is_some_and(|array| array.kind == Kind::Integer)
    }

    /// Outputs after the first.
    fn further(&mut self, node: &Node<'_>, outputs: &[Tensor]) {
        for (name, tensor) in node.outputs.iter().skip(1).zip(outputs) {
            self.values.insert(name.clone(), tensor.clone());
        }
    }
}

/// Ones at the indices along a new dimension at place `axis`.
fn one_hot(indices: &Tensor, depth: usize, axis: usize) -> Tensor {
    let rank = indices.shape().rank();
    let mut order: Vec<isize> = (0..rank as isize).collect();
    order.insert(axis, -1);
    let last = indices.one_hot(depth);
    if axis == rank {
        last
    } else {
        last.permute(&order)
    }
}

/// Updates put at their indices, or combined with what is there: one after the other, because two may fall on one place.
fn scattered(
    x: Tensor,
    axis: usize,
    indices: &Tensor,
    updates: &Tensor,
    reduction: &str,
) -> Result<Tensor, Stop> {
    let to = x.shape().dims().to_vec();
    let mut narrow = updates.shape().dims().to_vec();
    let count = narrow[axis];
    narrow[axis] = to[axis];
    let wide = |part: &Tensor| {
        let axes = narrow.iter().enumerate();
        axes.fold(part.clone(), |part, (axis, &len)| match to[axis] - len {
            0 => part,
            more => part.pad(axis as isize, 0, more),
        })
    };
    let narrowed = |x: &Tensor| {
        let axes = narrow.iter().enumerate();
        axes.fold(x.clone(), |x, (axis, &len)| x.slice(axis as isize, 0, len))
    };
    let mut y = x;
    let axis = axis as isize;
    for turn in 0..count {
        let (index, update) = (indices.slice(axis, turn, 1), updates.slice(axis, turn, 1));
        let there = narrowed(&y).take_along(axis, &index);
        let value = match reduction {
            "none" => update,
            "add" => there.add(&update),
            "mul" => there.mul(&update),
            "max" => there.maximum(&update),
            "min" => there.minimum(&update),
            other => return Stop::unsupported(format!("reduction {other}")),
        };
        let ones = value.graph().constant([], &[1.0]).expand(value.shape());
        let mark = wide(&ones.scatter_along(axis, &index, narrow.as_slice()));
        let value = wide(&value.scatter_along(axis, &index, narrow.as_slice()));
        y = mark.choose(&value, &y);
    }
    Ok(y)
}
