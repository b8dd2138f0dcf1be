//! Files of the engine's own: models.

mod model_file;
