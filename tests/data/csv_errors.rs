//! CSV files that are refused, with the line, the column and the cell.

use std::path::Path;

use kiln::{Csv, Error};

use crate::{Folder, assert_says, gzipped};

/// Asserts a format error at `line` of `text` whose message holds `parts`.
#[track_caller]
fn assert_line(csv: Csv, text: &str, line: u64, parts: &[&str]) {
    let error = assert_says(csv.read_from(text.as_bytes(), "test.csv"), parts);
    assert!(
        error
            .to_string()
            .starts_with(&format!("test.csv, line {line}: ")),
        "{error}"
    );
    assert!(
        matches!(error, Error::Format { line: Some(found), .. } if found == line),
        "{error:?}"
    );
}

#[test]
fn a_cell_that_is_no_number_is_named_by_line_column_and_text() {
    assert_line(
        Csv::new(),
        "a,b,y\n1,2,3\n4,x5,6\n",
        3,
        &["column 1", "`b`", "`x5` is not a number"],
    );
    assert_line(
        Csv::new(),
        "1,2,3\n4,5,six\n",
        2,
        &["column 2", "`six` is not a number"],
    );
    assert_line(Csv::new().delimiter(b';'), "1;2\n1,5;2\n", 2, &["`1,5`"]);
}

#[test]
fn lines_are_counted_over_empty_ones_and_any_line_end() {
    assert_line(Csv::new(), "\n\na,y\n\n\n1,2\n\nx,3\n", 8, &["`x`"]);
    assert_line(Csv::new(), "a,y\r\n\r\n1,2\r\n\r\nx,3\r\n", 5, &["`x`"]);
    assert_line(Csv::new(), "a,y\r1,2\rx,3\r", 3, &["`x`"]);
    assert_line(
        Csv::new().skip(0),
        "t,a,y\n\"two\nlines\",1,2\n\"\n\",x,2\n",
        4,
        &["`x`"],
    );
    assert_line(Csv::new().header(false), "x,1\n", 1, &["`x`"]);
    assert_line(Csv::new(), "\u{feff}a,y\nx,3", 2, &["`x`"]);
}

#[test]
fn a_bad_cell_of_a_gzipped_file_has_its_line_too() {
    let folder = Folder::new();
    let path = folder.file("bad.csv.gz", &gzipped(b"1,2\n3,x\n"));
    assert_says(Csv::new().read(&path), &["bad.csv.gz, line 2", "`x`"]);
}

#[test]
fn a_number_beyond_f32_is_refused_and_an_infinity_is_left_to_the_check() {
    assert_line(Csv::new(), "1,2\n1e39,2\n", 2, &["`1e39`", "f32"]);
    let data = Csv::new()
        .read_from(&b"1,2\ninf,2\n"[..], "test.csv")
        .unwrap();
    assert_says(data.check_finite(), &["row 1", "inf"]);
}

#[test]
fn a_ragged_record_is_refused() {
    assert_line(Csv::new(), "1,2,3\n4,5\n", 2, &["2 cells", "3"]);
    assert_line(Csv::new(), "a,b\n1,2\n\n3,4,\n", 4, &["3 cells", "2"]);
    assert_line(Csv::new(), "1,2\n\"3,4\"\n5,6\n", 2, &["1 cells"]);
}

#[test]
fn a_missing_target_is_refused() {
    assert_line(
        Csv::new(),
        "a,y\n1,2\n3,\n",
        3,
        &["column 1", "`y`", "missing"],
    );
    assert_line(
        Csv::new().target("y"),
        "y,a\nNA,2\n",
        2,
        &["missing", "`NA`"],
    );
    assert_line(
        Csv::new().labels(),
        "1,2\n3,?\n",
        2,
        &["label is missing", "`?`"],
    );
    assert_line(Csv::new().labels(), "1,\n3,2\n", 1, &["label is missing"]);
}

#[test]
fn a_label_that_is_no_whole_number_from_0_is_refused() {
    for bad in [
        "1.5",
        "-1.5",
        "2147483648",
        "4294967295",
        "1e30",
        "inf",
        "two",
    ] {
        let text = format!("1,0\n2,{bad}\n");
        assert_line(
            Csv::new().labels(),
            &text,
            2,
            &["column 1", &format!("`{bad}`"), "whole numbers from 0"],
        );
    }
}

#[test]
fn names_and_numbers_are_not_mixed_as_labels() {
    assert_line(
        Csv::new().labels(),
        "1,a\n2,b\n3,7\n",
        3,
        &["`7` is a number", "class_names"],
    );
    assert_line(
        Csv::new().class_names(["a", "b"]),
        "1,a\n2,c\n",
        2,
        &["`c`", "a, b"],
    );
}

#[test]
fn a_first_record_that_may_be_either_asks_for_a_decision() {
    assert_line(
        Csv::new(),
        "0,1,label\n5,6,7\n",
        1,
        &["`label`", "7", "header(true)", "header(false)"],
    );
    assert_line(Csv::new(), "6,14b,1\n1,85,0\n", 1, &["`14b`", "85"]);
}

#[test]
fn a_file_without_rows_is_refused() {
    for text in ["", "\n\n", "\u{feff}", "a,b\n"] {
        let error = assert_says(
            Csv::new().read_from(text.as_bytes(), "test.csv"),
            &["test.csv", "no rows"],
        );
        assert!(matches!(error, Error::Format { line: None, .. }));
    }
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    let text = "a,b,b,y\n1,2,3,4\n";
    let read = |csv: Csv, text: &str| csv.read_from(text.as_bytes(), "test.csv");
    let error = assert_says(
        read(Csv::new().target("why"), text),
        &["column", "`why`", "a, b, b, y"],
    );
    assert!(matches!(error, Error::NotFound { what: "column", .. }));
    assert_says(read(Csv::new().skip("why"), text), &["`why`"]);
    assert_says(
        read(Csv::new().target("b"), text),
        &["columns 1 and 2", "`b`"],
    );
    let error = assert_says(
        read(Csv::new().target(4), text),
        &["no column 4", "4 columns"],
    );
    assert!(matches!(error, Error::Argument { name: "target", .. }));
    assert_says(read(Csv::new().skip(9), text), &["skip", "no column 9"]);
    assert_says(read(Csv::new().target("y"), "1,2\n"), &["no header", "`y`"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let read = |csv: Csv| csv.read_from(&b"a,b,y\n1,2,3\n"[..], "test.csv");
    assert_says(
        read(Csv::new().no_target().labels()),
        &["labels", "0 are chosen"],
    );
    assert_says(
        read(Csv::new().target("a").target("b").labels()),
        &["labels", "2 are chosen"],
    );
    assert_says(
        read(Csv::new().target("a").skip("a")),
        &["column 0", "both"],
    );
    assert_says(
        read(Csv::new().target("a").target("a")),
        &["column 0", "twice"],
    );
    assert_says(
        read(Csv::new().target("a").skip("b").skip("y")),
        &["no column of 3"],
    );
    assert_says(
        read(Csv::new().delimiter(b';')),
        &["test.csv: no column of 1", "delimiter `;`"],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = assert_says(Csv::new().read("no/such/file.csv"), &["no/such/file.csv"]);
    assert!(matches!(error, Error::Io { path, .. } if path == Path::new("no/such/file.csv")));
    let whole = gzipped("1,2\n".repeat(1000).as_bytes());
    for damaged in [
        &whole[..whole.len() / 2],
        &whole[..1],
        &[&whole[..], b"tail"].concat(),
    ] {
        let read = Csv::new().read_from(damaged, "test.csv.gz");
        let error = assert_says(read, &["test.csv.gz"]);
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
    }
    assert_says(
        Csv::new().read_from(&whole[..20], "test.csv.gz"),
        &["gzip", "damaged or cut off"],
    );
}
