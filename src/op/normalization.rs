//! Normalisations, from standardised rows: no op of their own, a few nodes each.
//!
//! Keras and PyTorch differ in defaults only: ε is 1e-3 for batch, layer and group normalisation in Keras and 1e-5 in
//! PyTorch, 1e-6 for RMS normalisation in Keras and the machine's in PyTorch. For running variances see
//! [`RunningAverage`].

use crate::Tensor;
use crate::op::shape::along::Along;

use super::{RunningAverage, Standardize};

/// # Normalisation
///
/// Results have the shape of the tensor. An axis is a dimension's number, counted from 0, or from the back where it is
/// negative: −1 is the last. `epsilon` is what is added to a variance before its root is taken. Scales and offsets that
/// are not given are not applied.
impl Tensor {
    /// (x − μ)/√(v + ε) along `axis`, with the mean μ and the biased variance v; after it μ and v, which lack that
    /// dimension.
    #[track_caller]
    pub fn standardize(&self, axis: isize, epsilon: f32) -> (Tensor, Tensor, Tensor) {
        let op = Standardize {
            axis,
            center: true,
            epsilon,
            ragged: None,
        };
        standardized(self, op, None)
    }

    /// Layer normalisation: mean 0 and variance 1 over the last `dims` dimensions, times `scale`, plus `offset`, which
    /// are shaped as these dimensions or broadcast to them. Keras' default of ε is 1e-3. Refused where `dims` is 0 or
    /// more than there are.
    #[track_caller]
    pub fn layer_norm(
        &self,
        dims: usize,
        scale: Option<&Tensor>,
        offset: Option<&Tensor>,
        epsilon: f32,
    ) -> Tensor {
        scaled(
            over_last(self, "layer_norm", dims, true, epsilon),
            scale,
            offset,
        )
    }

    /// RMS normalisation: mean square 1 over the last `dims` dimensions, times `scale`, as in
    /// [`layer_norm`](Self::layer_norm). Keras' default of ε is 1e-6.
    #[track_caller]
    pub fn rms_norm(&self, dims: usize, scale: Option<&Tensor>, epsilon: f32) -> Tensor {
        scaled(
            over_last(self, "rms_norm", dims, false, epsilon),
            scale,
            None,
        )
    }

    /// Vectors along `axis` brought to length 1; one that is shorter than 1e-6 is divided by 1e-6, as in Keras.
    #[track_caller]
    pub fn unit_norm(&self, axis: isize) -> Tensor {
        let shape = self.shape();
        let len = shape.axis(axis).map_or(1, |at| shape.dims()[at]) as f32;
        // Keras has no lengths below 1e-6.
        let op = Standardize {
            axis,
            center: false,
            epsilon: 1e-12 / len,
            ragged: None,
        };
        let x = match shape.axis(axis) {
            Ok(_) => self.with_squares(axis),
            Err(_) => self.clone(),
        };
        standardized(&x, op, None).0.scale(1.0 / len.sqrt())
    }

    /// Group normalisation: the channels, dimension 1, in `groups` groups of neighbours, each of which has mean 0 and
    /// variance 1 in each row of the batch, dimension 0; times `scale`, plus `offset`, of shape `[channels]`. With one
    /// channel a group it is instance normalisation. Keras' default of ε is 1e-3. Refused where the groups do not
    /// divide the channels.
    #[track_caller]
    pub fn group_norm(
        &self,
        groups: usize,
        scale: Option<&Tensor>,
        offset: Option<&Tensor>,
        epsilon: f32,
    ) -> Tensor {
        let shape = self.shape();
        let (rows, channels) = match *shape.dims() {
            [rows, channels, ..] if groups > 0 && channels % groups == 0 => (rows, channels),
            _ => {
                let message = format!("{groups} groups of the channels of {shape}, dimension 1");
                return self.refuse("group_norm", message);
            }
        };
        let size = shape.elements() as usize / (rows * groups).max(1);
        let y = self.reshape([rows, groups, size]);
        let y = y.standardize(-1, epsilon).0;
        let sides = [rows, channels, size * groups / channels];
        let wide = |t: &Tensor| t.reshape([channels, 1]);
        let y = y.reshape(sides);
        scaled(y, scale.map(wide).as_ref(), offset.map(wide).as_ref()).reshape(&shape)
    }

    /// Batch normalisation in inference: (x − `mean`)/√(`variance` + ε), times `scale`, plus `offset`, all of them of
    /// shape `[channels]`, the size of dimension `axis`. Keras' default of ε is 1e-3.
    #[track_caller]
    pub fn batch_norm(
        &self,
        axis: isize,
        [mean, variance]: [&Tensor; 2],
        scale: Option<&Tensor>,
        offset: Option<&Tensor>,
        epsilon: f32,
    ) -> Tensor {
        let along = match Along::of(&self.kind(), axis) {
            Ok(along) => along,
            Err(message) => return self.refuse("batch_norm", message),
        };
        let wide = |t: &Tensor| t.reshape([along.len, 1]);
        let factor = variance.offset(epsilon).rsqrt();
        let factor = scale.map_or(factor.clone(), |scale| factor.mul(scale));
        let y = along.wide(self).sub(&wide(mean)).mul(&wide(&factor));
        scaled(y, None, offset.map(wide).as_ref()).reshape(self.shape())
    }

    /// Batch normalisation in training: mean 0 and variance 1 of every channel, dimension `axis`, over all other
    /// dimensions; times `scale`, plus `offset`, of shape `[channels]`; after it the batch's means and biased
    /// variances, `[channels]`.
    ///
    /// With the clock's `cursor` only the rows of the batch at hand count: those after them, left from batches before,
    /// are computed alike and have no gradient.
    #[track_caller]
    pub fn batch_norm_training(
        &self,
        axis: isize,
        scale: Option<&Tensor>,
        offset: Option<&Tensor>,
        epsilon: f32,
        cursor: Option<&Tensor>,
    ) -> (Tensor, Tensor, Tensor) {
        let shape = self.shape();
        let (rank, at) = match shape.axis(axis) {
            Ok(at) => (shape.rank() as isize, at as isize),
            Err(message) => {
                let refused = self.refuse("batch_norm", message);
                return (refused.clone(), refused.clone(), refused);
            }
        };
        let last: Vec<isize> = (0..rank).filter(|&i| i != at).chain([at]).collect();
        let moved = if at + 1 == rank {
            self.clone()
        } else {
            self.permute(&last)
        };
        let channels = shape.dims()[at as usize];
        let all = shape.elements() as usize / channels.max(1);
        let rows = shape.dims().first().copied().unwrap_or(1);
        let op = Standardize {
            axis: 0,
            center: true,
            epsilon,
            ragged: cursor.map(|_| all / rows.max(1)),
        };
        let matrix = moved.reshape([all, channels]);
        let (y, mean, variance) = standardized(&matrix, op, cursor);
        let y = scaled(y, scale, offset).reshape(moved.shape());
        if at + 1 == rank {
            return (y, mean, variance);
        }
        let back: Vec<isize> = (0..at).chain([rank - 1]).chain(at..rank - 1).collect();
        (y.permute(&back), mean, variance)
    }

    /// This variable, a running average, moves to `value` of the same shape: average ← keep·average + (1 − keep)·value. A
    /// variance of n = `unbiased` values is multiplied by n/(n − 1) first. The handle is for
    /// [`Program::update`](crate::Program::update).
    #[track_caller]
    pub fn running_average(&self, value: &Tensor, keep: f32, unbiased: Option<usize>) -> Tensor {
        let op = RunningAverage {
            keep,
            unbiased,
            ragged: None,
        };
        self.graph().apply_one(op, &[self, value])
    }
}

#[track_caller]
fn standardized(x: &Tensor, op: Standardize, cursor: Option<&Tensor>) -> (Tensor, Tensor, Tensor) {
    let mut inputs = vec![x];
    inputs.extend(cursor);
    let [y, mean, variance] = x.graph().apply_many(op, &inputs);
    (y, mean, variance)
}

/// Standardised over the last `dims` dimensions.
#[track_caller]
fn over_last(x: &Tensor, name: &'static str, dims: usize, center: bool, epsilon: f32) -> Tensor {
    let shape = x.shape();
    let Some(lead) = shape.rank().checked_sub(dims).filter(|_| dims > 0) else {
        let message = format!("the last {dims} dimensions of {shape}");
        return x.refuse(name, message);
    };
    let columns: usize = shape.dims()[lead..].iter().product();
    let rows: usize = shape.dims()[..lead].iter().product();
    let op = Standardize {
        axis: -1,
        center,
        epsilon,
        ragged: None,
    };
    let y = standardized(&x.reshape([rows, columns]), op, None).0;
    y.reshape(shape)
}

#[track_caller]
fn scaled(y: Tensor, scale: Option<&Tensor>, offset: Option<&Tensor>) -> Tensor {
    let y = scale.map_or(y.clone(), |scale| y.mul(scale));
    offset.map_or(y.clone(), |offset| y.add(offset))
}

#[cfg(test)]
mod tests {
    use crate::op::NoiseKind::Dropout;
    use crate::{Device, Graph, Plan, Program, Result, Tensor, Values};

    /// What `of` makes of x and the cursor of a batch of `rows` rows in the third step, in f64.
    fn run(
        x: &[f32],
        shape: [usize; 2],
        rows: u32,
        of: impl Fn(&Tensor, &Tensor) -> Vec<Tensor>,
    ) -> Result<Vec<Vec<f64>>> {
        let graph = Graph::new();
        let (input, cursor) = (graph.input("x", shape), graph.labels("cursor", [8]));
        let wanted = of(&input, &cursor);
        let mut program = Program::new("run");
        for (i, tensor) in wanted.iter().enumerate() {
            program = program.fetch(i.to_string(), tensor);
        }
        let device = Device::reference();
        let plan = Plan::compile(&graph, device.target(), [program])?;
        let mut session = device.open(&plan)?;
        session.write("x", x)?;
        session.write_labels("cursor", &[3, 0, 0, rows, 100, 0, 0, 0])?;
        session.run("run", 1)?;
        let read = |i: usize| match session.read_values(&i.to_string())? {
            Values::F64(values) => Ok(values),
            other => panic!("{other:?}"),
        };
        (0..wanted.len()).map(read).collect()
    }

    #[test]
    fn rows_behind_a_ragged_batch_have_no_part_in_its_normalisation() {
        let x = [1.0, 5.0, 2.0, -1.0, 6.0, 2.0, 1000.0, -70.0, 3.0, 3.0];
        let normalised = |x: &Tensor, cursor: &Tensor| {
            let (y, mean, variance) = x.batch_norm_training(-1, None, None, 1e-3, Some(cursor));
            // A gradient that is neither constant nor along y.
            let dx = x.graph().gradients(&y.square().mul(&y.exp()), &[x]);
            let second = x.graph().gradients(&dx[0].square(), &[x]);
            vec![y, mean, variance, dx[0].clone(), second[0].clone()]
        };
        // The exponentials of the stale rows overflow, and may.
        let ragged = run(&x, [5, 2], 3, normalised).unwrap();
        let whole = run(&x[..6], [3, 2], 3, normalised).unwrap();
        assert_eq!(ragged[0][..6], whole[0]);
        assert_eq!((&ragged[1], &ragged[2]), (&whole[1], &whole[2]));
        assert_eq!(ragged[3][..6], whole[3]);
        assert_eq!(ragged[3][6..], [0.0; 4]);
        // The gradient of the gradient.
        assert!(whole[4].iter().all(|second| second.abs() > 1e-3));
        for (ragged, whole) in ragged[4].iter().zip(&whole[4]) {
            assert!((ragged - whole).abs() <= 1e-12 * whole.abs());
        }
        assert_eq!(ragged[4][6..], [0.0; 4]);
    }

    #[test]
    fn statistics_of_a_ragged_batch_have_the_gradient_of_its_rows() {
        let x = [1.0, 5.0, 2.0, -1.0, 6.0, 2.0, 1000.0, -70.0, 3.0, 3.0];
        let of_statistics = |x: &Tensor, cursor: &Tensor| {
            let (_, mean, variance) = x.batch_norm_training(-1, None, None, 1e-3, Some(cursor));
            let value = mean.exp().mul(&variance.square());
            vec![x.graph().gradients(&value, &[x])[0].clone()]
        };
        let ragged = run(&x, [5, 2], 3, of_statistics).unwrap();
        let whole = run(&x[..6], [3, 2], 3, of_statistics).unwrap();
        assert!(whole[0].iter().all(|slope| slope.abs() > 1e-3));
        for (ragged, whole) in ragged[0].iter().zip(&whole[0]) {
            assert!((ragged - whole).abs() <= 1e-12 * whole.abs());
        }
        assert_eq!(ragged[0][6..], [0.0; 4]);
    }

    #[test]
    fn dropout_drops_the_same_elements_from_the_gradient() {
        let kind = Dropout { rate: 0.4 };
        let (seed, stream) = (9, 1);
        let dropped = |x: &Tensor, cursor: &Tensor| {
            let y = x.noise(cursor, kind, seed, stream);
            let dx = x.graph().gradients(&y, &[x]);
            vec![y, dx[0].clone()]
        };
        let results = run(&[1.0; 40], [10, 4], 10, dropped).unwrap();
        assert_eq!(results[0], results[1]);
        assert!(results[0].contains(&0.0) && results[0].iter().any(|&y| y > 1.0));
    }
}
