//! Tells penguins apart from a table with missing cells and columns of texts; early stopping, logs, a confusion matrix.
#![allow(clippy::print_stdout)]

mod common;

use kiln::data::{Fill, Preprocessing, Step};
use kiln::prelude::*;
use kiln::train::{CsvLog, TensorBoard};

const ABOUT: &str = "tabular: tell three species of penguins apart
  --epochs N      passes over the training rows at most (default 100)
  --batch N       rows of a step (default 32)
  --seed N        seed of weights, shuffle and split (default 1)
  --logs DIR      write log.csv and TensorBoard's event files there (tensorboard --logdir DIR)
  --save FILE     write the trained model with its preprocessing as safetensors";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let epochs = arguments.number("epochs", 100)?;
        let batch = arguments.number("batch", 32)?;
        let seed = arguments.number("seed", 1)?;
        let (logs, save) = (arguments.value("logs")?, arguments.output("save")?);
        let device = arguments.device()?;
        arguments.finish()?;
        println!("device: {device}\n");

        let csv = Csv::new().target("species").labels();
        let csv = csv.categorical("island").categorical("sex").skip("year");
        let penguins = csv.read(common::shipped("penguins.csv"))?;
        let missing = penguins.features().iter().filter(|x| x.is_nan()).count();
        println!(
            "{} penguins of {:?}, {} columns, {missing} missing cells",
            penguins.rows(),
            penguins.class_names(),
            penguins.columns()
        );
        let (train, test) = penguins.split_stratified(0.25, seed)?;
        let steps = [Step::Impute(Fill::Median), Step::OneHot, Step::Standardize];
        let preprocessing = Preprocessing::fit(&train, steps)?;
        println!(
            "{} columns become {}: {}\n",
            train.columns(),
            preprocessing.outputs(),
            preprocessing.transform(&train)?.feature_names().join(", ")
        );

        let model = Sequential::new(preprocessing.outputs())
            .dense(16, Relu)
            .dense(3, Softmax)
            .seed(seed)
            .preprocessing(preprocessing);
        let loss = SparseCategoricalCrossentropy;
        let mut model = model.compile_on(
            &device,
            loss,
            Adam::new(0.01),
            [Accuracy, Metric::CohenKappa(3)],
        )?;
        println!("{}", model.summary());

        let mut stopping = EarlyStopping::new("val_loss", 5).restore_best_weights(true);
        let mut fit = Fit::epochs(epochs).batch_size(batch).validation_split(0.2);
        fit = fit.callback(&mut stopping);
        if let Some(folder) = &logs {
            std::fs::create_dir_all(folder).map_err(|refusal| Error::io(folder, refusal))?;
            let log = std::path::Path::new(folder).join("log.csv");
            fit = fit
                .callback(CsvLog::new(log))
                .callback(TensorBoard::new(folder).histograms(5));
        }
        let history = model.fit(&train, fit)?;
        println!("stopped after {} steps: {}\n", history.steps, history.stop);
        let evaluation = model.evaluate(&test)?;
        println!("on {} penguins never seen: {evaluation}\n", test.rows());
        if let Some(confusion) = evaluation.confusion {
            println!("{}", confusion.with_names(model.class_names()));
        }
        if let Some(file) = save {
            model.save(&file)?;
            println!("\nmodel written to {file}");
        }
        Ok(())
    })
}
