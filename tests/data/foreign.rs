//! Files of another kind than a reader of data takes: each is named, with what to do.

use std::io::Write;

use kiln::data::{Array, idx, npy};
use kiln::{Csv, Error, Result};

use crate::{Folder, assert_says, gzipped};

fn zipped(names: &[&str]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in names {
        archive.start_file(*name, options).unwrap();
        archive.write_all(b"0,1\n").unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn safetensors() -> Vec<u8> {
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let len = (header.len() as u64).to_le_bytes();
    [&len[..], header, &[0; 4]].concat()
}

fn array() -> Array {
    Array::from_f32(&[2], &[1.0, 2.0]).unwrap()
}

/// Files as other programs begin them, and what is said of each.
fn others() -> Vec<(&'static str, Vec<u8>, [&'static str; 2])> {
    let npz = zipped(&["a.npy", "b.npy"]);
    let parquet = b"PAR1\x15\x04\x15\x10\x15\x14\0\0\0PAR1".to_vec();
    vec![
        (
            "m.safetensors",
            safetensors(),
            ["safetensors", "Model::load_weights"],
        ),
        ("a.npz", npz, [".npz", "npy::load_all"]),
        ("t.zip", zipped(&["table.csv"]), ["zip archive", "unpack"]),
        (
            "t.xlsx",
            zipped(&["[Content_Types].xml", "xl/workbook.xml"]),
            ["Excel", "CSV"],
        ),
        (
            "t.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0".to_vec(),
            ["Excel", "CSV"],
        ),
        (
            "m.keras",
            zipped(&["metadata.json", "config.json"]),
            ["Keras", "no data"],
        ),
        ("m.pt", zipped(&["a/data.pkl"]), ["PyTorch", "numpy.savez"]),
        (
            "a.h5",
            b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec(),
            ["HDF5", "numpy.savez"],
        ),
        (
            "a.pkl",
            b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}\x94(".to_vec(),
            ["pickle", "trust"],
        ),
        (
            "m.onnx",
            b"\x08\x08\x12\x07pytorch\x1a\x052.1.0".to_vec(),
            ["ONNX", "no data"],
        ),
        (
            "i.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            ["PNG", "Dataset::images"],
        ),
        (
            "i.jpg",
            b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(),
            ["JPEG", "decode"],
        ),
        (
            "i.gif",
            b"GIF89a\x01\0\x01\0\0\0".to_vec(),
            ["GIF", "decode"],
        ),
        ("i.tif", b"II*\0\x08\0\0\0".to_vec(), ["TIFF", "decode"]),
        (
            "i.webp",
            b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(),
            ["WebP", "decode"],
        ),
        ("t.parquet", parquet, ["Parquet", "pandas.read_parquet"]),
        (
            "t.feather",
            b"ARROW1\0\0\xff\xff\xff\xff".to_vec(),
            ["Arrow", "pandas.read_feather"],
        ),
        (
            "t.sqlite",
            b"SQLite format 3\0\x10\0".to_vec(),
            ["SQLite", "CSV"],
        ),
        ("t.csv.xz", b"\xfd7zXZ\0\0\x04".to_vec(), ["xz", "unpack"]),
        (
            "t.csv.zst",
            b"\x28\xb5\x2f\xfd\x04\0".to_vec(),
            ["zstd", "unpack"],
        ),
        (
            "t.csv.bz2",
            b"BZh91AY&SY\x8a\0\x01".to_vec(),
            ["bzip2", "unpack"],
        ),
    ]
}

/// Asserts that the error names the file and says these parts.
#[track_caller]
fn refused<T>(outcome: Result<T>, name: &str, said: &[&str]) {
    let parts = [&[name], said].concat();
    let error = assert_says(outcome.map(|_| ()), &parts);
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
}

#[test]
fn files_of_other_kinds_are_named_with_what_to_do() {
    let folder = Folder::new();
    for (name, bytes, said) in others() {
        let path = folder.file(name, &bytes);
        refused(Csv::new().read(&path), name, &said);
        refused(
            Csv::new().labels().read_from(&gzipped(&bytes)[..], name),
            name,
            &said,
        );
        for encoding in ["latin-1", "windows-1252"] {
            refused(Csv::new().encoding(encoding).read(&path), name, &said);
        }
        refused(Array::load(&path), name, &said);
        refused(Array::from_bytes(&bytes, name), name, &said);
        if name != "t.parquet" {
            refused(idx::read(&path), name, &said);
        }
        if !bytes.starts_with(b"PK") && name != "t.parquet" {
            refused(npy::load_all(&path), name, &said);
        }
    }
    // What one reader takes is another kind to the others.
    let one = array().to_bytes();
    let file = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
    let read = ["Array::load"];
    refused(Csv::new().read_from(&one[..], "a.npy"), "a.npy", &read);
    refused(idx::read_from(&one[..], "a.npy"), "a.npy", &read);
    refused(
        npy::all_from_bytes(&one, "a.npy").map(|all| all.len()),
        "a.npy",
        &read,
    );
    let read = ["IDX", "idx::read"];
    refused(Csv::new().read_from(&file[..], "i.idx"), "i.idx", &read);
    refused(Array::from_bytes(&file, "i.idx"), "i.idx", &read);
    refused(
        npy::all_from_bytes(&file, "i.idx").map(|all| all.len()),
        "i.idx",
        &read,
    );
    refused(
        Array::from_bytes(&gzipped(&one), "a.npy.gz"),
        "a.npy.gz",
        &["gzipped", "unpack"],
    );
}

#[test]
fn texts_that_are_no_arrays_are_named() {
    let wide: Vec<u8> = "\u{feff}x,y\n1,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let said = ["UTF-16", "encoding(\"utf-16\")"];
    refused(Array::from_bytes(&wide, "t.csv"), "t.csv", &said);
    refused(Csv::new().read_from(&wide[..], "t.csv"), "t.csv", &said);
    for text in ["x,y\n1,2\n", "länge;y\n1;2\n", "{\"a\": 1}"] {
        refused(
            Array::from_bytes(text.as_bytes(), "t.csv"),
            "t.csv",
            &["a text", "`Csv`"],
        );
        let all = npy::all_from_bytes(text.as_bytes(), "t.csv").map(|all| all.len());
        refused(all, "t.csv", &["a text", "`Csv`"]);
    }
    for page in [
        "<!DOCTYPE html><html>404</html>",
        "\n<HTML><p>1,2</p></HTML>",
    ] {
        refused(
            Csv::new().read_from(page.as_bytes(), "p"),
            "p",
            &["HTML", "not sent"],
        );
        refused(
            Array::from_bytes(page.as_bytes(), "p"),
            "p",
            &["HTML", "not sent"],
        );
    }
    for json in [
        "{\"a\": 1, \"b\": 2}",
        "[\n  {\"a\": 1},\n  {\"a\": 2}\n]",
        "{\"a\":1}\n{\"a\":2}\n",
    ] {
        let read = Csv::new().read_from(json.as_bytes(), "t.json");
        refused(read, "t.json", &["JSON", "pandas.read_json"]);
        let read = Csv::new().target("y").read_from(json.as_bytes(), "t.json");
        refused(read, "t.json", &["JSON", "pandas.read_json"]);
    }
    let mut archive = vec![0; 1024];
    archive[..9].copy_from_slice(b"table.csv");
    archive[257..262].copy_from_slice(b"ustar");
    archive.extend(b"a,b\n1,2\n");
    let read = Csv::new().read_from(&archive[..], "t.tar");
    refused(read, "t.tar", &["tar", "unpack"]);
    refused(
        Csv::new().read_from(&b"%PDF-1.7\n1,2\n"[..], "p.pdf"),
        "p.pdf",
        &["PDF"],
    );
    // An array that is damaged is no file of another kind.
    let cut = &array().to_bytes()[..100];
    refused(Array::from_bytes(cut, "a.npy"), "a.npy", &["cut off"]);
    refused(
        Array::from_bytes(&[1, 2, 3], "a.npy"),
        "a.npy",
        &["does not begin"],
    );
    refused(
        Array::from_bytes(&[], "a.npy"),
        "a.npy",
        &["does not begin"],
    );
}

#[test]
fn a_table_with_cells_of_json_is_a_table() {
    let text = "{\"user\": 1, \"b\": 2};5;7\n{\"user\": 3};6;8\n";
    let csv = Csv::new().delimiter(b';').header(false);
    let data = csv.skip(0).read_from(text.as_bytes(), "t.csv").unwrap();
    assert_eq!((data.rows(), data.columns()), (2, 1));
}

#[test]
fn tables_that_begin_as_other_files_do_are_tables() {
    for begin in [
        "PAR1",
        "GGUF",
        "GIF89a",
        "BZh91AY&SY",
        "FEA1",
        "7z",
        "PK",
        "RIFF",
        "%PDF",
        "html",
        "BM",
    ] {
        let text = format!("{begin},TFL3,y\n1,2,3\n4,5,PAR1");
        let data = Csv::new()
            .skip("y")
            .target(1)
            .read_from(text.as_bytes(), "t.csv")
            .unwrap();
        assert_eq!(
            (data.rows(), data.feature_names()),
            (2, &[begin.to_string()][..])
        );
    }
    let data = Csv::new()
        .read_from("abcdTFL3,y\n1,2\n".as_bytes(), "t.csv")
        .unwrap();
    assert_eq!(data.rows(), 1);
}
