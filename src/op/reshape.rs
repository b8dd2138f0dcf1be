//! The same elements under another shape: a view, without a copy or a kernel.

use crate::contract::{Compute, Io, Launches, Op, Sample, Signature, Vjp, arity};
use crate::number::Real;
use crate::target::Target;
use crate::{Shape, Tensor, TensorType};

/// y holds the elements of x in the same row-major order.
#[derive(Debug, Clone)]
pub(super) struct Reshape(pub Shape);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        if x.elements() != self.0.elements() {
            return Err(format!(
                "{} has {} elements, {} has {}",
                x.shape,
                x.elements(),
                self.0,
                self.0.elements()
            ));
        }
        Ok(vec![TensorType::of(x.dtype, &self.0)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Ok(vec![Some(vjp.dy()?.reshape(vjp.inputs[0].shape()))])
    }

    fn is_view(&self) -> bool {
        true
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(Launches::default())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        vec![sample.relative(0, 0.0)]
    }
}

impl Compute for Reshape {
    /// The plan follows views to what they show, so nothing is left to compute.
    #[inline(always)]
    fn compute<T: Real>(&self, _io: &mut Io<'_, T>) {}
}
