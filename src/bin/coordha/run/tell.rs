//! Telling a warm command that it is active, and waiting until a command is ready.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::fs::{Access, access};

use super::signals::takes;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// Of one question whether it is ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// A way to tell a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// This signal.
    Signal(Signal),
    /// A JSON object as the content of this file, which is replaced as a whole.
    File(PathBuf),
    /// A JSON object, as a datagram or as a line, to the Unix socket on which the command listens.
    Socket(PathBuf),
}

impl FromStr for Tell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("signal", name)) => caught(signal(name)?).map(Self::Signal),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("socket", path)) if !path.is_empty() => Ok(Self::Socket(path.into())),
            _ => Err("allowed: signal:NAME, file:PATH, socket:PATH".into()),
        }
    }
}

impl fmt::Display for Tell {
    /// As on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "signal:{}", signal.as_str().trim_start_matches("SIG")),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Socket(path) => write!(f, "socket:{}", path.display()),
        }
    }
}

impl Tell {
    /// Whether it can work at all, as far as that is seen before the command is there.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Signal(_) => Ok(()),
            Self::File(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                if !folder.is_dir() || access(folder, Access::WRITE_OK).is_err() {
                    return Err("no folder to write in (allowed: one that is there)".into());
                }
                // Anything else would be replaced by a file, or refuse that.
                let is_other = fs::metadata(path).is_ok_and(|found| !found.is_file());
                if is_other || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                    return Err("not a file (allowed: a file that is there, or none yet)".into());
                }
                Ok(())
            }
            Self::Socket(path) => {
                SocketAddr::from_pathname(path).map_err(|why| format!("{why} (allowed: the path of a Unix socket)"))?;
                // Anything else may be what the command removes before it listens.
                if path.is_dir() {
                    return Err("a directory (allowed: the path of a Unix socket, there already or not)".into());
                }
                Ok(())
            }
        }
    }
}

/// One that can tell a command to stop.
pub(super) fn stop_signal(name: &str) -> Result<Signal, String> {
    match signal(name)? {
        Signal::SIGKILL => Ok(Signal::SIGKILL),
        other => caught(other),
    }
}

/// One for which a command can have a handler, and that does not stop it for good.
fn caught(signal: Signal) -> Result<Signal, String> {
    match signal {
        Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCONT => {
            Err("no command can act by it (allowed: TERM, INT, HUP, QUIT, USR1, USR2 and the like)".into())
        }
        other => Ok(other),
    }
}

/// A signal by its name, with or without SIG.
fn signal(name: &str) -> Result<Signal, String> {
    let name = name.to_ascii_uppercase();
    let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    Signal::from_str(&full).map_err(|_| "allowed: the name of a signal, such as TERM, INT, USR1".into())
}

/// Replaces the file as a whole: a reader sees the old or the new text.
pub(super) fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    fs::write(&draft, format!("{text}\n")).and_then(|()| fs::rename(&draft, path)).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

/// What is to be done until a command may be called active.
pub(super) struct Work {
    pub(super) tells: Vec<Tell>,
    /// What is told.
    pub(super) notice: String,
    pub(super) ready_url: Option<String>,
    /// The command.
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// Such work, in a thread of its own. Dropping it ends that, a moment later.
pub(super) struct Activation {
    done: Arc<AtomicBool>,
    cancelled: Arc<AtomicBool>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Activation {
    /// `wake` is written to when it is done, or has something new to say.
    pub(super) fn start(work: Work, wake: Arc<OwnedFd>) -> io::Result<Self> {
        let this = Self { done: Arc::default(), cancelled: Arc::default(), trouble: Arc::default() };
        let (done, cancelled, trouble) =
            (Arc::clone(&this.done), Arc::clone(&this.cancelled), Arc::clone(&this.trouble));
        let wake = move || {
            // Full: then it is awake already.
            let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
        };
        std::thread::Builder::new().name("coordha-tell".into()).spawn(move || {
            let until_it_works = |what: &str, step: &dyn Fn() -> Result<(), String>| {
                let mut told = false;
                while !cancelled.load(Ordering::Acquire) {
                    let Err(why) = step() else { return };
                    if !std::mem::replace(&mut told, true) {
                        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what}: {why}"));
                        wake();
                    }
                    std::thread::sleep(PAUSE);
                }
            };
            for tell in &work.tells {
                until_it_works(&tell.to_string(), &|| tell.send(&work).map_err(|error| error.to_string()));
            }
            if let Some(url) = &work.ready_url {
                until_it_works(url, &|| ask(url));
            }
            done.store(true, Ordering::Release);
            wake();
        })?;
        Ok(this)
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// What does not work yet, once.
    pub(super) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Activation {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Release);
    }
}

impl Tell {
    fn send(&self, work: &Work) -> io::Result<()> {
        match self {
            Self::Signal(signal) => {
                if !takes(work.pid, *signal) {
                    return Err(io::Error::other("the command does not catch the signal yet, which would end it"));
                }
                let number =
                    rustix::process::Signal::from_named_raw(*signal as i32).ok_or(io::ErrorKind::InvalidInput)?;
                Ok(rustix::process::pidfd_send_signal(&work.pidfd, number)?)
            }
            Self::File(path) => write_file(path, &work.notice),
            Self::Socket(path) => send_to(path, &work.notice),
        }
    }
}

fn send_to(path: &Path, notice: &str) -> io::Result<()> {
    let line = format!("{notice}\n");
    let datagram = UnixDatagram::unbound()?;
    if datagram.connect(path).is_ok() {
        datagram.set_nonblocking(true)?;
        return datagram.send(line.as_bytes()).map(drop);
    }
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(line.as_bytes())
}

/// Whether a GET is answered well.
fn ask(url: &str) -> Result<(), String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let answer = agent.get(url).call().map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("status {}", answer.status())) }
}
