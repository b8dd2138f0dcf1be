//! Small sound files of every format.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln::data::Array;
use kiln::data::npy::save_all;
use kiln::data::{Fill, Preprocessing, Step};
use kiln::optim::Schedule;
use kiln::prelude::*;
use kiln::train::{EarlyStopping, Every, ReduceOnPlateau, RunState};

/// What `write` writes to a file of its own.
fn written(name: &str, write: impl FnOnce(&Path)) -> Vec<u8> {
    let name = format!("kiln-mutate-{}-{name}", std::process::id());
    let path: PathBuf = std::env::temp_dir().join(name);
    write(&path);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    bytes
}

pub fn data() -> Dataset {
    let x: Vec<[f32; 2]> = (0..10).map(|i| [i as f32 / 10.0, 0.5]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, _]| [*a]).collect();
    Dataset::from_rows(&x, &y).unwrap()
}

pub fn model() -> Model {
    let network = Sequential::new(2).dense(3, Tanh).dense(1, Linear).seed(2);
    let adam = Adam::new(Schedule::exponential_decay(0.05, 10, 0.9));
    network
        .compile_on(&Device::cpu(), MeanSquaredError, adam, [])
        .unwrap()
}

pub fn fit<'a>() -> Fit<'a> {
    Fit::epochs(3)
        .batch_size(4)
        .silent()
        .callback(ReduceOnPlateau::new("loss"))
        .callback(EarlyStopping::new("loss", 9).restore_best_weights(true))
}

/// In the middle of the second epoch.
pub fn checkpoint() -> Vec<u8> {
    let mut states: Vec<RunState> = Vec::new();
    let take = |state: &RunState| {
        states.push(state.clone());
        Ok(())
    };
    model()
        .fit(&data(), fit().states(Every::Steps(5), take))
        .unwrap();
    written("checkpoint", |path| states[0].save(path).unwrap())
}

pub fn models() -> Vec<Vec<u8>> {
    let table = Dataset::new(vec![1.0, 0.0, f32::NAN, 1.0, 3.0, 1.0], 2, Targets::None)
        .unwrap()
        .with_categories(1, vec!["red".into(), "blue".into()])
        .unwrap();
    let steps = [
        Step::Impute(Fill::Mean),
        Step::OneHot,
        Step::MinMax(0.0, 1.0),
    ];
    let network = Sequential::new(3)
        .preprocessing(Preprocessing::fit(&table, steps).unwrap())
        .layer(Dropout::new(0.2))
        .dense(4, Relu)
        .layer(BatchNormalization::default())
        .dense(2, Softmax);
    let mut prepared = network
        .compile_on(
            &Device::cpu(),
            SparseCategoricalCrossentropy,
            Adam::default(),
            [Accuracy],
        )
        .unwrap();
    let image = Input::named("image", [2, 3]);
    let turned = Permute::new([2, 1]).on(&image);
    let flat = Flatten.on(&turned);
    let side = Dense::new(2).on(&flat);
    let joined = Concatenate::default().on([&side, &flat]);
    let branched = Functional::new(&image, &Dense::new(1).on(&joined));
    let mut branched = branched
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    vec![
        written("model", |path| model().save(path).unwrap()),
        written("prepared", |path| prepared.save(path).unwrap()),
        written("branched", |path| branched.save(path).unwrap()),
    ]
}

/// Weights for the model, as it names them, as Keras does and as PyTorch does, in both formats.
pub fn weights() -> Vec<Vec<u8>> {
    let mut own = model();
    let kept = own.weights().unwrap();
    let renamed = |rename: &dyn Fn(&str) -> String, turned: bool| {
        written("weights.npz", |path| {
            let arrays = kept.iter().map(|weights| {
                let dims: Vec<usize> = match turned {
                    true => weights.shape.dims().iter().rev().copied().collect(),
                    false => weights.shape.dims().to_vec(),
                };
                let array = Array::from_f32(&dims, &weights.values).unwrap();
                (rename(&weights.name), array)
            });
            let arrays: Vec<(String, Array)> = arrays.collect();
            let named = arrays.iter().map(|(name, array)| (name.as_str(), array));
            save_all(path, named).unwrap();
        })
    };
    let pytorch = |name: &str| {
        let name = name.replace("dense_1/", "2.").replace("dense/", "0.");
        name.replace("kernel", "weight")
    };
    let kept_as = |name: &str| written(name, |path| model().save_weights(path).unwrap());
    vec![
        kept_as("weights.safetensors"),
        kept_as("own.npz"),
        renamed(&|name| format!("sequential/{name}"), false),
        renamed(&pytorch, true),
    ]
}

pub fn arrays() -> Vec<Vec<u8>> {
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let rows_first = Array::from_f32(&[4, 6], &values).unwrap().to_bytes();
    let text = |from: &str, to: &str| {
        let mut bytes = rows_first.clone();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
        bytes[at.unwrap()..][..from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    vec![
        text("False", "True "),
        text("<f4", ">i4"),
        text("<f4", "<f4"),
        Array::from_f32(&[], &[3.0]).unwrap().to_bytes(),
    ]
}

pub fn archives() -> Vec<Vec<u8>> {
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let (a, b) = (
        Array::from_f32(&[4, 6], &values).unwrap(),
        Array::from_f32(&[24], &values).unwrap(),
    );
    let stored = written("stored.npz", |path| {
        save_all(path, [("a", &a), ("b", &b)]).unwrap();
    });
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("a.npy", options).unwrap();
    archive.write_all(&a.to_bytes()).unwrap();
    vec![stored, archive.finish().unwrap().into_inner()]
}

pub fn idx() -> Vec<Vec<u8>> {
    let bytes = |kind: u8, dims: &[u32], elements: &[u8]| {
        let mut file = vec![0, 0, kind, dims.len() as u8];
        file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        file.extend_from_slice(elements);
        file
    };
    let images: Vec<u8> = (0..36).collect();
    let plain = bytes(8, &[4, 3, 3], &images);
    vec![
        gzipped(&plain),
        plain,
        bytes(8, &[5], &[1, 2, 3, 0, 1]),
        bytes(13, &[2], &[63, 128, 0, 0, 64, 0, 0, 0]),
        bytes(14, &[1], &[63, 240, 0, 0, 0, 0, 0, 0]),
    ]
}

pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn tables() -> Vec<Vec<u8>> {
    let names = "a,b,kind\n1.5,2,red\n?,-3e4,blue\r\n0.1,NaN,\"red\"\n";
    let numbers = "1,2,0\n3,4,1\n5,6,1\n";
    let semicolons = "a;b\n# a comment\n1;2\n\n3;4\n";
    let quoted = "\u{feff}\"x \"\"y\"\"\",b\n1,2\n\"3\",4\n";
    let texts = [names, numbers, semicolons, quoted];
    let mut tables: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    tables.push(gzipped(numbers.as_bytes()));
    tables
}

pub fn tuning() -> Vec<Vec<u8>> {
    let head = "kiln tuning 1\nadapter An adapter\ndriver its driver 1.2\n";
    let table = format!(
        "{head}# a comment\n\nproduct 16 32 64 nn tiled 4 32 4 1 1 1 plain\n\
         product 1024 8 1 tn registers 64 64 16 2 2 4 swapped\n"
    );
    vec![head.into(), table.into_bytes()]
}

/// The two files of a conformance case.
pub fn case() -> (Vec<u8>, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_layer");
    let entries = fs::read_dir(path).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let smallest = paths
        .filter(is_text)
        .min_by_key(|path| {
            (
                fs::metadata(path.with_extension("safetensors"))
                    .unwrap()
                    .len(),
                path.clone(),
            )
        })
        .unwrap();
    let tensors = fs::read(smallest.with_extension("safetensors")).unwrap();
    (fs::read(smallest).unwrap(), tensors)
}
