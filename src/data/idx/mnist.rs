//! Images and their labels from IDX files: MNIST, and sets that are laid out like it.

use std::path::{Path, PathBuf};

use crate::Shape;
use crate::data::targets::{classes, label};
use crate::data::{Dataset, Samples, Targets};
use crate::edge::files;
use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::read;

/// Reads images and their labels into a data set of one row per image, `[height, width, 1]`, or of more dimensions where the
/// file has more.
///
/// Pixels of type u8 stay bytes, and take a quarter of the memory of numbers, on the device too; other types become f32. A
/// [`Rescaling`](crate::nn::Rescaling) in the model brings them into 0 to 1, or [`Dataset::scaled`] makes numbers of them before.
/// There are as many classes as the largest label asks for; where the labels at hand may lack the last classes, say so with
/// [`Dataset::with_classes`].
///
/// # Errors
///
/// The same errors as [`read`]; [`Error::Format`] where the images have fewer than two dimensions, where the labels are not one
/// whole number per image; [`Error::Data`] where there is no image or no pixel.
pub fn read_images(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Dataset> {
    labelled(images.as_ref(), labels.as_ref(), None)
}

/// Reads both files; `known` is how many classes there are, where the format of the set says so.
fn labelled(images_path: &Path, labels_path: &Path, known: Option<usize>) -> Result<Dataset> {
    let labels = read_labels(labels_path)?;
    let images = read(images_path)?;
    let (rows, shape) = match images.shape() {
        [rows, height, width] => (*rows, Shape::from([*height, *width, 1])),
        [rows, image @ ..] if !image.is_empty() => (*rows, Shape::from(image)),
        other => {
            let message = format!(
                "images have 2 or more dimensions, and this file has {}: are images and labels swapped?",
                other.len()
            );
            return Err(Error::format(images_path, None, message));
        }
    };
    if rows != labels.len() {
        let message = format!(
            "it has {} labels for the {rows} images of {}",
            labels.len(),
            images_path.display()
        );
        return Err(Error::format(labels_path, None, message));
    }
    let samples = Samples::new(images.values()?, shape)?;
    let found = classes(&labels);
    let classes = known.unwrap_or(found);
    if found > classes {
        let message = format!(
            "it has a label {}, and {classes} classes have labels below {classes}",
            found - 1
        );
        return Err(Error::format(labels_path, None, message));
    }
    Dataset::from_arrays(samples, Targets::Labels { labels, classes })
}

/// Reads a file of labels: one dimension, whole numbers.
fn read_labels(path: &Path) -> Result<Vec<u32>> {
    let unfit = |message: String| Error::format(path, None, message);
    let array = read(path)?;
    let dims = array.shape();
    if dims.len() != 1 {
        return Err(unfit(format!(
            "a file of labels has 1 dimension, and this one has {dims:?}"
        )));
    }
    if !array.header.kind.is_integer() {
        let message = "labels are whole numbers, and these are floats";
        return Err(unfit(message.into()));
    }
    let numbers = array.elements(|kind, bytes| Ok(kind.float(bytes)))?;
    let mut labels = reserved(Some(numbers.len()), "the labels")?;
    for (row, number) in numbers.into_iter().enumerate() {
        labels.push(label(number).ok_or_else(|| {
            unfit(format!(
                "row {row} (counted from 0) has label {number}, which is beyond what a label can be"
            ))
        })?);
    }
    Ok(labels)
}

/// Reads the four files of MNIST, or of a set laid out like it, from a directory: `(train, test)`, ten classes, the pixels as
/// they are in the files: bytes, `[28, 28, 1]` an image.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`; a dot may stand for the dash before `idx`, and `.gz` may follow.
///
/// # Errors
///
/// [`Error::NotFound`] where a file is missing, [`Error::Format`] where a label is above 9, and those of [`read_images`].
///
/// ```no_run
/// use kiln::prelude::*;
///
/// let (train, test) = kiln::data::mnist("data/mnist")?;
/// assert_eq!((train.rows(), train.columns(), test.rows()), (60_000, 784, 10_000));
/// let model = Sequential::new(TensorType::u8([28, 28, 1]))
///     .layer(Rescaling::new(1.0 / 255.0))
///     .layer(Flatten)
///     .dense(10, Softmax);
/// # Ok::<(), kiln::Error>(())
/// ```
pub fn mnist(dir: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
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
