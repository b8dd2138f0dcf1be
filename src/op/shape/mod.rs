//! What ops share and is no op itself: walking along a dimension or row by row, and broadcasting.

pub(super) mod along;
pub(crate) mod broadcast;
pub(super) mod pair_gradients;
pub(super) mod row_map;
pub(super) mod row_pairs;
pub(super) mod rows;
