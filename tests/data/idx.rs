//! IDX files: the types, the damage that is refused, and the sets of four files.

use std::fs;
use std::path::Path;

use kiln::data::{Array, TypedValues, idx};
use kiln::{Dataset, Error, Targets};

use crate::{Folder, assert_says, gzipped};

fn idx_file(kind: u8, dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, kind, dims.len() as u8];
    dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
    [&file, elements].concat()
}

/// Reads the file both plain and gzipped, asserts that both agree, and passes the plain answer on.
fn read(content: &[u8]) -> kiln::Result<Array> {
    let folder = Folder::new();
    let plain = idx::read(folder.file("array", content));
    let zipped = idx::read(folder.file("zipped", &gzipped(content)));
    assert_eq!(plain.as_ref().ok(), zipped.as_ref().ok());
    if let (Err(plain), Err(zipped)) = (&plain, &zipped) {
        assert_eq!(
            plain.to_string(),
            zipped.to_string().replace("zipped", "array")
        );
    }
    plain
}

/// Asserts that an array is of this type, as NumPy writes it, and of exactly these bytes.
fn assert_holds(array: &Array, descr: &str, elements: &[u8]) {
    let file = array.to_bytes();
    assert!(file.ends_with(elements));
    let header = String::from_utf8_lossy(&file[..file.len() - elements.len()]);
    assert!(header.contains(&format!("'{descr}'")), "{header}");
    assert!(header.ends_with('\n'), "{header}");
}

#[test]
fn every_type_of_the_format_is_read_big_endian() {
    let pi = std::f64::consts::PI;
    let cases: [(u8, &str, &[u8], &[f32]); 6] = [
        (8, "|u1", &[0, 255], &[0.0, 255.0]),
        (9, "|i1", &[1, 255], &[1.0, -1.0]),
        (11, ">i2", &[1, 2, 255, 254], &[258.0, -2.0]),
        (12, ">i4", &[255, 255, 0, 0], &[-65536.0]),
        (13, ">f4", &1.5f32.to_be_bytes(), &[1.5]),
        (14, ">f8", &pi.to_be_bytes(), &[std::f32::consts::PI]),
    ];
    for (kind, descr, bytes, values) in cases {
        let array = read(&idx_file(kind, &[values.len() as u32], bytes)).unwrap();
        assert_holds(&array, descr, bytes);
        assert_eq!(array.to_f32().unwrap(), values);
    }
}

#[test]
fn dimensions_are_kept_and_may_be_empty() {
    let array = read(&idx_file(8, &[2, 1, 3], &[1, 2, 3, 4, 5, 6])).unwrap();
    assert_eq!(array.shape(), [2, 1, 3]);
    assert_holds(&array, "|u1", &[1, 2, 3, 4, 5, 6]);
    let empty = read(&idx_file(13, &[0, 28], &[])).unwrap();
    assert_eq!(empty.shape(), [0, 28]);
    assert_holds(&empty, ">f4", &[]);
}

#[test]
fn elements_are_whole_across_the_pieces_that_are_read() {
    let count = 300_001u32;
    let bytes: Vec<u8> = (0..count)
        .flat_map(|i| f64::from(i).to_be_bytes())
        .collect();
    let array = read(&idx_file(14, &[count], &bytes)).unwrap();
    assert_holds(&array, ">f8", &bytes);
    let expected: Vec<f32> = (0..count).map(|i| i as f32).collect();
    assert_eq!(array.to_f32().unwrap(), expected);
}

#[test]
fn a_file_of_another_format_is_refused() {
    for start in [
        &[][..],
        &[0, 0, 8],
        b"%PDF-1.4",
        &[1, 0, 8, 1, 0, 0, 0, 0],
        &[0, 0, 10, 1],
        &[0, 0, 15, 1],
        &[0, 0, 8, 0],
    ] {
        let error = assert_says(read(start), &["array", "it begins with the bytes", "IDX"]);
        assert!(matches!(error, Error::Format { line: None, .. }));
    }
}

#[test]
fn a_file_cut_off_is_refused_wherever_the_cut_is() {
    let whole = idx_file(11, &[3, 1], &[0; 6]);
    for len in 4..12 {
        assert_says(
            read(&whole[..len]),
            &["ends within the sizes of its 2 dimensions"],
        );
    }
    for len in 12..whole.len() {
        let found = format!("ends after {} bytes", len - 12);
        assert_says(read(&whole[..len]), &[&found, "[3, 1]", "ask for 6"]);
    }
    read(&whole).unwrap();
}

#[test]
fn bytes_after_the_last_element_are_refused() {
    assert_says(
        read(&idx_file(8, &[3], &[0; 4])),
        &["goes on after the 3 bytes", "[3]"],
    );
    assert_says(
        read(&idx_file(8, &[0], &[0])),
        &["goes on after the 0 bytes"],
    );
}

#[test]
fn dimensions_that_overflow_are_refused_and_huge_ones_cost_nothing() {
    assert_says(
        read(&idx_file(8, &[u32::MAX; 3], &[0])),
        &["more elements than can be counted"],
    );
    assert_says(
        read(&idx_file(14, &[u32::MAX, u32::MAX], &[0])),
        &["more elements than can be counted"],
    );
    assert_says(
        read(&idx_file(8, &[u32::MAX, 1 << 20], &[0; 9])),
        &["ends after 9 bytes", "4503599626321920"],
    );
}

#[test]
fn a_gzip_bomb_is_not_decompressed_beyond_its_header() {
    let bomb = gzipped(&idx_file(8, &[10], &vec![0; 50_000_000]));
    let folder = Folder::new();
    assert_says(
        idx::read(folder.file("bomb.gz", &bomb)),
        &["bomb.gz", "goes on after the 10 bytes"],
    );
}

#[test]
fn damaged_gzip_data_is_refused() {
    let folder = Folder::new();
    let whole = gzipped(&idx_file(8, &[1000], &[7; 1000]));
    let cut = idx::read(folder.file("cut.gz", &whole[..whole.len() - 9]));
    assert!(matches!(
        assert_says(cut, &["cut.gz", "damaged or cut off"]),
        Error::Format { .. }
    ));
    let mut sum = whole.clone();
    let at = sum.len() - 6;
    sum[at] ^= 1;
    assert_says(
        idx::read(folder.file("sum.gz", &sum)),
        &["damaged or cut off"],
    );
    let missing = idx::read(folder.path().join("none"));
    assert!(matches!(assert_says(missing, &["none"]), Error::Io { .. }));
}

/// Two files: `count` images of 1 × 2 pixels, and these labels.
fn pair(folder: &Path, part: &str, joint: &str, labels: &[u8], count: u32) {
    let pixels: Vec<u8> = (0..count * 2).map(|i| (i * 51) as u8).collect();
    let images = idx_file(8, &[count, 1, 2], &pixels);
    let labels = idx_file(8, &[labels.len() as u32], labels);
    fs::write(
        folder.join(format!("{part}-images{joint}idx3-ubyte")),
        images,
    )
    .unwrap();
    fs::write(
        folder.join(format!("{part}-labels{joint}idx1-ubyte.gz")),
        gzipped(&labels),
    )
    .unwrap();
}

/// The pixels of a data set of images of bytes.
fn pixels(data: &Dataset) -> &[u8] {
    let [(_, images)] = data.inputs() else {
        panic!("one input");
    };
    let TypedValues::U8(pixels) = images.values() else {
        panic!("pixels are bytes");
    };
    pixels
}

#[test]
fn a_set_of_four_files_is_read_with_its_bytes_and_ten_classes() {
    for joint in ["-", "."] {
        let folder = Folder::new();
        pair(folder.path(), "train", joint, &[7, 0, 2], 3);
        pair(folder.path(), "t10k", joint, &[9], 1);
        let (train, test) = idx::mnist(folder.path()).unwrap();
        assert_eq!(pixels(&train), [0, 51, 102, 153, 204, 255]);
        let fractions = train.clone().scaled(1.0 / 255.0).unwrap();
        for (x, fraction) in fractions
            .features()
            .iter()
            .zip([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
        {
            assert!((x - fraction).abs() <= f32::EPSILON, "{x}");
        }
        assert_eq!(
            *train.targets(),
            Targets::Labels {
                labels: vec![7, 0, 2],
                classes: 10
            }
        );
        assert_eq!(
            (test.rows(), test.columns(), test.classes()),
            (1, 2, Some(10))
        );
    }
}

#[test]
fn a_missing_file_of_the_four_is_named_with_what_there_is() {
    let folder = Folder::new();
    pair(folder.path(), "train", "-", &[1], 1);
    let error = assert_says(
        idx::mnist(folder.path()),
        &["t10k-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"],
    );
    assert!(matches!(error, Error::NotFound { what: "file", .. }));
    let nowhere = idx::mnist(folder.path().join("nowhere"));
    assert!(matches!(
        assert_says(nowhere, &["nowhere"]),
        Error::Io { .. }
    ));
}

#[test]
fn a_label_above_9_is_refused_in_a_set_like_mnist() {
    let folder = Folder::new();
    pair(folder.path(), "train", "-", &[1, 10], 2);
    assert_says(
        idx::mnist(folder.path()),
        &["train-labels-idx1-ubyte.gz", "label 10", "10 classes"],
    );
}

#[test]
fn images_and_labels_that_do_not_belong_together_are_refused() {
    let folder = Folder::new();
    let images = folder.file("images", &idx_file(8, &[2, 1, 1], &[0, 255]));
    let labels = |kind, dims: &[u32], elements: &[u8]| {
        folder.file("labels", &idx_file(kind, dims, elements))
    };

    let few = labels(8, &[1], &[0]);
    assert_says(
        idx::read_images(&images, &few),
        &["labels: ", "1 labels", "2 images", "images"],
    );
    assert_says(idx::read_images(&few, &few), &["swapped"]);
    assert_says(
        idx::read_images(&images, &images),
        &["1 dimension", "[2, 1, 1]"],
    );
    // A label of −1 is for losses that ignore it.
    let negative = labels(9, &[2], &[0, 255]);
    let data = idx::read_images(&images, &negative).unwrap();
    assert_eq!(data.classes(), Some(1));
    assert_says(data.one_hot(), &["row 1", "label -1"]);
    let floats = labels(13, &[2], &[0; 8]);
    assert_says(idx::read_images(&images, &floats), &["whole numbers"]);

    let wide = labels(12, &[2], &[0, 0, 0, 1, 0, 0, 1, 0]);
    let data = idx::read_images(&images, &wide).unwrap();
    assert_eq!((pixels(&data), data.classes()), (&[0, 255][..], Some(257)));
    let scaled = data.scaled(1.0 / 255.0).unwrap();
    assert_eq!(scaled.features(), [0.0, 1.0]);
    let none = labels(8, &[0], &[]);
    let empty = folder.file(
        "empty",
        &idx_file(8, &[0, u32::MAX, u32::MAX, u32::MAX], &[]),
    );
    assert_says(idx::read_images(&empty, &none), &["at least one row"]);
}

#[test]
fn images_of_floats_keep_their_values() {
    let folder = Folder::new();
    let pixels = [2.5f32.to_be_bytes(), (-1f32).to_be_bytes()].concat();
    let images = folder.file("images", &idx_file(13, &[1, 2], &pixels));
    let labels = folder.file("labels", &idx_file(11, &[1], &[0, 3]));
    let data = idx::read_images(images, labels).unwrap();
    assert_eq!(
        (data.features(), data.classes()),
        (&[2.5, -1.0][..], Some(4))
    );
}
