//! Networks to try the step on: every loss, rule, schedule and function, one layer to four, odd sizes, ragged batches.

use crate::contract::{Case, Fill};
use crate::op::cursor::WORDS;
use crate::op::pointwise::functions::{LeakyRelu, Relu, Sigmoid, Tanh};
use crate::op::record::Parts;
use crate::op::{
    Accuracy, Adam, AdvanceClock, Form, Function, Momentum, RATES, RowLoss, UnaryFunction,
};
use crate::schedule::Schedule;

use super::{Network, NetworkLayer, RingColumn, StepRule};

const RING_ROWS: usize = 5;

/// A loss, whether it and its metric read numbers before the function, the last function, metric and targets.
type CaseHead = (RowLoss, bool, Option<Function>, Option<Accuracy>, Fill);

fn heads() -> Vec<CaseHead> {
    let binary = |form| RowLoss::Binary(form);
    let squared = |scale| RowLoss::Squared(scale);
    let above = |threshold| Some(Accuracy::Binary { threshold });
    vec![
        (binary(Form::Logits), false, None, above(0.1), Fill::Binary),
        (
            squared(0.5),
            false,
            Some(Sigmoid::function()),
            above(0.3),
            Fill::Uniform(0.0, 1.0),
        ),
        (
            binary(Form::Probabilities),
            false,
            Some(Sigmoid::function()),
            None,
            Fill::Binary,
        ),
        (
            squared(0.2),
            false,
            Some(Tanh::function()),
            None,
            Fill::Uniform(-1.0, 1.0),
        ),
        (
            RowLoss::CrossEntropy,
            false,
            None,
            Some(Accuracy::Categorical),
            Fill::OneHot,
        ),
        (
            binary(Form::Logits),
            true,
            Some(Sigmoid::function()),
            above(-0.2),
            Fill::Uniform(0.0, 1.0),
        ),
        (
            RowLoss::CrossEntropy,
            false,
            None,
            Some(Accuracy::Sparse),
            Fill::Below(0),
        ),
        (
            squared(1.0),
            false,
            Some(LeakyRelu::function()),
            None,
            Fill::Uniform(-2.0, 2.0),
        ),
        (squared(0.5), false, None, None, Fill::Uniform(-2.0, 2.0)),
    ]
}

fn rules() -> [StepRule; 5] {
    let momentum = |nesterov| {
        StepRule::Momentum(Momentum {
            momentum: 0.9,
            nesterov,
        })
    };
    let adam = |beta_1, beta_2, epsilon| {
        StepRule::Adam(Adam {
            beta_1,
            beta_2,
            epsilon,
        })
    };
    [
        adam(0.9, 0.999, 1e-7),
        StepRule::Sgd,
        momentum(false),
        adam(0.8, 0.99, 1e-3),
        momentum(true),
    ]
}

fn schedules() -> [Schedule; 5] {
    [
        Schedule::Constant(0.01),
        Schedule::exponential_decay(0.02, 7, 0.9),
        Schedule::inverse_time_decay(0.03, 5, 0.5),
        Schedule::polynomial_decay(0.05, 100),
        Schedule::cosine_decay(0.01, 40),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    // Widths, batch, rows of the data, and the cursor's step, offset and rows before.
    let settings: [(&[usize], usize, u32, [u32; 3]); 14] = [
        (&[1, 1], 1, 1, [0, 0, 0]),
        (&[2, 3], 3, 7, [1, 0, 3]),
        (&[8, 10, 8, 1], 32, 768, [5, 96, 32]),
        (&[5, 17, 2, 3], 33, 100, [3, 66, 33]),
        (&[3, 5, 1], 64, 70, [4, 0, 64]),
        (&[17, 5, 5, 3, 2], 100, 250, [9, 200, 50]),
        (&[4, 4, 10], 7, 33, [2, 28, 5]),
        (&[13, 33, 3], 65, 66, [7, 0, 65]),
        (&[1, 17, 1], 256, 600, [11, 0, 256]),
        (&[2, 8, 1], 4, 4, [1000, 0, 4]),
        (&[9, 7], 17, 300, [6, 85, 17]),
        (&[6, 3, 3, 3, 4], 2, 5, [8, 2, 2]),
        (&[16, 12, 5], 32, 31, [0, 0, 0]),
        (&[7, 1, 2], 40, 1000, [77, 80, 40]),
    ];
    let mut cases = Vec::new();
    for (s, (widths, batch, data_rows, at)) in settings.into_iter().enumerate() {
        for variant in 0..3 {
            let n = s + 4 * variant;
            let (heads, rules, schedules) = (heads(), rules(), schedules());
            let head = &heads[n % heads.len()];
            let members = if n % 7 == 3 { 3 } else { 1 };
            let rule = rules[(n + variant) % rules.len()];
            let schedule = schedules[n % schedules.len()].clone();
            let cursor = [
                at[0],
                0,
                at[1],
                at[2],
                data_rows,
                (n % 2) as u32,
                n as u32,
                0,
            ];
            cases.push(case(widths, batch, rule, schedule, head, members, cursor));
        }
    }
    cases
}

/// A network of these widths, and the elements of its slab.
fn network(
    widths: &[usize],
    batch: usize,
    rule: StepRule,
    schedule: Schedule,
    (loss, loss_before, last, accuracy, _): &CaseHead,
    members: usize,
) -> (Network, usize) {
    let hidden = [
        Relu::function(),
        Tanh::function(),
        Function::of::<LeakyRelu>(&[0.3]),
        Sigmoid::function(),
    ];
    let mut layers: Vec<NetworkLayer> = Vec::new();
    let mut len = 0;
    for (l, pair) in widths.windows(2).enumerate() {
        let kernel = len;
        // What stands between the tensors of a slab must stay as it is.
        len += pair[0] * pair[1] + 3;
        let bias = ((l + batch) % 4 != 3).then_some(len);
        len += bias.map_or(0, |_| pair[1] + 1);
        layers.push(NetworkLayer {
            units: pair[1],
            function: match l + 2 == widths.len() {
                true => *last,
                false => Some(hidden[(l + batch) % hidden.len()]),
            },
            kernel,
            bias,
        });
    }
    let len = len.next_multiple_of(4);
    let accuracy = accuracy.map(|kind| RingColumn::Accuracy {
        kind,
        before: *loss_before,
    });
    let columns: Vec<RingColumn> = std::iter::once(RingColumn::Loss).chain(accuracy).collect();
    let betas = match rule {
        StepRule::Adam(rule) => (rule.beta_1, rule.beta_2),
        _ => (0.0, 0.0),
    };
    let own_rates = members > 1 && matches!(schedule, Schedule::Constant(_));
    let network = Network {
        clock: AdvanceClock {
            batch,
            schedule,
            beta_1: betas.0,
            beta_2: betas.1,
            update_count: None,
        },
        inputs: widths[0],
        layers,
        loss: *loss,
        loss_before: *loss_before,
        columns,
        rule,
        members,
        own_rates,
    };
    (network, len)
}

fn case(
    widths: &[usize],
    batch: usize,
    rule: StepRule,
    schedule: Schedule,
    head: &CaseHead,
    members: usize,
    cursor: [u32; WORDS],
) -> Case {
    let (network, len) = network(widths, batch, rule, schedule, head, members);
    let (own_rates, outputs) = (network.own_rates, network.outputs());
    let stacked = |dims: &[usize]| match members {
        1 => dims.to_vec(),
        _ => [&[members], dims].concat(),
    };
    let own = |m: usize| {
        if own_rates {
            0.01 * (m + 1) as f32
        } else {
            0.75
        }
    };
    let rates = (0..members).flat_map(|m| [0.5, 0.43, 0.9, own(m)]);
    let ring = [RING_ROWS, network.columns.len(), Parts::of(batch).count];
    let rule = network.rule;
    let mut case = Case::new(network)
        .constant(&stacked(&[RATES]), Fill::Values(rates.collect()))
        .constant(&stacked(&ring), Fill::Uniform(-1.0, 1.0))
        .constant(&stacked(&[len]), Fill::Uniform(-1.0, 1.0));
    if rule.states() > 0 {
        case = case.constant(&stacked(&[len]), Fill::Uniform(-0.5, 0.5));
    }
    if rule.states() > 1 {
        case = case.constant(&stacked(&[len]), Fill::Uniform(0.01, 1.0));
    }
    let words = (0..members as u32).flat_map(|m| {
        let mut words = cursor;
        words[crate::op::cursor::SEED] += m;
        words
    });
    let data_rows = cursor[crate::op::cursor::DATA_ROWS] as usize;
    // A NaN in a row that is not of the batch is in no result.
    let all = batch >= data_rows;
    let case = case
        .words(&stacked(&[WORDS]), Fill::Words(words.collect()))
        .constant(&[data_rows, widths[0]], Fill::Uniform(-1.5, 1.5))
        .nan_if(all);
    match &head.4 {
        Fill::Below(_) => case.words(&[data_rows], Fill::Below(outputs as u32)),
        fill => case
            .constant(&[data_rows, outputs], fill.clone())
            .nan_if(all),
    }
}
