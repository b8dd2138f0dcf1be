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
        if let Some(joined) = Joined::find(program, call) {
            joined.replace(program);
        }
    }
    // On the processor a gathered copy costs less than an index for every load of the product.
    if target.class == Class::Gpu {
        for call in program.ids() {
            gather(program, call);
        }
    }
}

/// A product, what follows it, and what they become.
struct Joined {
    product: CallId,
    next: CallId,
    op: MatMul,
    /// An operand that the next call brings: a bias, or what a function saved.
    operand: Option<usize>,
}

impl Joined {
    /// The product at `call` with the only call that takes its result, if that is something a product may end in.
    fn find(program: &Calls, call: CallId) -> Option<Self> {
        let draft = program.get(call)?;
        let op: MatMul = *draft.op.downcast()?;
        let result = *draft.outputs.first()?;
        let (next, position) = program.only_use(result)?;
        if op.end != End::Plain || !program.may_wait(call, next) {
            return None;
        }
        let follower = &program[next];
        let (op, operand) = if follower.op.downcast() == Some(&Binary(Operator::Add)) {
            let bias = 1 - position;
            let columns = *draft.signature.outputs[0].shape.dims().last()?;
            let fits = follower.signature.inputs[bias].shape.dims() == [columns];
            (!op.bias && fits).then_some((MatMul { bias: true, ..op }, Some(bias)))?
        } else if let Some(function) = follower.op.downcast() {
            let end = End::Function(*function);
            (function.ends_layers()).then_some((MatMul { end, ..op }, None))?
        } else if let Some(PointwiseBackward(function)) = follower.op.downcast() {
            // Its operands: what the function saved, and dY.
            let end = End::Slope(*function);
            let fits = position == 1 && !op.bias && function.ends_layers();
            fits.then_some((MatMul { end, ..op }, Some(0)))?
        } else {
            return None;
        };
        Some(Joined {
            product: call,
            next,
            op,
            operand,
        })
    }

    /// Puts the joined call where the later one stood.
    fn replace(self, program: &mut Calls) {
        let Joined {
            product,
            next,
            op,
            operand,
        } = self;
        let (first, follower) = (&program[product], &program[next]);
        let note = format!(
            "{} and {} are one call",
            first.op.name(),
            follower.op.name()
        );
        let mut joined = Draft {
            op: Arc::new(op),
            signature: first.signature.clone(),
            inputs: first.inputs.clone(),
            outputs: follower.outputs.clone(),
            merged: first.merged + follower.merged,
        };
        if let Some(operand) = operand {
            joined.inputs.push(follower.inputs[operand]);
            joined
                .signature
                .inputs
                .push(follower.signature.inputs[operand].clone());
        }
        program.notes.push(note);
        program.replace(next, joined);
        program.remove(product);
    }
}

/// Lets the products that take a gathered batch gather it themselves, if all of its users are such.
fn gather(program: &mut Calls, call: CallId) {
    let draft = &program[call];
    let is_matrix = draft.signature.inputs.len() == 2
        && draft.signature.inputs[1].dtype == DType::F32
        && draft.signature.inputs[1].shape.rank() == 2;
    if draft.op.downcast::<Gather>().is_none() || !is_matrix {
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
        let types = &gather.signature.inputs;
        (joined.inputs[0], joined.signature.inputs[0]) = (gather.inputs[1], types[1].clone());
        joined.inputs.insert(2, gather.inputs[0]);
        joined.signature.inputs.insert(2, types[0].clone());
        joined.merged += 1;
        program.replace(user, joined);
    }
    let note = format!(
        "gather is part of the {} products that take the batch",
        uses.len()
    );
    program.notes.push(note);
    program.remove(call);
}
