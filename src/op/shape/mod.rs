//! What ops share and is no op itself: walking along a dimension or row by row, broadcasting, and `Tensor` methods that are a
//! few nodes of other ops.

pub(super) mod along;
pub(super) mod broadcast;
mod enlarge;
pub(super) mod pair_gradients;
mod reduction;
pub(super) mod row_pairs;
pub(super) mod rows;
