//! For how many rows the programs of a session have room.

/// Room for a data set on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Rows that fit.
    pub rows: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Weights of every row: none, one for all outputs, or one for each.
    pub weights: usize,
    /// Whether a step whose gradients are not finite changes nothing.
    pub skips: bool,
    /// Batches to an update, on top of what the optimizer collects.
    pub micro: u32,
    /// Whether the steps are too few for a kernel that is compiled for this network alone.
    pub few: bool,
}

impl Extent {
    /// Room for whole batches of rows without weights, none of which is skipped.
    pub fn new(rows: usize, batch: usize) -> Self {
        Extent {
            rows,
            batch,
            weights: 0,
            skips: false,
            micro: 1,
            few: false,
        }
    }

    /// Whether room of this extent serves `wanted`, but for the batches.
    fn covers(&self, wanted: &Extent) -> bool {
        self.rows >= wanted.rows
            && self.weights == wanted.weights
            && self.skips == wanted.skips
            && self.micro == wanted.micro
            && self.few == wanted.few
    }
}

/// Which programs a session has, and for how many rows. Programs for prediction are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Capacity {
    pub train: Option<Extent>,
    pub evaluate: Option<Extent>,
}

impl Capacity {
    pub fn training(extent: Extent) -> Self {
        Capacity {
            train: Some(extent),
            evaluate: None,
        }
    }

    pub fn evaluating(extent: Extent) -> Self {
        Capacity {
            train: None,
            evaluate: Some(extent),
        }
    }

    /// Whether a session of this capacity serves `wanted` too.
    pub fn covers(&self, wanted: &Capacity) -> bool {
        // A step of training is over its batch.
        let trains = wanted.train.is_none_or(|wanted| {
            let same = |have: Extent| have.batch == wanted.batch && have.covers(&wanted);
            self.train.is_some_and(same)
        });
        // Evaluation comes to the same in larger batches, where all rows are one of them: parts of several smaller ones need not
        // be whole in them.
        let evaluates = wanted.evaluate.is_none_or(|wanted| {
            self.evaluate.is_some_and(|have| {
                let larger = have.batch > wanted.batch && wanted.rows <= wanted.batch;
                (have.batch == wanted.batch || larger) && have.covers(&wanted)
            })
        });
        trains && evaluates
    }

    /// What is wanted, and beside it what was there before.
    pub fn beside(self, before: Capacity) -> Capacity {
        Capacity {
            train: self.train.or(before.train),
            evaluate: self.evaluate.or(before.evaluate),
        }
    }
}
