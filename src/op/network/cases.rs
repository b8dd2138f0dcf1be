//! Networks to try the step on: every loss, rule, schedule and function, one layer to four, odd sizes, ragged batches.

use crate::contract::{Case, Fill};
use crate::op::cursor::{DATA_ROWS, SEED, WORDS};
use crate::op::pointwise::functions::{LeakyRelu, Relu, Sigmoid, Tanh};
use crate::op::record::Parts;
use crate::op::{
    Accuracy, Adam, AdvanceClock, Form, Function, Momentum, RATES, Rates, RowLoss, UnaryFunction,
};
use crate::schedule::Schedule;

use super::{Network, NetworkLayer, RingColumn, StepRule};

const RING_ROWS: usize = 5;

/// A loss, whether it and its metric read numbers before the function, the last function, metric and targets.
type CaseHead = (RowLoss, bool, Option<Function>, Option<Accuracy>, Fill);

fn heads() -> [CaseHead; 9] {
    use Form::{Logits, Probabilities};
    use RowLoss::{Binary, CrossEntropy, Squared};
    let above = |threshold| Some(Accuracy::Binary { threshold });
    let [sigmoid, tanh] = [Sigmoid::function(), Tanh::function()].map(Some);
    let leaky = Some(LeakyRelu::function());
    let within = Fill::Uniform;
    let (one_hot, labels) = (Some(Accuracy::Categorical), Some(Accuracy::Sparse));
    [
        (Binary(Logits), false, None, above(0.1), Fill::Binary),
        (Squared(0.5), false, sigmoid, above(0.3), within(0.0, 1.0)),
        (Binary(Probabilities), false, sigmoid, None, Fill::Binary),
        (Squared(0.2), false, tanh, None, within(-1.0, 1.0)),
        (CrossEntropy, false, None, one_hot, Fill::OneHot),
        (Binary(Logits), true, sigmoid, above(-0.2), within(0.0, 1.0)),
        (CrossEntropy, false, None, labels, Fill::Below(0)),
        (Squared(1.0), false, leaky, None, within(-2.0, 2.0)),
        (Squared(0.5), false, None, None, within(-2.0, 2.0)),
    ]
}

fn rules() -> [StepRule; 5] {
    let momentum = |nesterov| {
        let momentum = 0.9;
        StepRule::Momentum(Momentum { momentum, nesterov })
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
    let (heads, rules, schedules) = (heads(), rules(), schedules());
    let mut cases = Vec::new();
    for (s, (widths, batch, data_rows, at)) in settings.into_iter().enumerate() {
        for variant in 0..3 {
            let n = s + 4 * variant;
            let [shuffle, seed] = [(n % 2) as u32, n as u32];
            cases.push(case(CaseNetwork {
                widths,
                batch,
                rule: rules[(n + variant) % rules.len()],
                schedule: schedules[n % schedules.len()].clone(),
                head: &heads[n % heads.len()],
                members: if n % 7 == 3 { 3 } else { 1 },
                cursor: [at[0], 0, at[1], at[2], data_rows, shuffle, seed, 0],
            }));
        }
    }
    cases
}

/// What a case tries.
struct CaseNetwork<'a> {
    widths: &'a [usize],
    batch: usize,
    rule: StepRule,
    schedule: Schedule,
    head: &'a CaseHead,
    members: usize,
    cursor: [u32; WORDS],
}

/// The network, and the elements of its slab.
fn network(case: &CaseNetwork<'_>) -> (Network, usize) {
    let &CaseNetwork {
        widths,
        batch,
        rule,
        members,
        ..
    } = case;
    let &(loss, loss_before, last, accuracy, _) = case.head;
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
        let own = Some(hidden[(l + batch) % hidden.len()]);
        layers.push(NetworkLayer {
            units: pair[1],
            function: if l + 2 == widths.len() { last } else { own },
            kernel,
            bias,
        });
    }
    let accuracy = accuracy.map(|kind| RingColumn::Accuracy {
        kind,
        before: loss_before,
    });
    let (beta_1, beta_2) = match rule {
        StepRule::Adam(rule) => (rule.beta_1, rule.beta_2),
        _ => (0.0, 0.0),
    };
    let network = Network {
        clock: AdvanceClock {
            batch,
            rates: Rates {
                beta_1,
                beta_2,
                ..Rates::from(case.schedule.clone())
            },
        },
        inputs: widths[0],
        layers,
        loss,
        loss_before,
        columns: std::iter::once(RingColumn::Loss).chain(accuracy).collect(),
        rule,
        members,
        own_rates: members > 1 && matches!(case.schedule, Schedule::Constant(_)),
    };
    (network, len.next_multiple_of(4))
}

fn case(tried: CaseNetwork<'_>) -> Case {
    let (network, len) = network(&tried);
    let (own_rates, outputs) = (network.own_rates, network.outputs());
    let CaseNetwork {
        members, cursor, ..
    } = tried;
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
    let ring = [
        RING_ROWS,
        network.columns.len(),
        Parts::of(tried.batch).numbers(),
    ];
    let mut case = Case::new(network)
        .constant(&stacked(&[RATES]), Fill::Values(rates.collect()))
        .constant(&stacked(&ring), Fill::Uniform(-1.0, 1.0))
        .constant(&stacked(&[len]), Fill::Uniform(-1.0, 1.0));
    let states = [Fill::Uniform(-0.5, 0.5), Fill::Uniform(0.01, 1.0)];
    for state in states.into_iter().take(tried.rule.states()) {
        case = case.constant(&stacked(&[len]), state);
    }
    let words = (0..members as u32).flat_map(|m| {
        let mut words = cursor;
        words[SEED] += m;
        words
    });
    let data_rows = cursor[DATA_ROWS] as usize;
    // A NaN in a row that is not of the batch is in no result.
    let all = tried.batch >= data_rows;
    let case = case
        .words(&stacked(&[WORDS]), Fill::Words(words.collect()))
        .constant(&[data_rows, tried.widths[0]], Fill::Uniform(-1.5, 1.5))
        .nan_if(all);
    match &tried.head.4 {
        Fill::Below(_) => case.words(&[data_rows], Fill::Below(outputs as u32)),
        fill => case
            .constant(&[data_rows, outputs], fill.clone())
            .nan_if(all),
    }
}
