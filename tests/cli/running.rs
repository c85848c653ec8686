//! A `coordha run` at work, what it says, and the journal in which commands write what they do.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::coordha;
use crate::support::wait::until;

/// A folder with a store, and a file to which commands append: its order is the order of what they did.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    store: String,
}

impl Scene {
    /// On a directory.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("local:{}", folder.path().join("store").display());
        Self { folder, store }
    }

    /// On a server.
    pub(crate) fn on(endpoints: &[String]) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store: format!("etcd://{}", endpoints.join(",")) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        fs::read_to_string(self.folder().join("journal")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits for a line that begins so; the rest of it.
    pub(crate) fn line(&self, start: &str) -> String {
        until(&format!("`{start}` in the journal"), || {
            self.journal().iter().find_map(|line| line.strip_prefix(start).map(|rest| rest.trim().to_owned()))
        })
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.journal().iter().filter(|written| *written == line).count()
    }

    /// Fails where a line of `before` comes after the first one of `after`.
    pub(crate) fn assert_ended_before(&self, before: &str, after: &str) {
        let journal = self.journal();
        let first = journal.iter().position(|line| line.starts_with(after)).expect("it began");
        let late = journal[first..].iter().find(|line| line.starts_with(before));
        assert!(late.is_none(), "{late:?} after {:?}", journal[first]);
        assert!(journal[..first].iter().any(|line| line.starts_with(before)), "nothing of {before}");
    }

    /// `coordha run` of one that is called so, with options, and a shell script as its command.
    pub(crate) fn command(&self, name: &str, options: &[&str], script: &str) -> Command {
        let port = 1000 + name.bytes().map(u16::from).sum::<u16>();
        let address = format!("127.0.0.1:{port}");
        let mut args = vec!["run", "--role", "rootcoord", "--store", &self.store, "--address", &address];
        args.extend(options);
        args.extend(["--", "/bin/sh", "-c", script]);
        let mut command = coordha(self.folder(), args);
        command.env("PATH", "/usr/bin:/bin").env("NAME", name);
        command
    }

    /// One that stands by where another one is active. It keeps its role on a machine that stands still for 3 s.
    pub(crate) fn usual(&self, name: &str, options: &[&str], script: &str) -> Command {
        let usual = ["election.hold_ms=8000", "lease.ttl_ms=30000", "release.timeout_ms=10000"];
        let usual = usual.iter().flat_map(|value| ["--set", value]);
        let all: Vec<&str> = ["--active-standby"].into_iter().chain(usual).chain(options.iter().copied()).collect();
        self.command(name, &all, script)
    }

    /// Starts such a one.
    pub(crate) fn start(&self, name: &str, options: &[&str], script: &str) -> Running {
        Running::start(name, self.usual(name, options, script))
    }
}

/// A hold time for a test that waits for its end, and that passes too where the role is lost before.
pub(crate) const BRIEF: [&str; 2] = ["--set", "election.hold_ms=2000"];

/// A hold time for a test that does something in a quarter of it.
pub(crate) const LONG: [&str; 4] = ["--set", "election.hold_ms=20000", "--set", "lease.ttl_ms=60000"];

/// Appends its name and the token, then lines while it lives, and the folder is there.
pub(crate) const BUSY: &str = r#"
    echo "$NAME start $HA_TOKEN $$" >> journal
    while echo "$NAME lives $$" >> journal; do sleep 0.02; done"#;

/// Dropping it kills it.
pub(crate) struct Running {
    name: String,
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(name: &str, command: Command) -> Self {
        Self::start_with(name, command, Stdio::piped())
    }

    /// What it writes to stderr goes there, and is heard where that is a new pipe.
    pub(crate) fn start_with(name: &str, mut command: Command, stderr: Stdio) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let stdout = process.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        let stderr = process.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        for stream in stdout.into_iter().chain(stderr) {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.lock().unwrap().push(line);
                }
            });
        }
        Self { name: name.to_owned(), process, said }
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this, in stdout or stderr.
    pub(crate) fn says(&self, text: &str) -> String {
        let found = |lines: Vec<String>| lines.into_iter().find(|line| line.contains(text));
        until(&format!("{} says `{text}`", self.name), || found(self.said()))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until(&format!("{} ends: {:#?}", self.name, self.said()), || self.process.try_wait().unwrap())
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// The cgroup of its command, if it has one.
    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        let line = fs::read(format!("/proc/{}/cmdline", self.guardian())).unwrap();
        let line = String::from_utf8(line).unwrap();
        let mut words = line.split('\0').skip_while(|word| *word != "--cgroup").skip(1);
        words.next().map(PathBuf::from)
    }

    /// The PID of its guardian.
    pub(crate) fn guardian(&self) -> i32 {
        self.part("__guard")
    }

    /// The PID of its child that is called so.
    pub(crate) fn part(&self, name: &str) -> i32 {
        let is_it = |pid: &&str| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).split('\0').nth(1) == Some(name)
        };
        until(name, || {
            let pid = self.process.id();
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            children.split_whitespace().find(is_it).map(|pid| pid.parse().unwrap())
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process is stopped.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// Whether a process lives: one that is dead and not yet reaped does not.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn until_dead(pid: &str) {
    until(&format!("process {pid} is dead"), || (!lives(pid)).then_some(()));
}
