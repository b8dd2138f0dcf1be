//! What layers do with the graph that they record in: gradients by what is no leaf.

use kiln::nn::{Call, Parameter};
use kiln::prelude::*;
use kiln::{Shape, Tensor};

use crate::common::devices;

/// u(t) = 1 + t·N(t) with a network N of its own, and u′ + u beside it: `[batch, 2]`.
#[derive(Debug)]
struct Decay(Functional);

impl Layer for Decay {
    fn class(&self) -> &'static str {
        "Decay"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        Layer::parameters(&self.0, inputs)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let t = &inputs[0];
        let u = 1.0 + t * Layer::forward(&self.0, inputs, call);
        let slope = call.graph.gradients(&u, &[t]).remove(0);
        (slope + &u).concat(&[&u], 1)
    }
}

#[test]
fn a_layer_takes_gradients_by_its_input_in_fit_and_predict() {
    let times: Vec<f32> = (0..64).map(|i| i as f32 / 32.0).collect();
    let nothing = Targets::Values {
        values: vec![0.0; 64],
        columns: 1,
    };
    let data = Dataset::new(times.clone(), 1, nothing).unwrap();
    for device in devices() {
        let network = Sequential::new(1).dense(16, Tanh).dense(1, Linear);
        let t = Input::named("t", 1);
        let both = Decay(network.into()).on(&t);
        let part = |at: usize| Lambda::new(move |x: &[Tensor]| x[0].slice(1, at, 1));
        let (residual, u) = (part(0).on(&both), part(1).on(&both));
        let model = Functional::new([&t], [("residual", &residual), ("u", &u)]).seed(3);
        let objective = Objective::new("residual", MeanSquaredError);
        let mut model = model
            .compile_with(&device, [objective], Adam::new(0.01))
            .unwrap();
        // A last batch of fewer rows, too.
        let fit = Fit::epochs(300).batch_size(24).silent();
        let history = model.fit(&data, fit).unwrap();
        assert!(history.loss()[299] < 1e-3, "{}", history.loss()[299]);
        let predicted = model.predict(&data).unwrap().output("u").unwrap();
        for (t, u) in times.iter().zip(predicted.values) {
            assert!((u - (-t).exp()).abs() < 0.02, "{u} at {t} on {device}");
        }
        let evaluation = model.evaluate(&data).unwrap();
        assert!(evaluation.loss < 1e-3, "{}", evaluation.loss);
    }
}

#[test]
fn gradients_by_a_tensor_that_is_no_leaf_stop_there() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2], &[0.5, 2.0]);
    // A comparison has no gradient, and stops none.
    let place = x.greater(&graph.constant([], &[1.0]));
    let inner = x.square();
    let y = (&inner * &inner + &place) * &x;
    let found = graph.gradients(&y.sum(), &[&inner, &x, &place, &y]);
    let device = Device::cpu();
    let fetch = |program: Program, (at, y): (usize, &Tensor)| program.fetch(format!("{at}"), y);
    let program = found.iter().enumerate().fold(Program::new("p"), fetch);
    let plan = kiln::Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    // 2·x²·x; 5·x⁴ + place; x; 1.
    assert_eq!(session.read("0").unwrap(), [0.25, 16.0]);
    assert_eq!(session.read("1").unwrap(), [0.3125, 81.0]);
    assert_eq!(session.read("2").unwrap(), [0.5, 2.0]);
    assert_eq!(session.read("3").unwrap(), [1.0, 1.0]);
}
