//! Texts in the place of weights, names that are long or none, and files that no run may write.

use std::path::{Path, PathBuf};

use kiln::prelude::*;
use kiln::train::{Checkpoints, Every, Import, RunState};

/// A folder of its own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-odd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn model() -> Model {
    let network = Sequential::new(2).dense(2, Tanh).dense(1, Linear).seed(3);
    network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap()
}

fn data() -> Dataset {
    Dataset::from_rows(&[[0.0, 1.0], [1.0, 0.5]], &[[1.0], [0.5]]).unwrap()
}

#[test]
fn texts_in_the_place_of_weights_are_named_with_what_to_do() {
    let texts = [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 1234\n",
            ["Git LFS", "git lfs pull"],
        ),
        (
            "\n<!DOCTYPE html>\n<html><body>Not found</body></html>",
            ["HTML", "in the place of"],
        ),
        (
            "{\"metadata\": {}, \"weight_map\": {\"a\": \"m-1.safetensors\"}}",
            ["index", "those that it lists"],
        ),
        ("{\"module\": \"keras\"}", ["JSON", "no weights"]),
        ("a,b,y\n1,2,3\n4,5,6\n", ["a text", "no weights"]),
    ];
    let folder = Folder::new("texts");
    let path = folder.0.join("model.safetensors");
    for (text, said) in texts {
        std::fs::write(&path, text).unwrap();
        let outcomes = [
            Model::load_on(&Device::cpu(), &path).map(drop),
            RunState::load(&path).map(drop),
            model().load_weights(&path),
            model().load_weights_by_name(&path).map(drop),
            model().import_weights(&path, &Import::pytorch()).map(drop),
        ];
        for outcome in outcomes {
            let message = outcome.unwrap_err().to_string();
            assert!(said.iter().all(|part| message.contains(part)), "{message}");
        }
    }
    // A pointer is no table, either.
    std::fs::write(&path, texts[0].0).unwrap();
    let refused = Csv::new().read(&path).unwrap_err().to_string();
    assert!(refused.contains("git lfs pull"), "{refused}");
}

#[test]
fn weights_that_are_mostly_zeros_are_read_however_small_they_were_packed() {
    use std::io::Write;
    let units = 3000;
    let network = || {
        let network = Sequential::new(1000).dense(units, Linear).dense(1, Linear);
        network
            .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
            .unwrap()
    };
    let mut model = network();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for own in model.weights().unwrap() {
        let options = zip::write::SimpleFileOptions::default();
        let options = options.compression_method(zip::CompressionMethod::Deflated);
        archive
            .start_file(format!("{}.npy", own.name), options)
            .unwrap();
        let dims: Vec<usize> = own.shape.dims().to_vec();
        let zeros = kiln::data::Array::from_f32(&dims, &vec![0.0; own.values.len()]).unwrap();
        archive.write_all(&zeros.to_bytes()).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    let folder = Folder::new("zeros");
    let path = folder.0.join("w.npz");
    std::fs::write(&path, &bytes).unwrap();
    // 12 MB in 12 KB, of which others may come to 8 MiB and 200 times as much.
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    let unasked = kiln::data::npy::load_all(&path).unwrap_err().to_string();
    assert!(unasked.contains("more than the limit"), "{unasked}");
    model.load_weights(&path).unwrap();
    let weights = model.weights().unwrap();
    assert!(
        weights
            .iter()
            .all(|own| own.values.iter().all(|x| *x == 0.0))
    );
}

#[test]
fn names_with_brackets_are_no_lists() {
    let classes = 40_000;
    let mut text = String::from("a,b,kind\n");
    for row in 0..classes {
        text += &format!("{},1,[{row}]\n", row % 7);
    }
    let data = Csv::new()
        .labels()
        .read_from(text.as_bytes(), "kinds.csv")
        .unwrap();
    let network = Sequential::new(2).dense(classes, Softmax);
    let mut model = network
        .compile_on(
            &Device::cpu(),
            SparseCategoricalCrossentropy,
            Sgd::new(0.1),
            [],
        )
        .unwrap();
    let few = data.select(&[0, 1, 2]).unwrap();
    model.fit(&few, Fit::epochs(1).silent()).unwrap();
    let folder = Folder::new("brackets");
    let path = folder.0.join("m.safetensors");
    model.save(&path).unwrap();
    let again = Model::load_on(&Device::cpu(), &path).unwrap();
    assert_eq!(again.class_names(), model.class_names());
    assert_eq!(again.class_names().len(), classes);
}

#[test]
fn what_is_said_of_a_tensor_beside_its_place_is_passed_over() {
    let header = br#"{"dense/bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"note":"x"}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(2.5f32.to_le_bytes());
    let folder = Folder::new("entry");
    let path = folder.0.join("one.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let network = Sequential::new(2).dense(1, Linear);
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    assert_eq!(model.load_weights_by_name(&path).unwrap(), ["dense/bias"]);
    assert_eq!(model.weights().unwrap()[1].values, [2.5]);
}

#[test]
fn a_checkpoint_to_a_file_that_is_read_only_is_refused_before_the_first_step() {
    let folder = Folder::new("mode");
    let path = folder.0.join("best.safetensors");
    std::fs::write(&path, "kept").unwrap();
    let mut permissions = path.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let mut own = model();
    let before = own.weights().unwrap();
    let checkpoint = ModelCheckpoint::new(path.to_str().unwrap());
    let fit = Fit::epochs(1).silent().callback(checkpoint);
    let message = own.fit(&data(), fit).unwrap_err().to_string();
    assert!(message.contains("read-only"), "{message}");
    assert_eq!(own.weights().unwrap(), before);
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
}

#[test]
fn the_longest_names_that_a_system_takes_are_written() {
    let folder = Folder::new("long");
    for name in ["é".repeat(127), "n".repeat(255), "m".repeat(201)] {
        let path = folder.0.join(name);
        model().save(&path).unwrap();
        Model::load_on(&Device::cpu(), &path).unwrap();
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3);
}

#[test]
fn checkpoints_without_a_folder_lie_in_the_one_at_work() {
    const AT_WORK: &str = "KILN_TEST_AT_WORK";
    let name = "odd_files::checkpoints_without_a_folder_lie_in_the_one_at_work";
    if std::env::var_os(AT_WORK).is_none() {
        let folder = Folder::new("at-work");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let child = child.args([name, "--exact"]).env(AT_WORK, "1");
        let output = child.current_dir(&folder.0).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        return;
    }
    let run = |epochs: u64| {
        let checkpoints = Checkpoints::in_folder("")
            .every(Every::Epochs(1))
            .keep_last(2);
        let fit = Fit::epochs(epochs).silent().checkpoints(checkpoints);
        model().fit(&data(), fit.resume_from("")).unwrap()
    };
    run(5);
    let there = std::fs::read_dir(".").unwrap().count();
    assert_eq!(there, 2, "older checkpoints are taken away");
    let newest = Checkpoints::newest("").unwrap().unwrap();
    assert!(newest.path.starts_with(Path::new(".")), "{:?}", newest.path);
    // The five epochs of before, and one that was trained.
    let history = run(6);
    assert_eq!((history.epochs.len(), newest.state.steps), (6, 5));
}
