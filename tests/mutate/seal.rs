//! Checkpoints with other contents and the checksums that belong to them.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use crate::mutator::Numbers;

const HEADER_CHECKSUM: &str = "header_crc32";

#[derive(Debug, Clone)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

/// What a checkpoint holds, but for the checksums.
#[derive(Debug, Clone)]
pub struct Parts {
    run: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Parts {
    pub fn of(file: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(file).unwrap();
        let run = header.metadata().as_ref().unwrap()["run"].clone();
        let tensors = SafeTensors::deserialize(file).unwrap();
        let tensors = tensors.iter().filter(|(name, _)| *name != HEADER_CHECKSUM);
        let tensors = tensors.map(|(name, view)| {
            let tensor = Tensor {
                dtype: format!("{:?}", view.dtype()),
                shape: view.shape().iter().map(|&dim| dim as u64).collect(),
                bytes: view.data().to_vec(),
            };
            (name.to_string(), tensor)
        });
        Parts {
            run,
            tensors: tensors.collect(),
        }
    }

    /// The JSON of the run.
    pub fn text(&self) -> Vec<u8> {
        self.run.clone().into_bytes()
    }

    pub fn set_text(&mut self, text: &[u8]) {
        self.run = String::from_utf8_lossy(text).into_owned();
    }

    /// Does something to a tensor, most of the time; sometimes the text stays as it was and only that is done.
    pub fn damage(&mut self, numbers: &mut Numbers) {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        let name = numbers.one_of(&names).clone();
        let tensor = self.tensors.get_mut(&name).unwrap();
        let size = *numbers.one_of(&[0, 1, 7, 1 << 31, 1 << 62, u64::MAX]);
        let at = numbers.below(tensor.bytes.len());
        match numbers.below(9) {
            0 => drop(self.tensors.remove(&name)),
            1 => tensor.shape = vec![size; numbers.below(40)],
            2 => tensor.shape.insert(0, size),
            3 => {
                tensor.dtype = numbers
                    .one_of(&["F64", "U32", "F16", "I64", "F5"])
                    .to_string()
            }
            4 => {
                // As many elements as the bytes are.
                let width = *numbers.one_of(&[4, 8]);
                tensor.bytes.truncate(at / width * width);
                tensor.shape = vec![(tensor.bytes.len() / width) as u64];
                tensor.dtype = if width == 4 { "F32" } else { "F64" }.into();
            }
            5 => {
                let word = *numbers.one_of(&[0, f32::NAN.to_bits(), f32::MAX.to_bits(), u32::MAX]);
                let len = tensor.bytes.len();
                if len >= 4 {
                    tensor.bytes[at / 4 * 4..][..4].copy_from_slice(&word.to_le_bytes());
                }
            }
            6 => {
                let tensor = tensor.clone();
                self.tensors
                    .insert(format!("state/{}", numbers.next()), tensor);
            }
            _ => {}
        }
    }

    /// The file.
    pub fn sealed(&self) -> Vec<u8> {
        let json = |value: &dyn std::fmt::Debug| format!("{value:?}");
        let checksums = self.tensors.iter().map(|(name, tensor)| {
            let checksum = crc32fast::hash(&tensor.bytes);
            format!("{}:\"{checksum:08x}\"", quoted(name))
        });
        let checksums = format!("{{{}}}", checksums.collect::<Vec<_>>().join(","));
        let mut entries = vec![format!(
            "\"__metadata__\":{{\"format\":\"kiln checkpoint\",\"version\":\"1\",\"checksums\":{},\"run\":{}}}",
            quoted(&checksums),
            quoted(&self.run)
        )];
        let mut data = Vec::new();
        for (name, tensor) in &self.tensors {
            let begin = data.len();
            data.extend_from_slice(&tensor.bytes);
            entries.push(format!(
                "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{begin},{}]}}",
                quoted(name),
                tensor.dtype,
                json(&tensor.shape),
                data.len()
            ));
        }
        let (begin, end) = (data.len(), data.len() + 4);
        entries.push(format!(
            "\"{HEADER_CHECKSUM}\":{{\"dtype\":\"U32\",\"shape\":[1],\"data_offsets\":[{begin},{end}]}}"
        ));
        let header = format!("{{{}}}", entries.join(","));
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        let checksum = crc32fast::hash(&file);
        file.append(&mut data);
        file.extend_from_slice(&checksum.to_le_bytes());
        file
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
