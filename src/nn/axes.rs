//! The dimensions that a layer works along: one, as in most models, or several that count as one.

use serde::{Deserialize, Serialize};

use crate::Tensor;

use super::concatenate::dimension;

/// Dimensions of a batch, counted with the batch as 0, or from the back where negative. Several are taken together, as if
/// they were one long dimension.
///
/// ```
/// use kiln::nn::{Axes, Softmax};
///
/// assert_eq!(Softmax::new().axis(-1), Softmax::new());
/// assert_eq!(Softmax::new().axis([1, 2]).axis, Axes::from([1, 2]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Axes(Vec<isize>);

/// How a model file has them: a number, or a list as in Keras.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(isize),
    Several(Vec<isize>),
}

impl From<Written> for Axes {
    fn from(written: Written) -> Self {
        match written {
            Written::One(axis) => axis.into(),
            Written::Several(axes) => axes.into(),
        }
    }
}

impl From<Axes> for Written {
    fn from(axes: Axes) -> Self {
        match axes.0[..] {
            [axis] => Written::One(axis),
            _ => Written::Several(axes.0),
        }
    }
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        Axes(vec![axis])
    }
}

impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Self {
        Axes(axes)
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        Axes(axes.into())
    }
}

/// The last dimension.
impl Default for Axes {
    fn default() -> Self {
        Axes::from(-1)
    }
}

impl Axes {
    /// The dimensions of a batch of samples with `rank` dimensions, in ascending order; never that of the batch itself.
    pub(super) fn of_samples(&self, rank: usize) -> Result<Vec<usize>, String> {
        let axes = self.0.iter().map(|&axis| dimension(axis, rank));
        let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        if axes.is_empty() || axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(format!(
                "axes {:?} do not name one dimension or several different ones",
                self.0
            ));
        }
        Ok(axes)
    }

    /// f along these dimensions of x, which f keeps the shape of.
    #[track_caller]
    pub(super) fn apply(
        &self,
        x: &Tensor,
        f: impl Fn(&Tensor, isize) -> Tensor,
    ) -> Result<Tensor, String> {
        let shape = x.shape();
        let rank = shape.rank();
        let axes = self.of_samples(rank.saturating_sub(1))?;
        if let [axis] = axes[..] {
            return Ok(f(x, axis as isize));
        }
        // The others first, then these as one dimension.
        let others = (0..rank).filter(|axis| !axes.contains(axis));
        let order = others.chain(axes.iter().copied());
        let order: Vec<isize> = order.map(|axis| axis as isize).collect();
        let mut back = vec![0; rank];
        for (to, &from) in (0..).zip(&order) {
            back[from as usize] = to;
        }
        let moved = x.permute(&order);
        let dims = moved.shape().dims().to_vec();
        let (outer, inner) = dims.split_at(rank - axes.len());
        let (outer, inner) = (outer.iter().product(), inner.iter().product());
        let y = f(&moved.reshape([outer, inner]), -1);
        Ok(y.reshape(dims).permute(&back))
    }
}
