//! Configuration: keys as text, and as keyword arguments with types.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coordha::config::keys::{self, Key};
use coordha::config::{self, Config as CoreConfig, Dialect, Format};
use coordha::error::{Error, ErrorKind, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString};

use crate::error::to_python;

/// Keys and values of a session. A plain value: nothing is started, read or connected by it.
///
/// Takes the same keyword arguments as coordha.Session.
#[pyclass(frozen, module = "coordha")]
pub(crate) struct Config {
    inner: Mutex<CoreConfig>,
}

fn dialect(milvus: bool) -> Dialect {
    if milvus { Dialect::Milvus } else { Dialect::Native }
}

/// The keyword argument of a key: dots become underscores, `.enabled` goes.
fn argument(key: &Key) -> String {
    key.name.strip_suffix(".enabled").unwrap_or(key.name).replace('.', "_")
}

/// The value of a key as text, where it is of the key's type.
fn text(key: &Key, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let is_bool = value.is_instance_of::<PyBool>();
    Ok(match key.kind.type_name() {
        "bool" if is_bool => Some(if value.is_truthy()? { "true" } else { "false" }.to_owned()),
        "integer" if value.is_instance_of::<PyInt>() && !is_bool => Some(value.str()?.to_string()),
        "bool" | "integer" => None,
        _ => value.cast::<PyString>().ok().map(|text| text.to_cow().map(Into::into)).transpose()?,
    })
}

fn wrong_type(name: &str, key: &Key, value: &Bound<'_, PyAny>) -> PyErr {
    let wanted = match key.kind.type_name() {
        "bool" => "bool",
        "integer" => "int",
        _ => "str",
    };
    match value.get_type().name() {
        Ok(found) => PyTypeError::new_err(format!("{name} must be {wanted}, not {found}")),
        Err(error) => error,
    }
}

/// The value of a key as text, where text of any kind is taken as well.
fn any_text(key: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match (value.cast::<PyString>(), keys::find(key)) {
        (Ok(text), _) => Ok(text.to_cow()?.into_owned()),
        (Err(_), Some(row)) => text(row, value)?.ok_or_else(|| wrong_type(key, row, value)),
        // The library says what is wrong with the key.
        (Err(_), None) => Ok(String::new()),
    }
}

/// Sets what keyword arguments say.
fn apply(config: &mut CoreConfig, arguments: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = arguments.py();
    for (name, value) in arguments {
        let name: String = name.extract()?;
        let Some(key) = keys::KEYS.iter().find(|key| argument(key) == name) else {
            let hint = match config::nearest_key(&name) {
                Some(meant) => format!("; did you mean {}?", argument(meant)),
                None => format!(" (allowed: {})", keys::KEYS.iter().map(argument).collect::<Vec<_>>().join(", ")),
            };
            return Err(PyTypeError::new_err(format!("unexpected keyword argument '{name}'{hint}")));
        };
        let text = text(key, &value)?.ok_or_else(|| wrong_type(&name, key, &value))?;
        config.set(key.name, &text).map_err(|error| to_python(py, &error))?;
    }
    Ok(())
}

impl Config {
    fn lock(&self) -> MutexGuard<'_, CoreConfig> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes or checks it. The lock is given back before an exception is made of an error: that runs code of Python's, in
    /// which another thread, a signal handler or a finalizer may use this very object.
    fn change(&self, py: Python<'_>, change: impl FnOnce(&mut CoreConfig) -> Result<()>) -> PyResult<()> {
        let result = change(&mut self.lock());
        result.map_err(|error| to_python(py, &error))
    }

    /// A copy with the keyword arguments on top.
    pub(crate) fn with(base: Option<&Self>, arguments: &Bound<'_, PyDict>) -> PyResult<CoreConfig> {
        let mut config = base.map(|base| base.lock().clone()).unwrap_or_default();
        apply(&mut config, arguments)?;
        Ok(config)
    }
}

#[pymethods]
impl Config {
    #[new]
    #[pyo3(signature = (**keys))]
    fn new(py: Python<'_>, keys: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let none = PyDict::new(py);
        let config = Self::with(None, keys.unwrap_or(&none))?;
        Ok(Self { inner: Mutex::new(config) })
    }

    /// Sets a key by its full name, such as "lease.ttl_ms"; the value is checked at once. Text is taken for any
    /// type, as files and flags give it.
    fn set(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = any_text(key, value)?;
        self.change(py, |config| config.set(key, &text))
    }

    /// Proposes a value, which the environment and a file may overrule. Else as `set`.
    fn set_default(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = any_text(key, value)?;
        self.change(py, |config| config.set_default(key, &text))
    }

    /// Loads a YAML file: the keys below its map `coordha:`; with `milvus`, Milvus's keys too, and the path None stands for the
    /// files that Milvus would read. An error names file and line.
    #[pyo3(signature = (path, *, milvus = false))]
    fn load_yaml(&self, py: Python<'_>, path: Option<PathBuf>, milvus: bool) -> PyResult<()> {
        let result = py.detach(|| match (path, milvus) {
            (Some(path), _) => self.lock().load_yaml(path, dialect(milvus)),
            (None, true) => self.lock().load_milvus(None),
            (None, false) => {
                Err(Error::new(ErrorKind::InvalidArgument, "path is None, which needs milvus=True").with("key", "path"))
            }
        });
        result.map_err(|error| to_python(py, &error))
    }

    /// Loads the environment: `COORDHA_` and the key in capitals, dots as underscores; with `milvus`, Milvus's variables
    /// too. An error names the variable.
    #[pyo3(signature = (*, milvus = false))]
    fn load_env(&self, py: Python<'_>, milvus: bool) -> PyResult<()> {
        self.change(py, |config| config.load_env(dialect(milvus)))
    }

    /// All keys, each with the value that counts and where that comes from: a line a key, or with `json` an array of
    /// objects with `key`, `value`, `source` and `place`. Secrets are hidden.
    #[pyo3(signature = (*, json = false))]
    fn dump(&self, json: bool) -> String {
        self.lock().dump(if json { Format::Json } else { Format::Text })
    }

    /// The value that a key has now, set or by default, as text; None: no such key, or required and not set.
    fn get(&self, key: &str) -> Option<String> {
        self.lock().get(key)
    }

    /// Checks all values together, without starting anything.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, |config| config.check())
    }

    /// The names of all keys, each with the keyword argument that sets it.
    #[staticmethod]
    fn arguments(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let names = PyDict::new(py);
        for key in keys::KEYS {
            names.set_item(key.name, argument(key))?;
        }
        Ok(names)
    }

    fn __repr__(&self) -> String {
        format!("<coordha.Config {:?}>", self.lock())
    }
}
