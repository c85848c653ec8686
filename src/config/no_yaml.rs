//! A build without the feature `yaml`.

use std::path::Path;

use super::{Dialect, Loaded};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn load(path: &Path, _dialect: Dialect) -> Result<Loaded> {
    let message = format!("{}: this build reads no YAML files", path.display());
    Err(Error::new(ErrorKind::Unsupported, message))
}
