//! Files and devices that are not there, or not what they should be.

use kiln::prelude::*;

use super::{model, says};

pub fn all() {
    files_that_are_missing_or_damaged_are_named();
    a_device_that_is_not_there_is_answered_with_those_that_are();
}

#[test]
pub fn files_that_are_missing_or_damaged_are_named() {
    let folder = std::env::temp_dir().join(format!(
        "kiln-errors-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let missing = folder.join("missing");
    says(Csv::new().read(&missing), &["missing"]);
    says(kiln::data::mnist(&missing), &["missing"]);
    says(Model::load_on(&Device::cpu(), &missing), &["missing"]);
    let garbage = folder.join("garbage.safetensors");
    std::fs::write(&garbage, b"not a safetensors file at all").unwrap();
    says(
        Model::load_on(&Device::cpu(), &garbage),
        &["garbage.safetensors", "no safetensors file"],
    );
    let good = folder.join("model.safetensors");
    model().save(&good).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let cut = folder.join("cut.safetensors");
    std::fs::write(&cut, &bytes[..bytes.len() - 8]).unwrap();
    says(Model::load_on(&Device::cpu(), &cut), &["cut.safetensors"]);
    says(
        model().save(folder.join("no/such/folder/model.safetensors")),
        &["no/such/folder"],
    );
    assert!(
        std::fs::read_dir(&folder).unwrap().all(|file| !file
            .unwrap()
            .path()
            .to_string_lossy()
            .contains(".part"))
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
pub fn a_device_that_is_not_there_is_answered_with_those_that_are() {
    says(
        Device::named("no such adapter"),
        &["device", "no such adapter", "cpu"],
    );
}
