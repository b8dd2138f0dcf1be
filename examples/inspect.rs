//! Prints a model's graph, plan and memory for a device, without training it.
#![allow(clippy::print_stdout)]

mod common;

use kiln::prelude::*;

const ABOUT: &str = "inspect: print the plan of a classifier: its schedule, slots and counts
  --layers 784,128,10   widths from input to output (default 8,10,8,1)
  --batch N             rows of a step (default 32)
  --rows N              rows of the data set (default 768)
  --shaders             print the shaders' texts too";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let layers = arguments
            .value("layers")?
            .unwrap_or_else(|| "8,10,8,1".into());
        let (batch, rows): (usize, usize) = (
            arguments.number("batch", 32)?,
            arguments.number("rows", 768)?,
        );
        let shaders = arguments.flag("shaders");
        let device = arguments.device()?;
        arguments.finish()?;

        let parsed: std::result::Result<Vec<usize>, _> =
            layers.split(',').map(str::parse).collect();
        let widths =
            parsed.map_err(|error| Error::argument("layers", format!("`{layers}`: {error}")))?;
        let [inputs, hidden @ .., outputs] = widths.as_slice() else {
            return Err(Error::argument(
                "layers",
                format!("`{layers}` needs two widths at least"),
            ));
        };
        let model = hidden
            .iter()
            .fold(Sequential::new(*inputs), |model, &units| {
                model.dense(units, Relu)
            });
        let (model, loss) = match outputs {
            1 => (model.dense(1, Sigmoid), BinaryCrossentropy),
            _ => (
                model.dense(*outputs, Softmax),
                SparseCategoricalCrossentropy,
            ),
        };
        let model = model.compile_on(&device, loss, Adam::default(), [Accuracy])?;
        println!("{}", model.summary());
        let (graph, plan) = model.inspect(rows, batch)?;
        println!("graph\n{graph}\n{plan}");
        if shaders {
            let launches = plan
                .programs
                .iter()
                .flat_map(|program| &program.calls)
                .flat_map(|call| &call.launches);
            let shown: std::collections::BTreeMap<_, _> = launches
                .map(|launch| (launch.shader.name, &launch.shader.source))
                .collect();
            shown
                .iter()
                .for_each(|(name, source)| println!("── {name}.wgsl ──\n{source}"));
        }
        Ok(())
    })
}
