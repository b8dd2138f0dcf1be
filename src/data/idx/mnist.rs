//! Images and their labels from IDX files: MNIST, and sets that are laid out like it.

use std::path::{Path, PathBuf};

use crate::data::{Dataset, Samples, Targets};
use crate::edge::files;
use crate::error::{Error, Result};
use crate::reserve::reserved;
use crate::{DType, Shape};

use super::{Idx, IdxData, read};

/// Reads images and their labels into a data set of one row per image, its pixels as numbers.
///
/// Pixels of type u8 are divided by 255 and so lie in 0 to 1; other types stay as they are. The rest is as for
/// [`read_images`], which leaves pixels bytes.
///
/// # Errors
///
/// The same errors as [`read_images`].
pub fn read_images_and_labels(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
) -> Result<Dataset> {
    fractions(read_images(images, labels)?)
}

/// Reads images and their labels into a data set of one row per image, `[height, width, 1]`, or of more dimensions where the
/// file has more.
///
/// Pixels of type u8 stay bytes, and take a quarter of the memory of numbers, on the device too; other types become f32. There
/// are as many classes as the largest label asks for; where the labels at hand may lack the last classes, say so with
/// [`Dataset::with_classes`].
///
/// # Errors
///
/// The same errors as [`read`]; [`Error::Format`] where the images have fewer than two dimensions, where the labels are not one
/// whole number from 0 per image; [`Error::Data`] where there is no image or no pixel.
pub fn read_images(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Dataset> {
    labelled(images.as_ref(), labels.as_ref(), None)
}

/// Pixels that are bytes as numbers from 0 to 1.
fn fractions(data: Dataset) -> Result<Dataset> {
    if matches!(data.inputs(), [(_, images)] if images.kind().dtype == DType::U8) {
        data.mapped(|x| x / 255.0)
    } else {
        Ok(data)
    }
}

/// Reads both files; `classes` is how many classes there are, where the format of the set says so.
fn labelled(images_path: &Path, labels_path: &Path, classes: Option<usize>) -> Result<Dataset> {
    let labels = read_labels(labels_path)?;
    let images = read(images_path)?;
    let [rows, ref image @ ..] = images.dims[..] else {
        let message = "it has no dimensions, and images have 2 or more";
        return Err(Error::format(images_path, None, message));
    };
    let shape = match image {
        [] => {
            let message = "images have 2 or more dimensions, and this file has 1: are images and labels swapped?";
            return Err(Error::format(images_path, None, message));
        }
        [height, width] => Shape::from([*height, *width, 1]),
        image => Shape::from(image),
    };
    if rows != labels.len() {
        let message = format!(
            "it has {} labels for the {rows} images of {}",
            labels.len(),
            images_path.display()
        );
        return Err(Error::format(labels_path, None, message));
    }
    let found = labels.iter().max().map_or(0, |label| *label as usize + 1);
    let classes = classes.unwrap_or(found);
    if found > classes {
        let message = format!(
            "it has a label {}, and {classes} classes have labels below {classes}",
            found - 1
        );
        return Err(Error::format(labels_path, None, message));
    }
    let samples = match images.data {
        IdxData::U8(pixels) => Samples::new(pixels, shape)?,
        _ => Samples::new(images.into_f32()?, shape)?,
    };
    Dataset::from_samples(samples, Targets::Labels { labels, classes })
}

/// Reads a file of labels: one dimension, whole numbers from 0.
fn read_labels(path: &Path) -> Result<Vec<u32>> {
    fn convert<T: Copy + Into<i64>>(elements: &[T], path: &Path) -> Result<Vec<u32>> {
        let mut labels = reserved(Some(elements.len()), "the labels")?;
        for (row, element) in elements.iter().enumerate() {
            let element: i64 = (*element).into();
            let Ok(label) = u32::try_from(element) else {
                let message =
                    format!("row {row} (counted from 0) has label {element}; labels count from 0");
                return Err(Error::format(path, None, message));
            };
            labels.push(label);
        }
        Ok(labels)
    }
    let Idx { dims, data } = read(path)?;
    if dims.len() != 1 {
        let message = format!("a file of labels has 1 dimension, and this one has {dims:?}");
        return Err(Error::format(path, None, message));
    }
    match data {
        IdxData::U8(elements) => convert(&elements, path),
        IdxData::I8(elements) => convert(&elements, path),
        IdxData::I16(elements) => convert(&elements, path),
        IdxData::I32(elements) => convert(&elements, path),
        IdxData::F32(_) | IdxData::F64(_) => Err(Error::format(
            path,
            None,
            "labels are whole numbers, and these are floats",
        )),
    }
}

/// Reads the four files of MNIST, or of a set laid out like it, from a directory: `(train, test)`, ten classes. Pixels are
/// divided by 255; [`mnist_images`] leaves them bytes.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`; a dot may stand for the dash before `idx`, and `.gz` may follow.
///
/// # Errors
///
/// [`Error::NotFound`] where a file is missing, [`Error::Format`] where a label is above 9, and those of
/// [`read_images_and_labels`].
///
/// ```no_run
/// let (train, test) = kiln::data::idx::mnist("data/mnist")?;
/// assert_eq!((train.rows(), train.columns(), test.rows()), (60_000, 784, 10_000));
/// # Ok::<(), kiln::Error>(())
/// ```
pub fn mnist(dir: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let (train, test) = mnist_images(dir)?;
    Ok((fractions(train)?, fractions(test)?))
}

/// [`mnist`] with the pixels as they are in the files: bytes, `[28, 28, 1]` an image.
///
/// # Errors
///
/// The same errors as [`mnist`].
///
/// ```no_run
/// use kiln::prelude::*;
///
/// let (train, test) = kiln::data::idx::mnist_images("data/mnist")?;
/// let model = Sequential::new(TensorType::u8([28, 28, 1]))
///     .layer(Rescaling::new(1.0 / 255.0))
///     .layer(Flatten)
///     .dense(10, Softmax);
/// # Ok::<(), kiln::Error>(())
/// ```
pub fn mnist_images(dir: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let dir = dir.as_ref();
    let part = |name: &str| {
        let images = find(dir, &format!("{name}-images"), "idx3-ubyte")?;
        let labels = find(dir, &format!("{name}-labels"), "idx1-ubyte")?;
        labelled(&images, &labels, Some(10))
    };
    Ok((part("train")?, part("t10k")?))
}

/// The file of `dir` with one of the four spellings of a name.
fn find(dir: &Path, name: &str, kind: &str) -> Result<PathBuf> {
    for spelling in ["-", "."].map(|joint| format!("{name}{joint}{kind}")) {
        for ending in ["", ".gz"] {
            let path = dir.join(format!("{spelling}{ending}"));
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let entries = files::read_dir(dir).map_err(|refusal| Error::io(dir, refusal))?;
    let mut known: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    known.sort();
    known.truncate(20);
    Err(Error::NotFound {
        what: "file",
        name: dir.join(format!("{name}-{kind}")).display().to_string(),
        known,
    })
}
