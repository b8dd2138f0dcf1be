//! Files that claim, or unpack to, far more than they are.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln::data::{Array, idx, npy};
use kiln::prelude::*;
use kiln::train::RunState;

use crate::common::alone;
use crate::{allowed, measured};

/// What they unpack to.
const UNPACKED: usize = 128 << 20;

/// `head` and then `UNPACKED` of one byte, gzipped.
fn packed(head: &[u8], byte: u8) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(head).unwrap();
    let piece = vec![byte; 1 << 20];
    for _ in 0..UNPACKED >> 20 {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// The error of `read`, which asked for no more than it may.
fn refused<T>(what: &str, file: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> String {
    let (outcome, asked) = measured(|| read(file));
    let Err(error) = outcome else {
        panic!("{what} was taken");
    };
    assert!(
        asked <= allowed(file.len()),
        "{what}: {asked} bytes of {}",
        file.len()
    );
    error.to_string()
}

#[test]
fn what_unpacks_to_a_thousand_times_its_size_is_refused_on_the_way() {
    let _alone = alone();
    let said = [&[0, 0, 8, 1][..], &(UNPACKED as u32).to_be_bytes()].concat();
    let images = packed(&said, 0);
    let error = refused("IDX", &images, |file| idx::read_from(file, "bomb.gz"));
    assert!(error.contains("unpack the file yourself"), "{error}");
    let table = packed(b"1,2\n", b'\n');
    let error = refused("CSV", &table, |file| {
        Csv::new().read_from(file, "bomb.csv.gz")
    });
    assert!(error.contains("`Csv::max_unpacked`"), "{error}");

    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("a.npy", options).unwrap();
    let mut header = b"\x93NUMPY\x01\0\x76\0".to_vec();
    let shape = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}",
        UNPACKED / 4
    );
    header.extend(format!("{shape:<117}\n").bytes());
    archive.write_all(&header).unwrap();
    let piece = vec![0; 1 << 20];
    for _ in 0..UNPACKED >> 20 {
        archive.write_all(&piece).unwrap();
    }
    let archive = archive.finish().unwrap().into_inner();
    let error = refused("npz", &archive, |file| {
        npy::all_from_bytes(file, "bomb.npz")
    });
    assert!(error.contains("`npy::load_all_within`"), "{error}");
}

#[test]
fn sizes_are_not_believed_before_the_bytes_are_there() {
    let _alone = alone();
    // 2⁶² elements, or more than can be counted.
    for shape in ["4611686018427387904,", "4294967296, 4294967296, 4294967296"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        refused("npy", &file, |file| Array::from_bytes(file, "huge.npy"));
    }
    // An archive whose directory says to list as many files as there can be.
    let end = [&b"PK\x05\x06"[..], &[0, 0, 0, 0], &[0xff; 4], &[0; 10]].concat();
    let archive = [vec![0; 100_000], end].concat();
    let error = refused("npz", &archive, |file| {
        npy::all_from_bytes(file, "huge.npz")
    });
    assert!(error.contains("65535 files"), "{error}");
    let dims = [0, 0, 14, 4].into_iter().chain([0xff; 16]);
    let file: Vec<u8> = dims.collect();
    refused("IDX", &file, |file| idx::read_from(file, "huge"));

    let cpu = Device::cpu();
    for header in [
        // A header longer than any machine's memory, and one longer than the file.
        u64::MAX.to_le_bytes().to_vec(),
        (8_u64 << 20).to_le_bytes().to_vec(),
        // Tensors that overlap, that leave a gap, that are larger than can be counted.
        with_header(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        ),
        with_header(r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#),
        with_header(r#"{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}"#),
        with_header(
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,18446744073709551615]}}"#,
        ),
        // Two of one name, more dimensions than there are, brackets without an end.
        with_header(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        ),
        with_header(&format!(
            r#"{{"a":{{"dtype":"F32","shape":[{}1],"data_offsets":[0,4]}}}}"#,
            "1,".repeat(1_000_000)
        )),
        with_header(&"[".repeat(1_000_000)),
        with_header(&format!(r#"{{"a":{}"#, "{\"a\":".repeat(100_000))),
    ] {
        refused("a model", &header, |file| Model::from_bytes(&cpu, file));
        refused("a checkpoint", &header, |file| {
            RunState::from_bytes(file, "bomb")
        });
    }
    // JSON that takes far more memory than text.
    let lists = format!("[{}0]", "[0],".repeat(1_000_000));
    let quoted = serde_json::Value::from(lists).to_string();
    let model = with_header(&format!(
        r#"{{"__metadata__":{{"format":"kiln","version":"2","model":{quoted}}}}}"#
    ));
    refused("a model", &model, |file| Model::from_bytes(&cpu, file));
}

/// A file of that header and four bytes.
fn with_header(json: &str) -> Vec<u8> {
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend(json.bytes());
    file.extend([0; 4]);
    file
}

#[test]
fn a_layer_of_a_model_file_takes_no_memory_that_its_weights_do_not() {
    let _alone = alone();
    // A layer as wide as the file says costs its weights' bytes, not those of the batches that could be run through it.
    let network = Sequential::new(1).dense(1_000_000, Linear);
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let path = std::env::temp_dir().join(format!("kiln-wide-{}", std::process::id()));
    model.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (loaded, asked) = measured(|| Model::from_bytes(&Device::cpu(), &file));
    loaded.unwrap();
    assert!(
        asked <= allowed(file.len()),
        "{asked} bytes of {}",
        file.len()
    );
}
