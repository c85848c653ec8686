//! docs/walkthrough.md: its commands are run in order, by one shell, and must show what the page shows.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::etcd::Version;
use crate::support::ports::Port;
use crate::support::wait::until;

/// The ports of the page.
const PORTS: [&str; 4] = ["2379", "2380", "53100", "53001"];

/// Options for a machine that is busy: a slow disk costs no term, and who has just lost its program lets the other one win.
const PATIENT: [(&str, &str); 2] = [
    ("--data-dir etcd.data", "--data-dir etcd.data --unsafe-no-fsync"),
    ("--set log.format=milvus", "--set log.format=milvus --set election.hold_ms=10000 --restart-backoff-ms 10000"),
];

/// What follows a log on the page; here the log is looked at until it has what the page shows.
const FOLLOW: &str = "tail -f ";

/// More than anything in the page takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/walkthrough.md")).unwrap()
}

/// The blocks of code: the language, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').map(|(kind, text)| (kind.to_owned(), text.to_owned())).unwrap()).collect()
}

/// Without what is another one each time: numbers, the name of the host, empty lines, spaces in a row.
fn steady(text: &str) -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let steady = |line: &str| {
        let line = line.replace(&format!("\"HostName\":\"{host}\""), "\"HostName\":\"localhost\"");
        let mut kept = String::new();
        for c in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
            match c {
                '0'..='9' if kept.ends_with('0') => {}
                '0'..='9' => kept.push('0'),
                c => kept.push(c),
            }
        }
        without_session_id(&kept)
    };
    text.lines().map(steady).filter(|line| !line.is_empty()).collect()
}

/// The session ID is random, and in hexadecimal.
fn without_session_id(line: &str) -> String {
    let Some((before, rest)) = line.split_once("\"SessionID\":\"") else { return line.to_owned() };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{before}\"SessionID\":\"\"{after}")
}

/// Whether a line of a log is in words that Milvus has too, or no line of a log at all.
fn is_milvus(line: &str) -> bool {
    let own = ["[server_id=", "[role=", "[endpoint="];
    !line.starts_with('[') || line.contains("] [log/mod.rs:") && !own.iter().any(|field| line.contains(field))
}

/// The line that comes again and again while one stands by.
fn comes_again(line: &str) -> bool {
    line.contains("is in STANDBY ...")
}

/// One shell for all of the page. Dropping it ends all that it has started.
struct Shell {
    folder: tempfile::TempDir,
    process: Child,
    input: ChildStdin,
    output: Receiver<String>,
    blocks: usize,
    /// How many lines of each log the page has shown.
    shown: HashMap<PathBuf, usize>,
}

impl Shell {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = Path::new(env!("CARGO_BIN_EXE_coordha")).parent().unwrap().display().to_string();
        let etcd = Version::of_tests().etcd().parent().unwrap().display().to_string();
        let path = [own, etcd, "/usr/local/bin:/usr/bin:/bin".to_owned()];
        let path = path.into_iter().filter(|folder| !folder.is_empty()).collect::<Vec<_>>().join(":");
        let mut command = Command::new("/bin/bash");
        command.args(["--noprofile", "--norc", "-e"]).current_dir(folder.path()).env_clear().env("PATH", path);
        let errors = fs::File::create(folder.path().join("errors")).unwrap();
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = command.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        // Also where this process is killed, and its input ends.
        writeln!(input, "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT").unwrap();
        let (sender, output) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { folder, process, input, output, blocks: 0, shown: HashMap::new() }
    }

    /// Runs a block to its end, and tells what it wrote.
    fn run(&mut self, commands: &str) -> String {
        self.blocks += 1;
        let end = format!("end of block {}", self.blocks);
        writeln!(self.input, "{commands}\necho '{end}'").unwrap();
        let mut written = String::new();
        loop {
            let line = self.output.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error} in\n{commands}\n{written}{}", self.logs()));
            if line == end {
                return written;
            }
            written.push_str(&line);
            written.push('\n');
        }
    }

    /// Waits until a log goes on as the page shows it.
    fn follow(&mut self, log: &str, shown: &str) {
        let path = self.folder.path().join(log);
        let wanted = steady(shown);
        let first = self.shown.get(&path).copied().unwrap_or(0);
        let logs = || self.logs();
        let end = until(&format!("{log} shows\n{shown}"), || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            // The last one may be half written.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            goes_on(whole, first, &wanted).unwrap_or_else(|other| panic!("{log}: {other}, not\n{shown}\n{}", logs()))
        });
        self.shown.insert(path, end);
    }

    /// For whoever looks for what went wrong.
    fn logs(&self) -> String {
        let logs = ["errors", "rootcoord1.log", "rootcoord2.log", "rootcoord3.log"];
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        logs.iter().map(|name| format!("-- {name}\n{}", read(name))).collect()
    }
}

/// The number of lines up to the last that is wanted; `None`: they are not all there yet. Another line in between is an error.
fn goes_on(text: &str, first: usize, wanted: &[String]) -> Result<Option<usize>, String> {
    let mut wanted = wanted.iter().peekable();
    for (n, line) in text.lines().enumerate().skip(first).filter(|(_, line)| is_milvus(line)) {
        let is_next = steady(line).first() == wanted.peek().copied();
        if is_next {
            wanted.next();
        } else if !comes_again(line) {
            return Err(line.to_owned());
        }
        if wanted.peek().is_none() {
            return Ok(Some(n + 1));
        }
    }
    Ok(None)
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Not reaped yet, so the PID is its own. What it has started is in its group; commands end with `coordha run`.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

#[test]
fn the_walkthrough_shows_what_happens() {
    let mut page = page();
    let ports = PORTS.map(|port| (port, Port::take()));
    for (port, free) in &ports {
        page = page.replace(&format!(":{port}"), &format!(":{}", free.number()));
        page = page.replace(&format!("port: {port}"), &format!("port: {}", free.number()));
        page = page.replace(&format!("_PORT={port}"), &format!("_PORT={}", free.number()));
    }
    for (usual, patient) in PATIENT {
        assert!(page.contains(usual), "the page has no {usual}");
        page = page.replace(usual, patient);
    }
    let mut shell = Shell::start();
    let blocks = blocks(&page);
    let mut blocks = blocks.iter().peekable();
    let mut compared = 0;
    while let Some((kind, commands)) = blocks.next() {
        assert_eq!(kind, "sh", "what is shown has a command before it: {commands}");
        let shown = blocks.next_if(|(kind, _)| kind == "text").map(|(_, shown)| shown);
        compared += usize::from(shown.is_some());
        let (commands, log) = match commands.trim_end().rsplit_once('\n') {
            Some((before, last)) if last.starts_with(FOLLOW) => (before, last.strip_prefix(FOLLOW)),
            None => match commands.trim_end().strip_prefix(FOLLOW) {
                Some(log) => ("", Some(log)),
                None => (commands.as_str(), None),
            },
            Some(_) => (commands.as_str(), None),
        };
        let written = shell.run(commands);
        match (log, shown) {
            (Some(log), Some(shown)) => shell.follow(log, shown),
            (Some(log), None) => panic!("the page does not show {log}"),
            (None, Some(shown)) => assert_eq!(steady(&written), steady(shown), "{commands}"),
            (None, None) => {}
        }
    }
    assert!(compared > 10, "the page shows what it does");
}
