//! A table of measured choices for matrix products on one adapter: text that is written by `tune` and read when asked.

use std::collections::BTreeMap;
use std::fmt;

/// The first line of a table.
const HEAD: &str = "kiln tuning 1";

/// C `[m, n]` over k. A table knows sizes by the next power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductShape {
    /// m, n and k.
    pub sizes: [u32; 3],
    /// A is stored `[k, m]`.
    pub transpose_a: bool,
    /// B is stored `[n, k]`.
    pub transpose_b: bool,
}

impl ProductShape {
    /// The shape under which a table knows this one.
    fn bucket(mut self) -> Self {
        self.sizes = self
            .sizes
            .map(|size| size.checked_next_power_of_two().unwrap_or(u32::MAX));
        self
    }
}

/// How a product is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductChoice {
    /// `tiled`, `registers`, `lanes` or `vector`.
    pub kernel: &'static str,
    /// Rows, columns and depth of a workgroup's tile.
    pub tile: [u32; 3],
    /// An invocation's 4×4 blocks each way.
    pub blocks: [u32; 2],
    /// Parts of k that are summed in a second dispatch; 1 for none.
    pub splits: u32,
    /// Whether Cᵀ is computed.
    pub swapped: bool,
}

/// Measured choices of one adapter with one driver.
///
/// A plan takes from it only what the adapter's kernels can do; for what it does not know the default rules hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TuningTable {
    /// The adapter's name.
    pub adapter: String,
    /// The driver's name and version.
    pub driver: String,
    /// The choices by shape, sizes rounded up to powers of two as [`TuningTable::insert`] does.
    pub products: BTreeMap<ProductShape, ProductChoice>,
}

impl TuningTable {
    /// Sets the choice for a shape and all others of its bucket.
    pub fn insert(&mut self, shape: ProductShape, choice: ProductChoice) {
        self.products.insert(shape.bucket(), choice);
    }

    /// The choice for a shape.
    pub fn product(&self, shape: ProductShape) -> Option<ProductChoice> {
        self.products.get(&shape.bucket()).copied()
    }

    /// The table that `Display` wrote.
    ///
    /// # Errors
    ///
    /// The number of the first bad line, from 1, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (u64, String)> {
        let mut table = TuningTable::default();
        let mut head = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let bad = |message: String| (number, message);
            if !head {
                if line != HEAD {
                    return Err(bad(format!("a tuning table begins with `{HEAD}`")));
                }
                head = true;
            } else if line.is_empty() || line.starts_with('#') {
            } else if let Some(name) = named(line, "adapter") {
                table.adapter = name.into();
            } else if let Some(driver) = named(line, "driver") {
                table.driver = driver.into();
            } else if let Some(rest) = line.strip_prefix("product ") {
                let (shape, choice) = entry(rest).map_err(bad)?;
                table.insert(shape, choice);
            } else {
                return Err(bad(format!(
                    "`{line}` is neither `adapter`, `driver` nor `product`"
                )));
            }
        }
        if !head {
            return Err((1, "the file is empty".into()));
        }
        Ok(table)
    }
}

/// The rest of a line after its key; empty where a driver does not say what it is called.
fn named<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(key)?;
    let name = rest.trim_start();
    (name.is_empty() || name.len() < rest.len()).then_some(name)
}

/// `m n k nn|nt|tn|tt kernel rows columns depth blocks blocks splits plain|swapped`.
fn entry(line: &str) -> Result<(ProductShape, ProductChoice), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[
        m,
        n,
        k,
        stored,
        kernel,
        rows,
        columns,
        depth,
        down,
        across,
        splits,
        order,
    ] = words.as_slice()
    else {
        return Err(format!("a product has 12 fields, got {}", words.len()));
    };
    let number = |word: &str| match word.parse::<u32>() {
        Ok(0) => Err("0 is no size".to_string()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("`{word}`: {error}")),
    };
    let (transpose_a, transpose_b) = match stored {
        "nn" => (false, false),
        "nt" => (false, true),
        "tn" => (true, false),
        "tt" => (true, true),
        other => return Err(format!("`{other}` is not one of nn, nt, tn, tt")),
    };
    let kernel = ["tiled", "registers", "lanes", "vector"]
        .into_iter()
        .find(|known| *known == kernel)
        .ok_or_else(|| format!("`{kernel}` is not one of tiled, registers, lanes, vector"))?;
    let swapped = match order {
        "plain" => false,
        "swapped" => true,
        other => return Err(format!("`{other}` is neither plain nor swapped")),
    };
    let shape = ProductShape {
        sizes: [number(m)?, number(n)?, number(k)?],
        transpose_a,
        transpose_b,
    };
    let choice = ProductChoice {
        kernel,
        tile: [number(rows)?, number(columns)?, number(depth)?],
        blocks: [number(down)?, number(across)?],
        splits: number(splits)?,
        swapped,
    };
    Ok((shape, choice))
}

impl fmt::Display for TuningTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        writeln!(f, "adapter {}", self.adapter)?;
        writeln!(f, "driver {}", self.driver)?;
        writeln!(
            f,
            "# product m n k stored kernel rows columns depth blocks blocks splits order"
        )?;
        for (shape, choice) in &self.products {
            let [m, n, k] = shape.sizes;
            let letter = |transposed| if transposed { 't' } else { 'n' };
            let (a, b) = (letter(shape.transpose_a), letter(shape.transpose_b));
            let ([rows, columns, depth], [down, across]) = (choice.tile, choice.blocks);
            let order = if choice.swapped { "swapped" } else { "plain" };
            writeln!(
                f,
                "product {m} {n} {k} {a}{b} {} {rows} {columns} {depth} {down} {across} {} {order}",
                choice.kernel, choice.splits
            )?;
        }
        Ok(())
    }
}
