//! An op that does nothing where a word on the device says so: how a step's updates are skipped without the host.
//!
//! Any op will do that only updates in place; it and its kernels know nothing of the guard. On a GPU a test is put before the
//! kernel's first statement: see `gpu::guard`.

use std::panic::Location;
use std::sync::Arc;

use crate::contract::{
    Binding, Case, DynCompute, Entry, Fill, Io, Launches, MAX_OPERANDS, Op, Sample, Signature, Slab,
};
use crate::graph::{Graph, Node};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::{Adam, Momentum, RATES, Sgd};

pub const ENTRY: Entry = Entry::new("guarded", &[], cases);

/// `op`, unless the guard's word is set. Inputs: the op's, and the guard, u32 \[n\]. No output.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// What is done or left.
    pub op: Arc<dyn Op>,
    /// The word that is 0 where it is done.
    pub word: usize,
}

impl Guarded {
    /// The operands as the op itself sees them.
    fn own(&self, signature: &Signature) -> Signature {
        let mut own = signature.clone();
        own.inputs.pop();
        own
    }

    /// For both float types: the op finds its operands where they are without a guard, which is the last.
    #[inline(always)]
    fn is_set<T: Real>(&self, io: &Io<'_, T>) -> bool {
        io.words(io.signature.inputs.len() - 1)[self.word] != 0
    }
}

impl Op for Guarded {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let Some((guard, own)) = inputs.split_last() else {
            return Err("takes a guard, got no inputs".into());
        };
        if guard.dtype != DType::U32 || guard.elements() <= self.word as u64 {
            return Err(format!("word {} of {guard} is no guard", self.word));
        }
        let outputs = self.op.infer(own)?;
        if outputs.is_empty() {
            return Ok(outputs);
        }
        Err("only what updates in place can be left out".into())
    }

    fn writes(&self) -> &[usize] {
        self.op.writes()
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let mut launches = self.op.launch(&self.own(signature), target)?;
        let word = u32::try_from(self.word).map_err(|error| error.to_string())?;
        for launch in &mut launches.launches {
            launch.guard = Some((Binding::Input(signature.inputs.len() - 1), word));
        }
        Ok(launches)
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        if input + 1 == signature.inputs.len() {
            return 1;
        }
        self.op.touched(&self.own(signature), input)
    }

    fn slab(&self) -> Option<Slab> {
        let own = self.op.slab()?;
        Some(Slab {
            key: format!("{} unless {}", own.key, self.word),
            ..own
        })
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let guard = &sample.inputs[sample.inputs.len() - 1];
        if guard[self.word] != 0.0 {
            // Bit by bit as it was.
            return sample.results.iter().map(|r| vec![0.0; r.len()]).collect();
        }
        self.op.bound(&Sample {
            inputs: &sample.inputs[..sample.inputs.len() - 1],
            results: sample.results,
            signature: &self.own(sample.signature),
        })
    }
}

impl DynCompute for Guarded {
    fn compute_f32(&self, io: &mut Io<'_, f32>) {
        if !self.is_set(io) {
            self.op.compute_f32(io);
        }
    }

    fn compute_f64(&self, io: &mut Io<'_, f64>) {
        if !self.is_set(io) {
            self.op.compute_f64(io);
        }
    }
}

fn cases() -> Vec<Case> {
    let adam = Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
    };
    let momentum = Momentum {
        momentum: 0.9,
        nesterov: true,
    };
    let mut cases = Vec::new();
    for len in [1, 3, 17, 256, 257, 70_000] {
        for (op, states) in [
            (Arc::new(Sgd) as Arc<dyn Op>, 0),
            (Arc::new(momentum), 1),
            (Arc::new(adam), 2),
        ] {
            for (word, guard) in [(0, [0, 1]), (1, [0, 1])] {
                let op = Arc::clone(&op);
                let mut case = Case::new(Guarded { op, word });
                for _ in 0..1 + states {
                    case = case.constant(&[len], Fill::Uniform(0.1, 2.0));
                }
                cases.push(
                    case.constant(&[len], Fill::Uniform(-1.0, 1.0))
                        .constant(&[RATES], Fill::Values(vec![0.1, 0.9, 0.999, 1.0]))
                        .words(&[2], Fill::Words(guard.into())),
                );
            }
        }
    }
    cases
}

impl Graph {
    /// What `record` records, but left out in a step in which that word of `guard` is set: all that it updates in place
    /// but `spare`.
    #[track_caller]
    pub(crate) fn unless<R>(
        &self,
        guard: &Tensor,
        word: usize,
        spare: &Tensor,
        record: impl FnOnce() -> R,
    ) -> R {
        let first = self.lock().records.len();
        let recorded = record();
        let mut full = None;
        for record in &mut self.lock().records[first..] {
            if let Node::Op(op) = &record.node
                && op.writes().iter().any(|&i| record.inputs[i] != spare.id())
            {
                if record.inputs.len() == MAX_OPERANDS {
                    full = Some(op.name());
                }
                record.node = Node::Op(Arc::new(Guarded {
                    op: Arc::clone(op),
                    word,
                }));
                record.inputs.push(guard.id());
            }
        }
        if let Some(name) = full {
            let message = "has no input left for what tells whether it is skipped";
            self.refuse_at(name, message.into(), Location::caller());
        }
        recorded
    }
}
