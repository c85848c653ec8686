//! A build without the feature `yaml`.

use std::path::Path;

use super::{Dialect, Loaded};
use crate::error::{Error, ErrorKind, Result};

/// A YAML file that was read: in a build without the feature `yaml` there is none.
#[derive(Clone, Debug)]
pub enum YamlFile {}

impl YamlFile {
    /// Fails.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let message = format!("{}: this build reads no YAML files", path.as_ref().display());
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    pub(super) fn load(&self, _dialect: Dialect) -> Result<Loaded> {
        match *self {}
    }
}
