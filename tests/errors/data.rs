//! Data sets, their parts and their preprocessing.

use kiln::data::{Fill, Step};
use kiln::prelude::*;

use super::{labelled, model, refuses, says};

pub fn all() {
    arrays_that_make_no_data_set_are_refused();
    parts_that_cannot_be_are_refused();
    preprocessing_that_does_not_fit_is_refused();
    tables_that_would_lose_something_are_refused();
    names_that_would_stand_for_others_are_refused();
}

fn four() -> Dataset {
    labelled(
        vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        vec![0, 1, 0, 1],
    )
}

#[test]
pub fn arrays_that_make_no_data_set_are_refused() {
    says(Dataset::new(vec![0.0; 5], 2, Targets::None), &["5", "2"]);
    says(Dataset::new(vec![0.0; 4], 0, Targets::None), &["0"]);
    let labels = |labels: Vec<u32>, classes| Targets::Labels { labels, classes };
    says(
        Dataset::new(vec![0.0; 4], 2, labels(vec![0], 1)),
        &["1", "2"],
    );
    says(
        Dataset::new(vec![0.0; 4], 2, labels(vec![0, 5], 2)),
        &["5", "2"],
    );
    let values = |values: Vec<f32>, columns| Targets::Values { values, columns };
    says(
        Dataset::new(vec![0.0; 4], 2, values(vec![0.0; 3], 2)),
        &["3", "2"],
    );
    says(four().with_weights(vec![1.0; 3]), &["3", "4"]);
    says(four().with_weights(vec![1.0, f32::NAN, 1.0, 1.0]), &["NaN"]);
    says(four().with_feature_names(vec!["a".into()]), &["1", "2"]);
    says(four().with_class_names(vec!["a".into()]), &["1", "2"]);
    says(four().with_classes(1), &["1"]);
    says(four().scaled(f32::NAN), &["NaN"]);
}

#[test]
pub fn parts_that_cannot_be_are_refused() {
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        refuses(
            four().split(share, 1),
            "test_fraction",
            &["between 0 and 1"],
        );
        refuses(
            four().split_stratified(share, 1),
            "test_fraction",
            &["between 0 and 1"],
        );
    }
    says(four().split_at(0), &["row"]);
    says(four().split_at(5), &["row"]);
    let rows = ["no row 9", "4 rows are counted from 0"];
    refuses(four().select(&[9]), "indices", &rows);
    refuses(four().select(&[0, 4]), "indices", &["no row 4", "4 rows"]);
    let range = |got| ["at least 2", "at most the 4 rows", got];
    let folds = |folds| four().k_fold(folds, 1).map(|_| ());
    refuses(folds(0), "folds", &range("got 0"));
    refuses(folds(1), "folds", &range("got 1"));
    refuses(folds(9), "folds", &range("got 9"));
    let stratified = |folds| four().stratified_k_fold(folds, 1).map(|_| ());
    refuses(stratified(1), "folds", &range("got 1"));
    refuses(stratified(5), "folds", &range("got 5"));
    let named = four().with_categories(2, vec!["a".into()]);
    refuses(
        named,
        "column",
        &["no column 2", "2 columns are counted from 0"],
    );
    let numbers = Dataset::from_rows(&[[0.0], [1.0]], &[[0.5], [0.7]]).unwrap();
    says(numbers.split_stratified(0.5, 1), &["labels"]);
    says(numbers.class_counts(), &["labels"]);
    says(numbers.balanced_class_weights(), &["labels"]);
    says(numbers.one_hot(), &["labels"]);
}

#[test]
pub fn preprocessing_that_does_not_fit_is_refused() {
    let above = ["finite and above low"];
    refuses(
        Scaler::min_max(&four(), 1.0, 0.0),
        "high",
        &["got 0 above 1"],
    );
    refuses(Scaler::min_max(&four(), 1.0, 1.0), "high", &above);
    refuses(Scaler::min_max(&four(), 0.0, f32::INFINITY), "high", &above);
    refuses(Scaler::min_max(&four(), f32::NAN, 1.0), "high", &above);
    says(Scaler::from_parts(vec![0.0], vec![1.0, 1.0]), &["1", "2"]);
    says(Scaler::from_parts(vec![0.0], vec![0.0]), &["0"]);
    for center in [f64::NAN, f64::INFINITY] {
        let parts = Scaler::from_parts(vec![0.0, center], vec![1.0, 1.0]);
        let told = ["column 1", &center.to_string(), "not finite"];
        refuses(parts, "center", &told);
    }
    let narrow = Dataset::from_rows(&[[1.0], [2.0]], &[[0.0], [1.0]]).unwrap();
    let scaler = Scaler::standard(&four()).unwrap();
    says(scaler.transform(&narrow), &["1", "2"]);
    says(
        Preprocessing::fit(&four(), [Step::Impute(Fill::Constant(f32::NAN))]),
        &["NaN"],
    );
}

#[test]
pub fn tables_that_would_lose_something_are_refused() {
    let read = |csv: kiln::Csv, text: &[u8]| csv.read_from(text, "t.csv");
    let csv = kiln::Csv::new;
    let quote = ["t.csv, line 2", "closed nowhere"];
    says(read(csv(), b"x,y\n\"1,2\n3,4\n"), &quote);
    let late = ["line 2", "closed on line 3"];
    says(read(csv(), b"x,y\n\"1,2\n3\"4,5\n"), &late);
    let latin = ["line 2", "b\\xe9", "not UTF-8", "encoding"];
    says(read(csv().labels(), b"x,y\n1,b\xe9\n"), &latin);
    let wide = ["line 1", "UTF-16", "encoding"];
    says(read(csv(), b"\xff\xfex\0,\0y\0"), &wide);
    says(read(csv().encoding("utf-16"), b"x\0,"), &["cut off"]);
    let undefined = ["line 2", "byte 81"];
    says(read(csv().encoding("cp1252"), b"x,y\n1,\x81"), &undefined);
    refuses(
        read(csv().encoding("ebcdic"), b"x,y\n1,2\n"),
        "encoding",
        &["utf-8", "`ebcdic`"],
    );
    for target in ["nan", "-nan", "+NaN"] {
        let text = format!("x,y\n1,{target}\n");
        says(read(csv(), text.as_bytes()), &["line 2", target, "missing"]);
    }
    for target in ["inf", "-inf", "infinity"] {
        let text = format!("x,y\n1,{target}\n");
        says(read(csv(), text.as_bytes()), &["line 2", target, "finite"]);
    }
    let same = csv().thousands(b'.');
    refuses(read(same, b"x,y\n1,2\n"), "thousands", &["`.` for both"]);
    for byte in [b'0', b'-', b'e', b'\n', 0xff] {
        let text = b"x,y\n1,2\n";
        let sign = ["must be a sign"];
        refuses(read(csv().decimal(byte), text), "decimal", &sign);
        refuses(read(csv().thousands(byte), text), "thousands", &sign);
    }
    let grouped = csv().thousands(b',').delimiter(b';');
    says(read(grouped, b"x;y\n1,23;2\n"), &["line 2", "`1,23`"]);
    let twice = csv().class_names(["a", "a"]);
    refuses(read(twice, b"x,y\n1,a\n"), "class_names", &["`a` twice"]);
    let negative = labelled(vec![0.0; 4], vec![0, 1]);
    let targets = Targets::Labels {
        labels: vec![0, u32::MAX],
        classes: 2,
    };
    let marked = Dataset::new(negative.features().to_vec(), 2, targets).unwrap();
    says(
        marked.clone().one_hot(),
        &["row 1", "label -1", "none of 2 classes"],
    );
    let fit = model().fit(&marked, Fit::epochs(1).silent());
    says(fit, &["row 1", "label -1", "ignore_class"]);
}

#[test]
pub fn names_that_would_stand_for_others_are_refused() {
    let read = |csv: kiln::Csv, text: &[u8]| csv.read_from(text, "t.csv");
    let csv = || kiln::Csv::new().labels();
    let ask = ["line 1", ".header(true)", ".header(false)"];
    for first in ["NA", "", "inf", "NaN", "null"] {
        let text = format!("{first},setosa\n1.5,virginica\n");
        says(read(csv(), text.as_bytes()), &ask);
    }
    says(
        read(csv(), b"1,2,a\n3,4,b\n5,\"6\"7,c\n"),
        &["line 3", "`7`", "doubled"],
    );
    says(
        read(csv(), b"\"a\" b,c\n1,d\n"),
        &["line 1", "`b`", "doubled"],
    );
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let twice = four().with_class_names(names(&["a", "a"]));
    refuses(twice, "names", &["different", "`a` twice"]);
    let table = || Dataset::new(vec![0.0, 1.0, 1.0], 1, Targets::None).unwrap();
    let twice = table().with_categories(0, names(&["b", "a", "b"]));
    refuses(twice, "names", &["different", "`b` twice"]);
    let table = table().with_categories(0, names(&["a", "b"])).unwrap();
    says(
        table.clone().scaled(2.0),
        &["column 0", "categories", "OneHot"],
    );
    for scaling in [Step::Standardize, Step::MinMax(0.0, 1.0), Step::Robust] {
        let late = Preprocessing::fit(&table, [scaling, Step::OneHot]);
        refuses(late, "steps", &["column 0", "before `Step::OneHot`"]);
    }
    let wide = [1.0f64, -1e39].map(f64::to_le_bytes).concat();
    let head = b"\x93NUMPY\x01\0\x38\0{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}\n";
    let array = kiln::data::Array::from_bytes(&[&head[..], &wide].concat(), "a.npy");
    says(
        array.and_then(|array| array.to_f32()),
        &["-1e39", "f32 holds (3.4e38)"],
    );
}
