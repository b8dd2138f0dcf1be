//! Files with tensors of types that are not read, and files of other programs.

use std::path::PathBuf;

use kiln::data::{Array, npy};
use kiln::io::Import;
use kiln::prelude::*;
use kiln::train::RunState;

/// A file of one test's own, removed when the test ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-foreign-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let len = (header.len() as u64).to_le_bytes();
    [&len[..], header.as_bytes(), data].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// One dense layer of 3 inputs and 2 units.
fn model() -> Model {
    let network = Sequential::new(3).dense(2, Linear);
    network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: kiln::Result<T>, parts: &[&str]) {
    let message = outcome.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

const KERNEL: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

#[test]
fn a_tensor_of_another_type_under_a_wanted_name_is_an_error() {
    for (dtype, bytes) in [
        ("F8_E4M3", 6),
        ("I8", 6),
        ("F4", 3),
        ("F8_E8M0", 6),
        ("C64", 48),
    ] {
        let end = bytes + 8;
        let header = format!(
            r#"{{"dense/kernel":{{"dtype":"{dtype}","shape":[3,2],"data_offsets":[0,{bytes}]}},
                "dense/bias":{{"dtype":"F32","shape":[2],"data_offsets":[{bytes},{end}]}}}}"#
        );
        let data = [vec![56; bytes], floats(&[7.0, 8.0])].concat();
        let file = Temporary::new(dtype, &safetensors(&header, &data));
        let mut model = model();
        let before = model.weights().unwrap();
        let said = ["`dense/kernel`", dtype, "not floats"];
        refused(model.load_weights_by_name(&file.0), &said);
        refused(model.load_weights(&file.0), &said);
        for partial in [false, true] {
            let import = Import::keras().partial(partial);
            let said = ["`kernel` of `dense`", dtype, "not floats"];
            refused(model.import_weights(&file.0, &import), &said);
        }
        assert_eq!(model.weights().unwrap(), before, "{dtype}");
    }
}

#[test]
fn tensors_of_newer_types_are_passed_over_where_nobody_asks_for_them() {
    for (dtype, bytes) in [
        ("F8_E8M0", 2),
        ("F4", 1),
        ("F6_E2M3", 2),
        ("C64", 16),
        ("F2_TO_COME", 9),
    ] {
        // Two elements of six bits are no whole bytes: four of them are.
        let shape = if dtype == "F6_E2M3" { "[4]" } else { "[2]" };
        let bytes = if dtype == "F6_E2M3" { 3 } else { bytes };
        let end = 32 + bytes;
        let header = format!(
            r#"{{"dense/kernel":{{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}},
                "dense/bias":{{"dtype":"F32","shape":[2],"data_offsets":[24,32]}},
                "dense/scale_inv":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[32,{end}]}}}}"#
        );
        let data = [floats(&KERNEL), floats(&[7.0, 8.0]), vec![1; bytes]].concat();
        let file = Temporary::new(&format!("new-{dtype}"), &safetensors(&header, &data));
        let mut whole = model();
        whole.load_weights(&file.0).unwrap();
        assert_eq!(whole.weights().unwrap()[0].values, KERNEL, "{dtype}");
        let mut by_name = model();
        let names = by_name.load_weights_by_name(&file.0).unwrap();
        assert_eq!(names, ["dense/kernel", "dense/bias"]);
        let mut imported = model();
        imported.import_weights(&file.0, &Import::keras()).unwrap();
        assert_eq!(imported.weights().unwrap(), whole.weights().unwrap());
    }
    // A type that is known must have its size.
    let header = r#"{"a":{"dtype":"C64","shape":[2],"data_offsets":[0,15]}}"#;
    let file = Temporary::new("size", &safetensors(header, &[0; 15]));
    refused(
        model().load_weights(&file.0),
        &["`a` is C64 [2]", "does not fit"],
    );
}

#[test]
fn metadata_may_be_null_or_hold_what_is_no_text() {
    for (number, metadata) in [
        "null",
        r#"{"format":null,"steps":7,"rate":0.5,"low":-1,"flags":[true,{"a":[1]}],"more":{"b":null}}"#,
        "{}",
    ]
    .into_iter()
    .enumerate()
    {
        let header = format!(
            r#"{{"__metadata__":{metadata},"dense/kernel":{{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}},
                "dense/bias":{{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}}}"#
        );
        let data = [floats(&KERNEL), floats(&[7.0, 8.0])].concat();
        let bytes = safetensors(&header, &data);
        let file = Temporary::new(&format!("meta-{number}"), &bytes);
        let mut model = model();
        model.load_weights(&file.0).unwrap();
        assert_eq!(model.weights().unwrap()[1].values, [7.0, 8.0]);
        refused(Model::from_bytes(&Device::cpu(), &bytes), &["no kiln model", "import_weights"]);
    }
}

/// How files of other programs begin, and what their errors say.
fn others() -> Vec<(&'static str, Vec<u8>, [&'static str; 2])> {
    let zipped = |names: &[&str]| {
        // Local headers, the data left out: stored, no times, no sizes.
        let header = |name: &&str| {
            let mut header = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            header.extend((name.len() as u16).to_le_bytes());
            header.extend([0, 0]);
            header.extend(name.as_bytes());
            header
        };
        names.iter().flat_map(header).collect::<Vec<u8>>()
    };
    let array = Array::from_f32(&[2], &[1.0, 2.0]).unwrap();
    vec![
        (
            "m.h5",
            b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0".to_vec(),
            ["HDF5", "Import::keras"],
        ),
        (
            "m.keras",
            zipped(&["metadata.json", "config.json", "model.weights.h5"]),
            [".keras", "numpy.savez"],
        ),
        (
            "m.pt",
            zipped(&["archive/data.pkl", "archive/data/0"]),
            ["PyTorch", "safetensors.torch.save_file"],
        ),
        (
            "old.pt",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec(),
            ["PyTorch", "Import::pytorch"],
        ),
        (
            "m.onnx",
            b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\xf6\x02".to_vec(),
            ["ONNX", "numpy.savez"],
        ),
        (
            "bare.onnx",
            b"\x08\x0a:\xf6\x02\x0a\x10\x0a\x01x\x12\x01y".to_vec(),
            ["ONNX", "import_weights"],
        ),
        (
            "saved_model.pb",
            b"\x08\x01\x12\xd0\x95\x03\x0a\xc8\x90\x03".to_vec(),
            ["SavedModel", "Keras"],
        ),
        (
            "m.tflite",
            b"\x1c\0\0\0TFL3\x14\0\x20\0".to_vec(),
            ["TensorFlow Lite", "not read"],
        ),
        (
            "m.gguf",
            b"GGUF\x03\0\0\0\x23\x01\0\0\0\0\0\0".to_vec(),
            ["GGUF", "safetensors"],
        ),
        (
            "m.pkl",
            b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}\x94(\x8c\x01a".to_vec(),
            ["pickle", "numpy.savez"],
        ),
        (
            "two.pkl",
            b"\x80\x02}q\x00(X\x01\0\0\0aq\x01K\x01u.".to_vec(),
            ["pickle", "Python"],
        ),
        ("m.zip", zipped(&["weights.bin"]), ["zip archive", "unpack"]),
        (
            "m.safetensors.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xed\xbd".to_vec(),
            ["gzipped", "unpack"],
        ),
        ("a.npy", array.to_bytes(), [".npy", "Array::load"]),
        (
            "i.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            ["image (PNG)", "no weights"],
        ),
        (
            "t.parquet",
            b"PAR1\x15\x04\x15\x10\0\0\0PAR1".to_vec(),
            ["Parquet", "no weights"],
        ),
        (
            "t.xlsx",
            zipped(&["[Content_Types].xml", "xl/workbook.xml"]),
            ["Excel", "no weights"],
        ),
        (
            "m.safetensors.xz",
            b"\xfd7zXZ\0\0\x04\xe6\xd6".to_vec(),
            ["xz", "unpack"],
        ),
    ]
}

#[test]
fn files_of_other_programs_are_named_with_what_to_do() {
    let mut count = 0;
    for (name, bytes, said) in others() {
        let file = Temporary::new(name, &bytes);
        refused(Model::load_on(&Device::cpu(), &file.0), &said);
        refused(Model::from_bytes(&Device::cpu(), &bytes), &said);
        refused(RunState::load(&file.0), &said);
        refused(model().load_weights(&file.0), &said);
        refused(model().load_weights_by_name(&file.0), &said);
        refused(model().import_weights(&file.0, &Import::pytorch()), &said);
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn weights_and_checkpoints_are_told_from_models() {
    let file = Temporary::new("own.safetensors", b"");
    model().save_weights(&file.0).unwrap();
    let load = || Model::load_on(&Device::cpu(), &file.0);
    refused(load(), &["without their network", "Model::load_weights"]);
    let archive = Temporary::new("own.npz", b"");
    let array = Array::from_f32(&[2], &[1.0, 2.0]).unwrap();
    npy::save_all(&archive.0, [("a", &array)]).unwrap();
    refused(
        Model::load_on(&Device::cpu(), &archive.0),
        &[".npz", "Model::load_weights"],
    );
    let checkpoint = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/files/checkpoint-1.safetensors"
    );
    refused(
        Model::load_on(&Device::cpu(), checkpoint),
        &["checkpoint of a run", "RunState::load"],
    );
    // A damaged file of the format is none of another program's, whatever the length of its header begins with.
    for len in [0x0108_u64, 0x0280, 0x0480, 0x0012_0308] {
        let bytes = [&len.to_le_bytes()[..], b"{\"a\": not json"].concat();
        refused(
            Model::from_bytes(&Device::cpu(), &bytes),
            &["no safetensors file", "its header"],
        );
    }
}

#[test]
fn a_sequential_network_of_named_layers_has_an_order() {
    let network = Sequential::new(2)
        .layer(Dense::new(2).named("stem"))
        .layer(BatchNormalization::default().named("calm"))
        .layer(Dense::new(2).activation(Relu).named("body"))
        .layer(Dense::new(2).named("arm"));
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    // net.0 Linear, net.1 BatchNorm1d, net.2 Linear, net.3 ReLU, net.10 Linear: all of one shape, told apart by order alone.
    let mut entries = Vec::new();
    let mut data = Vec::new();
    let mut add = |name: &str, shape: &str, values: &[f32]| {
        let begin = data.len();
        data.extend(floats(values));
        let end = data.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#
        ));
    };
    for (layer, base) in [("net.10", 30.0), ("net.0", 10.0), ("net.2", 20.0)] {
        add(
            &format!("{layer}.weight"),
            "[2,2]",
            &[base, base + 1.0, base + 2.0, base + 3.0],
        );
        add(&format!("{layer}.bias"), "[2]", &[base + 4.0, base + 5.0]);
    }
    for (part, value) in [
        ("weight", 1.0),
        ("bias", 2.0),
        ("running_mean", 3.0),
        ("running_var", 4.0),
    ] {
        add(&format!("net.1.{part}"), "[2]", &[value, value]);
    }
    let header = format!("{{{}}}", entries.join(","));
    let file = Temporary::new("named", &safetensors(&header, &data));
    let names = model.import_weights(&file.0, &Import::pytorch()).unwrap();
    assert_eq!(names.len(), 10);
    let weights = model.weights().unwrap();
    let of = |name: &str| &weights.iter().find(|w| w.name == name).unwrap().values;
    assert_eq!(of("stem/kernel"), &[10.0, 12.0, 11.0, 13.0]);
    assert_eq!(of("body/bias"), &[24.0, 25.0]);
    assert_eq!(of("arm/kernel"), &[30.0, 32.0, 31.0, 33.0]);
    assert_eq!(of("calm/moving_variance"), &[4.0, 4.0]);
    // A network with branches has none: names must tell.
    let x = Input::named("x", 2);
    let (a, b) = (
        Dense::new(2).named("left").on(&x),
        Dense::new(2).named("right").on(&x),
    );
    let branches = Functional::new(&x, &Dense::new(2).named("last").on(&Add.on([&a, &b])));
    let mut branches = branches
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let partly = Import::pytorch().partial(true);
    assert!(
        branches
            .import_weights(&file.0, &partly)
            .unwrap()
            .is_empty()
    );
    refused(
        branches.import_weights(&file.0, &Import::pytorch()),
        &["4 layers", "the model 3"],
    );
}

#[test]
fn an_array_of_texts_under_a_wanted_name_is_an_error() {
    let (kernel, bias) = (
        Array::from_f32(&[3, 2], &KERNEL).unwrap(),
        Array::from_f32(&[2], &[7.0, 8.0]).unwrap(),
    );
    let replaced = |bytes: &[u8], old: &[u8], new: &[u8]| {
        let mut bytes = bytes.to_vec();
        let places = 0..bytes.len() - old.len();
        for at in places {
            if bytes[at..].starts_with(old) {
                bytes[at..at + old.len()].copy_from_slice(new);
            }
        }
        bytes
    };
    for texts in ["dense/kernel", "notes"] {
        let file = Temporary::new(&format!("texts-{}.npz", texts.len()), b"");
        let mut arrays = vec![("dense/kernel", &kernel), ("dense/bias", &bias)];
        let other = Array::from_f32(&[3], &[1.5, 2.5, 3.5]).unwrap();
        if texts == "notes" {
            arrays.push(("notes", &other));
        }
        npy::save_all(&file.0, arrays.iter().copied()).unwrap();
        // Texts of one letter take four bytes, as numbers do: the type alone is another, and the checksum.
        let of = arrays.iter().find(|(name, _)| *name == texts).unwrap();
        let old = of.1.to_bytes();
        let new = replaced(&old, b"'<f4'", b"'<U1'");
        assert_ne!(new, old);
        let bytes = replaced(&std::fs::read(&file.0).unwrap(), &old, &new);
        let sums = [&old, &new].map(|bytes| crc32fast::hash(bytes).to_le_bytes());
        std::fs::write(&file.0, replaced(&bytes, &sums[0], &sums[1])).unwrap();
        let mut model = model();
        if texts == "notes" {
            model.load_weights(&file.0).unwrap();
            model.load_weights_by_name(&file.0).unwrap();
            model.import_weights(&file.0, &Import::keras()).unwrap();
            continue;
        }
        let said = ["`dense/kernel`", "no array of numbers"];
        refused(model.load_weights(&file.0), &said);
        refused(model.load_weights_by_name(&file.0), &said);
        let partial = Import::keras().partial(true);
        let said = ["`kernel` of `dense`", "no array of numbers"];
        refused(model.import_weights(&file.0, &partial), &said);
    }
}

#[test]
fn weights_beyond_what_32_bits_hold_are_an_error() {
    let wide =
        |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let file = |name: &str, kernel: [f64; 6], extra: f64| {
        let header = r#"{"dense/kernel":{"dtype":"F64","shape":[3,2],"data_offsets":[0,48]},
            "dense/bias":{"dtype":"F64","shape":[2],"data_offsets":[48,64]},
            "scale":{"dtype":"F64","shape":[1],"data_offsets":[64,72]}}"#;
        let data = [wide(&kernel), wide(&[7.0, 8.0]), wide(&[extra])].concat();
        Temporary::new(name, &safetensors(header, &data))
    };
    let said = ["`dense/kernel`", "1e300", "f32 holds (3.4e38)"];
    let large = file("large.safetensors", [1.0, 2.0, 3.0, 1e300, 5.0, 6.0], 0.5);
    let mut own = model();
    let before = own.weights().unwrap();
    refused(own.load_weights_by_name(&large.0), &said);
    let partial = || Import::keras().partial(true);
    refused(
        own.import_weights(&large.0, &partial()),
        &["`kernel` of `dense`", "1e300"],
    );
    assert_eq!(own.weights().unwrap(), before);
    // The largest f32 is one, an infinity was one before, and what no layer takes may be anything.
    let edge = f64::from(f32::MAX);
    let sound = file(
        "sound.safetensors",
        [edge, -edge, f64::INFINITY, 1e-300, 5.0, 6.0],
        -1e300,
    );
    own.load_weights_by_name(&sound.0).unwrap();
    let kernel = &own.weights().unwrap()[0].values;
    assert_eq!(
        kernel[..],
        [f32::MAX, f32::MIN, f32::INFINITY, 0.0, 5.0, 6.0]
    );

    let dictionary = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }\n";
    let mut npy = b"\x93NUMPY\x01\0".to_vec();
    npy.extend((dictionary.len() as u16).to_le_bytes());
    npy.extend(dictionary.bytes());
    npy.extend(wide(&[1.0, 2.0, 3.0, -1e300, 5.0, 6.0]));
    let kernel = Array::from_bytes(&npy, "kernel.npy").unwrap();
    let bias = Array::from_f32(&[2], &[7.0, 8.0]).unwrap();
    let archive = Temporary::new("large.npz", b"");
    npy::save_all(
        &archive.0,
        [("dense/kernel", &kernel), ("dense/bias", &bias)],
    )
    .unwrap();
    refused(own.load_weights(&archive.0), &["`dense/kernel`", "-1e300"]);
    refused(kernel.to_f32(), &["-1e300", "beyond what f32 holds"]);
}

#[test]
fn only_a_slope_is_the_same_for_all_channels() {
    let part = |name: &str, at: usize| {
        format!(
            r#""0.{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{at},{}]}}"#,
            at + 4
        )
    };
    let names = ["weight", "bias", "running_mean", "running_var"];
    let header = |names: &[&str]| {
        let parts: Vec<String> = names
            .iter()
            .zip(0..)
            .map(|(name, i)| part(name, 4 * i))
            .collect();
        format!("{{{}}}", parts.join(","))
    };
    let norm = safetensors(&header(&names), &floats(&[2.0; 4]));
    let norm = Temporary::new("norm-1.safetensors", &norm);
    let compiled = |network: Sequential| {
        let compiled = network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), []);
        compiled.unwrap()
    };
    let three = || compiled(Sequential::new(3).layer(BatchNormalization::default()));
    let before = three().weights().unwrap();
    for import in [Import::pytorch(), Import::pytorch().partial(true)] {
        let mut model = three();
        let import = import.layer("0", "batch_normalization");
        refused(
            model.import_weights(&norm.0, &import),
            &["of `0` is [1]", "[3]"],
        );
        assert_eq!(model.weights().unwrap(), before);
    }
    let mut one = compiled(Sequential::new(1).layer(BatchNormalization::default()));
    assert_eq!(
        one.import_weights(&norm.0, &Import::pytorch())
            .unwrap()
            .len(),
        4
    );
    let slope = safetensors(&header(&names[..1]), &floats(&[0.5]));
    let slope = Temporary::new("slope.safetensors", &slope);
    let mut three = compiled(Sequential::new(3).layer(PRelu::default()));
    three.import_weights(&slope.0, &Import::pytorch()).unwrap();
    assert_eq!(three.weights().unwrap()[0].values, [0.5; 3]);
}

#[cfg(unix)]
mod writers {
    use std::fs::Permissions;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use kiln::data::{Array, npy};
    use kiln::plan::TuningTable;
    use kiln::prelude::*;
    use kiln::train::{CsvLog, JsonLines, TensorBoard};

    use super::model;

    /// A folder with a pipe in it, removed when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("kiln-writers-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        /// A pipe, or as root a device node like `/dev/null`.
        fn node(&self, device: bool) -> Option<PathBuf> {
            let path = self.0.join(if device { "device" } else { "pipe" });
            let mut make = std::process::Command::new("mknod");
            make.arg(&path);
            if device {
                make.args(["c", "1", "3"]);
            } else {
                make.arg("p");
            }
            make.status()
                .is_ok_and(|status| status.success())
                .then_some(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn fitted(callback: impl kiln::train::Callback + 'static) -> kiln::Result<()> {
        let data = Dataset::from_rows(
            &[[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]],
            &[[0.0, 1.0], [1.0, 0.0]],
        )?;
        model()
            .fit(&data, Fit::epochs(1).silent().callback(callback))
            .map(drop)
    }

    type Writer = (&'static str, fn(&Path) -> kiln::Result<()>);

    /// All that writes a file in place of another.
    const WRITERS: [Writer; 9] = [
        ("model", |path| model().save(path)),
        ("weights", |path| model().save_weights(path)),
        ("state", |path| {
            let file = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/files/checkpoint-1.safetensors"
            );
            kiln::train::RunState::load(file)?.save(path)
        }),
        ("npy", |path| Array::from_f32(&[1], &[1.0])?.save(path)),
        ("npz", |path| {
            npy::save_all(path, [("a", &Array::from_f32(&[1], &[1.0])?)])
        }),
        ("tuning", |path| TuningTable::default().write(path)),
        ("checkpoint", |path| {
            let path = path.to_str().unwrap();
            fitted(ModelCheckpoint::new(path))
        }),
        ("csv", |path| fitted(CsvLog::new(path))),
        ("json", |path| fitted(JsonLines::new(path))),
    ];

    #[test]
    fn what_is_no_plain_file_is_refused_by_every_writer() {
        let folder = Folder::new("nodes");
        let mut tried = 0;
        for node in [folder.node(false), folder.node(true)]
            .into_iter()
            .flatten()
        {
            let kind = std::fs::metadata(&node).unwrap().file_type();
            for (what, write) in WRITERS {
                let link = folder.0.join(format!("link-{what}"));
                symlink(&node, &link).unwrap();
                for path in [&node, &link] {
                    let message = write(path).unwrap_err().to_string();
                    assert!(
                        message.contains("no plain file but a device, a pipe"),
                        "{what}: {message}"
                    );
                    assert!(
                        message.contains(path.to_str().unwrap()),
                        "{what}: {message}"
                    );
                }
                std::fs::remove_file(link).unwrap();
                tried += 1;
            }
            assert_eq!(std::fs::metadata(&node).unwrap().file_type(), kind);
            assert!(kind.is_fifo() || kind.is_char_device());
        }
        // Only root makes devices.
        assert!(tried == 9 || tried == 18, "{tried}");
        for (what, write) in WRITERS {
            let message = write(&folder.0).unwrap_err().to_string();
            assert!(message.contains("a folder"), "{what}: {message}");
        }
        let board = fitted(TensorBoard::new(folder.0.join("pipe")));
        assert!(board.unwrap_err().to_string().contains("pipe"));
        let left: Vec<_> = std::fs::read_dir(&folder.0)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(
            left.iter().all(|name| name == "pipe" || name == "device"),
            "{left:?}"
        );
    }

    #[test]
    fn symbolic_links_stay_and_what_they_lead_to_is_written() {
        for (what, write) in WRITERS {
            let folder = Folder::new(&format!("links-{what}"));
            let (target, one, two) = (
                folder.0.join("deep/target"),
                folder.0.join("one"),
                folder.0.join("two"),
            );
            std::fs::create_dir(folder.0.join("deep")).unwrap();
            // Two links in a row, the first of them relative; the file comes to be by the first writing.
            symlink("deep/target", &one).unwrap();
            symlink(&one, &two).unwrap();
            for _ in 0..2 {
                write(&two).unwrap_or_else(|error| panic!("{what}: {error}"));
                for link in [&one, &two] {
                    assert!(
                        std::fs::symlink_metadata(link).unwrap().is_symlink(),
                        "{what}"
                    );
                }
                let written = std::fs::symlink_metadata(&target).unwrap();
                assert!(written.is_file() && written.len() > 0, "{what}");
            }
            let files = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
            assert_eq!(
                (files(&folder.0), files(&folder.0.join("deep"))),
                (3, 1),
                "{what}"
            );
            // A circle leads nowhere.
            let (here, there) = (folder.0.join("here"), folder.0.join("there"));
            symlink(&here, &there).unwrap();
            symlink(&there, &here).unwrap();
            assert!(write(&here).is_err(), "{what}");
        }
    }

    #[test]
    fn permissions_stay_and_a_file_that_is_read_only_is_refused() {
        for (what, write) in WRITERS {
            let folder = Folder::new(&format!("modes-{what}"));
            let path = folder.0.join("file");
            let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            let set = |mode: u32| {
                std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            };
            let written = || write(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            written();
            let usual = mode();
            for own in [0o600, 0o640, 0o755, usual] {
                set(own);
                written();
                assert_eq!(mode(), own, "{what}");
            }
            std::fs::write(&path, "old").unwrap();
            set(0o444);
            // Root, too, whom the system would let write.
            let refusal = write(&path).unwrap_err().to_string();
            assert!(refusal.contains("read-only"), "{what}: {refusal}");
            let link = folder.0.join("link");
            symlink(&path, &link).unwrap();
            assert!(write(&link).is_err(), "{what}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "old", "{what}");
            assert_eq!(mode(), 0o444, "{what}");
            assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2, "{what}");
        }
    }
}
