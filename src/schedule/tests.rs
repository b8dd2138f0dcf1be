//! Facts about schedules: values of Keras.

use super::*;

/// Values of Keras 3.15.1 (TensorFlow 2.21, CPU, f32) at these steps.
#[test]
fn schedules_follow_keras() {
    let steps = [0, 1, 7, 12, 25, 29, 55, 120];
    let staircase = Schedule::from(InverseTimeDecay {
        initial: 0.1,
        decay_steps: 5,
        decay_rate: 0.5,
        staircase: true,
    });
    let square = Schedule::from(PolynomialDecay {
        initial: 0.1,
        decay_steps: 30,
        end: 0.01,
        power: 2.0,
        cycle: false,
    });
    let cosine = |initial, alpha, warmup_target, warmup_steps| {
        Schedule::from(CosineDecay {
            initial,
            decay_steps: 50,
            alpha,
            warmup_target,
            warmup_steps,
        })
    };
    #[rustfmt::skip]
    let cases = [
        (Schedule::exponential_decay(0.1, 7, 0.9),
         [0.1, 0.0985061228, 0.09, 0.0834754109, 0.0686404928, 0.0646298602, 0.043699529, 0.0164280384]),
        (Schedule::inverse_time_decay(0.1, 5, 0.5),
         [0.1, 0.0909090936, 0.0588235296, 0.0454545468, 0.0285714287, 0.0256410259, 0.0153846153, 0.0076923076]),
        (staircase,
         [0.1, 0.1, 0.0666666701, 0.05, 0.0285714287, 0.0285714287, 0.0153846153, 0.0076923076]),
        (square,
         [0.1, 0.094099991, 0.0628999993, 0.0424000024, 0.0125000001, 0.0100999996, 0.01, 0.01]),
        (Schedule::polynomial_decay(0.1, 30),
         [0.1, 0.0966700017, 0.0766900032, 0.0600400045, 0.0167500022, 0.0034300028, 0.0001, 0.0001]),
        (Schedule::cosine_decay(0.1, 50),
         [0.1, 0.0999013409, 0.0952413603, 0.086448431, 0.049999997, 0.0375655069, 0.0, 0.0]),
        (cosine(0.1, 0.1, None, 0),
         [0.1, 0.0999112054, 0.0957172214, 0.0878035947, 0.0549999959, 0.0438089519, 0.01, 0.01]),
        (cosine(0.0, 0.0, Some(0.1), 10),
         [0.0, 0.01, 0.07, 0.0996057391, 0.0793892666, 0.0684062242, 0.002447176, 0.0]),
    ];
    for (schedule, keras) in cases {
        schedule.validate().unwrap();
        for (step, keras) in steps.into_iter().zip(keras) {
            let (wide, narrow) = (
                schedule.value::<f64>(step),
                f64::from(schedule.value::<f32>(step)),
            );
            // f32 arithmetic on numbers up to 0.1, on both sides.
            assert!(
                (wide - keras).abs() < 5e-8,
                "{schedule:?}, {step}: {wide}, Keras {keras}"
            );
            assert!((narrow - keras).abs() < 5e-8, "{schedule:?}, {step}");
        }
    }
    assert_eq!(Schedule::from(0.3).value::<f32>(9), 0.3);
}
