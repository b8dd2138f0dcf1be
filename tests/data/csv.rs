//! CSV files that can be read.

use kiln::{Csv, Dataset, Targets};

use crate::{Folder, assert_says, gzipped};

fn read(csv: Csv, text: &str) -> Dataset {
    csv.read_from(text.as_bytes(), "test.csv").unwrap()
}

fn values(data: &Dataset) -> &[f32] {
    match data.targets() {
        Targets::Values { values, .. } => values,
        other => panic!("{other:?}"),
    }
}

fn target_columns(data: &Dataset) -> usize {
    match data.targets() {
        Targets::Values { columns, .. } => *columns,
        other => panic!("{other:?}"),
    }
}

fn labels(data: &Dataset) -> &[u32] {
    match data.targets() {
        Targets::Labels { labels, .. } => labels,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_column_is_the_target_and_numbers_mean_no_header() {
    let data = read(Csv::new(), "6,148,1\n1,-8.5e1,0\n");
    assert_eq!(
        (data.rows(), data.columns(), target_columns(&data)),
        (2, 2, 1)
    );
    assert_eq!(data.features(), [6., 148., 1., -85.]);
    assert_eq!(values(&data), [1., 0.]);
    assert!(data.feature_names().is_empty());
}

#[test]
fn a_first_record_of_texts_is_a_header() {
    let data = read(Csv::default(), "a,b,y\n1,2,3\n");
    assert_eq!(data.feature_names(), ["a", "b"]);
    assert_eq!(data.features(), [1., 2.]);
}

#[test]
fn a_text_above_texts_is_no_header() {
    let data = read(Csv::new().labels(), "1,2,path\n3,4,grass\n5,6,path\n");
    assert_eq!(data.rows(), 3);
    assert_eq!(labels(&data), [1, 0, 1]);
}

#[test]
fn an_unnamed_column_of_row_numbers_leaves_the_header_a_header() {
    let data = read(Csv::new().skip(0), ",a,y\n0,1,2\n1,3,4\n");
    assert_eq!(
        (data.rows(), data.feature_names()),
        (2, &["a".to_string()][..])
    );
}

#[test]
fn a_header_of_numbers_is_taken_when_told() {
    let data = read(Csv::new().header(true), "0,1,label\n5,6,7\n");
    assert_eq!((data.rows(), data.features()), (1, &[5., 6.][..]));
    let data = read(Csv::new().header(false), "5,6,7\n");
    assert_eq!(data.rows(), 1);
}

#[test]
fn targets_are_found_by_name_and_by_index_in_the_order_asked_for() {
    let text = "y,a,b,z\n1,2,3,4\n5,6,7,8\n";
    let data = read(Csv::new().target("z").target("y"), text);
    assert_eq!(target_columns(&data), 2);
    assert_eq!(values(&data), [4., 1., 8., 5.]);
    assert_eq!(data.features(), [2., 3., 6., 7.]);
    assert_eq!(data.feature_names(), ["a", "b"]);
    assert_eq!(read(Csv::new().target(3).target(0), text), data);
    let data = read(Csv::new().target(0), text);
    assert_eq!(values(&data), [1., 5.]);
}

#[test]
fn a_file_without_targets_is_all_features() {
    let data = read(Csv::new().no_target(), "1,2\n3,4\n");
    assert_eq!((data.columns(), data.targets()), (2, &Targets::None));
    assert_eq!(read(Csv::new().no_target(), "1\n2\n3").rows(), 3);
}

#[test]
fn skipped_columns_may_hold_anything() {
    let text = b"n,name,x,y\n1,caf\xe9,2,3\n4,\"b, c\",5,6\n";
    let data = Csv::new()
        .skip("name")
        .skip(3)
        .read_from(&text[..], "test.csv")
        .unwrap();
    assert_eq!(data.feature_names(), ["n"]);
    assert_eq!(values(&data), [2., 5.]);
}

#[test]
fn whole_numbers_are_labels_and_ask_for_one_class_more() {
    let data = read(Csv::new().labels(), "1.5,0\n2.5,4.0\n3.5, 2\n");
    assert_eq!((labels(&data), data.classes()), (&[0, 4, 2][..], Some(5)));
    assert!(data.class_names().is_empty());
}

#[test]
fn names_of_classes_are_numbered_in_sorted_order() {
    let data = read(
        Csv::new().target("kind").labels(),
        "kind,x\nzebra,1\nant,2\nmole,3\nant,4\n",
    );
    assert_eq!(labels(&data), [2, 0, 1, 0]);
    assert_eq!(data.class_names(), ["ant", "mole", "zebra"]);
}

#[test]
fn a_test_set_takes_the_class_names_of_its_training_set() {
    let train = read(Csv::new().labels(), "1,a\n2,b\n3,c\n");
    let test = read(Csv::new().class_names(train.class_names()), "1,c\n2,b\n");
    assert_eq!((labels(&test), test.classes()), (&[2, 1][..], Some(3)));
    let listed = read(Csv::new().class_names(["NA", "1", "x"]), "5,1\n6,NA\n");
    assert_eq!(labels(&listed), [1, 0]);
}

#[test]
fn missing_features_are_nan_until_something_is_done_about_them() {
    let data = read(
        Csv::new(),
        "a,b,c,d,e,f,y\n,NA,n/a, NaN ,?,NULL,1\n1,2,3,4,5,6,0\n",
    );
    assert!(data.features()[..6].iter().all(|x| x.is_nan()));
    assert_says(data.check_finite(), &["row 0", "column 0", "`a`"]);
}

#[test]
fn other_delimiters_line_ends_blanks_quotes_and_a_byte_order_mark_are_understood() {
    let plain = read(Csv::new(), "a b,y\n1,2\n-3,4\n");
    let semicolons = Csv::new().delimiter(b';');
    assert_eq!(
        read(semicolons, "\u{feff}\"a b\"; y\r\n\r\n 1 ;\"2\"\r\n-3;+4.0"),
        plain
    );
    assert_eq!(
        read(Csv::new().delimiter(b'\t'), "a b\ty\n\n\n1\t2\n-3\t4\n\n"),
        plain
    );
}

#[test]
fn a_file_is_read_alike_whether_gzipped_or_not() {
    let folder = Folder::new();
    let text: String = (0..1000)
        .map(|row| format!("{row},{},{}\n", row * 2, row % 3))
        .collect();
    let plain = Csv::new()
        .labels()
        .read(folder.file("a.csv", text.as_bytes()))
        .unwrap();
    assert_eq!((plain.rows(), plain.classes()), (1000, Some(3)));
    let zipped = gzipped(text.as_bytes());
    // The name says nothing; the first bytes do. Two gzip files in a row are one file.
    assert_eq!(
        Csv::new()
            .labels()
            .read(folder.file("b.csv", &zipped))
            .unwrap(),
        plain
    );
    let (head, tail) = text.split_at(1234);
    let members = [gzipped(head.as_bytes()), gzipped(tail.as_bytes())].concat();
    assert_eq!(
        Csv::new()
            .labels()
            .read_from(&members[..], "members")
            .unwrap(),
        plain
    );
}

#[test]
fn the_shipped_tables_are_read_whole() {
    let shipped = |name| concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/").to_owned() + name;
    let sizes = |data: &Dataset| (data.rows(), data.columns(), data.classes());
    let pima = Csv::new()
        .target("diabetes")
        .read(shipped("pima.csv"))
        .unwrap();
    assert_eq!(sizes(&pima), (768, 8, None));
    let iris = Csv::new().labels().read(shipped("iris.csv")).unwrap();
    assert_eq!(sizes(&iris), (150, 4, Some(3)));
    let digits = Csv::new().labels().read(shipped("digits.csv.gz")).unwrap();
    assert_eq!(sizes(&digits), (1797, 64, Some(10)));
    for data in [pima, iris, digits] {
        data.check_finite().unwrap();
    }
}

#[test]
fn other_dialects_are_read() {
    let text = "# made by hand\na;b;y\n'1';-;2\n# in between\n'3';4;unknown\n";
    let csv = Csv::new().delimiter(b';').quote(b'\'').comment(b'#');
    let data = read(csv.clone().missing(["-"]).no_target().skip("y"), text);
    assert_eq!(data.features()[0], 1.0);
    assert!(data.features()[1].is_nan());
    assert_eq!(data.features()[2..], [3.0, 4.0]);
    // The markers given are the only ones; a quote that is none is a text.
    let data = csv
        .missing(["-", "unknown"])
        .read_from(text.as_bytes(), "t.csv");
    assert_says(data, &["line 5", "target is missing"]);
    let quoted = Csv::new()
        .quote(None)
        .no_target()
        .read_from(&b"1,\"2\"\n"[..], "t.csv");
    assert_says(quoted, &["`\"2\"`"]);
}
