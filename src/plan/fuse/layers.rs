//! A product with the bias and the function after it, or the derivative, as one call; on GPUs with the gathering of its
//! rows too.

use std::sync::Arc;

use crate::DType;
use crate::op::{Binary, End, Gather, MatMul, Operator, PointwiseBackward};
use crate::plan::schedule::Draft;
use crate::target::{Class, Target};

use super::calls::{CallId, Calls};

pub(super) fn join(program: &mut Calls, target: &Target) {
    // What a call becomes stands later than the call, so one walk through all of them meets it again.
    for call in program.ids() {
        if let Some((next, joined)) = with_next(program, call) {
            let (first, second) = (program[call].op.name(), program[next].op.name());
            let note = format!("{first} and {second} are one call");
            program.note(note);
            program.replace(next, joined);
            program.remove(call);
        }
    }
    // On the processor a gathered copy costs less than an index for every load of the product.
    if target.class == Class::Gpu {
        for call in program.ids() {
            gather(program, call);
        }
    }
}

/// The only call that takes the result of the product at `call`, and what both become where that one stood, if it is something
/// that a product may end in.
fn with_next(program: &Calls, call: CallId) -> Option<(CallId, Draft)> {
    let product = program.get(call)?;
    let op: MatMul = *product.op.downcast()?;
    let (next, position) = program.only_use(*product.outputs.first()?)?;
    if op.end != End::Plain || !program.may_wait(call, next) {
        return None;
    }
    let follower = &program[next];
    // With an operand that the next call brings: a bias, or what a function saved.
    let (op, brought) = if follower.op.downcast() == Some(&Binary(Operator::Add)) {
        let bias = 1 - position;
        let columns = *product.signature.outputs[0].shape.dims().last()?;
        let fits = follower.signature.inputs[bias].shape.dims() == [columns];
        (!op.bias && fits).then_some((MatMul { bias: true, ..op }, Some(bias)))?
    } else if let Some(function) = follower.op.downcast() {
        let end = End::Function(*function);
        (function.ends_layers()).then_some((MatMul { end, ..op }, None))?
    } else if let Some(PointwiseBackward(function)) = follower.op.downcast() {
        // The operands: what the function saved, and dY.
        let end = End::Slope(*function);
        let fits = position == 1 && !op.bias && function.ends_layers();
        fits.then_some((MatMul { end, ..op }, Some(0)))?
    } else {
        return None;
    };
    let brought = brought.map(|operand| follower.input(operand));
    let inputs = product.typed_inputs().chain(brought);
    let types = product.signature.outputs.iter().cloned();
    let outputs = follower.outputs.iter().copied().zip(types);
    let joined = Draft::new(op, inputs, outputs, product.merged + follower.merged);
    Some((next, joined))
}

/// Lets the products that take a gathered batch gather it themselves, if all of its users are such.
fn gather(program: &mut Calls, call: CallId) {
    let draft = &program[call];
    let is_matrix = draft.signature.inputs.len() == 2
        && draft.signature.inputs[1].dtype == DType::F32
        && draft.signature.inputs[1].shape.rank() == 2;
    if !Gather::copies(draft.op.as_ref()) || !is_matrix {
        return;
    }
    let Some(uses) = program.uses(draft.outputs[0]) else {
        return;
    };
    let uses: Vec<(CallId, usize)> = uses.collect();
    let takes = |&(user, position): &(CallId, usize)| {
        let fits = |op: &MatMul| !op.gather;
        let fits = program[user].op.downcast().is_some_and(fits);
        fits && position == 0 && program.may_wait(call, user)
    };
    if uses.is_empty() || !uses.iter().all(takes) {
        return;
    }
    let gather = draft.clone();
    for &(user, _) in &uses {
        let mut joined = program[user].clone();
        let Some(&op) = joined.op.downcast::<MatMul>() else {
            continue;
        };
        joined.op = Arc::new(MatMul { gather: true, ..op });
        let [indices, rows] = [0, 1].map(|i| gather.input(i));
        (joined.inputs[0], joined.signature.inputs[0]) = rows;
        joined.inputs.insert(2, indices.0);
        joined.signature.inputs.insert(2, indices.1);
        joined.merged += 1;
        program.replace(user, joined);
    }
    let note = format!(
        "gather is part of the {} products that take the batch",
        uses.len()
    );
    program.note(note);
    program.remove(call);
}
