//! Names of columns, categories and classes: saved with the model, and compared wherever a table meets it.

use kiln::data::{CellValue, Scaler, Step};
use kiln::prelude::*;
use kiln::train::{Every, Member, Population, RunState};

fn read(csv: &Csv, text: &str) -> Dataset {
    csv.read_from(text.as_bytes(), "table.csv").unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: kiln::Result<T>, parts: &[&str]) {
    let message = outcome.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

/// y = 10·a + b + 100·(red) + 200·(green) + 300·(blue), without noise.
fn colours() -> Dataset {
    let mut text = String::from("a,b,colour,y\n");
    for (row, colour) in ["red", "green", "blue"].iter().cycle().take(24).enumerate() {
        let (a, b) = (row % 5, row % 7);
        let y = 10 * a + b + 100 * (1 + row % 3);
        text += &format!("{a},{b},{colour},{y}\n");
    }
    read(&Csv::new().categorical("colour").target("y"), &text)
}

/// A linear model of these columns, with the weights that the formula has, so that it predicts exactly.
fn exact(steps: Option<Preprocessing>, data: &Dataset) -> Model {
    // Columns a, b, colour=blue, colour=green, colour=red.
    let network = Sequential::new(5).dense(1, Linear);
    let network = match steps {
        Some(steps) => network.preprocessing(steps),
        None => network,
    };
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.0), [])
        .unwrap();
    model.fit(data, Fit::epochs(1).silent()).unwrap();
    let kernel = [10.0, 1.0, 300.0, 200.0, 100.0];
    model
        .set_weights([("dense/kernel", &kernel[..]), ("dense/bias", &[0.0])])
        .unwrap();
    model
}

fn with_steps() -> Model {
    let data = colours();
    let steps = Preprocessing::fit(&data, [Step::OneHot]).unwrap();
    exact(Some(steps), &data)
}

/// What a file makes of a model.
fn reloaded(model: &mut Model, name: &str) -> Model {
    let path = std::env::temp_dir().join(format!("kiln-names-{}-{name}", std::process::id()));
    model.save(&path).unwrap();
    let loaded = Model::load_on(&Device::cpu(), &path).unwrap();
    std::fs::remove_file(path).unwrap();
    loaded
}

#[test]
fn columns_in_another_order_and_categories_with_other_numbers_are_put_in_order() {
    let mut model = with_steps();
    let mut loaded = reloaded(&mut model, "order");
    // Read by itself: no blue, so that green is 0 and red 1; the columns the other way around.
    let csv = Csv::new().categorical("colour").target("y");
    let table = read(&csv, "colour,y,b,a\nred,123,3,2\ngreen,241,1,4\n");
    assert_eq!(
        (table.features(), table.categories(0).len()),
        (&[1.0, 3.0, 2.0, 0.0, 1.0, 4.0][..], 2)
    );
    for model in [&mut model, &mut loaded] {
        assert_eq!(model.predict(&table).unwrap().values, [123.0, 241.0]);
        assert_eq!(model.evaluate(&table).unwrap().loss, 0.0);
        assert_eq!(
            model
                .gradients(&table, |y| y[0].clone())
                .unwrap()
                .outputs_or_inputs(),
            10
        );
        let fit = Fit::epochs(1).validation(&table).silent();
        assert_eq!(
            model.fit(&table, fit).unwrap().epochs[0].val_loss,
            Some(0.0)
        );
        let batches = [Ok(table.clone()), Ok(table.select(&[1]).unwrap())];
        let history = model.fit_batches(batches, Fit::epochs(1).silent()).unwrap();
        assert_eq!(history.epochs[0].loss, 0.0);
    }
}

/// How many numbers the derivatives by the inputs are: rows times columns.
trait Derived {
    fn outputs_or_inputs(&self) -> usize;
}

impl Derived for kiln::train::Gradients {
    fn outputs_or_inputs(&self) -> usize {
        self.inputs.iter().map(|own| own.values.len()).sum()
    }
}

#[test]
fn unknown_categories_and_columns_are_refused_by_name() {
    let mut model = with_steps();
    let mut loaded = reloaded(&mut model, "unknown");
    let csv = Csv::new().categorical("colour").target("y");
    let violet = read(&csv, "a,b,colour,y\n1,1,red,0\n1,1,green,0\n1,1,violet,0\n");
    let lacking = read(&csv, "a,colour,y\n1,red,0\n1,green,0\n");
    let other = read(&csv, "a,c,colour,extra,y\n1,1,red,1,0\n1,1,green,1,0\n");
    let numbers = read(&Csv::new().target("y"), "a,b,colour,y\n1,1,1,0\n1,1,2,0\n");
    let texts = Csv::new()
        .categorical("colour")
        .categorical("a")
        .target("y");
    let texts = read(&texts, "a,b,colour,y\nlow,1,red,0\nhigh,1,green,0\n");
    let twice = read(&csv, "a,b,b,colour,y\n1,1,1,red,0\n1,1,1,green,0\n");
    let cases: [(&Dataset, &[&str]); 6] = [
        (
            &violet,
            &[
                "column 2, `colour`",
                "`violet` in row 2",
                "blue, green, red",
            ],
        ),
        (&lacking, &["a, b, colour", "lacks `b`"]),
        (&other, &["lacks `b`", "has `c`, `extra`", "unknown"]),
        (
            &numbers,
            &["`colour`", "a number", "blue, green, red", "categorical"],
        ),
        (&texts, &["`a`", "high, low", "one of numbers"]),
        (&twice, &["one name", "a, b, colour"]),
    ];
    for model in [&mut model, &mut loaded] {
        for (table, said) in &cases {
            refused(model.predict(*table), said);
            refused(model.evaluate(table), said);
            refused(model.fit(table, Fit::epochs(1).silent()), said);
            let sound = colours();
            refused(
                model.fit(&sound, Fit::epochs(1).validation(table).silent()),
                said,
            );
        }
        // A category that is only in the list harms nobody.
        assert_eq!(
            model
                .predict(&violet.select(&[0, 1]).unwrap())
                .unwrap()
                .values,
            [111.0, 211.0]
        );
        // Without names columns go by their places.
        let nameless = Dataset::new(vec![1.0, 1.0, 2.0], 3, Targets::None).unwrap();
        assert_eq!(model.predict(&nameless).unwrap().values, [111.0]);
        let unnamed = other.clone().with_feature_names(Vec::new()).unwrap();
        refused(model.predict(&unnamed), &["4 columns", "3 inputs"]);
    }
}

#[test]
fn a_model_without_preprocessing_compares_names_too() {
    let data = colours();
    let steps = Preprocessing::fit(&data, [Step::OneHot]).unwrap();
    let made = steps.transform(&data).unwrap();
    let mut model = exact(None, &made);
    let mut loaded = reloaded(&mut model, "bare");
    assert_eq!(
        loaded.feature_names(),
        ["a", "b", "colour=blue", "colour=green", "colour=red"]
    );
    // The steps put the raw table in order themselves.
    let csv = Csv::new().categorical("colour").no_target();
    let table = read(&csv, "colour,b,a\nred,3,2\ngreen,1,4\n");
    let table = steps.transform(&table).unwrap();
    assert_eq!(table.feature_names(), made.feature_names());
    for model in [&mut model, &mut loaded] {
        assert_eq!(model.predict(&table).unwrap().values, [123.0, 241.0]);
        refused(
            model.predict(&data),
            &[
                "lacks `colour=blue`, `colour=green`, `colour=red`",
                "has `colour`",
            ],
        );
    }
}

#[test]
fn steps_and_scalers_put_tables_in_order_by_themselves() {
    let data = read(&Csv::new().no_target(), "a,b\n0,10\n2,30\n");
    let swapped = read(&Csv::new().no_target(), "b,a\n10,0\n30,2\n");
    let scaler = Scaler::min_max(&data, 0.0, 1.0).unwrap();
    let scaled = scaler.transform(&swapped).unwrap();
    assert_eq!(
        (scaled.features(), scaled.feature_names()),
        (&[0.0, 0.0, 1.0, 1.0][..], data.feature_names())
    );
    refused(
        scaler.transform(&read(&Csv::new().no_target(), "a,c\n1,2\n")),
        &["scaler", "lacks `b`", "has `c`"],
    );
    // Both keep the names through serde.
    let read_scaler: Scaler =
        serde_json::from_str(&serde_json::to_string(&scaler).unwrap()).unwrap();
    assert_eq!(read_scaler, scaler);
    assert_eq!(read_scaler.transform(&swapped).unwrap(), scaled);
    let steps = Preprocessing::from(scaler);
    let read_steps: Preprocessing =
        serde_json::from_str(&serde_json::to_string(&steps).unwrap()).unwrap();
    assert_eq!(read_steps.transform(&swapped).unwrap(), scaled);
    // Those of before names were kept are read, and go by places.
    let old = r#"[{"scale":{"center":[0.0,10.0],"scale":[2.0,20.0]}}]"#;
    let old: Preprocessing = serde_json::from_str(old).unwrap();
    assert_eq!(
        serde_json::to_string(&old).unwrap(),
        r#"[{"scale":{"center":[0.0,10.0],"scale":[2.0,20.0]}}]"#
    );
    assert_eq!(old.transform(&data).unwrap().features(), scaled.features());
    let unfit = r#"{"columns":{"features":["a"]},"steps":[{"scale":{"center":[0.0,10.0],"scale":[2.0,20.0]}}]}"#;
    assert!(serde_json::from_str::<Preprocessing>(unfit).is_err());
}

/// Three kinds told apart by one number: 0 is Adelie, 5 Chinstrap, 10 Gentoo.
fn kinds() -> Model {
    let text = "x,kind\n0,Adelie\n5,Chinstrap\n10,Gentoo\n";
    let data = read(&Csv::new().target("kind").labels(), text);
    let model = Sequential::new(1).dense(3, Softmax);
    let loss = SparseCategoricalCrossentropy;
    let mut model = model
        .compile_on(&Device::cpu(), loss, Sgd::new(0.0), [Accuracy])
        .unwrap();
    model.fit(&data, Fit::epochs(1).silent()).unwrap();
    let (kernel, bias) = ([-2.0, 0.0, 2.0], [5.0, 0.0, -15.0]);
    model
        .set_weights([("dense/kernel", &kernel[..]), ("dense/bias", &bias)])
        .unwrap();
    model
}

#[test]
fn classes_go_by_name_and_predictions_have_their_names() {
    let mut model = kinds();
    let mut loaded = reloaded(&mut model, "classes");
    let csv = Csv::new().target("kind").labels();
    // Gentoo is number 1 in a table without Chinstrap.
    let table = read(&csv, "x,kind\n10,Gentoo\n0,Adelie\n9,Gentoo\n");
    let unknown = read(&csv, "x,kind\n10,Gentoo\n0,Emperor\n");
    for model in [&mut model, &mut loaded] {
        assert_eq!(model.class_names(), ["Adelie", "Chinstrap", "Gentoo"]);
        let predictions = model.predict(&[[10.0], [0.0], [5.0]]).unwrap();
        assert_eq!(
            predictions.class_names().unwrap(),
            ["Gentoo", "Adelie", "Chinstrap"]
        );
        assert_eq!(
            predictions
                .output("dense")
                .unwrap()
                .class_names()
                .unwrap()
                .len(),
            3
        );
        assert_eq!(model.evaluate(&table).unwrap().get("accuracy"), Some(1.0));
        let history = model.fit(&table, Fit::epochs(1).silent()).unwrap();
        assert_eq!(history.epochs[0].metrics[0].1, 1.0);
        refused(
            model.evaluate(&unknown),
            &["row 1", "`Emperor`", "Adelie, Chinstrap, Gentoo"],
        );
        // Labels without names are the numbers themselves.
        let numbers = Dataset::new(vec![10.0], 1, vec![2]).unwrap();
        assert_eq!(model.evaluate(&numbers).unwrap().get("accuracy"), Some(1.0));
    }
}

#[test]
fn one_hot_columns_go_by_the_names_of_their_classes_too() {
    let mut sparse = kinds();
    let weights = sparse.weights().unwrap();
    let csv = Csv::new().target("kind").labels();
    let text = "x,kind\n0,Adelie\n5,Chinstrap\n10,Gentoo\n";
    let model = Sequential::new(1).dense(3, Softmax);
    let loss = CategoricalCrossentropy;
    let mut model = model
        .compile_on(
            &Device::cpu(),
            loss,
            Sgd::new(0.0),
            [Metric::CategoricalAccuracy],
        )
        .unwrap();
    let data = read(&csv, text).one_hot().unwrap();
    model.fit(&data, Fit::epochs(1).silent()).unwrap();
    let named = weights.iter();
    let named = named.map(|own| (own.name.as_str(), &own.values[..]));
    model.set_weights(named).unwrap();
    assert_eq!(model.class_names(), ["Adelie", "Chinstrap", "Gentoo"]);
    let table = read(&csv, "x,kind\n10,Gentoo\n0,Adelie\n9,Gentoo\n");
    let expected = sparse.evaluate(&table).unwrap();
    let measured = model.evaluate(&table.one_hot().unwrap()).unwrap();
    assert_eq!(measured.get("categorical_accuracy"), Some(1.0));
    assert_eq!(measured.loss, expected.loss);
    let unknown = read(&csv, "x,kind\n10,Gentoo\n0,Emperor\n").one_hot();
    refused(
        model.evaluate(&unknown.unwrap()),
        &["row 1", "`Emperor`", "Adelie, Chinstrap, Gentoo"],
    );
}

#[test]
fn weights_of_classes_go_by_the_classes_of_the_model() {
    let csv = Csv::new().target("kind").labels();
    // Gentoo is number 0 here and 2 in the model.
    let listed = csv.class_names(["Gentoo", "Adelie", "Chinstrap"]);
    let table = read(&listed, "x,kind\n10,Gentoo\n0,Adelie\n9,Gentoo\n");
    let fit = || Fit::epochs(1).silent();
    let loss = |outcome: kiln::Result<History>| outcome.unwrap().loss()[0];
    let weighted = table.clone().with_weights(vec![3.0, 1.0, 3.0]).unwrap();
    let wanted = loss(kinds().fit(&weighted, fit()));
    assert_eq!(
        loss(kinds().fit(&table, fit().class_weight([(2, 3.0)]))),
        wanted
    );
    let two = [(0, 1.0), (2, 3.0)];
    assert_eq!(loss(kinds().fit(&table, fit().class_weight(two))), wanted);
    let refusal = kinds().fit(&table, fit().class_weight([(3, 3.0)]));
    refused(refusal, &["class 3", "0 to 2"]);
}

#[test]
fn a_model_that_knows_no_names_says_so() {
    let data = Dataset::new(vec![0.0, 1.0], 1, vec![0, 1]).unwrap();
    let model = Sequential::new(1).dense(2, Softmax);
    let loss = SparseCategoricalCrossentropy;
    let mut model = model
        .compile_on(&Device::cpu(), loss, Sgd::new(0.1), [])
        .unwrap();
    model.fit(&data, Fit::epochs(1).silent()).unwrap();
    refused(
        model.predict(&data).unwrap().class_names(),
        &["no names of classes", "Csv::labels"],
    );
    refused(
        model.predict(&[("x", 1.0)]),
        &["no names of columns", "with_feature_names"],
    );
    assert!(model.feature_names().is_empty() && model.class_names().is_empty());
    // A first table that was refused leaves no names.
    let named = data.clone().with_feature_names(vec!["x".into()]).unwrap();
    let unfit = Dataset::new(vec![f32::NAN], 1, vec![1]).unwrap();
    let fit = || Fit::epochs(1).silent();
    assert!(model.fit(&named, fit().validation(&unfit)).is_err());
    assert!(model.feature_names().is_empty());
    model.fit(&named, fit()).unwrap();
    assert_eq!(model.feature_names(), ["x"]);
}

#[test]
fn rows_of_names_and_cells_are_predicted() {
    let mut model = with_steps();
    let mut loaded = reloaded(&mut model, "cells");
    for model in [&mut model, &mut loaded] {
        assert_eq!(model.feature_names(), ["a", "b", "colour"]);
        assert_eq!(model.categories(2), ["blue", "green", "red"]);
        let mut predict = |cells: &[(&str, CellValue)]| model.predict(cells);
        let text = |text: &'static str| CellValue::from(text);
        let mixed = [
            ("colour", text("red")),
            ("a", 2.0.into()),
            ("b", 3.0.into()),
        ];
        assert_eq!(predict(&mixed).unwrap().values, [123.0]);
        let said =
            |name, cell: CellValue<'static>| [("a", 1.0.into()), ("b", 1.0.into()), (name, cell)];
        refused(
            predict(&said("colour", text("violet"))),
            &["row 0", "`colour` is `violet`", "blue, green, red"],
        );
        refused(
            predict(&said("colour", 7.0.into())),
            &["`colour` is `7`", "blue, green, red"],
        );
        refused(predict(&said("b", text("1"))), &["`b` is given twice"]);
        refused(predict(&said("c", text("1"))), &["`c`", "a, b, colour"]);
        refused(predict(&mixed[..2]), &["`b` is missing", "NaN"]);
        refused(
            predict(&[("a", text("low"))]),
            &["`a` is `low`", "a number"],
        );
        refused(predict(&[("a", text("1e99"))]), &["`1e99`", "a number"]);
        assert_eq!(
            predict(&[]).unwrap_err().to_string(),
            "row 0: `a` is missing; give NaN where it is not known"
        );
        // Texts alone, and several rows in every form.
        let row = [("a", "2"), ("b", " 3 "), ("colour", "red")];
        assert_eq!(model.predict(&row).unwrap().values, [123.0]);
        assert_eq!(model.predict(&row.to_vec()).unwrap().values, [123.0]);
        let other = [("colour", "green"), ("a", "4"), ("b", "1")];
        assert_eq!(model.predict(&[row, other]).unwrap().values, [123.0, 241.0]);
        assert_eq!(
            model.predict(&[row, other][..]).unwrap().values,
            [123.0, 241.0]
        );
        assert_eq!(
            model
                .predict(&vec![row.to_vec(), other.to_vec()])
                .unwrap()
                .values,
            [123.0, 241.0]
        );
        let none: [[(&str, &str); 3]; 0] = [];
        assert!(model.predict(&none).unwrap().values.is_empty());
    }
}

#[test]
fn numbers_alone_and_missing_cells_are_rows_too() {
    let data =
        read(&Csv::new().no_target(), "a,b,grade\n0,10,1\n2,30,2\n").with_categories(2, Vec::new());
    let data = data.unwrap();
    let steps = Preprocessing::fit(&data, [Step::Impute(kiln::data::Fill::Mean)]).unwrap();
    let model = Sequential::new(3).dense(1, Linear).preprocessing(steps);
    let mut model = model
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let kernel = [1.0, 10.0, 100.0];
    model.set_weights([("dense/kernel", &kernel[..])]).unwrap();
    // The means are 1, 20 and 1.5.
    assert_eq!(
        model
            .predict(&[("b", 1.0), ("grade", 2.0), ("a", 3.0)])
            .unwrap()
            .values,
        [213.0]
    );
    for missing in ["", "?", "NA", "n/a", "NaN", "Null"] {
        let row = [("grade", "2"), ("a", missing), ("b", "1")];
        assert_eq!(model.predict(&row).unwrap().values, [211.0], "`{missing}`");
    }
    // A category that is called as a missing cell is one all the same, and so is one that is a number.
    let data = read(&Csv::new().no_target(), "x\n0\n1\n2\n");
    let names = ["NA", "3", "x"].map(String::from).to_vec();
    let data = data.with_categories(0, names).unwrap();
    let model = Sequential::new(1)
        .dense(1, Linear)
        .preprocessing(Scaler::min_max(&data, 0.0, 2.0).unwrap());
    let mut model = model
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    model.set_weights([("dense/kernel", &[1.0][..])]).unwrap();
    assert_eq!(
        model
            .predict(&[[("x", "NA")], [("x", "3")], [("x", "x")]])
            .unwrap()
            .values,
        [0.0, 1.0, 2.0]
    );
    assert_eq!(model.predict(&[("x", 3.0)]).unwrap().values, [1.0]);
    // Blanks and tabs around a name are dropped, as in a file; other spaces are part of it.
    assert_eq!(model.predict(&[("x", "\t3 ")]).unwrap().values, [1.0]);
    refused(model.predict(&[("x", "x\u{a0}")]), &["`x`", "NA, 3, x"]);
}

#[test]
fn texts_are_read_as_the_file_of_the_table_writes_them() {
    let csv = Csv::new()
        .delimiter(b';')
        .decimal(b',')
        .thousands(b'.')
        .missing(["-"])
        .target("y");
    let whole = read(&csv, "mass;length;y\n1.000;2,5;1\n3.000;2,5;2\n");
    let gaps = read(&csv, "mass;length;y\n1.000;2,5;1\n3.000;-;2\n");
    let steps = Preprocessing::fit(&gaps, [Step::Impute(kiln::data::Fill::Mean)]).unwrap();
    let network = || Sequential::new(2).dense(1, Linear);
    let compiled = |network: Sequential| {
        let compiled = network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.0), []);
        let mut model = compiled.unwrap();
        model.fit(&whole, Fit::epochs(1).silent()).unwrap();
        let (kernel, bias) = ([1.0, 1000.0], [0.0]);
        let weights = [("dense/kernel", &kernel[..]), ("dense/bias", &bias)];
        model.set_weights(weights).unwrap();
        model
    };
    for (number, mut model) in [
        compiled(network()),
        compiled(network().preprocessing(steps)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut loaded = reloaded(&mut model, &format!("notation-{number}"));
        for model in [&mut model, &mut loaded] {
            let mut predict = |mass, length| model.predict(&[("mass", mass), ("length", length)]);
            assert_eq!(predict("1.234", "1,5").unwrap().values, [2734.0]);
            assert_eq!(
                predict(" -1.234.000,5", "0").unwrap().values,
                [-1_234_000.5]
            );
            refused(
                predict("1.5", "0"),
                &["`mass` is `1.5`", "`,` for the decimal point"],
            );
            refused(predict("1", "NA"), &["`length` is `NA`", "a number"]);
            if number == 1 {
                assert_eq!(predict("1", "-").unwrap().values, [2501.0]);
            }
            // Numbers are numbers, and tables are the same whatever way they are written.
            let row = [("mass", 1.5), ("length", 0.0)];
            assert_eq!(model.predict(&row).unwrap().values, [1.5]);
            let plain = read(&Csv::new().target("y"), "length,mass,y\n0.5,1.5,501.5\n");
            assert_eq!(model.evaluate(&plain).unwrap().loss, 0.0);
        }
    }
}

#[test]
fn members_of_a_population_know_the_names() {
    let data = read(&Csv::new().target("y"), "a,b,y\n1,0,1\n0,1,0\n1,1,1\n");
    let network = Sequential::new(2).dense(2, Tanh).dense(1, Sigmoid);
    let members = (1..=2).map(|seed| Member {
        seed,
        learning_rate: 0.1,
    });
    let mut population = Population::new(
        Functional::from(network),
        members,
        &Device::cpu(),
        BinaryCrossentropy,
        kiln::optim::OptimizerConfig::default(),
        [Accuracy],
    )
    .unwrap();
    let swapped = read(&Csv::new().target("y"), "b,a,y\n0,1,1\n1,0,0\n1,1,1\n");
    let other = read(&Csv::new().target("y"), "b,c,y\n0,1,1\n");
    let fit = || Fit::epochs(2).silent();
    let histories = population.fit(&data, fit().validation(&swapped)).unwrap();
    for history in &histories {
        let last = history.epochs.last().unwrap();
        assert!(last.val_loss.is_some());
    }
    assert_eq!(
        population.predict(&data).unwrap(),
        population.predict(&swapped).unwrap()
    );
    refused(population.fit(&other, fit()), &["lacks `a`", "has `c`"]);
    let mut member = population.member(1).unwrap();
    assert_eq!(member.feature_names(), ["a", "b"]);
    assert_eq!(
        member.predict(&data).unwrap(),
        member.predict(&swapped).unwrap()
    );
}

#[test]
fn names_of_a_file_that_do_not_fit_the_model_are_refused() {
    let mut model = with_steps();
    let path = std::env::temp_dir().join(format!("kiln-names-{}-unfit", std::process::id()));
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let names = r#"\"features\":[\"a\",\"b\",\"colour\"]"#;
    let fewer = r#"\"features\":[\"a\",\"b and colour\"]"#;
    let place = bytes
        .windows(names.len())
        .position(|part| part == names.as_bytes())
        .unwrap();
    let padded = format!("{fewer:width$}", width = names.len());
    let mut unfit = bytes.clone();
    unfit[place..place + names.len()].copy_from_slice(padded.as_bytes());
    refused(
        Model::from_bytes(&Device::cpu(), &unfit),
        &["`names`", "3 columns"],
    );
    // A file without them is one of before: tables go by places, until it is trained again.
    let key = br#""names":"#;
    let place = bytes
        .windows(key.len())
        .position(|part| part == key)
        .unwrap();
    let mut old = bytes.clone();
    old[place..place + key.len()].copy_from_slice(br#""nomen":"#);
    let mut old = Model::from_bytes(&Device::cpu(), &old).unwrap();
    assert!(old.feature_names().is_empty());
    let csv = Csv::new()
        .categories("colour", ["blue", "green", "red"])
        .no_target();
    let table = read(&csv, "x,y,colour\n2,3,red\n");
    assert_eq!(old.predict(&table).unwrap().values, [123.0]);
}

#[test]
fn a_run_that_goes_on_takes_its_table_in_the_order_of_the_run() {
    let csv = Csv::new().target("kind").labels();
    let table = read(&csv, "a,b,kind\n0,9,x\n5,3,y\n1,7,x\n6,2,z\n2,8,y\n");
    // The same rows, read by another program: other places, and classes in the order of a list.
    let listed = csv.clone().class_names(["z", "y", "x"]);
    let other = read(&listed, "b,a,kind\n9,0,x\n3,5,y\n7,1,x\n2,6,z\n8,2,y\n");
    let model = || {
        let network = Sequential::new(2).dense(4, Tanh).dense(3, Softmax).seed(3);
        let (loss, adam) = (SparseCategoricalCrossentropy, Adam::new(0.05));
        network.compile_on(&Device::cpu(), loss, adam, []).unwrap()
    };
    let fit = || Fit::epochs(8).batch_size(2).silent();
    let mut whole = model();
    whole.fit(&table, fit()).unwrap();
    let mut state = None;
    let keep = |now: &RunState| {
        state = Some(now.clone());
        Ok(())
    };
    let half = fit().max_steps(11).states(Every::Epochs(1000), keep);
    model().fit(&table, half).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-names-{}-state", std::process::id()));
    let state = state.unwrap();
    state.save(&path).unwrap();
    for resumed in [fit().resume(state.clone()), fit().resume_from(&path)] {
        let mut second = model();
        second.fit(&other, resumed).unwrap();
        assert_eq!(second.weights().unwrap(), whole.weights().unwrap());
        assert_eq!(second.class_names(), ["x", "y", "z"]);
    }
    let unknown = read(&csv, "a,c,kind\n0,9,x\n5,3,y\n1,7,x\n6,2,z\n2,8,y\n");
    refused(
        model().fit(&unknown, fit().resume_from(&path)),
        &["lacks `b`", "has `c`"],
    );
    std::fs::remove_file(&path).unwrap();
    // A model that was fitted on another table is not that of the run.
    let mut fitted = model();
    fitted.fit(&other, fit()).unwrap();
    refused(
        fitted.fit(&table, fit().resume(state)),
        &["resume", "columns a, b", "b, a"],
    );
}

#[test]
fn names_come_with_the_weights_of_a_file() {
    let csv = Csv::new().target("kind").labels();
    let table = read(&csv, "a,b,kind\n0,9,x\n5,3,y\n1,7,x\n6,2,z\n2,8,y\n");
    let swapped = read(&csv, "b,a,kind\n9,0,x\n3,5,y\n");
    let model = || {
        let network = Sequential::new(2).dense(4, Tanh).dense(3, Softmax).seed(3);
        let (loss, adam) = (SparseCategoricalCrossentropy, Adam::new(0.05));
        network
            .compile_on(&Device::cpu(), loss, adam, [Accuracy])
            .unwrap()
    };
    let mut trained = model();
    trained.fit(&table, Fit::epochs(3).silent()).unwrap();
    let expected = trained.predict(&swapped).unwrap();
    let metrics = trained.evaluate(&swapped).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-names-{}-weights", std::process::id()));
    for whole in [true, false] {
        if whole {
            trained.save(&path).unwrap();
        } else {
            trained.save_weights(&path).unwrap();
        }
        for by_name in [false, true] {
            let mut loaded = model();
            if by_name {
                loaded.load_weights_by_name(&path).unwrap();
            } else {
                loaded.load_weights(&path).unwrap();
            }
            assert_eq!(loaded.feature_names(), ["a", "b"]);
            assert_eq!(loaded.class_names(), ["x", "y", "z"]);
            assert_eq!(loaded.predict(&swapped).unwrap(), expected);
            assert_eq!(loaded.evaluate(&swapped).unwrap(), metrics);
        }
        // A model that shares a layer alone has columns of its own.
        let network = Sequential::new(2)
            .dense(4, Tanh)
            .layer(Dense::new(1).named("own"));
        let mut sharing = network
            .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
            .unwrap();
        assert_eq!(sharing.load_weights_by_name(&path).unwrap().len(), 2);
        assert!(sharing.feature_names().is_empty() && sharing.class_names().is_empty());
        // A model that has learned the same goes on with it; others would take columns or classes for each other.
        trained.load_weights(&path).unwrap();
        for (other, told) in [
            (
                "b,a,kind\n9,0,x\n3,5,y\n3,5,z\n",
                ["the columns a, b", "b, a"],
            ),
            (
                "a,b,kind\n0,9,y\n5,3,z\n3,5,u\n",
                ["the classes x, y, z", "u, y, z"],
            ),
        ] {
            let mut other_model = model();
            let other = read(&csv, other);
            other_model.fit(&other, Fit::epochs(1).silent()).unwrap();
            let before = other_model.weights().unwrap();
            refused(other_model.load_weights(&path), &told);
            refused(other_model.load_weights_by_name(&path), &told);
            assert_eq!(other_model.weights().unwrap(), before);
        }
        // A model whose columns are made of others knows nothing of those.
        let steps = Preprocessing::fit(
            &read(&Csv::new(), "k,y\n0,1\n1,2\n")
                .with_categories(0, vec!["u".into(), "v".into()])
                .unwrap(),
            [Step::OneHot],
        );
        let network = Sequential::new(2).dense(4, Tanh).dense(3, Softmax);
        let network = network.preprocessing(steps.unwrap());
        let loss = SparseCategoricalCrossentropy;
        let mut wide = network
            .compile_on(&Device::cpu(), loss, Sgd::new(0.1), [])
            .unwrap();
        wide.load_weights(&path).unwrap();
        assert_eq!(wide.feature_names(), ["k"]);
        assert_eq!(wide.class_names(), ["x", "y", "z"]);
    }
    std::fs::remove_file(&path).unwrap();
}
