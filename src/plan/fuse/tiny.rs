//! Training steps of small dense networks as one call each, which a GPU repeats many times in a dispatch.
//!
//! Strict: from a program's first calls follows a description of the network; the step that the description stands for is
//! recorded again, and the program is rewritten only if it is that step, call by call, and nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::contract::{Op, Signature};
use crate::graph::{Node, Record};
use crate::op::{
    Accuracy, Adam, BatchMean, BatchMeanBackward, Binary, BinaryCrossEntropy,
    BinaryCrossEntropyBackward, Clock, Column, CrossEntropy, CrossEntropyBackward, Form, Gather,
    Layer, MatMul, Momentum, Network, Operator, Pointwise, PointwiseBackward, Record as Recording,
    RowLoss, Rule, Sgd, SquaredError, SquaredErrorBackward, Sum,
};
use crate::optim::Rates;
use crate::plan::Program;
use crate::plan::schedule::{Draft, Key, Operand, schedule};
use crate::target::{Class, Target};
use crate::{Graph, Initial, Tensor, TensorType};

use super::calls::Calls;
use super::slabs::{Apart, Slabs};

/// Parameters up to which the CPU session takes a step in one call. It has no dispatches to save, and the tiles of its
/// products compute many times faster than this step's loops; what is saved is the cost of fifteen calls, 198 000 steps/s
/// instead of 131 000 for 8-10-8-1.
const MOST_ON_CPU: usize = 256;

pub(super) fn join(programs: &mut [Calls], records: &[Record], slabs: &mut Slabs, target: &Target) {
    let apart = Apart::of(programs.iter());
    for program in programs {
        let most = match target.class {
            // Larger ones are left to calls of their own, without a word: that is what they are made for.
            Class::Cpu => MOST_ON_CPU,
            Class::Gpu | Class::CpuAdapter => usize::MAX,
        };
        let Some((mut network, step)) = find(program, records, most) else {
            continue;
        };
        let widths = network.widths();
        if let Err(reason) = network.fits(target) {
            let note = format!("no network.train for {widths}: {reason}");
            program.notes.push(note.clone());
            program.oversized = Some(note);
            continue;
        }
        let Some(draft) = step.call(&mut network, records, &apart, slabs) else {
            continue;
        };
        let note = format!(
            "{} calls are one, network.train: whole steps of the network {widths}",
            program.len()
        );
        program.notes.push(note);
        program.replace_all(Draft {
            merged: program.len(),
            ..draft
        });
    }
}

/// A program's tensors by their role in the step.
struct Step {
    cursor: Key,
    rates: Key,
    ring: Key,
    x: Key,
    y: Key,
    /// Parameters, then each state: in the order of the layers, kernel before bias.
    columns: Vec<Vec<Key>>,
}

impl Step {
    /// The call, its parameters and states in slabs; none where they cannot lie in slabs.
    fn call(
        self,
        network: &mut Network,
        records: &[Record],
        apart: &Apart,
        slabs: &mut Slabs,
    ) -> Option<Draft> {
        let kind = |key: &Key| records[key.id.node].outputs[key.id.port].clone();
        let sized = |column: &Vec<Key>| -> Vec<(Key, u64)> {
            column
                .iter()
                .map(|key| (*key, kind(key).elements()))
                .collect()
        };
        let columns: Vec<_> = self.columns.iter().map(sized).collect();
        for column in &columns {
            if apart.parts_any(column) || !slabs.fits(column) {
                return None;
            }
        }
        let mut homes = columns.iter().map(|column| slabs.find_or_make(column));
        let homes: Vec<usize> = homes.by_ref().collect();
        let mut offsets = slabs.offsets(*homes.first()?).into_iter();
        for layer in &mut network.layers {
            layer.kernel = offsets.next()?;
            if layer.bias.is_some() {
                layer.bias = offsets.next();
            }
        }
        let slab = |&home: &usize| {
            let elements = usize::try_from(slabs.elements(home)).unwrap_or(usize::MAX);
            (Operand::Slab(home), TensorType::f32([elements]))
        };
        let value = |key: Key| (Operand::Value(key), kind(&key));
        let operands = [value(self.rates), value(self.ring)]
            .into_iter()
            .chain(homes.iter().map(slab))
            .chain([value(self.cursor), value(self.x), value(self.y)]);
        let (inputs, types) = operands.unzip();
        Some(Draft {
            op: Arc::new(network.clone()),
            signature: Signature {
                inputs: types,
                outputs: Vec::new(),
            },
            inputs,
            outputs: Vec::new(),
            merged: 1,
        })
    }
}

/// The network of at most `most` parameters whose training step the program is.
fn find(program: &Calls, records: &[Record], most: usize) -> Option<(Network, Step)> {
    if !program.fetches.is_empty() {
        return None;
    }
    let calls: Vec<&Draft> = program.iter().map(|(_, draft)| draft).collect();
    let (network, types) = describe(&calls)?;
    if network.parameters() > most {
        return None;
    }
    let expected = Expected::record(&network, &types);
    expected.graph.check().ok()?;
    let (own, drafts) = expected.schedule()?;
    let names = matched(&own, &drafts, records, &calls)?;
    let key = |tensor: &Tensor| {
        let id = tensor.id();
        names.get(&Key { program: None, id }).copied()
    };
    let column = |tensors: &Vec<Tensor>| tensors.iter().map(key).collect::<Option<Vec<_>>>();
    let step = Step {
        cursor: key(&expected.clock.cursor)?,
        rates: key(&expected.clock.rates)?,
        ring: key(&expected.ring)?,
        x: key(&expected.x)?,
        y: key(&expected.y)?,
        columns: expected.columns.iter().map(column).collect::<Option<_>>()?,
    };
    Some((network, step))
}

/// The types of a step's operands that the network does not tell.
struct Types {
    x: TensorType,
    y: TensorType,
    ring: TensorType,
}

/// What the first calls of a program say that it is; whether it is that is for [`matched`] to find out.
fn describe(drafts: &[&Draft]) -> Option<(Network, Types)> {
    let clock = drafts.first()?.op.downcast::<Clock>()?.clone();
    let (x, y) = (drafts.get(1)?, drafts.get(2)?);
    x.op.downcast::<Gather>()?;
    y.op.downcast::<Gather>()?;
    let (x_type, y_type) = (x.signature.inputs.get(1)?, y.signature.inputs.get(1)?);
    let &[_, inputs] = x_type.shape.dims() else {
        return None;
    };
    let targets = *y.outputs.first()?;
    let mut rest = drafts[3..].iter().copied().peekable();
    let mut layers = Vec::new();
    let mut value = *x.outputs.first()?;
    let mut before = value;
    let mut takes = |value: Operand, fits: &dyn Fn(&Draft) -> bool| {
        rest.next_if(|draft| draft.inputs.first() == Some(&value) && fits(draft))
    };
    let is_product = |draft: &Draft| {
        draft
            .op
            .downcast::<MatMul>()
            .is_some_and(|op| !op.transpose_a && !op.transpose_b)
    };
    let is_sum = |draft: &Draft| {
        draft
            .op
            .downcast::<Binary>()
            .is_some_and(|op| op.0 == Operator::Add)
    };
    while let Some(product) = takes(value, &is_product) {
        let &[_, units] = product.signature.outputs.first()?.shape.dims() else {
            return None;
        };
        value = *product.outputs.first()?;
        let bias = takes(value, &is_sum);
        if let Some(sum) = bias {
            value = *sum.outputs.first()?;
        }
        before = value;
        let function = takes(value, &|draft| draft.op.downcast::<Pointwise>().is_some());
        if let Some(function) = function {
            value = *function.outputs.first()?;
        }
        layers.push(Layer {
            units,
            function: function
                .and_then(|draft| draft.op.downcast::<Pointwise>())
                .map(|op| op.0),
            kernel: 0,
            bias: bias.map(|_| 0),
        });
    }
    // Where there is no function both are one; then nothing is before it.
    let reads = |draft: &Draft| match draft.inputs.first() {
        Some(&read) if read == value => Some(false),
        Some(&read) if read == before => Some(true),
        _ => None,
    };
    let on_targets = |draft: &&Draft| draft.inputs.get(1) == Some(&targets);
    let rows = rest.next().filter(on_targets)?;
    let loss = if let Some(&loss) = rows.op.downcast::<SquaredError>() {
        RowLoss::Squared(loss)
    } else if let Some(&loss) = rows.op.downcast::<BinaryCrossEntropy>() {
        RowLoss::Binary(loss)
    } else if rows.op.downcast::<CrossEntropy>()?.form == Form::Logits {
        RowLoss::CrossEntropy
    } else {
        return None;
    };
    let loss_before = reads(rows)?;
    let mut columns = vec![Column::Loss];
    while let Some(draft) = rest.next_if(|draft| draft.op.downcast::<Accuracy>().is_some()) {
        columns.push(Column::Accuracy {
            kind: *draft.op.downcast::<Accuracy>()?,
            before: reads(draft).filter(|_| on_targets(&draft))?,
        });
    }
    let ring = rest.next()?.signature.inputs.first()?.clone();
    let rule = rest.find_map(|draft| {
        if draft.op.downcast::<Sgd>().is_some() {
            Some(Rule::Sgd)
        } else if let Some(&rule) = draft.op.downcast::<Momentum>() {
            Some(Rule::Momentum(rule))
        } else {
            draft.op.downcast::<Adam>().map(|&rule| Rule::Adam(rule))
        }
    })?;
    let functions = layers.iter().map(|layer| layer.function);
    if layers.is_empty()
        || functions
            .flatten()
            .any(|function| !function.in_small_networks())
    {
        return None;
    }
    let network = Network {
        clock,
        inputs,
        layers,
        loss,
        loss_before,
        columns,
        rule,
        members: 1,
        own_rates: false,
    };
    let types = Types {
        x: x_type.clone(),
        y: y_type.clone(),
        ring,
    };
    Some((network, types))
}

/// The step of a network, recorded as models record it.
struct Expected {
    graph: Graph,
    clock: crate::optim::Clock,
    ring: Tensor,
    x: Tensor,
    y: Tensor,
    columns: Vec<Vec<Tensor>>,
    updates: Vec<Tensor>,
}

impl Expected {
    fn record(network: &Network, types: &Types) -> Self {
        let graph = Graph::new();
        let rates = Rates {
            learning_rate: network.clock.schedule.clone(),
            beta_1: network.clock.beta_1,
            beta_2: network.clock.beta_2,
            update_count: network.clock.update_count,
        };
        let clock = graph.clock("clock", network.clock.batch, rates);
        let variable =
            |name: &str, kind: &TensorType| graph.variable(name, kind.clone(), Initial::Zeros);
        let (x, y) = (variable("x", &types.x), variable("y", &types.y));
        let (mut value, targets) = (clock.indices.gather(&[&x]), clock.indices.gather(&[&y]));
        let mut before = value.clone();
        let mut parameters = Vec::new();
        let mut inputs = network.inputs;
        for (l, layer) in network.layers.iter().enumerate() {
            let kernel = TensorType::f32([inputs, layer.units]);
            let kernel = variable(&format!("kernel.{l}"), &kernel);
            value = value.matmul(&kernel);
            parameters.push(kernel);
            if layer.bias.is_some() {
                let bias = variable(&format!("bias.{l}"), &TensorType::f32([layer.units]));
                value = value.add(&bias);
                parameters.push(bias);
            }
            before = value.clone();
            if let Some(function) = layer.function {
                value = graph.apply_one(Pointwise(function), &[&value]);
            }
            inputs = layer.units;
        }
        let read = |of_before: bool| if of_before { &before } else { &value };
        let predicted = read(network.loss_before);
        let rows = match network.loss {
            RowLoss::CrossEntropy => predicted.cross_entropy(&targets, Form::Logits),
            RowLoss::Binary(loss) => predicted.binary_cross_entropy(&targets, loss.form),
            RowLoss::Squared(loss) => predicted.squared_error(&targets, loss.scale),
        };
        let columns = network.columns.iter().map(|column| match column {
            Column::Loss => rows.clone(),
            Column::Accuracy { kind, before } => read(*before).accuracy(&targets, *kind),
        });
        let columns: Vec<Tensor> = columns.collect();
        let ring = variable("ring", &types.ring);
        let record = |(c, values): (usize, &Tensor)| values.record(&ring, &clock.cursor, c);
        let mut updates: Vec<Tensor> = columns.iter().enumerate().map(record).collect();
        let loss = rows.batch_mean(&clock.cursor);
        let handles: Vec<&Tensor> = parameters.iter().collect();
        let gradients = graph.gradients(&loss, &handles);
        let mut columns = vec![Vec::new(); network.rule.states()];
        for (p, (w, g)) in parameters.iter().zip(&gradients).enumerate() {
            let states: Vec<Tensor> = (0..columns.len())
                .map(|state| variable(&format!("state.{state}.{p}"), &w.kind()))
                .collect();
            updates.push(match (network.rule, &states[..]) {
                (Rule::Momentum(rule), [v]) => w.momentum_step(v, g, &clock.rates, rule),
                (Rule::Adam(rule), [m, v]) => w.adam_step(m, v, g, &clock.rates, rule),
                _ => w.sgd_step(g, &clock.rates),
            });
            for (column, state) in columns.iter_mut().zip(states) {
                column.push(state);
            }
        }
        columns.insert(0, parameters);
        Expected {
            graph,
            clock,
            ring,
            x,
            y,
            columns,
            updates,
        }
    }

    /// Its records and calls.
    fn schedule(&self) -> Option<(Vec<Record>, Vec<Draft>)> {
        let program = Program::new("step")
            .update([&self.clock.indices])
            .update(&self.updates);
        let records = self.graph.lock().records.clone();
        let scheduled = schedule(&records, &[program]).ok()?;
        Some((records, scheduled.into_iter().next()?.drafts))
    }
}

/// The program's tensor for each of the expected ones, if the calls are the same on the same operands.
fn matched(
    expected_records: &[Record],
    expected: &[Draft],
    records: &[Record],
    drafts: &[&Draft],
) -> Option<HashMap<Key, Key>> {
    if expected.len() != drafts.len() {
        return None;
    }
    let mut names: HashMap<Key, Key> = HashMap::new();
    let mut taken: HashSet<Key> = HashSet::new();
    for (a, b) in expected.iter().zip(drafts) {
        let same_op = equal(a.op.as_ref(), b.op.as_ref());
        let same_types =
            a.signature.inputs == b.signature.inputs && a.signature.outputs == b.signature.outputs;
        if !same_op || !same_types || a.inputs.len() != b.inputs.len() {
            return None;
        }
        for (a, b) in a.inputs.iter().zip(&b.inputs) {
            let (Operand::Value(a), Operand::Value(b)) = (*a, *b) else {
                return None;
            };
            match names.get(&a) {
                Some(known) if *known == b => {}
                None if a.program.is_none() && b.program.is_none() => {
                    let alike = alike(&expected_records[a.id.node], &records[b.id.node]);
                    if !alike || !taken.insert(b) {
                        return None;
                    }
                    names.insert(a, b);
                }
                _ => return None,
            }
        }
        for (a, b) in a.outputs.iter().zip(&b.outputs) {
            let (Operand::Value(a), Operand::Value(b)) = (*a, *b) else {
                return None;
            };
            if !taken.insert(b) || names.insert(a, b).is_some() {
                return None;
            }
        }
    }
    Some(names)
}

/// Whether both are the same op with the same settings; of ops that no such step has, none equals another.
fn equal(a: &dyn Op, b: &dyn Op) -> bool {
    fn of<T: Op + PartialEq>(a: &dyn Op, b: &dyn Op) -> bool {
        matches!((a.downcast::<T>(), b.downcast::<T>()), (Some(a), Some(b)) if a == b)
    }
    let forward = [
        of::<Clock>,
        of::<Gather>,
        of::<MatMul>,
        of::<Binary>,
        of::<Pointwise>,
        of::<SquaredError>,
        of::<BinaryCrossEntropy>,
        of::<CrossEntropy>,
        of::<Accuracy>,
        of::<Recording>,
        of::<BatchMean>,
    ];
    let backward = [
        of::<PointwiseBackward>,
        of::<SquaredErrorBackward>,
        of::<BinaryCrossEntropyBackward>,
        of::<CrossEntropyBackward>,
        of::<BatchMeanBackward>,
        of::<Sum>,
        of::<Sgd>,
        of::<Momentum>,
        of::<Adam>,
    ];
    forward.iter().chain(&backward).any(|of| of(a, b))
}

/// Whether a variable may stand for an expected one: of constants the numbers must be the same too.
fn alike(expected: &Record, found: &Record) -> bool {
    let (Node::Variable(expected), Node::Variable(found)) = (&expected.node, &found.node) else {
        return false;
    };
    match expected.constant {
        true => found.constant && expected.initial == found.initial,
        false => !found.constant,
    }
}
