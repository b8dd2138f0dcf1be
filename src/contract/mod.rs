//! What an op promises graph, plan and executors: the trait [`Op`], the dispatches and the CPU form that it is made of, the
//! cases that a harness runs, and the sample that its rounding bound is argued from.

mod case;
mod compute;
mod launch;
mod op;
mod row_loss;
mod sample;
mod signature;

pub(crate) use case::shapes;
pub use case::{Case, Entry, Fill};
pub use compute::{Compute, DynCompute, Io};
pub(crate) use compute::{MAX_OPERANDS, View, ViewMut};
pub use launch::{Binding, Launch, Launches, Param, Shader, fold};
pub(crate) use launch::{WRITTEN_FOR, shader, wgsl};
pub use op::{Op, Slab, Vjp};
pub use row_loss::{Form, RowLoss};
pub use sample::Sample;
pub use signature::{Signature, arity, expect_dtype};
