//! What layers hand to each other stored as f16: activations, and the gradients that go back through them.
//!
//! A product's result is, where all that is done with it is done by calls that load f16: further products, the derivatives at
//! their ends, sums, and heads that compute their own layer. Everything else stays f32: parameters and their gradients,
//! optimizer states, data, what a loss reads and writes, and whatever the host fetches.

use std::sync::Arc;

use crate::DType;
use crate::contract::Op;
use crate::op::{Head, MatMul, Sum};
use crate::plan::schedule::Draft;

use super::calls::{CallId, Calls};

pub(super) fn store(program: &mut Calls) {
    let (mut tensors, mut saved) = (0, 0);
    for call in program.ids() {
        if let Some(changed) = halved(program, call) {
            tensors += 1;
            saved += 2 * program[call].signature.outputs[0].elements();
            for (call, draft) in changed {
                program.replace(call, draft);
            }
        }
    }
    if tensors > 0 {
        let megabytes = saved as f64 / 1e6;
        program.note(format!(
            "{tensors} tensors between products are f16: {megabytes:.3} MB less"
        ));
    }
}

/// The product at `call` with a result in f16, and the calls that take it, each with its place; none where that is not
/// possible.
fn halved(program: &Calls, call: CallId) -> Option<Vec<(CallId, Draft)>> {
    let draft = &program[call];
    let result = *draft.outputs.first()?;
    let mut producer = draft.clone();
    producer.op = Arc::new(MatMul {
        half: true,
        ..*draft.op.downcast()?
    });
    producer.signature.outputs[0].dtype = DType::F16;
    let mut changed = vec![(call, producer)];
    for (user, position) in program.uses(result)? {
        // A call may take it twice.
        let index = changed.iter().position(|(known, _)| *known == user);
        let index = index.unwrap_or_else(|| {
            changed.push((user, program[user].clone()));
            changed.len() - 1
        });
        let draft = &mut changed[index].1;
        draft.op = loads_half(draft)?;
        draft.signature.inputs[position].dtype = DType::F16;
    }
    // Each op's own rule says whether it takes what it would get and gives what it would have to.
    let fits = |(_, draft): &(CallId, Draft)| {
        let outputs = draft.op.infer(&draft.signature.inputs);
        outputs.is_ok_and(|outputs| outputs == draft.signature.outputs)
    };
    (changed.len() > 1 && changed.iter().all(fits)).then_some(changed)
}

/// A call's op as one that can load f16 from some of its operands.
fn loads_half(draft: &Draft) -> Option<Arc<dyn Op>> {
    if let Some(&product) = draft.op.downcast::<MatMul>() {
        return Some(Arc::new(MatMul {
            loads_half: true,
            ..product
        }));
    }
    let loads = draft.op.downcast::<Sum>().is_some() || draft.op.downcast::<Head>().is_some();
    loads.then(|| Arc::clone(&draft.op))
}
