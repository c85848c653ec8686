//! A build without the feature `yaml`.

use std::path::Path;

use super::Values;
use crate::error::{Error, ErrorKind, Result};

pub(super) fn load(path: &Path) -> Result<Values> {
    let message = format!("{}: this build reads no YAML files", path.display());
    Err(Error::new(ErrorKind::Unsupported, message))
}
