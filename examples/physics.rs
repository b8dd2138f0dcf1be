//! A physics-informed network: solves u′ = −u, u(0) = 1 from the equation alone, without a single value of the solution.
#![allow(clippy::print_stdout)]

mod common;

use kiln::nn::{Call, Parameter};
use kiln::prelude::*;
use kiln::{Shape, Tensor};

const ABOUT: &str = "physics: solve u' = -u, u(0) = 1 with a network that only knows the equation
  --epochs N      passes over the times (default 300)";

/// u(t) = 1 + t·N(t), which begins at 1 whatever the network N says, and beside it what is left of the equation, u′ + u.
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
        // The derivative by the layer's input is more nodes of the same graph; training takes gradients through it.
        let slope = call.graph.gradients(&u, &[t]).remove(0);
        u.concat(&[&(slope + &u)], 1)
    }
}

/// A column of what the layer gives.
fn column(at: usize) -> Lambda {
    Lambda::new(move |x| x[0].slice(1, at, 1))
}

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 300)?;
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        let network = Sequential::new(1).dense(16, Tanh).dense(1, Linear);
        let t = Input::named("t", 1);
        let both = Decay(network.into()).on(&t);
        let (u, residual) = (column(0).on(&both), column(1).on(&both));
        let model = Functional::new([&t], [("u", &u), ("residual", &residual)]).seed(3);
        // Only what is left of the equation is trained, towards 0.
        let objective = Objective::new("residual", MeanSquaredError);
        let mut model = model.compile_with(&device, [objective], Adam::new(0.01))?;

        let times: Vec<[f32; 1]> = (0..64).map(|i| [i as f32 / 32.0]).collect();
        let data = Dataset::from_rows(&times, &[[0.0]; 64])?;
        let history = model.fit(&data, Fit::epochs(epochs).batch_size(16).silent())?;
        let left = history.loss().last().copied().unwrap_or(f64::NAN);
        println!(
            "{} epochs: the mean of (u' + u)^2 is {left:.2e}\n",
            history.epochs.len()
        );

        println!("   t      u(t)    exp(-t)");
        let solved = model.predict(&data)?.output("u")?;
        for ([t], u) in times.iter().zip(&solved.values).step_by(8) {
            println!("{t:>5.2}  {u:>8.5}  {:>8.5}", (-t).exp());
        }
        Ok(())
    })
}
