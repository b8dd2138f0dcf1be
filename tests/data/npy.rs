//! NumPy's files: bytes as NumPy writes them, and what is wrong with others.

use kiln::data::Array;
use kiln::data::npy::{all_from_bytes, load_all, save_all};
use kiln::{Dataset, Targets};

use crate::{Folder, assert_says};

/// A file with this dictionary in version 1 of the format, and these bytes of data.
fn file(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dictionary.len() as u16).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.extend(data);
    bytes
}

fn read(descr: &str, shape: &str, data: &[u8]) -> Array {
    let dictionary =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}  \n");
    Array::from_bytes(&file(&dictionary, data), "x.npy").unwrap()
}

#[test]
fn shapes_of_python_2_are_read() {
    let array = read("<u2", "(1L, 2L)", &[1, 0, 2, 0]);
    assert_eq!(array.shape(), [1, 2]);
    assert_eq!(array.to_f32().unwrap(), [1.0, 2.0]);
}

#[test]
fn a_field_in_latin_1_leaves_the_rest_of_its_archive_readable() {
    use std::io::Write;
    // As `np.zeros(1, dtype=[("é", "<f4")])` is written, in versions 1 and 2.
    let mut header = b"{'descr': [('".to_vec();
    header.push(0xe9);
    header.extend(b"', '<f4')], 'fortran_order': False, 'shape': (1,), }\n");
    let mut first = b"\x93NUMPY\x01\x00".to_vec();
    first.extend((header.len() as u16).to_le_bytes());
    let mut second = b"\x93NUMPY\x02\x00".to_vec();
    second.extend((header.len() as u32).to_le_bytes());
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mut bytes) in [("first.npy", first), ("second.npy", second)] {
        bytes.extend(&header);
        bytes.extend([0; 4]);
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("numbers.npy", options).unwrap();
    let numbers = Array::from_f32(&[1], &[2.5]).unwrap();
    archive.write_all(&numbers.to_bytes()).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    let all = all_from_bytes(&bytes, "mixed.npz").unwrap();
    assert_eq!(all.array("numbers").unwrap().to_f32().unwrap(), [2.5]);
    let refusal = all.array("first").unwrap_err().to_string();
    assert!(refusal.contains('é'), "{refusal}");
}

#[test]
fn every_type_of_number_is_read_in_either_byte_order() {
    let cases: [(&str, &[u8], f32); 14] = [
        ("|b1", &[1], 1.0),
        ("|i1", &[0xfe], -2.0),
        ("|u1", &[0xfe], 254.0),
        ("<i2", &[0xfe, 0xff], -2.0),
        (">i2", &[0xff, 0xfe], -2.0),
        ("<u2", &[0x01, 0x02], 513.0),
        ("<i4", &[0xfd, 0xff, 0xff, 0xff], -3.0),
        ("<i8", &[5, 0, 0, 0, 0, 0, 0, 0], 5.0),
        (">u8", &[0, 0, 0, 0, 0, 0, 1, 0], 256.0),
        ("<f2", &[0x00, 0xc1], -2.5),
        ("<f2", &[0x01, 0x00], 5.960_464_5e-8),
        ("<f4", &1.5f32.to_le_bytes(), 1.5),
        (">f4", &1.5f32.to_be_bytes(), 1.5),
        ("<f8", &(-0.1f64).to_le_bytes(), -0.1),
    ];
    for (descr, bytes, value) in cases {
        let array = read(descr, "(1,)", bytes);
        assert_eq!(
            (array.shape(), array.to_f32().unwrap()),
            (&[1][..], vec![value]),
            "{descr}"
        );
    }
    assert!(read("<f2", "(1,)", &[0x00, 0x7e]).to_f32().unwrap()[0].is_nan());
    assert_eq!(
        read("<f2", "()", &[0x00, 0x7c]).to_f32().unwrap(),
        [f32::INFINITY]
    );
}

#[test]
fn a_column_major_array_is_read_row_by_row() {
    let dictionary = "{\"shape\": (2, 3, 2), 'fortran_order': True, 'descr': '|u1'}\n";
    // Element [i, j, k] is 100·i + 10·j + k; the first index runs fastest.
    let data: Vec<u8> = (0..2)
        .flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| 100 * i + 10 * j + k)))
        .collect();
    let array = Array::from_bytes(&file(dictionary, &data), "x.npy").unwrap();
    let rows = [
        0., 1., 10., 11., 20., 21., 100., 101., 110., 111., 120., 121.,
    ];
    assert_eq!(array.to_f32().unwrap(), rows);
}

#[test]
fn what_is_written_is_read_again_and_begins_at_a_multiple_of_64_bytes() {
    for shape in [&[][..], &[1], &[0], &[3], &[2, 3], &[1, 2, 1, 4]] {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|i| i as f32 - 0.5)
            .collect();
        let array = Array::from_f32(shape, &values).unwrap();
        let bytes = array.to_bytes();
        assert_eq!((bytes.len() - 4 * values.len()) % 64, 0);
        let read = Array::from_bytes(&bytes, "x.npy").unwrap();
        assert_eq!((read.shape(), read.to_f32().unwrap()), (shape, values));
    }
    assert_says(
        Array::from_f32(&[2, 2], &[1.0; 3]),
        &["values", "[2, 2]", "3"],
    );
    assert_says(Array::from_f32(&[usize::MAX, 2], &[]), &["values"]);
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let whole = Array::from_f32(&[2, 3], &[1.0; 6]).unwrap().to_bytes();
    for len in 0..whole.len() {
        assert!(
            Array::from_bytes(&whole[..len], "cut.npy").is_err(),
            "{len} bytes"
        );
    }
    let longer = [&whole[..], &[0]].concat();
    assert_says(
        Array::from_bytes(&longer, "x.npy"),
        &["x.npy", "24 bytes", "25"],
    );
    let with = |dictionary: &str| Array::from_bytes(&file(dictionary, &[]), "x.npy");
    assert_says(
        with("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        &["`|O`"],
    );
    assert_says(
        with("{'descr': '<f4', 'fortran_order': False}"),
        &["understood"],
    );
    assert_says(
        with("{'descr': '<f4', 'fortran_order': No, 'shape': (1,)}"),
        &["understood"],
    );
    assert_says(
        with("{'descr': '<f4', 'fortran_order': True, 'shape': (-1,)}"),
        &["understood"],
    );
    assert_says(with("os.system('x')"), &["understood"]);
    let huge = "{'descr': '<f4', 'fortran_order': True, 'shape': (9999999999, 9999999999, 9)}";
    assert_says(with(huge), &["too many"]);
    assert_says(Array::load("no such file.npy"), &["no such file.npy"]);
}

#[test]
fn archives_keep_arrays_by_name() {
    let folder = Folder::new();
    let path = folder.path().join("both.npz");
    let x = Array::from_f32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let y = read(
        "<i8",
        "(2,)",
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    save_all(&path, [("x", &x), ("y", &y)]).unwrap();
    let arrays = load_all(&path).unwrap();
    assert_eq!(arrays.len(), 2);
    assert_eq!((&arrays["x"], &arrays["y"]), (&x, &y));
    let data = Dataset::from_arrays(&arrays["x"], &arrays["y"]).unwrap();
    let labels = Targets::Labels {
        labels: vec![1, 0],
        classes: 2,
    };
    assert_eq!((data.columns(), data.targets()), (2, &labels));

    assert_says(save_all(&path, [("x", &x), ("x", &y)]), &["arrays", "`x`"]);
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.file("cut.npz", &bytes[..bytes.len() / 2]);
    assert_says(load_all(&cut), &["cut.npz", "npz"]);
    let text = folder.file("text.npz", b"no archive");
    assert_says(load_all(&text), &["text.npz"]);
}

#[test]
fn labels_must_be_whole_numbers() {
    let x = Array::from_f32(&[2, 1], &[1.0, 2.0]).unwrap();
    assert_says(
        read("<f4", "()", &0.5_f32.to_le_bytes()).to_labels(),
        &["0.5", "label", "to_f32"],
    );
    assert_says(
        Dataset::from_arrays(&x, &read("|i1", "(3,)", &[1, 0, 1])),
        &["2 rows", "3"],
    );
}

#[test]
fn what_is_numbers_in_an_archive_is_read_and_the_rest_is_refused_by_name() {
    let file = |name: &str| format!("{}/tests/data/files/{name}", env!("CARGO_MANIFEST_DIR"));
    let archive = load_all(file("strings.npz")).unwrap();
    let names: Vec<&String> = archive.keys().collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(archive.array("x").unwrap().shape(), [2, 3]);
    assert_eq!(archive.array("y").unwrap().to_labels().unwrap().len(), 2);
    assert_says(
        archive.array("names"),
        &["strings.npz", "`names`", "`<U3`", "not read"],
    );
    let error = assert_says(archive.array("z"), &["array", "`z`", "x, y, names"]);
    assert!(matches!(error, kiln::Error::NotFound { .. }));

    let archive = load_all(file("readme.npz")).unwrap();
    assert_eq!(archive.array("x").unwrap().shape(), [2, 3]);
    assert_says(archive.array("README.txt"), &["`README.txt`", "no array"]);

    let archive = load_all(file("dotnpy.npz")).unwrap();
    let names: Vec<&String> = archive.keys().collect();
    assert_eq!(names, ["a", "a.npy"]);
    assert_eq!(archive["a"].shape(), archive["a.npy"].shape());
}

/// An archive of these files, not compressed.
fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn other_types_beside_numbers_are_left_out_and_damage_is_not() {
    let x = Array::from_f32(&[2], &[1.5, -2.5]).unwrap().to_bytes();
    let of = |descr: &str| {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
        file(&text, &[0; 16])
    };
    for (descr, told) in [
        ("'|O'", "`|O`"),
        ("'<M8[ns]'", "`<M8[ns]`"),
        ("'<c16'", "`<c16`"),
        ("'<f16'", "`<f16`"),
        ("'|S16'", "`|S16`"),
        ("[('a', '<f8'), ('b', '<i8')]", "('a', '<f8')"),
    ] {
        let bytes = archive_of(&[("other.npy", &of(descr)), ("x.npy", &x), ("folder/", &[])]);
        let archive = all_from_bytes(&bytes, "mixed.npz").unwrap();
        assert_eq!(archive["x"].to_f32().unwrap(), [1.5, -2.5]);
        assert_says(archive.array("other"), &["`other`", told, "not read"]);
        assert_eq!(archive.len(), 1);
    }
    // An array that is cut is an error of the archive, as it would be missed silently.
    for cut in [0, 5, 9, 60, x.len() - 1] {
        let bytes = archive_of(&[("x.npy", &x[..cut]), ("y.npy", &x)]);
        assert_says(all_from_bytes(&bytes, "cut.npz"), &["cut.npz", "`x`"]);
    }
    // A changed element is seen by the checksum.
    let mut bytes = archive_of(&[("x.npy", &x)]);
    let element = 1.5_f32.to_le_bytes();
    let at = bytes.windows(4).position(|four| four == element).unwrap();
    bytes[at] ^= 1;
    assert_says(all_from_bytes(&bytes, "changed.npz"), &["`x`", "checksum"]);
    let twice = archive_of(&[("x.npy", &x), ("x", &x)]);
    assert_says(all_from_bytes(&twice, "twice.npz"), &["`x`", "two arrays"]);
}
