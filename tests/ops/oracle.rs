//! The oracle itself: what it must reject, and that it accepts what is within bounds.

use kiln::check::{self, Reference, compare};
use kiln::op::{
    Binding, Compute, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, UNIT, Vjp,
};
use kiln::op::{Case, Function};
use kiln::plan::Target;
use kiln::{Device, Error, Tensor, TensorType, Values};

/// Numbers with one bound for all.
fn reference(values: Vec<f64>, bound: f64) -> Reference {
    Reference {
        bounds: vec![bound; values.len()],
        values,
        words: false,
    }
}

/// What a device without any error but the last rounding would give back.
fn rounded(reference: &Reference) -> Values {
    let values = reference.values.iter();
    if reference.words {
        Values::U32(values.map(|&value| value as u32).collect())
    } else {
        Values::F32(values.map(|&value| value as f32).collect())
    }
}

/// A matrix of distinct numbers, 17 × 5, with bounds of one unit in the last place.
fn example() -> (Vec<f32>, Reference) {
    let values: Vec<f64> = (0..85).map(|i| f64::from(i) * 0.37 - 11.0).collect();
    let device = values.iter().map(|&value| value as f32).collect();
    let bounds = values
        .iter()
        .map(|value| 2.0 * UNIT * value.abs())
        .collect();
    let reference = Reference {
        values,
        bounds,
        words: false,
    };
    (device, reference)
}

fn rejected(change: impl FnOnce(&mut Vec<f32>)) -> String {
    let (mut device, reference) = example();
    change(&mut device);
    compare(&Values::F32(device), &reference).unwrap_err()
}

#[test]
fn what_is_within_the_bound_is_accepted_and_reported() {
    let (device, expected) = example();
    let report = compare(&Values::F32(device), &expected).unwrap();
    assert_eq!(report.elements, 85);
    assert!(report.worst > 0.0 && report.worst <= 1.0);
    let exact = compare(&Values::F32(vec![1.5]), &reference(vec![1.5], 0.0)).unwrap();
    assert_eq!(exact.worst, 0.0);
}

#[test]
fn a_flipped_element_is_rejected_and_named() {
    let message = rejected(|device| device[40] = -device[40]);
    assert!(message.starts_with("element 40:"), "{message}");
    assert!(message.contains("1 of 85 elements differ"), "{message}");
    let message = rejected(|device| device[84] = f32::from_bits(device[84].to_bits() + 2));
    assert!(message.starts_with("element 84:"), "{message}");
}

#[test]
fn a_nan_is_rejected_on_either_side() {
    assert!(rejected(|device| device[3] = f32::NAN).starts_with("element 3: NaN"));
    let nan = |bound| reference(vec![f64::NAN], bound);
    compare(&Values::F32(vec![1.0]), &nan(1.0)).unwrap_err();
    compare(&Values::F32(vec![f32::NAN]), &nan(f64::NAN)).unwrap();
}

#[test]
fn a_transpose_is_rejected() {
    rejected(|device| {
        let before = device.clone();
        for (i, value) in device.iter_mut().enumerate() {
            *value = before[i % 17 * 5 + i / 17];
        }
    });
}

#[test]
fn a_stale_tail_is_rejected() {
    let message = rejected(|device| device[84] = 0.0);
    assert!(message.starts_with("element 84:"), "{message}");
}

#[test]
fn zeros_are_rejected() {
    rejected(|device| device.fill(0.0));
}

#[test]
fn a_shift_is_rejected() {
    rejected(|device| device.rotate_right(1));
}

#[test]
fn other_lengths_are_rejected() {
    assert!(rejected(|device| device.truncate(84)).starts_with("lengths differ"));
    assert!(rejected(Vec::clear).starts_with("lengths differ"));
    let (device, mut reference) = example();
    reference.bounds.pop();
    compare(&Values::F32(device), &reference).unwrap_err();
}

#[test]
fn infinities_must_match() {
    let one = |device: f32, expected: f64| {
        compare(&Values::F32(vec![device]), &reference(vec![expected], 1e30))
    };
    one(f32::INFINITY, f64::INFINITY).unwrap();
    one(f32::INFINITY, 1e39).unwrap();
    one(f32::NEG_INFINITY, f64::INFINITY).unwrap_err();
    one(f32::INFINITY, 1.0).unwrap_err();
    one(1.0, f64::INFINITY).unwrap_err();
    one(f32::MAX, 1e39).unwrap_err();
}

#[test]
fn a_bound_that_would_accept_anything_is_rejected() {
    for bound in [f64::INFINITY, f64::NAN, -1.0] {
        let message = compare(&Values::F32(vec![1.0]), &reference(vec![1.0], bound)).unwrap_err();
        assert!(message.contains("bound"), "{message}");
    }
}

/// What a mutation did over all results of an op.
#[derive(Default)]
struct Count {
    tried: usize,
    rejected: usize,
}

impl Count {
    fn add(&mut self, device: Vec<f32>, reference: &Reference) {
        self.tried += 1;
        self.rejected += usize::from(compare(&Values::F32(device), reference).is_err());
    }
}

/// Bounds so wide that they accept nonsense show here, op by op.
#[test]
fn the_bounds_of_every_op_reject_what_is_wrong_and_accept_the_rounded_reference() {
    for entry in check::all() {
        let (mut nan, mut flip, mut zeros, mut shift) = <(Count, Count, Count, Count)>::default();
        let mut results = 0;
        for (number, case) in (entry.cases)().iter().enumerate() {
            for reference in &check::reference(case).unwrap() {
                let outcome = compare(&rounded(reference), reference);
                assert!(outcome.is_ok(), "{} case {number}: {outcome:?}", entry.name);
                results += 1;
                if reference.words {
                    // Integers are exact.
                    assert!(
                        reference.bounds.iter().all(|&bound| bound == 0.0),
                        "{}",
                        entry.name
                    );
                    continue;
                }
                let device: Vec<f32> = reference.values.iter().map(|&v| v as f32).collect();
                let last = device.len() - 1;
                let with = |at: usize, value: f32| {
                    let mut device = device.clone();
                    device[at] = value;
                    device
                };
                // Where a NaN belongs it is no fault.
                if !device[last].is_nan() {
                    nan.add(with(last, f32::NAN), reference);
                }
                let largest = (0..device.len())
                    .filter(|&i| device[i].is_finite())
                    .max_by(|&a, &b| device[a].abs().total_cmp(&device[b].abs()));
                // An overflow that belongs there leaves no number to change.
                let Some(largest) = largest else { continue };
                if device[largest] == 0.0 {
                    continue;
                }
                flip.add(with(largest, -device[largest]), reference);
                zeros.add(vec![0.0; device.len()], reference);
                if device.iter().any(|&value| value != device[0]) {
                    let mut shifted = device.clone();
                    shifted.rotate_right(1);
                    shift.add(shifted, reference);
                }
            }
        }
        println!(
            "{:<24} {results:>4} results; rejected: NaN {}/{}, flip {}/{}, zeros {}/{}, shift {}/{}",
            entry.name,
            nan.rejected,
            nan.tried,
            flip.rejected,
            flip.tried,
            zeros.rejected,
            zeros.tried,
            shift.rejected,
            shift.tried
        );
        assert!(results >= 30, "{}: {results} results", entry.name);
        assert_eq!(nan.rejected, nan.tried, "{}: a NaN passed", entry.name);
        for (what, count) in [("flip", flip), ("zeros", zeros), ("shift", shift)] {
            // A result that is zero up to its bound, like the loss of a sure prediction, hides some of them.
            let enough = count.rejected as f64 >= 0.9 * count.tried as f64;
            assert!(enough, "{}: {what} passed", entry.name);
        }
    }
}

/// How [`Broken`] is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Computes at f32 something else than at f64.
    Value,
    /// Leaves the last element unwritten.
    Tail,
    /// Turns NaN into a number.
    Nan,
    /// Has a gradient that is wrong by a factor.
    Gradient,
}

/// y = 2·x, with a fault.
#[derive(Debug, Clone, Copy)]
struct Broken(Fault);

impl Op for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let factor = if self.0 == Fault::Gradient {
            2.0001
        } else {
            2.0
        };
        Ok(vec![Some(vjp.dy()?.scale(factor))])
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(Launch::new(
            Shader {
                name: "broken",
                source: "".into(),
            },
            "forward",
        )
        .bind(Binding::Input(0))
        .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        vec![sample.relative(0, 0.5)]
    }
}

impl Compute for Broken {
    fn compute<T: kiln::cpu::Real>(&self, io: &mut Io<'_, T>) {
        let double = size_of::<T>() == 8;
        let factor = T::constant(if self.0 == Fault::Value && !double {
            2.000_001
        } else {
            2.0
        });
        let x = io.input(0);
        let y = io.output(0);
        let len = y.len() - usize::from(self.0 == Fault::Tail && !double);
        for (y, &x) in y[..len].iter_mut().zip(x) {
            *y = factor * x;
            if self.0 == Fault::Nan && y.is_nan() {
                *y = T::zero();
            }
        }
    }
}

#[test]
fn each_harness_finds_its_fault_and_accepts_the_sound_op() {
    let case = |fault| Case::new(Broken(fault)).input(&[17], Fill::Uniform(-1.0, 1.0));
    let cpu = Device::cpu();
    check::parity(&case(Fault::None), &cpu).unwrap();
    check::nan(&case(Fault::None), &cpu).unwrap();
    check::gradcheck(&case(Fault::None)).unwrap();
    let found = |outcome: kiln::Result<check::Report>, what: &str| match outcome {
        Err(Error::Check { op, message }) => {
            assert_eq!(op, "broken of [17]");
            assert!(message.contains(what), "{message}");
        }
        other => panic!("{other:?}"),
    };
    found(check::parity(&case(Fault::Value), &cpu), "times the bound");
    found(check::parity(&case(Fault::Tail), &cpu), "element 16: NaN");
    found(check::nan(&case(Fault::Nan), &cpu), "is in no result");
    found(
        check::gradcheck(&case(Fault::Gradient)),
        "by the gradient rule",
    );
}

fn neg() -> Function {
    Function::from_name("neg", &[]).unwrap()
}

#[test]
fn the_reference_is_not_compared_with_itself() {
    let case = Case::new(neg()).input(&[3], Fill::Uniform(-1.0, 1.0));
    check::parity(&case, &Device::reference()).unwrap_err();
}

#[test]
fn draws_are_repeatable_and_keep_to_their_fill() {
    let case = Case::new(neg())
        .input(&[257, 10], Fill::Uniform(-1.0, 2.0))
        .constant(&[257, 10], Fill::Probabilities)
        .constant(&[257, 10], Fill::OneHot)
        .constant(&[1000], Fill::Binary)
        .words(&[1000], Fill::Below(7));
    let drawn = check::draw(&case, 3).unwrap();
    assert_eq!(drawn, check::draw(&case, 3).unwrap());
    assert_ne!(drawn, check::draw(&case, 4).unwrap());
    let floats = |i: usize| match &drawn[i] {
        kiln::Values::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    };
    assert!(floats(0).iter().all(|x| (-1.0..=2.0).contains(x)));
    for row in floats(1).chunks(10) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|&p| p > 0.0));
    }
    for row in floats(2).chunks(10) {
        assert_eq!(row.iter().filter(|&&p| p == 1.0).count(), 1);
        assert_eq!(row.iter().filter(|&&p| p == 0.0).count(), 9);
    }
    assert_eq!(
        floats(3).iter().filter(|&&b| b != 0.0 && b != 1.0).count(),
        0
    );
    match &drawn[4] {
        kiln::Values::U32(words) => (0..7).for_each(|label| assert!(words.contains(&label))),
        other => panic!("{other:?}"),
    }
    let short = Case::new(neg()).input(&[3], Fill::Values(vec![1.0]));
    assert!(check::draw(&short, 1).is_err());
}
