//! The dimensions that a layer works along: one, as in most models, or several that count as one.

use serde::{Deserialize, Serialize};

use crate::Tensor;

/// Dimensions of a batch, counted with the batch as 0, or from the back where negative. Several are taken together, as if
/// they were one long dimension.
///
/// ```
/// use kiln::nn::{Axes, Softmax};
///
/// assert_eq!(Softmax { axis: Axes::One(-1) }, Softmax::default());
/// assert_eq!(Axes::from([1, 2]), Axes::Several(vec![1, 2]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axes {
    /// One dimension.
    One(isize),
    /// Several dimensions, taken together.
    Several(Vec<isize>),
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        Axes::One(axis)
    }
}

impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Self {
        match axes[..] {
            [axis] => Axes::One(axis),
            _ => Axes::Several(axes),
        }
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        Vec::from(axes).into()
    }
}

/// The last dimension.
impl Default for Axes {
    fn default() -> Self {
        Axes::One(-1)
    }
}

impl Axes {
    /// The dimensions of a batch of samples with `rank` dimensions, in ascending order; never that of the batch itself.
    pub(super) fn of_samples(&self, rank: usize) -> Result<Vec<usize>, String> {
        let named = match self {
            Axes::One(axis) => std::slice::from_ref(axis),
            Axes::Several(axes) => axes,
        };
        let axes = named.iter().map(|&axis| dimension(axis, rank));
        let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        if axes.is_empty() || axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(format!(
                "axes {named:?} do not name one dimension or several different ones"
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

/// The dimension of a batch of samples with that many dimensions; never that of the batch itself.
pub(super) fn dimension(axis: isize, rank: usize) -> Result<usize, String> {
    let counted = if axis < 0 {
        axis + rank as isize + 1
    } else {
        axis
    };
    match usize::try_from(counted) {
        Ok(counted) if counted > 0 && counted <= rank => Ok(counted),
        _ => Err(format!(
            "axis {axis} is none of samples of {rank} dimensions: 1 to {rank}, or −{rank} to −1"
        )),
    }
}
