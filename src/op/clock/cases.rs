//! What a clock is tried on: places in the data, and every schedule.

use crate::contract::{Case, Fill};
use crate::op::{LONG_RATES, RATES};
use crate::schedule::{
    CosineAnnealing, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
    OneCycle, PolynomialDecay, Schedule,
};

use super::cursor::WORDS;
use super::{AdvanceClock, Rates, Series, UpdateCount};

pub(super) fn cases() -> Vec<Case> {
    let case = |clock: AdvanceClock, cursor: [u32; WORDS], rates: [f32; RATES]| {
        Case::new(clock)
            .words(&[WORDS], Fill::Words(cursor.into()))
            .constant(&[RATES], Fill::Values(rates.into()))
    };
    let clock = |batch, learning_rate: Schedule| AdvanceClock {
        batch,
        rates: rates(learning_rate, 0.999, None),
    };
    let mut cases = Vec::new();
    // The place in the data: the first step, the middle and the end of an epoch, short batches, no data at all.
    let places: [(usize, [u32; WORDS]); 22] = [
        (1, [0, 9, 9, 9, 1, 0, 0, 9]),
        (1, [1, 0, 0, 1, 1, 1, 3, 0]),
        (2, [0, 0, 0, 0, 3, 1, 1, 0]),
        (2, [1, 0, 0, 2, 3, 1, 1, 0]),
        (2, [2, 0, 2, 1, 3, 1, 1, 0]),
        (3, [7, 2, 3, 3, 17, 0, 5, 0]),
        (17, [3, 1, 0, 17, 33, 1, 5, 0]),
        (32, [24, 0, 736, 32, 768, 1, 11, 0]),
        (32, [23, 0, 704, 32, 768, 0, 11, 0]),
        (33, [100, 8, 231, 24, 255, 1, 0xffff_ffff, 0]),
        (64, [5, 0, 192, 64, 256, 1, 77, 0]),
        (65, [5, 0, 130, 65, 257, 1, 78, 0]),
        (255, [40, 9, 765, 235, 1000, 1, 79, 0]),
        (257, [900, 2, 59_000, 257, 60_000, 1, 80, 0]),
        (1000, [800, 4, 68_000, 1000, 70_000, 1, 81, 0]),
        (65_536, [0, 0, 0, 0, 70_000, 1, 82, 0]),
        (65_536, [1, 0, 0, 65_536, 70_000, 1, 82, 0]),
        (300, [4_000_000_000, 70, 0, 300, 2_147_483_648, 1, 83, 0]),
        // Through room for a part of the rows: the first part, beyond it, a batch around its end, a ragged one.
        (17, [0, 0, 0, 0, 1000, 34, 5, 0]),
        (17, [9, 1, 102, 17, 1000, 34, 5, 0]),
        (64, [5, 0, 192, 64, 100_000, 255, 77, 0]),
        (255, [40, 9, 765, 235, 1000, 2, 79, 0]),
    ];
    for (batch, place) in places {
        cases.push(case(
            clock(batch, 0.01.into()),
            place,
            [0.01, 0.6, 0.95, 7.0],
        ));
    }
    cases.push(case(
        clock(3, 0.01.into()),
        [4, 0, 0, 0, 0, 1, 0, 0],
        [0.0; 4],
    ));
    for schedule in schedules() {
        for step in [0, 1, 16, 17, 33, 255, 256, 299, 1000, 70_000] {
            let mut case = case(
                clock(5, schedule.clone()),
                [step, 0, 10, 5, 33, 0, 0, 0],
                [0.0, 0.3, 0.9, if step % 2 == 0 { 1.0 } else { 0.3 }],
            );
            if let Some(table) = schedule.table() {
                case = case.constant(&[table.len()], Fill::Values(table));
            }
            cases.push(case);
        }
    }
    tallies(&mut cases);
    cases
}

fn rates(learning_rate: Schedule, beta_2: f32, update_count: Option<UpdateCount>) -> Rates {
    Rates {
        learning_rate,
        beta_1: 0.9,
        beta_2,
        update_count,
    }
}

/// Every schedule, with settings that take each branch of its formula.
fn schedules() -> Vec<Schedule> {
    let staircase = Schedule::ExponentialDecay(ExponentialDecay {
        initial: 0.1,
        decay_steps: 1000,
        decay_rate: 0.96,
        staircase: true,
    });
    let inverse = Schedule::InverseTimeDecay(InverseTimeDecay {
        initial: 0.1,
        decay_steps: 5,
        decay_rate: 0.5,
        staircase: true,
    });
    let polynomial = |power| {
        Schedule::PolynomialDecay(PolynomialDecay {
            initial: 0.1,
            decay_steps: 300,
            end: 0.01,
            power,
            cycle: power == 2.0,
        })
    };
    let restarts = |t_mul, m_mul, alpha| {
        Schedule::CosineDecayRestarts(CosineDecayRestarts {
            initial: 0.1,
            first_decay_steps: 10,
            t_mul,
            m_mul,
            alpha,
        })
    };
    let cosine = |alpha| {
        Schedule::CosineDecay(CosineDecay {
            initial: 0.001,
            decay_steps: 300,
            alpha,
            warmup_target: Some(0.1),
            warmup_steps: 17,
        })
    };
    vec![
        Schedule::exponential_decay(0.1, 7, 0.9),
        Schedule::exponential_decay(0.1, 100_000, 0.999),
        staircase,
        Schedule::inverse_time_decay(0.1, 5, 0.5),
        inverse,
        polynomial(1.0),
        polynomial(0.5),
        polynomial(2.0),
        Schedule::cosine_decay(0.1, 257),
        cosine(0.0),
        cosine(0.1),
        Schedule::cosine_decay_restarts(0.1, 17),
        restarts(1.0, 0.9, 0.1),
        restarts(1.5, 0.9, 0.0),
        Schedule::CosineAnnealing(CosineAnnealing {
            initial: 0.1,
            steps: 40,
            minimum: 0.001,
        }),
        Schedule::one_cycle(0.1, 300),
        Schedule::OneCycle(OneCycle {
            top: 0.1,
            steps: 100,
            share: 0.25,
            div_factor: 10.0,
            final_div_factor: 100.0,
            linear: true,
        }),
        Schedule::milestones(0.1, &[1, 17, 256], 0.3),
        Schedule::Table((1..=33).map(|i| 0.01 * i as f32).collect()),
        polynomial(2.0).warmup(0.001, 17),
        Schedule::Table(vec![0.1, 0.2, 0.3]).warmup(0.0, 17),
        Schedule::milestones(0.1, &[17, 256], 0.3).warmup(0.3, 3),
    ]
}

/// The numbers of updates, and the series.
fn tallies(cases: &mut Vec<Case>) {
    let asgd = |start| Series::Asgd {
        lambda: 1e-2,
        alpha: 0.75,
        start,
    };
    let series = [
        (Series::None, 0.999),
        (Series::Nadam { base: 0.96 }, 0.999),
        (Series::Radam, 0.999),
        (Series::Radam, 0.95),
        (Series::Radam, 0.5),
        (Series::Power { exponent: -0.8 }, 0.999),
        (asgd(1e6), 0.999),
        (asgd(10.0), 0.999),
    ];
    for (series, beta_2) in series {
        for (accumulate, every) in [(1, 0), (1, 5), (4, 3)] {
            for step in [0, 1, 3, 4, 6, 19, 33, 255, 699, 1000, 70_000] {
                let count = UpdateCount {
                    accumulate,
                    every,
                    series,
                };
                let clock = AdvanceClock {
                    batch: 1,
                    rates: rates(0.1.into(), beta_2, Some(count)),
                };
                // None were skipped, some, and all.
                for skipped in [0, 3, step] {
                    let mut rates = vec![9.0, 0.3, 0.9, 0.5, 3.0, 1.0, 0.7, 0.4, 5.0, 6.0, 7.0];
                    rates.push(skipped as f32);
                    let place = vec![step, 0, 0, 1, 1, 0, 0, 0];
                    cases.push(
                        Case::new(clock.clone())
                            .words(&[WORDS], Fill::Words(place))
                            .constant(&[LONG_RATES], Fill::Values(rates)),
                    );
                }
            }
        }
    }
}
