//! Scalers, imputers and categories, against values worked out by hand and by scikit-learn 1.9.

use kiln::data::{Fill, Preprocessing, Step};
use kiln::prelude::*;
use kiln::{Scaler, Targets};

use crate::assert_says;

fn table(columns: usize, features: Vec<f32>) -> Dataset {
    Dataset::new(features, columns, Targets::None).unwrap()
}

const NAN: f32 = f32::NAN;

#[test]
fn min_max_brings_each_column_between_its_bounds() {
    let data = table(2, vec![1.0, 5.0, 3.0, 5.0, 2.0, 5.0]);
    let scaler = Scaler::min_max(&data, 0.0, 1.0).unwrap();
    assert_eq!(
        scaler.transform(&data).unwrap().features(),
        [0.0, 0.0, 1.0, 0.0, 0.5, 0.0]
    );
    let scaler = Scaler::min_max(&data, -1.0, 3.0).unwrap();
    assert_eq!(
        scaler.transform(&data).unwrap().features(),
        [-1.0, -1.0, 3.0, -1.0, 1.0, -1.0]
    );
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (NAN, 1.0), (0.0, f32::INFINITY)] {
        assert_says(Scaler::min_max(&data, low, high), &["high", "above"]);
    }
}

#[test]
fn robust_scaling_does_not_see_an_outlier() {
    // Quartiles of 1, 2, 3, 4, 1000 are 2 and 4, as numpy.percentile gives them.
    let data = table(1, vec![4.0, 1.0, 1000.0, 2.0, 3.0]);
    let scaler = Scaler::robust(&data).unwrap();
    assert_eq!(
        (&scaler.center[..], &scaler.scale[..]),
        (&[3.0][..], &[2.0][..])
    );
    // Of 1, 2, 3, 4: 1.75 and 3.25 around 2.5.
    let scaler = Scaler::robust(&table(1, vec![4.0, 1.0, 2.0, 3.0])).unwrap();
    assert_eq!(
        (&scaler.center[..], &scaler.scale[..]),
        (&[2.5][..], &[1.5][..])
    );
    // More than half are equal: no distance of quartiles, so divided by 1.
    let scaler = Scaler::robust(&table(1, vec![7.0, 7.0, 7.0, 7.0, 9.0])).unwrap();
    assert_eq!(
        (&scaler.center[..], &scaler.scale[..]),
        (&[7.0][..], &[1.0][..])
    );
}

#[test]
fn missing_cells_are_filled_by_their_columns_own_number() {
    let data = table(2, vec![1.0, 5.0, NAN, 5.0, 4.0, NAN, 10.0, 6.0, 4.0, 6.0]);
    let filled = |fill| {
        let steps = Preprocessing::fit(&data, [Step::Impute(fill)]).unwrap();
        let filled = steps.transform(&data).unwrap();
        (filled.features()[2], filled.features()[5])
    };
    assert_eq!(filled(Fill::Mean), (4.75, 5.5));
    assert_eq!(filled(Fill::Median), (4.0, 5.5));
    assert_eq!(filled(Fill::MostFrequent), (4.0, 5.0));
    assert_eq!(filled(Fill::Constant(-1.0)), (-1.0, -1.0));
    let bad = Preprocessing::fit(&data, [Step::Impute(Fill::Constant(NAN))]);
    assert_says(bad, &["fill", "finite", "NaN"]);
    let empty = table(2, vec![1.0, NAN, 2.0, NAN]);
    let bad = Preprocessing::fit(&empty, [Step::Impute(Fill::Mean)]);
    assert_says(bad, &["column 1", "no number"]);
}

#[test]
fn scalers_leave_the_columns_of_categories_alone() {
    let text = "kind,mass,y\nb,1,0\na,3,1\n?,5,0\nb,,1\n";
    let data = Csv::new()
        .categorical("kind")
        .read_from(text.as_bytes(), "t.csv")
        .unwrap();
    assert_eq!(data.categories(0), ["a", "b"]);
    assert!(data.categories(1).is_empty());
    assert_eq!(data.features()[..4], [1.0, 1.0, 0.0, 3.0]);
    let steps = [Step::Impute(Fill::Mean), Step::OneHot, Step::Standardize];
    let fitted = Preprocessing::fit(&data, steps).unwrap();
    let made = fitted.transform(&data).unwrap();
    assert_eq!(made.feature_names(), ["kind=a", "kind=b", "mass"]);
    // A missing category is the most frequent one, whatever is asked for numbers.
    let categories: Vec<&[f32]> = made.features().chunks(3).map(|row| &row[..2]).collect();
    assert_eq!(categories, [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
    let masses: Vec<f32> = made.features().chunks(3).map(|row| row[2]).collect();
    assert_eq!(
        (masses[0] + masses[2], masses[1], masses[3]),
        (0.0, 0.0, 0.0)
    );
    // The order of steps decides: a category that is missing when columns are made is refused.
    let bad = Preprocessing::fit(&data, [Step::OneHot, Step::Impute(Fill::Mean)]);
    assert_says(bad, &["row 2", "column 0", "impute"]);
    assert_says(Preprocessing::fit(&data, []), &["steps"]);
}

#[test]
fn a_test_set_takes_the_categories_of_its_training_set() {
    let train = "kind,y\nred,0\nblue,1\n";
    let train = Csv::new()
        .categorical("kind")
        .read_from(train.as_bytes(), "train.csv")
        .unwrap();
    let csv = Csv::new().categories("kind", train.categories(0));
    let test = csv
        .read_from("kind,y\nred,1\n".as_bytes(), "test.csv")
        .unwrap();
    assert_eq!((test.features(), test.categories(0).len()), (&[1.0][..], 2));
    let unknown = csv.read_from("kind,y\nred,1\ngreen,0\n".as_bytes(), "test.csv");
    assert_says(
        unknown,
        &["test.csv, line 3", "`kind`", "`green`", "blue, red"],
    );
    let no_feature = Csv::new()
        .categorical("y")
        .read_from("kind,y\n1,1\n".as_bytes(), "t.csv");
    assert_says(no_feature, &["categorical", "column 1"]);
}

#[test]
fn a_model_fills_and_scales_what_it_is_given_and_comes_back_from_its_file_to_the_bit() {
    let rows: Vec<f32> = (0..40)
        .flat_map(|row| {
            let missing = row % 7 == 3;
            [
                if missing { NAN } else { row as f32 * 100.0 },
                (row % 3) as f32,
            ]
        })
        .collect();
    let targets = Targets::Values {
        values: (0..40).map(|row| row as f32 / 40.0).collect(),
        columns: 1,
    };
    let names = ["x", "y", "z"].map(String::from).to_vec();
    let data = Dataset::new(rows, 2, targets)
        .unwrap()
        .with_categories(1, names)
        .unwrap();
    let steps = [Step::Impute(Fill::Median), Step::OneHot, Step::Robust];
    let preprocessing = Preprocessing::fit(&data, steps).unwrap();
    let network = Sequential::new(preprocessing.outputs())
        .dense(8, Relu)
        .dense(1, Linear);
    let compile = |network: Sequential| {
        network.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
    };
    let mut model = compile(network.clone().preprocessing(preprocessing)).unwrap();
    let history = model.fit(&data, Fit::epochs(30).silent()).unwrap();
    assert!(history.loss()[29] < 0.5 * history.loss()[0]);
    let before = model.predict(&[NAN, 2.0, 700.0, 0.0][..]).unwrap();
    let file = std::env::temp_dir().join(format!("kiln-prep-{}.safetensors", std::process::id()));
    model.save(&file).unwrap();
    let after = Model::load_on(&Device::cpu(), &file)
        .unwrap()
        .predict(&[NAN, 2.0, 700.0, 0.0][..]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(after.unwrap(), before);
    assert_says(model.predict(&[1.0][..]), &["1 features", "2 columns"]);
    assert_says(model.predict(&[1.0, 3.0][..]), &["none of 3 categories"]);

    // Without imputing the missing cell is found before anything is trained.
    let steps = Preprocessing::fit(&data, [Step::OneHot, Step::Standardize]).unwrap();
    let mut model = compile(network.clone().preprocessing(steps)).unwrap();
    let refused = model.fit(&data, Fit::epochs(1).silent());
    assert_says(refused, &["row 3", "column 0", "NaN", "impute"]);
    let other = Preprocessing::from(Scaler::standard(&table(3, vec![1.0; 6])).unwrap());
    assert_says(
        compile(network.preprocessing(other)),
        &["preprocessing", "3 columns", "4 inputs"],
    );
}

/// A column of the categories a and b, or of those that are given.
fn letters(numbers: &[f32], names: &[&str]) -> Dataset {
    let names = names.iter().map(ToString::to_string).collect();
    Dataset::new(numbers.to_vec(), 1, Targets::None)
        .and_then(|data| data.with_feature_names(vec!["c".into()]))
        .and_then(|data| data.with_categories(0, names))
        .unwrap()
}

#[test]
fn scaled_cells_are_no_categories() {
    let train = letters(&[0.0, 1.0], &["a", "b"]);
    let error = assert_says(
        train.clone().scaled(0.5),
        &["column 0, `c`", "categories", "Step::OneHot"],
    );
    assert!(matches!(error, Error::Data { .. }), "{error:?}");

    let scaler = Scaler::min_max(&train, 0.0, 0.5).unwrap();
    let steps = Preprocessing::from(scaler.clone());
    // b is number 0 here, and scaled as in the training set.
    let test = letters(&[0.0, f32::NAN], &["b", "x"]);
    for scaled in [scaler.transform(&test), steps.transform(&test)] {
        let scaled = scaled.unwrap();
        assert_eq!(scaled.features()[0], 0.5);
        assert_eq!(scaled.feature_names(), ["c"]);
        assert!(scaled.categories(0).is_empty());
        // What learns from it takes no categories for these numbers.
        let later = Scaler::standard(&scaled).unwrap();
        assert_says(later.transform(&test), &["`c`", "b, x", "one of numbers"]);
    }
    // Steps that leave the numbers as they are leave the categories too.
    let filled = Preprocessing::fit(&train, [Step::Impute(Fill::Mean)]).unwrap();
    let filled = filled.transform(&test).unwrap();
    assert_eq!(
        (filled.features(), filled.categories(0).len()),
        (&[1.0, 0.0][..], 2)
    );

    let late = Preprocessing::fit(&train, [Step::Standardize, Step::OneHot]);
    let error = assert_says(late, &["column 0, `c`", "before `Step::OneHot`"]);
    assert!(matches!(error, Error::Argument { name: "steps", .. }));
}

#[test]
fn a_number_between_two_categories_is_none_of_them() {
    // A file may hold any fill.
    for (fill, told) in [("0.5", "is 0.5"), ("-1.0", "is -1"), ("2.0", "is 2")] {
        let file = format!(
            r#"{{"columns":{{"features":["c"],"categories":[["b","a"]]}},"steps":[{{"impute":{{"fills":[{fill}]}}}}]}}"#
        );
        let steps: Preprocessing = serde_json::from_str(&file).unwrap();
        let odd = steps.transform(&letters(&[f32::NAN], &["b", "a"])).unwrap();
        let scaler = Scaler::standard(&letters(&[0.0, 1.0], &["a", "b"])).unwrap();
        assert_says(
            scaler.transform(&odd),
            &[
                "column 0, `c`",
                told,
                "row 0",
                "none of its categories b, a",
            ],
        );
    }
}
