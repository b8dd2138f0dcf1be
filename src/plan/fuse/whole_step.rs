//! Recognises a program that is one training step of a small dense network, and nothing else.
//!
//! From the clock on every call is looked up by what it must be and which tensors it must read: the forward pass, the loss
//! and what is recorded, the gradients from the last layer to the first, the updates. A program is such a step if each
//! call is found once and none is left.

use std::collections::HashSet;

use crate::contract::Op;
use crate::graph::{Node, Record};
use crate::op::{
    Accuracy, AdvanceClock, BatchMeanBackward, Binary, Function, Gather, MatMul, Network,
    NetworkLayer, Operator, PointwiseBackward, Record as Recording, RingColumn, RowLoss, Sgd,
    StepRule, Sum,
};
use crate::plan::schedule::{Draft, Key, Operand};

use super::calls::{CallId, Calls};
use super::head::is_one;

/// A program's tensors by their role in the step.
pub(super) struct StepTensors {
    pub cursor: Key,
    pub rates: Key,
    pub ring: Key,
    pub x: Key,
    pub y: Key,
    /// Parameters, then each state: in the order of the layers, kernel before bias.
    pub columns: Vec<Vec<Key>>,
}

/// The network of at most `most` parameters whose training step the program is.
pub(super) fn find(
    program: &Calls,
    records: &[Record],
    most: usize,
) -> Option<(Network, StepTensors)> {
    let mut walk = StepWalk {
        program,
        records,
        taken: HashSet::new(),
    };
    let (first, draft) = program.iter().next()?;
    let clock = draft.op.downcast::<AdvanceClock>()?.clone();
    let (&[cursor, rates], &[indices]) = (&draft.inputs[..], &draft.outputs[..]) else {
        return None;
    };
    walk.taken.insert(first);
    let x = walk.take([Some(indices), None], Gather::copies)?;
    let y = walk.take([Some(indices), None], Gather::copies)?;
    let &[rows, inputs] = x.signature.inputs[1].shape.dims() else {
        return None;
    };
    if y.signature.inputs[1].shape.dims().first() != Some(&rows) {
        return None;
    }
    let (batch, targets) = (*x.outputs.first()?, *y.outputs.first()?);
    let layers = walk.forward(batch)?;
    let last = layers.last()?;
    let measured = walk.measure(last, targets, cursor)?;
    let ring = measured.ring?;
    // The gradient of the mean over the batch, whose own gradient is 1.
    let share = walk.take([None, Some(cursor)], is::<BatchMeanBackward>)?;
    if !matches!(share.inputs[0], Operand::Value(seed) if is_one(records, seed)) {
        return None;
    }
    let read = last.read(measured.loss_before);
    let share = *share.outputs.first()?;
    let slope = walk.result([Some(read), Some(targets), Some(share)], |op| {
        op.row_loss_gradient() == Some(measured.loss)
    })?;
    let gradients = walk.backward(&layers, slope, measured.loss_before)?;
    let before_updates = walk.taken.iter().max().copied()?;
    let described = layers.iter().map(|layer| NetworkLayer {
        units: layer.units,
        function: layer.function,
        // Where the parameters lie is told later.
        kernel: 0,
        bias: layer.bias.map(|_| 0),
    });
    let network = Network {
        clock,
        inputs,
        layers: described.collect(),
        loss: measured.loss,
        loss_before: measured.loss_before,
        columns: measured.columns,
        rule: walk.rule(gradients.first()?)?,
        members: 1,
        own_rates: false,
    };
    if network.parameters() > most {
        return None;
    }
    let columns = walk.update(&network, &gradients, rates, before_updates)?;
    let tensors = StepTensors {
        cursor: walk.variable(cursor)?,
        rates: walk.variable(rates)?,
        ring: walk.variable(ring)?,
        x: walk.variable(x.inputs[1])?,
        y: walk.variable(y.inputs[1])?,
        columns,
    };
    let whole = program.rest.fetches.is_empty() && walk.taken.len() == program.len();
    (whole && tensors.are_distinct()).then_some((network, tensors))
}

impl StepTensors {
    fn are_distinct(&self) -> bool {
        let one = [self.cursor, self.rates, self.ring, self.x, self.y];
        let all = || one.iter().chain(self.columns.iter().flatten());
        all().collect::<HashSet<_>>().len() == all().count()
    }
}

/// A layer of the forward pass.
struct ForwardLayer {
    x: Operand,
    kernel: Operand,
    bias: Option<Operand>,
    units: usize,
    function: Option<Function>,
    /// What the function reads, if there is one.
    before: Operand,
    y: Operand,
}

impl ForwardLayer {
    /// The layer's numbers before its function or after it.
    fn read(&self, before: bool) -> Operand {
        if before { self.before } else { self.y }
    }
}

/// The loss, and what is recorded of it and of the accuracies.
struct MeasuredLoss {
    loss: RowLoss,
    loss_before: bool,
    columns: Vec<RingColumn>,
    ring: Option<Operand>,
}

/// A parameter with its gradient.
type Gradient = (Operand, Operand);

fn is<T: Op>(op: &dyn Op) -> bool {
    op.downcast::<T>().is_some()
}

fn is_product(op: &dyn Op, transpose_a: bool, transpose_b: bool) -> bool {
    op.downcast() == Some(&MatMul::plain(transpose_a, transpose_b))
}

/// How a call updates its first input, if in a way that whole steps know.
fn rule_of(op: &dyn Op) -> Option<StepRule> {
    if is::<Sgd>(op) {
        return Some(StepRule::Sgd);
    }
    let momentum = op.downcast().copied().map(StepRule::Momentum);
    momentum.or_else(|| op.downcast().copied().map(StepRule::Adam))
}

/// The calls that are accounted for so far.
struct StepWalk<'a> {
    program: &'a Calls,
    records: &'a [Record],
    taken: HashSet<CallId>,
}

impl<'a> StepWalk<'a> {
    /// The first call not yet taken that is such an op and reads these tensors, and any where none is given. Takes it.
    fn take<const N: usize>(
        &mut self,
        inputs: [Option<Operand>; N],
        is: impl Fn(&dyn Op) -> bool,
    ) -> Option<&'a Draft> {
        let position = inputs.iter().position(Option::is_some)?;
        let fits = |draft: &Draft| {
            let mut pairs = inputs.iter().zip(&draft.inputs);
            draft.inputs.len() == N
                && pairs.all(|(wanted, input)| wanted.is_none_or(|wanted| wanted == *input))
                && is(draft.op.as_ref())
        };
        let readers = self.program.readers(inputs[position]?);
        let mut calls = readers.filter(|(call, at)| *at == position && !self.taken.contains(call));
        let (call, _) = calls.find(|(call, _)| fits(&self.program[*call]))?;
        self.taken.insert(call);
        Some(&self.program[call])
    }

    /// The first result of the call that [`take`](Self::take) finds.
    fn result<const N: usize>(
        &mut self,
        inputs: [Option<Operand>; N],
        is: impl Fn(&dyn Op) -> bool,
    ) -> Option<Operand> {
        self.take(inputs, is)?.outputs.first().copied()
    }

    /// A variable that no step changes but by updates, and that is no constant.
    fn variable(&self, operand: Operand) -> Option<Key> {
        let Operand::Value(key) = operand else {
            return None;
        };
        let node = &self.records[key.id.node].node;
        matches!(node, Node::Variable(variable) if !variable.constant).then_some(key)
    }

    /// The layers that a batch goes through.
    fn forward(&mut self, batch: Operand) -> Option<Vec<ForwardLayer>> {
        let mut layers = Vec::new();
        let mut x = batch;
        while let Some(product) = self.take([Some(x), None], |op| is_product(op, false, false)) {
            let &[_, units] = product.signature.outputs.first()?.shape.dims() else {
                return None;
            };
            let mut before = *product.outputs.first()?;
            let add = |op: &dyn Op| op.downcast() == Some(&Binary(Operator::Add));
            let sum = self.take([Some(before), None], add);
            if let Some(sum) = sum {
                (sum.signature.inputs[1].shape.dims() == [units]).then_some(())?;
                before = *sum.outputs.first()?;
            }
            let function = self.take([Some(before)], |op| {
                let function: Option<&Function> = op.downcast();
                function.is_some_and(|function| function.in_small_networks())
            });
            let y = function.map_or(before, |function| function.outputs[0]);
            layers.push(ForwardLayer {
                x,
                kernel: product.inputs[1],
                bias: sum.map(|sum| sum.inputs[1]),
                units,
                function: function.and_then(|draft| draft.op.downcast().copied()),
                before,
                y,
            });
            x = y;
        }
        Some(layers)
    }

    /// The loss of the last layer's numbers, its accuracies, and the records of all of them in the order of the columns.
    fn measure(
        &mut self,
        last: &ForwardLayer,
        targets: Operand,
        cursor: Operand,
    ) -> Option<MeasuredLoss> {
        // Where there is no function both are one; then nothing is before it.
        let places = if last.before == last.y {
            &[false][..]
        } else {
            &[false, true]
        };
        let (loss_before, rows) = places.iter().find_map(|&before| {
            let inputs = [Some(last.read(before)), Some(targets)];
            Some((before, self.take(inputs, |op| op.row_loss().is_some())?))
        })?;
        let mut columns = vec![(rows, RingColumn::Loss)];
        for &before in places {
            let inputs = [Some(last.read(before)), Some(targets)];
            while let Some(draft) = self.take(inputs, is::<Accuracy>) {
                let kind = *draft.op.downcast()?;
                columns.push((draft, RingColumn::Accuracy { kind, before }));
            }
        }
        let mut measured = MeasuredLoss {
            loss: rows.op.row_loss()?,
            loss_before,
            columns: Vec::new(),
            ring: None,
        };
        // In the order of the ring's columns.
        let mut recorded = Vec::new();
        for (draft, column) in columns {
            let values = *draft.outputs.first()?;
            let record = self.take([None, Some(cursor), Some(values)], is::<Recording>)?;
            let number = record.op.downcast::<Recording>()?.column;
            recorded.push((number, column));
            let ring = *measured.ring.get_or_insert(record.inputs[0]);
            if ring != record.inputs[0] {
                return None;
            }
        }
        recorded.sort_by_key(|(number, _)| *number);
        let numbers = recorded.iter().map(|(number, _)| *number);
        let all = numbers.eq(0..recorded.len()) && recorded[0].1 == RingColumn::Loss;
        measured.columns = recorded.into_iter().map(|(_, column)| column).collect();
        all.then_some(measured)
    }

    /// The gradients of all parameters, those of the first layer first, from that of what the loss reads.
    fn backward(
        &mut self,
        layers: &[ForwardLayer],
        mut slope: Operand,
        loss_before: bool,
    ) -> Option<Vec<Gradient>> {
        let mut gradients = Vec::new();
        for (number, layer) in layers.iter().enumerate().rev() {
            let is_last = number + 1 == layers.len();
            if let Some(function) = layer.function
                && !(is_last && loss_before)
            {
                let is_slope = |op: &dyn Op| op.downcast() == Some(&PointwiseBackward(function));
                slope = self.result([Some(layer.y), Some(slope)], is_slope)?;
            }
            if let Some(bias) = layer.bias {
                let over_rows = |op: &dyn Op| {
                    let sum: Option<&Sum> = op.downcast();
                    sum.is_some_and(|sum| (sum.first, sum.last) == (0, 1))
                };
                gradients.push((bias, self.result([Some(slope)], over_rows)?));
            }
            let inputs = [Some(layer.x), Some(slope)];
            let dw = self.result(inputs, |op| is_product(op, true, false))?;
            gradients.push((layer.kernel, dw));
            if number > 0 {
                let inputs = [Some(slope), Some(layer.kernel)];
                slope = self.result(inputs, |op| is_product(op, false, true))?;
            }
        }
        gradients.reverse();
        Some(gradients)
    }

    /// How the parameter of a gradient is updated.
    fn rule(&self, (parameter, _): &Gradient) -> Option<StepRule> {
        let mut readers = self.program.readers(*parameter);
        readers.find_map(|(call, at)| rule_of(self.program[call].op.as_ref()).filter(|_| at == 0))
    }

    /// The updates of all parameters, later than all else: parameters, then each of the states.
    fn update(
        &mut self,
        network: &Network,
        gradients: &[Gradient],
        rates: Operand,
        before: CallId,
    ) -> Option<Vec<Vec<Key>>> {
        let rule = network.rule;
        let fits = |op: &dyn Op| rule_of(op) == Some(rule);
        let mut columns = vec![Vec::new(); 1 + rule.states()];
        for &(parameter, gradient) in gradients {
            let (w, g, rates) = (Some(parameter), Some(gradient), Some(rates));
            let draft = match rule {
                StepRule::Sgd => self.take([w, g, rates], fits),
                StepRule::Momentum(_) => self.take([w, None, g, rates], fits),
                StepRule::Adam(_) => self.take([w, None, None, g, rates], fits),
            }?;
            for (column, &input) in columns.iter_mut().zip(&draft.inputs) {
                column.push(self.variable(input)?);
            }
        }
        let calls = self.program.iter();
        let mut updates = calls.filter(|(_, draft)| rule_of(draft.op.as_ref()).is_some());
        updates.all(|(call, _)| call > before).then_some(columns)
    }
}
