//! CSV files that may be read in two ways: what is data is never lost, and what is not told apart is asked for.

use kiln::{Csv, Dataset, Error, Result, Targets};

use crate::assert_says;

fn read(csv: Csv, text: &str) -> Result<Dataset> {
    csv.read_from(text.as_bytes(), "test.csv")
}

fn names(data: &Dataset) -> Vec<&str> {
    data.feature_names().iter().map(String::as_str).collect()
}

/// The refusal of a first record that may be a header or a row.
#[track_caller]
fn asked(csv: Csv, text: &str, first: &str) {
    let error = assert_says(
        read(csv, text),
        &[
            "test.csv, line 1",
            first,
            ".header(true)",
            ".header(false)",
            "missing or not finite",
        ],
    );
    assert!(
        matches!(error, Error::Format { line: Some(1), .. }),
        "{error:?}"
    );
}

#[test]
fn a_first_row_with_a_missing_cell_is_not_taken_for_a_header() {
    let labels = || Csv::new().labels();
    for missing in ["NA", "", "inf", "nan", "Null", "-inf", "-nan", "?", "N/A"] {
        let text = format!("{missing},setosa\n1.5,virginica\n2.5,setosa\n");
        let rows = read(labels().header(false), &text).unwrap();
        assert_eq!((rows.rows(), rows.classes()), (3, Some(2)), "{missing}");
        if missing.chars().all(char::is_alphabetic) {
            asked(labels(), &text, &format!("`{missing},setosa`"));
            let header = read(labels().header(true), &text).unwrap();
            assert_eq!((header.rows(), names(&header)), (2, vec![missing]));
        } else {
            // Such a cell names no column.
            let data = read(labels(), &text).unwrap();
            assert_eq!((data.rows(), data.class_names()), (3, rows.class_names()));
        }
    }
    for (text, first) in [
        ("inf,inf\n1,2\n", f32::INFINITY),
        (",\n1,2\n", f32::NAN),
        ("NA,inf\n1,2\n", f32::NAN),
        ("-inf,NA\n1,2\n", f32::NEG_INFINITY),
    ] {
        let data = read(Csv::new().no_target(), text).unwrap();
        assert_eq!(data.rows(), 2, "{text}");
        assert_eq!(
            data.features()[0].total_cmp(&first),
            std::cmp::Ordering::Equal
        );
        assert_eq!(data.features()[2..], [1.0, 2.0], "{text}");
    }
}

#[test]
fn a_name_above_a_number_or_one_that_is_pointed_to_makes_a_header() {
    for (text, first) in [
        ("Na,y\n1,2\n", "Na"),
        (",y\n1,2\n", ""),
        ("inf,y\n1,2\n", "inf"),
        ("?,y\n1,2\n", "?"),
    ] {
        let data = read(Csv::new(), text).unwrap();
        assert_eq!((data.rows(), names(&data)), (1, vec![first]), "{text}");
    }
    let texts = "Na,kind,note\n1.5,a,x\n2.5,b,y\n";
    let csv = || Csv::new().labels();
    asked(csv().target(1).skip(2), texts, "`Na,kind,note`");
    for csv in [
        csv().target("kind").skip(2),
        csv().target(1).skip("note"),
        csv().skip("kind").categorical("Na"),
    ] {
        assert_eq!(read(csv, texts).unwrap().rows(), 2);
    }
    // A text that begins as a number may be a cell gone wrong.
    for text in ["NA,14b\n1,85\n", ",1_000\n1,85\n", "?,-3x\n1,85\n"] {
        assert_says(
            read(Csv::new(), text),
            &["above the number 85", "a missing one", "header(true)"],
        );
    }
    assert_eq!(
        names(&read(Csv::new(), "NA,14b,y\n1,85,2\n").unwrap()),
        ["NA", "14b"]
    );
    // A name points out that numbers beside it are names too.
    let years = "2019,2020,label\n5,6,7\n";
    assert_says(read(Csv::new(), years), &["`label`", "header(true)"]);
    let data = read(Csv::new().target("label"), years).unwrap();
    assert_eq!((data.rows(), names(&data)), (1, vec!["2019", "2020"]));
    // A record without texts stays data, whatever is pointed to.
    assert_says(read(Csv::new().target("1"), "1,2\n3,4\n"), &["no header"]);
}

#[test]
fn a_name_that_the_caller_lists_is_never_a_missing_cell() {
    let text = "country,y\nNA,1\nDE,2\n,3\n?,4\n";
    let csv = Csv::new().categories("country", ["DE", "NA"]);
    let data = read(csv, text).unwrap();
    assert_eq!(data.features()[..2], [1.0, 0.0]);
    assert!(data.features()[2..].iter().all(|x| x.is_nan()));
    let listed = Csv::new().categories("country", ["", "?", "DE", "NA"]);
    assert_eq!(read(listed, text).unwrap().features(), [3., 2., 0., 1.]);
    // What is not listed, but comes up, is missing as before.
    let found = read(Csv::new().categorical("country"), text).unwrap();
    assert_eq!(found.categories(0), ["DE"]);
    // A test set takes what the training set found by words of its own.
    let words = Csv::new().missing(["-"]).categorical("country").target("y");
    let train = read(words, "country,y\nNA,1\nDE,2\n-,3\n").unwrap();
    assert_eq!(train.categories(0), ["DE", "NA"]);
    let test = Csv::new().categories("country", train.categories(0));
    assert_eq!(read(test, "country,y\nNA,1\n").unwrap().features(), [1.0]);
}

#[test]
fn a_name_that_is_given_twice_is_refused() {
    let data = || {
        let labels = Targets::Labels {
            labels: vec![0, 2],
            classes: 3,
        };
        Dataset::new(vec![0.0, 2.0], 1, labels).unwrap()
    };
    let three = |names: [&str; 3]| names.map(String::from).to_vec();
    for outcome in [
        data().with_categories(0, three(["a", "b", "a"])),
        data().with_class_names(three(["c", "a", "a"])),
    ] {
        let error = assert_says(outcome, &["names", "different", "`a` twice"]);
        assert!(matches!(error, Error::Argument { name: "names", .. }));
    }
    let named = data().with_categories(0, three(["a", "b", "A"])).unwrap();
    assert!(named.with_class_names(three(["", " ", "a"])).is_ok());
}

#[test]
fn texts_that_differ_by_other_spaces_are_different_names() {
    let classes = |csv: Csv, bytes: &[u8]| {
        let data = csv.labels().read_from(bytes, "test.csv").unwrap();
        data.class_names().to_vec()
    };
    let latin = Csv::new().encoding("latin-1");
    assert_eq!(
        classes(latin.clone(), b"1,wait\x85\n2,wait\n3, wait\t\n"),
        ["wait", "wait\u{85}"]
    );
    assert_eq!(
        classes(latin, b"1,a\xa0\n2,a\n3,\xa0a\n"),
        ["a", "a\u{a0}", "\u{a0}a"]
    );
    let plain = classes(
        Csv::new(),
        "1,a\u{2003}\n2,a\n3,a\u{200b}\n4,a\x0b\n".as_bytes(),
    );
    assert_eq!(plain, ["a", "a\x0b", "a\u{2003}", "a\u{200b}"]);
}

#[test]
fn blanks_within_quotes_belong_to_a_text_and_not_to_a_number() {
    let text =
        "kind,x,y\n\" a\",\" 1.5 \", \"2\"\na,\"\t2\", 3 \n  a\t ,\" NA \",4\n\"a \",\"  \",5\n";
    let data = read(Csv::new().categorical("kind"), text).unwrap();
    assert_eq!(data.categories(0), [" a", "a", "a "]);
    assert_eq!(data.features()[..4], [0.0, 1.5, 1.0, 2.0]);
    assert_eq!((data.features()[4], data.features()[6]), (1.0, 2.0));
    assert!(data.features()[5].is_nan() && data.features()[7].is_nan());
    let header = read(Csv::new(), "\" a\",\"a\", b ,y\n1,2,3,4\n").unwrap();
    assert_eq!(names(&header), [" a", "a", "b"]);
    let listed = Csv::new().class_names([" a", "a"]);
    let data = read(listed, "1,\" a\"\n2, a\n").unwrap();
    assert_eq!(data.labels().unwrap(), [0, 1]);
}

#[test]
fn what_follows_a_closing_quote_is_refused_on_one_line_too() {
    for (text, line, follows) in [
        ("\"12\"5,1\n", 1, "`5`"),
        ("1,2\n\"12\" 5,1\n", 2, "`5`"),
        ("1,2\n3,\"4\"x\n", 2, "`x`"),
        ("1,2\n3,\"4\"x", 2, "`x`"),
        ("1,2\n\"big\" \"3\",4\n", 2, "`\\\"3\\\"`"),
    ] {
        let error = assert_says(read(Csv::new(), text), &[follows, "doubled", "quote(None)"]);
        assert!(
            matches!(error, Error::Format { line: Some(found), .. } if found == line),
            "{error}"
        );
    }
    let doubled = "note,y\n\"\"\"big\"\" Joe\",1\n\"12\" \t,2\n";
    let data = read(Csv::new().categorical("note"), doubled).unwrap();
    assert_eq!(data.categories(0), ["\"big\" Joe", "12"]);
}
