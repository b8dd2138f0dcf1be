//! Files as programs of other languages, habits and encodings write them; those of `tests/data/files` are read by name.

use std::path::PathBuf;

use kiln::{Csv, Dataset, Error, Result, Targets};

use crate::assert_says;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/files")
        .join(name)
}

fn read(csv: Csv, text: impl AsRef<[u8]>) -> Result<Dataset> {
    csv.read_from(text.as_ref(), "test.csv")
}

fn labels(data: &Dataset) -> &[u32] {
    match data.targets() {
        Targets::Labels { labels, .. } => labels,
        other => panic!("{other:?}"),
    }
}

fn values(data: &Dataset) -> &[f32] {
    match data.targets() {
        Targets::Values { values, .. } => values,
        other => panic!("{other:?}"),
    }
}

/// Asserts a format error at `line` whose message holds `parts`.
#[track_caller]
fn refused(outcome: Result<Dataset>, at: u64, parts: &[&str]) {
    let error = assert_says(outcome, parts);
    let found = match &error {
        Error::Format { line, .. } => *line,
        other => panic!("{other:?}"),
    };
    assert_eq!(found, Some(at), "{error}");
}

#[test]
fn a_quote_left_open_is_refused_with_the_line_where_it_began() {
    let csv = Csv::new().skip("note").target("y");
    refused(
        csv.clone().read(file("open-quote.csv")),
        3,
        &["open-quote.csv, line 3", "closed nowhere", "quote(None)"],
    );
    let all = csv
        .clone()
        .quote(None)
        .read(file("open-quote.csv"))
        .unwrap();
    assert_eq!(values(&all), [2., 4., 6., 8., 10.]);

    refused(
        read(csv.clone(), "x,y,note\n1,2,\""),
        2,
        &["closed nowhere"],
    );
    refused(
        read(csv.clone(), "x,y,note\n\n1,2,\"a\"\"\n3,4,b\n"),
        3,
        &["closed nowhere"],
    );
    refused(
        read(csv.clone(), "\"x,y,note\n1,2,a\n"),
        1,
        &["closed nowhere"],
    );
    refused(
        read(csv.clone(), "x,y,note\r\n1,2,a\r\n3,4, \"b\r\n"),
        3,
        &["closed nowhere"],
    );
    let apostrophes = csv.clone().quote(b'\'');
    refused(
        read(apostrophes, "x,y,note\n1,2,'tis\n3,4,b\n"),
        2,
        &["`'`"],
    );
    // The next quote of the file closes it, in front of a text.
    refused(
        read(csv.clone(), "x,y,note\n1,2,\"oops\n3,4,\"ok\"\n5,6,b\n"),
        2,
        &["closed on line 3", "`ok\\\"`", "a quote is missing"],
    );
}

#[test]
fn cells_in_quotes_hold_line_ends_delimiters_and_quotes() {
    let text = "note,x,y\n\"a\nb\r\nc\",1,2\n \"d, \"\"e\"\"\" ,3,4\nf \"g\" h,5,6\n\"\",7,8\n";
    let csv = Csv::new().target("y").categorical("note");
    let data = read(csv, text).unwrap();
    assert_eq!(data.categories(0), ["a\nb\r\nc", "d, \"e\"", "f \"g\" h"]);
    assert_eq!(values(&data), [2., 4., 6., 8.]);
    let after = read(Csv::new(), "note,y\n\"a\nb\r\nc\",1\n").unwrap_err();
    assert!(after.to_string().contains("line 2"), "{after}");
    let after = read(
        Csv::new().skip(0),
        "note,x,y\n\"a\nb\r\nc\",1,2\nd,?,3\ne,z,4\n",
    );
    refused(after, 6, &["`z`"]);
}

#[test]
fn blanks_before_a_quote_are_dropped_like_others() {
    let data = Csv::new()
        .labels()
        .read(file("blank-before-quote.csv"))
        .unwrap();
    assert_eq!(
        (data.classes(), labels(&data)),
        (Some(2), &[0, 1, 0, 1][..])
    );
    assert_eq!(data.class_names(), ["a", "b"]);
    let tabs = read(Csv::new().labels(), "1,\t \"a, b\" \n2,\"a, b\"\n").unwrap();
    assert_eq!(tabs.class_names(), ["a, b"]);
    // A blank that is the delimiter is no blank around a cell.
    let parted = read(Csv::new().delimiter(b' ').no_target(), "1 \"2\"\n3 4\n").unwrap();
    assert_eq!(parted.features(), [1., 2., 3., 4.]);
    let tabs = read(Csv::new().delimiter(b'\t').no_target(), "1\t\"2\"\n\t 4\n").unwrap();
    assert!(tabs.features()[2].is_nan());
}

#[test]
fn lines_of_blanks_are_empty_lines() {
    let data = read(Csv::new(), "  \nx,y\n \t \n1,2\n\t\r\n3,4\n   ").unwrap();
    assert_eq!((data.rows(), values(&data)), (2, &[2., 4.][..]));
}

#[test]
fn texts_in_another_encoding_are_refused_with_their_line_and_read_when_it_is_told() {
    let csv = Csv::new().labels();
    refused(
        csv.clone().read(file("latin1.csv")),
        2,
        &[
            "column 1",
            "`kind`",
            "b\\xe9",
            "not UTF-8",
            "encoding(\"latin-1\")",
        ],
    );
    for name in ["latin-1", "Latin1", "ISO-8859-1", "windows-1252", "cp1252"] {
        let data = csv.clone().encoding(name).read(file("latin1.csv")).unwrap();
        assert_eq!(data.class_names(), ["bè", "bé"], "{name}");
        assert_eq!(labels(&data), [1, 0, 1, 0]);
    }
    // Categories and names of columns too, and a text that is cut within a character.
    let categories = Csv::new().categorical(0);
    refused(read(categories, b"a,y\nb\xe9,1\nb\xe8,2\n"), 2, &["b\\xe9"]);
    refused(read(Csv::new(), b"a\xe9,a\xe8,y\n1,2,3\n"), 1, &["a\\xe9"]);
    refused(
        read(csv.clone(), &b"1,b\xc3\xa9\n2,b\xc3"[..]),
        2,
        &["byte c3"],
    );
    let listed = csv.class_names(["b\u{fffd}"]);
    refused(read(listed, b"1,b\xe9\n"), 1, &["not UTF-8"]);
}

#[test]
fn characters_of_windows_1252_are_not_those_of_latin_1() {
    let text = b"x,kind\n1,\x80\n2,\x9c\xe9\n";
    let read = |encoding: &str, text: &[u8]| {
        let csv = Csv::new().labels().encoding(encoding);
        csv.read_from(text, "test.csv")
    };
    assert_eq!(
        read("windows-1252", text).unwrap().class_names(),
        ["œé", "€"]
    );
    assert_eq!(
        read("latin-1", text).unwrap().class_names(),
        ["\u{80}", "\u{9c}é"]
    );
    refused(
        read("windows-1252", b"x,kind\r\n1,a\r\n2,\x81\r\n"),
        3,
        &["byte 81", "Windows-1252"],
    );
    let unknown = assert_says(read("koi8-r", text), &["encoding", "utf-16", "`koi8-r`"]);
    assert!(matches!(
        unknown,
        Error::Argument {
            name: "encoding",
            ..
        }
    ));
}

#[test]
fn a_text_in_utf_16_is_named_as_such_and_read_when_it_is_told() {
    let path = file("utf16.csv");
    refused(
        Csv::new().read(&path),
        1,
        &["UTF-16", "ff, fe", "encoding(\"utf-16\")"],
    );
    let plain = read(Csv::new(), "x,y\n1,2\n3,4\n").unwrap();
    for name in ["utf-16", "utf-16le"] {
        assert_eq!(
            Csv::new().encoding(name).read(&path).unwrap(),
            plain,
            "{name}"
        );
    }
    let units = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    let text = "x,kind\n1,é\n2,𝄞\n";
    let both = [
        ("utf-16be", units(text, u16::to_be_bytes)),
        ("utf-16le", units(text, u16::to_le_bytes)),
    ];
    for (name, bytes) in both {
        let mark = units(
            "\u{feff}",
            if name == "utf-16be" {
                u16::to_be_bytes
            } else {
                u16::to_le_bytes
            },
        );
        let marked = [mark, bytes.clone()].concat();
        let csv = Csv::new().labels();
        for (name, bytes) in [(name, &bytes), ("utf-16", &marked), (name, &marked)] {
            let data = read(csv.clone().encoding(name), bytes).unwrap();
            assert_eq!(data.class_names(), ["é", "𝄞"], "{name}");
        }
        refused(read(csv.clone(), &bytes), 1, &["UTF-16", "not UTF-8"]);
        let cut = &bytes[..bytes.len() - 1];
        refused(read(csv.clone().encoding(name), cut), 3, &["cut off"]);
        let half = &bytes[..bytes.len() - 4];
        refused(read(csv.encoding(name), half), 3, &["half of a character"]);
    }
    refused(read(Csv::new(), b"\xff\xfe\0\0x\0\0\0"), 1, &["UTF-32"]);
}

#[test]
fn a_header_with_the_sign_of_sodium_is_a_header() {
    let csv = Csv::new().target("Type");
    let data = csv.read(file("header-na.csv")).unwrap();
    assert_eq!(data.feature_names(), ["RI", "Na", "Mg", "Al"]);
    assert_eq!((data.rows(), data.features()[1]), (3, 13.64));
    let data = read(Csv::new(), "null,y\n1,2\n3,4\n").unwrap();
    assert_eq!(
        (data.rows(), data.feature_names()),
        (2, &["null".to_string()][..])
    );
    let data = read(
        Csv::new().target("kind").labels(),
        "Na,kind\n1.5,a\n2.5,b\n",
    )
    .unwrap();
    assert_eq!(
        (data.rows(), data.feature_names()),
        (2, &["Na".to_string()][..])
    );
    let data = read(Csv::new(), "?,b,y\n1,2,3\n").unwrap();
    assert_eq!(
        (data.rows(), data.feature_names()),
        (1, &["?".into(), "b".into()][..])
    );
    let data = read(Csv::new(), "inf,y\n1,2\n").unwrap();
    assert_eq!(
        (data.rows(), data.feature_names()),
        (1, &["inf".to_string()][..])
    );
    // What can be no name of a column is a row whose cells are missing.
    for missing in ["NA,NA,path", "?,?,path", "NA,?,path"] {
        let text = format!("{missing}\n1,2,grass\n");
        let data = read(Csv::new().labels(), text).unwrap();
        assert_eq!((data.rows(), data.class_names().len()), (2, 2), "{missing}");
    }
    assert_eq!(
        read(Csv::new().no_target(), "NA,NA\n1,2\n").unwrap().rows(),
        2
    );
}

#[test]
fn a_target_that_is_not_finite_is_refused_with_its_line() {
    refused(
        Csv::new().read(file("nan-target.csv")),
        3,
        &["column 1", "`y`", "target is missing", "`-nan`"],
    );
    for (cell, told) in [
        ("+NaN", "missing"),
        ("inf", "not a finite number"),
        ("-Infinity", "finite"),
    ] {
        refused(
            read(Csv::new(), format!("1,2\n3,{cell}\n")),
            2,
            &[cell, told],
        );
        let many = Csv::new().target(0).target(1);
        refused(read(many, format!("1,2,3\n4,{cell},5\n")), 2, &[cell, told]);
    }
    let other = Csv::new().missing(["-"]);
    refused(
        read(other, "1,2\n3,nan\n"),
        2,
        &["`nan`", "not a finite number"],
    );
}

#[test]
fn a_nan_with_a_sign_is_a_missing_cell_of_a_feature() {
    let data = read(Csv::new(), "1,2\n-nan,3\n+NaN,4\n").unwrap();
    assert!(data.features()[1..].iter().all(|x| x.is_nan()));
    let data = read(Csv::new().categorical(0), "a,y\nx,1\n-NaN,2\n").unwrap();
    assert_eq!(data.categories(0), ["x"]);
    assert!(data.features()[1].is_nan());
    // Where the markers are others, it is a name like others.
    let named = Csv::new().missing(["-"]).labels();
    assert_eq!(
        read(named, "1,Nan\n2,Inf\n").unwrap().class_names(),
        ["Inf", "Nan"]
    );
}

#[test]
fn a_comma_may_be_the_decimal_point_and_points_may_part_thousands() {
    let csv = Csv::new().delimiter(b';').decimal(b',').thousands(b'.');
    let data = csv.read(file("decimal-comma.csv")).unwrap();
    assert_eq!(data.features(), [1.5, 2.25, -3.125, 1234.5]);
    assert_eq!(values(&data), [0., 1.]);
    let text = "a;y\n1.234.567,25;,5\n-12;+1,e2\n";
    let data = read(csv.clone(), text).unwrap();
    assert_eq!(
        (data.features(), values(&data)),
        (&[1_234_567.2, -12.0][..], &[0.5, 100.0][..])
    );
    let labelled = read(csv.clone().labels(), "1,5;0\n2,5;2,0\n").unwrap();
    assert_eq!(labels(&labelled), [0, 2]);
    for bad in [
        "1.5", "1,5,5", "12.34,5", "1234.567", "1..234", "1,234.5", ".123",
    ] {
        refused(
            read(csv.clone(), format!("1;2\n{bad};3\n")),
            2,
            &[bad, "not a number"],
        );
    }
    let quoted = read(Csv::new().decimal(b','), "\"1,5\",\"2,5\"\n\"3\",4\n").unwrap();
    assert_eq!(quoted.features(), [1.5, 3.0]);
    refused(
        Csv::new().delimiter(b';').read(file("decimal-comma.csv")),
        2,
        &["`1,5`", "decimal(b',')"],
    );
    let plain = Csv::new().delimiter(b';').decimal(b',');
    refused(
        plain.read(file("decimal-comma.csv")),
        3,
        &["`1.234,5`", "thousands(b'.')"],
    );
}

#[test]
fn commas_may_part_thousands() {
    let csv = Csv::new().thousands(b',');
    let data = csv.read(file("thousands.csv")).unwrap();
    assert_eq!(data.features(), [1234., 2., 12_345.5, 1.]);
    let data = read(csv.clone(), "\"1,00,000\",1\n\"-1,234e1\",\"2,000\"\n").unwrap();
    assert_eq!(
        (data.features(), values(&data)),
        (&[100_000., -12_340.][..], &[1., 2000.][..])
    );
    for bad in ["1,23", "1,2345", ",123", "1,,234", "1234,567", "1.5,000"] {
        refused(
            read(csv.clone(), format!("1,2\n\"{bad}\",3\n")),
            2,
            &[bad, "not a number"],
        );
    }
    let blanks = Csv::new().delimiter(b';').thousands(b' ').no_target();
    let data = read(blanks, "1 234;1\u{a0}234;1\u{202f}234.5\n").unwrap();
    assert_eq!(data.features(), [1234., 1234., 1234.5]);
    let swiss = Csv::new().thousands(b'\'').no_target();
    assert_eq!(
        read(swiss, "1'234'567,2\n").unwrap().features(),
        [1_234_567., 2.]
    );
    refused(
        Csv::new().read(file("thousands.csv")),
        2,
        &["`1,234`", "thousands(b',')"],
    );
}

#[test]
fn signs_that_cannot_be_told_apart_are_refused() {
    let given = |csv: Csv| read(csv, "1,2\n");
    let same = Csv::new().decimal(b',').thousands(b',');
    assert_says(given(same), &["thousands", "`,` for both"]);
    for byte in [b'1', b'e', b'+', b'-', b'\n', 0xe9, b'"'] {
        assert_says(
            given(Csv::new().decimal(byte)),
            &["decimal", "must be a sign"],
        );
        assert_says(
            given(Csv::new().thousands(byte)),
            &["thousands", "must be a sign"],
        );
    }
    assert_says(
        given(Csv::new().delimiter(b'"')),
        &["quote", "delimiter", "for both"],
    );
    assert_says(given(Csv::new().comment(b',')), &["comment", "delimiter"]);
    assert_says(given(Csv::new().quote(b'\r')), &["quote", "line end"]);
    assert_says(
        given(Csv::new().delimiter(b'\n')),
        &["delimiter", "line end"],
    );
    let twice = Csv::new().class_names(["a", "b", "a"]);
    assert_says(given(twice), &["class_names", "`a` twice"]);
    let twice = Csv::new().categories(0, ["1", "1"]);
    assert_says(given(twice), &["categories", "`1` twice"]);
}

#[test]
fn as_many_names_as_rows_are_looked_up_in_one_step_each() {
    // 200 000 names were looked through 200 000 times: four minutes.
    let names: Vec<String> = (0..200_000).map(|row| format!("n{row}")).collect();
    let rows = (0..200_000).rev().map(|row| format!("{row},n{row}\n"));
    let text: String = rows.collect();
    let data = read(Csv::new().class_names(names.clone()), &text).unwrap();
    assert_eq!((labels(&data)[0], labels(&data)[199_999]), (199_999, 0));
    let categories = Csv::new().target(0).categories(1, names.clone());
    let data = read(categories, &text).unwrap();
    assert_eq!(data.features()[1], 199_998.0);
    let unknown = read(Csv::new().class_names(names), "1,n7\n2,m7\n");
    let error = assert_says(unknown, &["`m7`", "n0, n1", "and 199980 more"]);
    assert!(error.to_string().len() < 500);
}

#[test]
fn as_many_columns_as_a_table_can_have_are_found_in_one_step_each() {
    let names: Vec<String> = (0..20_000).map(|column| format!("c{column}")).collect();
    let numbers = vec!["1"; 20_000].join(",");
    let text = format!("{}\n{numbers}\n", names.join(","));
    let skips = names.iter().skip(1).step_by(2);
    let csv = skips.fold(Csv::new().target("c0"), |csv, name| csv.skip(name.as_str()));
    let ones = names[2..].iter().step_by(2);
    let csv = ones.fold(csv, |csv, name| csv.categorical(name.as_str()));
    assert_eq!(read(csv, text).unwrap().columns(), 9_999);
}
