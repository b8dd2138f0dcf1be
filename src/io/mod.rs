//! Files of the engine's own: models, and weights alone.

mod model_file;
mod weights_file;
