//! A function of one's own, defined outside the crate: checked, joined with products and differentiated as the built-in ones.

use crate::common;
use kiln::check;
use kiln::op::{Allowed, Entry, Function, Number, Setting, Settings, Tried, UnaryFunction};
use kiln::plan::{Class, Target};
use kiln::prelude::*;

/// x/(1 + |x|)·height, whose slope (height − |y|)²/height needs the output alone.
struct Bend;

impl UnaryFunction for Bend {
    const NAME: &'static str = "bend";
    const SETTINGS: &'static [Setting] = &[Setting {
        name: "height",
        default: 1.0,
        allowed: Allowed::AboveZero,
    }];
    const WGSL: &'static str = "
        fn bend_value(x: f32, c: vec3<f32>) -> f32 { return c.x * (x / (1.0 + abs(x))); }
        fn bend_slope(y: f32, c: vec3<f32>) -> f32 { let rest = c.x - abs(y); return rest * rest / c.x; }";
    const ENDS_LAYERS: bool = true;

    fn value<N: Number>(x: N, [height, ..]: Settings) -> N {
        N::given(height) * (x / (N::constant(1.0) + x.magnitude()))
    }

    fn slope<N: Number>(y: N, [height, ..]: Settings) -> N {
        let rest = N::given(height) - y.magnitude();
        rest * rest / N::given(height)
    }

    fn saves_output(_: Settings) -> bool {
        true
    }

    fn tried() -> Tried {
        Tried {
            saved: Some((-1.0, 1.0)),
            huge: true,
            ..Tried::default()
        }
    }
}

/// The same with only its value written: the slope follows from it.
struct Derived;

impl UnaryFunction for Derived {
    const NAME: &'static str = "derived";
    const WGSL: &'static str = "
        fn derived_value(x: f32, c: vec3<f32>) -> f32 { return x / (1.0 + abs(x)); }
        fn derived_slope(x: f32, c: vec3<f32>) -> f32 { let d = 1.0 + abs(x); return keep_nan(x, 1.0 / (d * d)); }";

    fn value<N: Number>(x: N, _: Settings) -> N {
        x / (N::constant(1.0) + x.magnitude())
    }
}

/// A slope in WGSL that is off by a hundred-thousandth.
struct Steep;

impl UnaryFunction for Steep {
    const NAME: &'static str = "steep";
    const WGSL: &'static str = "
        fn steep_value(x: f32, c: vec3<f32>) -> f32 { return x * x * x; }
        fn steep_slope(x: f32, c: vec3<f32>) -> f32 { return 3.00003 * x * x; }";

    fn value<N: Number>(x: N, _: Settings) -> N {
        x * x * x
    }
}

/// A slope that is not that of the value.
struct Halved;

impl UnaryFunction for Halved {
    const NAME: &'static str = "halved";

    fn value<N: Number>(x: N, _: Settings) -> N {
        x * x
    }

    fn slope<N: Number>(x: N, _: Settings) -> N {
        x
    }
}

#[test]
fn it_keeps_its_derived_bounds_on_the_processor_and_on_the_adapter() {
    let entries = [
        Entry {
            name: "bend",
            shaders: &[],
            cases: || {
                let high = Function::of::<Bend>(&[2.5]);
                [Bend::function().cases(), high.cases()].concat()
            },
        },
        Entry {
            name: "derived",
            shaders: &[],
            cases: || Derived::function().cases(),
        },
    ];
    for device in &common::devices() {
        for entry in &entries {
            let survey = check::survey(entry, device);
            assert!(survey.passed(), "{survey}");
            assert!(survey.cases >= 12 && survey.elements > 2000, "{survey}");
            assert!(survey.nans > 0 && survey.worst > 0.0, "{survey}");
        }
    }
}

#[test]
fn its_slope_and_the_slope_of_that_agree_with_differences() {
    for function in [Bend::function(), Derived::function()] {
        let mut elements = 0;
        for case in function.cases() {
            elements += check::gradcheck(&case).unwrap().elements;
        }
        assert!(elements > 200, "{elements}");
    }
}

#[test]
fn a_wrong_slope_is_found_in_rust_and_in_wgsl() {
    let mut cases = Halved::function().cases().into_iter();
    assert!(cases.any(|case| check::gradcheck(&case).is_err()));
    if let Some(device) = common::device() {
        let found = |function: Function| {
            let cases = function.cases().into_iter();
            cases
                .filter(|case| check::parity(case, device).is_err())
                .count()
        };
        assert!(found(Steep::function()) > 3);
        assert_eq!(found(Derived::function()), 0);
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    let graph = Graph::new();
    graph.input("x", [3]).map(Function::of::<Bend>(&[-1.0]));
    let told = graph.check().unwrap_err().to_string();
    assert!(told.contains("bend: height must be above 0"), "{told}");
}

/// One layer that ends in a function, its loss and its gradients.
fn layer(function: Option<Function>) -> (Graph, Vec<Tensor>) {
    let graph = Graph::new();
    let values: Vec<f32> = (0..12).map(|i| (i as f32 - 5.5) / 4.0).collect();
    let x = graph.constant([4, 3], &values);
    let w = graph.parameter("w", [3, 3], &values[..9]);
    let v = graph.parameter("v", [3, 2], &values[6..]);
    let end = |z: Tensor| function.map_or_else(|| z.tanh(), |function| z.map(function));
    let loss = end(end(x.matmul(&w)).matmul(&v)).square().sum();
    let mut results = graph.gradients(&loss, &[&w, &v]);
    results.push(loss);
    (graph, results)
}

#[test]
fn a_product_ends_in_it_and_in_its_slope_as_in_those_of_kiln() {
    let dispatches = |function| {
        let (graph, results) = layer(function);
        let target = Target::new(Class::Gpu, None);
        let names = ["dw", "dv", "loss"];
        let program = names
            .iter()
            .zip(&results)
            .fold(Program::new("all"), |program, (name, tensor)| {
                program.fetch(*name, tensor)
            });
        let plan = kiln::Plan::compile(&graph, &target, [program]).unwrap();
        plan.program("all").unwrap().dispatches()
    };
    assert_eq!(dispatches(Some(Bend::function())), dispatches(None));
    let separate = dispatches(Some(Derived::function()));
    assert!(separate > dispatches(None), "{separate}");
}

#[test]
fn a_layer_that_ends_in_it_gives_the_reference_s_numbers_on_every_executor() {
    let run = |device: &Device| {
        let (graph, results) = layer(Some(Bend::function()));
        let program = Program::new("all")
            .fetch("dw", &results[0])
            .fetch("loss", &results[2]);
        let plan = kiln::Plan::compile(&graph, device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.run("all", 1).unwrap();
        [session.read("dw").unwrap(), session.read("loss").unwrap()].concat()
    };
    let expected = run(&Device::reference());
    assert!(
        expected.iter().all(|value| value.abs() > 1e-4),
        "{expected:?}"
    );
    for device in &common::devices() {
        for (value, expected) in run(device).iter().zip(&expected) {
            assert!((value - expected).abs() <= 2e-6 * expected.abs().max(1.0));
        }
    }
}
