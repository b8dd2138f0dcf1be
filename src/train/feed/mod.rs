//! The way of rows to the device, for training and evaluation alike.
//!
//! | file | what it holds |
//! |---|---|
//! | `feeder` | [`Feeder`]: brings rows whole, in parts, or from an iterator |
//! | `place` | how many rows the device has room for at once |
//! | `batches` | pieces of an iterator, cut into batches |

mod batches;
mod feeder;
mod place;

pub(super) use batches::Batches;
pub(super) use feeder::{Cut, Feeder};
pub(super) use place::{evaluation_place, make_room, parts_of_batch, place};
