//! A model's loss, accuracy, their records and the gradient of the mean loss as one call.

use crate::graph::{Initial, Node, Record as GraphRecord};
use crate::op::{
    Accuracy, BatchMeanBackward, End, Form, Gather, Head, LastLayer, MatMul, Record, RowLoss,
    ScaleLoss,
};
use crate::plan::schedule::{Draft, Key, Operand};

use super::calls::{CallId, Calls};

pub(super) fn join(program: &mut Calls, records: &[GraphRecord]) {
    let calls = program.iter();
    let losses = calls.filter(|(_, draft)| draft.op.row_loss().is_some());
    let losses: Vec<CallId> = losses.map(|(call, _)| call).collect();
    let find = |program: &Calls| {
        let mut losses = losses.iter();
        losses.find_map(|&call| FoundHead::at(program, records, call))
    };
    while let Some(found) = find(program) {
        found.replace(program);
    }
}

/// Lets a head compute the last layer's outputs itself, where they are few.
pub(super) fn join_last_layers(program: &mut Calls) {
    for call in program.ids() {
        if let Some((product, joined)) = with_last_layer(program, call) {
            let note = format!(
                "{} computes the outputs of the last layer itself",
                program[call].op.name()
            );
            program.note(note);
            program.replace(call, joined);
            program.remove(product);
        }
    }
}

/// The head at `call` with the product that makes its outputs, and what they become.
fn with_last_layer(program: &Calls, call: CallId) -> Option<(CallId, Draft)> {
    let draft = program.get(call)?;
    let head = draft.op.downcast::<Head>()?;
    let y = draft.inputs[2];
    let product = program.maker(y)?;
    let made = &program[product];
    let dense: &MatMul = made.op.downcast()?;
    let (inputs, columns) = made.signature.inputs[1].shape.rows_and_columns();
    let fits = head.last.is_none()
        && program.only_use(y) == Some((call, 2))
        && program.may_wait(product, call)
        && dense.end == End::Plain
        && !dense.transpose_a
        && !dense.transpose_b
        && !matches!(head.loss, RowLoss::Binary(Form::Probabilities))
        && columns <= LastLayer::MAX_COLUMNS
        && inputs <= LastLayer::MAX_INPUTS;
    if !fits {
        return None;
    }
    let mut operands = vec![
        draft.input(0),
        draft.input(1),
        made.input(0),
        draft.input(3),
    ];
    match (head.gather, dense.gather) {
        (true, true) if draft.inputs[4] != made.inputs[2] => return None,
        (true, _) => operands.push(draft.input(4)),
        (false, true) => operands.push(made.input(2)),
        (false, false) => {}
    }
    operands.push(made.input(1));
    if dense.bias {
        operands.push(made.input(2 + usize::from(dense.gather)));
    }
    let op = Head {
        last: Some(LastLayer {
            bias: dense.bias,
            gather: dense.gather,
        }),
        ..*head
    };
    let merged = draft.merged + made.merged;
    Some((
        product,
        Draft::new(op, operands, draft.typed_outputs(), merged),
    ))
}

/// A loss with what surrounds it: the calls, by their places in the program.
struct FoundHead {
    op: Head,
    calls: Vec<CallId>,
    gradient: Option<CallId>,
    gather: Option<CallId>,
    ring: CallId,
}

impl FoundHead {
    fn at(program: &Calls, records: &[GraphRecord], call: CallId) -> Option<Self> {
        let draft = program.get(call)?;
        let loss = draft.op.row_loss()?;
        let [y, t] = *draft.inputs.as_slice() else {
            return None;
        };
        let sparse = t_is_sparse(draft);
        if draft.signature.inputs[0].shape.rank() != 2 {
            return None;
        }
        let (recorded, loss_column) = recorded(program, call)?;
        let (ring, cursor) = (program[recorded].inputs[0], program[recorded].inputs[1]);
        let mut op = Head {
            loss,
            loss_column,
            accuracy: None,
            gather: false,
            last: None,
            gradient: false,
            scaled: false,
        };
        let mut calls = vec![call, recorded];
        let mut gradient = None;
        for (other, position) in program.readers(y) {
            let draft = &program[other];
            if position != 0 || draft.inputs.get(1) != Some(&t) {
                continue;
            }
            if let Some(&kind) = draft.op.downcast::<Accuracy>()
                && op.accuracy.is_none()
                && sparse == matches!(kind, Accuracy::Sparse)
                && let Some((record, column)) = self::recorded(program, other)
                && program[record].inputs[..2] == [ring, cursor]
                && column != loss_column
            {
                op.accuracy = Some((kind, column));
                calls.extend([other, record]);
            }
            if draft.op.row_loss_gradient() == Some(loss) && gradient.is_none() {
                let (share, scaled) = mean_share(program, records, draft.inputs[2], cursor)?;
                (op.gradient, op.scaled, gradient) = (true, scaled, Some(other));
                calls.extend([other, share]);
            }
        }
        let mut found = FoundHead {
            op,
            calls,
            gradient,
            gather: None,
            ring: recorded,
        };
        found.gather = found.gathered(program, t);
        found.op.gather = found.gather.is_some();
        found.calls.extend(found.gather);
        found.may_join(program).then_some(found)
    }

    /// The gather that makes the target, if it is from one piece of data and nothing else reads its result.
    fn gathered(&self, program: &Calls, t: Operand) -> Option<CallId> {
        let call = program.maker(t)?;
        let draft = &program[call];
        let alone = Gather::copies(draft.op.as_ref()) && draft.inputs.len() == 2;
        let rank = draft.signature.inputs.get(1)?.shape.rank();
        let sparse = t_is_sparse(&program[self.calls[0]]);
        let rank_fits = rank == if sparse { 1 } else { 2 };
        let own = program.uses(t)?.all(|(user, _)| self.has(user));
        (alone && rank_fits && own).then_some(call)
    }

    fn has(&self, call: CallId) -> bool {
        self.calls.contains(&call)
    }

    /// Whether all may run where the last of them stands.
    fn may_join(&self, program: &Calls) -> bool {
        let Some(&last) = self.calls.iter().max() else {
            return false;
        };
        let waits = self.calls.iter().all(|&call| {
            let draft = &program[call];
            let untouched = |&read: &Operand| {
                program
                    .writers_between(read, call, last)
                    .all(|i| self.has(i))
            };
            let unread = |&written: &Operand| {
                program
                    .readers_between(written, call, last)
                    .all(|i| self.has(i))
            };
            draft.inputs.iter().all(untouched) && draft.written().all(unread)
        });
        // The gradient leaves the call; everything else stays in it.
        let mut inside = self
            .calls
            .iter()
            .filter(|call| Some(**call) != self.gradient)
            .flat_map(|&call| &program[call].outputs);
        let closed = inside.all(|output| {
            let uses = program.uses(*output);
            uses.is_some_and(|mut uses| uses.all(|(user, _)| self.has(user)))
        });
        waits && closed
    }

    fn replace(self, program: &mut Calls) {
        let first = &program[self.calls[0]];
        let ring = &program[self.ring];
        let mut operands = vec![ring.input(0), ring.input(1), first.input(0)];
        match self.gather {
            Some(gather) => operands.extend([1, 0].map(|i| program[gather].input(i))),
            None => operands.push(first.input(1)),
        }
        let gradient = self.gradient.into_iter();
        let outputs = gradient.flat_map(|call| program[call].typed_outputs());
        let joined = Draft::new(self.op, operands, outputs, self.calls.len());
        let mut calls = self.calls;
        calls.sort_unstable();
        let names: Vec<&str> = calls.iter().map(|&call| program[call].op.name()).collect();
        program.note(format!("{} are one call", names.join(", ")));
        if let Some(last) = calls.pop() {
            program.replace(last, joined);
        }
        for call in calls {
            program.remove(call);
        }
    }
}

fn t_is_sparse(loss: &Draft) -> bool {
    loss.signature.inputs[1].dtype == crate::DType::U32
}

/// The record of a call's result, if that is all that becomes of it but the gradient: the call and the ring's column.
fn recorded(program: &Calls, call: CallId) -> Option<(CallId, usize)> {
    let (user, position) = program.only_use(*program[call].outputs.first()?)?;
    let record = program[user].op.downcast::<Record>()?;
    (position == 2).then_some((user, record.column))
}

/// The call that gives every row of the batch its share of a mean, for nothing else, and whether the mean's own gradient is
/// the loss scale that the cursor holds; else it is one.
fn mean_share(
    program: &Calls,
    records: &[GraphRecord],
    dloss: Operand,
    cursor: Operand,
) -> Option<(CallId, bool)> {
    program.only_use(dloss)?;
    let call = program.maker(dloss)?;
    let draft = &program[call];
    draft.op.downcast::<BatchMeanBackward>()?;
    let Operand::Value(seed) = draft.inputs[0] else {
        return None;
    };
    let scaled = !is_one(records, seed);
    let record = &records[seed.id.node];
    if scaled {
        let Node::Op(op) = &record.node else {
            return None;
        };
        op.downcast::<ScaleLoss>()?;
        let own = Operand::Value(Key {
            program: None,
            id: record.inputs[1],
        });
        (own == cursor).then_some(())?;
    }
    (draft.inputs[1] == cursor).then_some((call, scaled))
}

/// Whether a tensor is the constant 1.
pub(super) fn is_one(records: &[GraphRecord], key: Key) -> bool {
    matches!(&records[key.id.node].node, Node::Variable(variable) if variable.constant
        && matches!(&variable.initial, Initial::Floats(values) if values[..] == [1.0]))
}
