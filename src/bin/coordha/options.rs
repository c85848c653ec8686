//! The options that all subcommands have in common, and the configuration that they make.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use coordha::config::{Config, Dialect, YamlFile, keys};
use coordha::error::{Error, ErrorKind};

use crate::exit::{Failure, USAGE, code};

/// The roles of Milvus's coordinators, for which its own files and variables count.
const MILVUS_ROLES: &[&str] = &["rootcoord", "datacoord", "querycoord", "indexcoord", "mixcoord"];

/// The last heading of each help.
const COMMON: &str = "Store and configuration";

/// What counts, highest first: --set and the options that name a key; environment; file; default. All keys:
/// docs/CONFIGURATION.md. They are shown after a subcommand's own options, but for --role.
#[derive(Args)]
pub(crate) struct Options {
    /// Name of the role (key `role`): a-z, 0-9 and _, a letter first. Required by run and observe; without it the
    /// others look at all roles
    #[arg(long)]
    role: Option<String>,
    /// Store (key `store.url`): etcd://host:port[,...] or local:<directory>. Default: etcd://localhost:2379
    #[arg(long, help_heading = COMMON, value_name = "URL")]
    store: Option<String>,
    /// YAML file: keys below the map `coordha:`, or a milvus.yaml, or Milvus's folder. May be repeated: the last
    /// counts. Default: none; for a role of Milvus's its configs/milvus.yaml, where that is there
    #[arg(long, help_heading = COMMON, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Any key of docs/CONFIGURATION.md: --set lease.ttl_ms=20000. May be repeated. Default: the environment's, the
    /// file's, the key's own
    #[arg(long, help_heading = COMMON, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Root of all keys in the store (key `root`). Default: by-dev/meta
    #[arg(long, help_heading = COMMON)]
    root: Option<String>,
    /// Whose names file and environment use
    #[arg(long, help_heading = COMMON, value_enum, default_value_t = Names::Auto)]
    dialect: Names,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Names {
    /// Milvus's where the role is one of its coordinators, else native
    Auto,
    /// coordha's own: the map `coordha:`, variables COORDHA_...
    Native,
    /// Milvus's too: milvus.yaml, variables such as ROOT_COORD_ENABLE_ACTIVE_STANDBY
    Milvus,
}

impl Options {
    /// Reads files and environment, then what the command line says. Each file is read once, as it may be a pipe.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let files = self.config.iter().map(Given::read).collect::<Result<Vec<Given<'_>>, Error>>()?;
        let mut config = Config::new();
        let dialect = self.dialect(&files);
        if files.is_empty() && dialect == Dialect::Milvus && milvus_folder_is_there() {
            config.load_milvus(None)?;
        }
        for file in &files {
            file.load(&mut config, dialect).map_err(|error| self.hinted(&error, file, dialect))?;
        }
        config.load_env(dialect)?;
        self.set_all(&mut config)?;
        Ok(config)
    }

    /// The failure; where the file reads well as Milvus's, with what to do.
    fn hinted(&self, error: &Error, file: &Given<'_>, dialect: Dialect) -> Failure {
        let is_guess =
            self.dialect == Names::Auto && dialect == Dialect::Native && error.kind() == ErrorKind::ConfigFile;
        let hint = match is_guess && file.load(&mut Config::new(), Dialect::Milvus).is_ok() {
            true => "; a milvus.yaml needs --dialect milvus, or the role of a coordinator of Milvus",
            false => "",
        };
        Failure::new(code(error.kind()), format!("{error}{hint}"))
    }

    /// What the command line says, which counts most.
    fn set_all(&self, config: &mut Config) -> Result<(), Failure> {
        let named = [(keys::ROLE, &self.role), (keys::STORE_URL, &self.store), (keys::ROOT, &self.root)];
        for (key, value) in named {
            if let Some(value) = value {
                config.set(key, value)?;
            }
        }
        for pair in &self.set {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Failure::new(USAGE, format!("--set {pair:?}: no `=` (allowed: KEY=VALUE)")));
            };
            config.set(key, value)?;
        }
        Ok(())
    }

    fn dialect(&self, files: &[Given<'_>]) -> Dialect {
        match self.dialect {
            Names::Native => Dialect::Native,
            Names::Milvus => Dialect::Milvus,
            Names::Auto => {
                let is_milvus = self.role(files).is_some_and(|role| MILVUS_ROLES.contains(&role.as_str()));
                if is_milvus { Dialect::Milvus } else { Dialect::Native }
            }
        }
    }

    /// The role, as far as it stands where our own names do. What is wrong there is told when it is loaded for good.
    fn role(&self, files: &[Given<'_>]) -> Option<String> {
        let mut config = Config::new();
        for file in files {
            let _ = file.load(&mut config, Dialect::Native);
        }
        let _ = config.load_env(Dialect::Native);
        let _ = self.set_all(&mut config);
        config.get(keys::ROLE)
    }
}

/// What stands after --config.
enum Given<'a> {
    /// Milvus's folder.
    Folder(&'a Path),
    File(YamlFile),
}

impl<'a> Given<'a> {
    fn read(path: &'a PathBuf) -> Result<Self, Error> {
        Ok(if path.is_dir() { Self::Folder(path) } else { Self::File(YamlFile::read(path)?) })
    }

    fn load(&self, config: &mut Config, dialect: Dialect) -> Result<(), Error> {
        match (self, dialect) {
            (Self::Folder(folder), Dialect::Milvus) => config.load_milvus(Some(folder)),
            (Self::Folder(folder), _) => config.load_yaml(folder, dialect),
            (Self::File(file), _) => config.load_file(file, dialect),
        }
    }
}

/// Whether there is a file that Milvus would read, or a folder that it was told of.
fn milvus_folder_is_there() -> bool {
    std::env::var_os("MILVUSCONF").is_some() || Path::new("configs/milvus.yaml").exists()
}
