//! Gzipped files: members, padding, damage, and the limit of what they may unpack to.

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use kiln::data::{idx, npy};
use kiln::{Csv, Dataset, Error, Result};

use crate::{Folder, assert_says, gzipped};

fn file(name: &str) -> String {
    format!("{}/tests/data/files/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(bytes: &[u8]) -> Result<Dataset> {
    Csv::new().read_from(bytes, "test.csv.gz")
}

#[test]
fn zeros_after_a_gzip_file_are_padding() {
    let data = Csv::new().read(file("zeropad.csv.gz")).unwrap();
    assert_eq!(
        (data.columns(), data.feature_names()),
        (1, &["x".to_string()][..])
    );
    assert_eq!(data.features()[..4], [0., 1., 2., 3.]);

    let (one, two) = (gzipped(b"1,2\n"), gzipped(b"3,4\n"));
    for zeros in [0, 1, 511, 70_000] {
        let padding = vec![0; zeros];
        let parts = [&one[..], &padding, &two, &padding].concat();
        assert_eq!(read(&parts).unwrap().features(), [1., 3.], "{zeros}");
        let images = [&gzipped(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9])[..], &padding].concat();
        let array = idx::read_from(&images[..], "padded.gz").unwrap();
        assert_eq!(array.to_labels().unwrap(), [7, 9]);
    }
}

#[test]
fn a_gzip_file_that_is_cut_or_changed_anywhere_is_refused() {
    let text: String = (0..50)
        .map(|row| format!("{row},{}\n", row * row))
        .collect();
    let whole = gzipped(text.as_bytes());
    assert_eq!(read(&whole).unwrap().rows(), 50);
    for len in 2..whole.len() {
        assert_says(read(&whole[..len]), &["gzip", "damaged or cut off"]);
        let second = [&whole[..], &whole[..len]].concat();
        assert_says(read(&second), &["damaged or cut off"]);
    }
    // The checksum and the length stand in the last eight bytes.
    for at in 1..=8 {
        let mut changed = whole.clone();
        changed[whole.len() - at] ^= 1;
        assert_says(read(&changed), &["damaged or cut off"]);
    }
    let other = [&whole[..], b"\0\0more"].concat();
    assert_says(read(&other), &["damaged or cut off"]);
}

/// As small as it gets.
fn smallest(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The number of rows, which are too many to be shown where a test fails.
fn rows(csv: &Csv, path: &Path) -> Result<usize> {
    csv.read(path).map(|data| data.rows())
}

#[test]
fn sound_data_beyond_the_limit_names_the_limit_and_the_setting_that_lifts_it() {
    let folder = Folder::new();
    let text = "0,0\n".repeat(5_000_000);
    let path = folder.file("zeros.csv.gz", &smallest(text.as_bytes()));
    let error = assert_says(rows(&Csv::new(), &path), &["limit of", "Csv::max_unpacked"]);
    assert!(!error.to_string().contains("damaged"), "{error}");
    assert!(matches!(error, Error::Format { .. }));
    let raised = Csv::new().max_unpacked(text.len() as u64);
    assert_eq!(rows(&raised, &path).unwrap(), 5_000_000);
    let lower = Csv::new().max_unpacked(text.len() as u64 - 1);
    assert_says(rows(&lower, &path), &["limit of 19999999"]);

    // An image set of zeros says its size in its header, and is read where it was unpacked before.
    let size = 30_000_000_u32;
    let header = [&[0, 0, 8, 1][..], &size.to_be_bytes()].concat();
    let zeros = [header, vec![0; size as usize]].concat();
    let error = assert_says(
        idx::read(folder.file("zeros.gz", &smallest(&zeros))).map(|array| array.shape().to_vec()),
        &["limit of", "gunzip"],
    );
    assert!(!error.to_string().contains("damaged"), "{error}");
    let unpacked = idx::read(folder.file("zeros", &zeros)).unwrap();
    assert_eq!(unpacked.shape(), [size as usize]);
}

#[test]
fn an_archive_beyond_the_limit_is_read_within_a_higher_one() {
    let folder = Folder::new();
    let zeros = kiln::data::Array::from_f32(&[5_000_000], &vec![0.0; 5_000_000]).unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("zeros.npy", options).unwrap();
    archive.write_all(&zeros.to_bytes()).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    let path = folder.file("zeros.npz", &bytes);
    assert_says(
        npy::load_all(&path).map(|all| all.len()),
        &["`zeros`", "limit of", "npy::load_all_within"],
    );
    let archive = npy::load_all_within(&path, 30_000_000).unwrap();
    assert_eq!(archive["zeros"].shape(), [5_000_000]);
    assert_says(
        npy::load_all_within(&path, 20_000_000).map(|all| all.len()),
        &["limit of 20000000"],
    );
}

#[test]
fn texts_beyond_the_limit_are_passed_over_as_others_are() {
    let folder = Folder::new();
    let numbers = kiln::data::Array::from_f32(&[2], &[1.0, 2.0]).unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    // Texts of one letter, in each version of the format, and records with fields enough for a long header.
    let fields: String = (0..3000).map(|i| format!("('f{i}', '<i4'), ")).collect();
    let types = ["'<U1'".to_string(), "'|O'".into(), format!("[{fields}]")];
    for (version, descr) in [1, 2, 3].into_iter().zip(&types) {
        let dictionary =
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (5000000,), }}\n");
        let len = dictionary.len() as u32;
        let mut head = b"\x93NUMPY".to_vec();
        head.extend([version, 0]);
        match version {
            1 => head.extend((len as u16).to_le_bytes()),
            _ => head.extend(len.to_le_bytes()),
        }
        archive
            .start_file(format!("texts-{version}.npy"), options)
            .unwrap();
        archive.write_all(&head).unwrap();
        archive.write_all(dictionary.as_bytes()).unwrap();
        archive.write_all(&vec![0; 20_000_000]).unwrap();
    }
    archive.start_file("numbers.npy", options).unwrap();
    archive.write_all(&numbers.to_bytes()).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    let all = npy::load_all(folder.file("texts.npz", &bytes)).unwrap();
    assert_eq!((all.len(), &all["numbers"]), (1, &numbers));
    for version in 1..=3 {
        let name = format!("texts-{version}");
        assert_says(
            all.array(&name).map(|_| ()),
            &[&format!("`{name}`"), "elements of type"],
        );
    }
}
