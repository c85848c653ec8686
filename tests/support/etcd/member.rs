//! One member: its process, its ports, and how it is asked whether it is well.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::ports::Port;
use super::super::wait::until;
use super::Builder;

/// Lines of a member's log that a failed test shows.
const LOG_TAIL: usize = 30;

/// What became of a start so far.
pub enum Step {
    /// Nothing yet.
    Starting,
    /// It answers linearizable reads.
    Healthy,
    /// It ended, as somebody else listens on one of its ports.
    PortTaken,
}

/// A member, running or not. Dropping it kills it.
pub struct Member {
    name: String,
    builder: Builder,
    client: Port,
    peer: Port,
    /// Health and metrics, without TLS and users.
    metrics: Port,
    data: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Member {
    pub fn new(index: usize, folder: &Path, builder: &Builder) -> Self {
        let name = format!("m{index}");
        Self {
            client: Port::take(),
            peer: Port::take(),
            metrics: Port::take(),
            data: folder.join(&name),
            log: folder.join(format!("{name}.log")),
            builder: builder.clone(),
            process: None,
            name,
        }
    }

    pub fn endpoint(&self) -> String {
        self.client.address()
    }

    /// Its part of `--initial-cluster`.
    pub fn peer(&self) -> String {
        format!("{}=http://{}", self.name, self.peer.address())
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the member runs").id()
    }

    pub fn spawn(&mut self, cluster: &str) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a log file");
        let mut command = dies_with_us(&self.builder.version.etcd());
        command
            .args(self.arguments(cluster))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log);
        let child = spawn(command).expect("etcd is installed and can be started");
        self.process = Some(child);
    }

    fn arguments(&self, cluster: &str) -> Vec<String> {
        let scheme = if self.builder.tls.is_some() { "https" } else { "http" };
        let client = format!("{scheme}://{}", self.client.address());
        let peer = format!("http://{}", self.peer.address());
        // Several members on a busy machine need more patience with each other than one with itself. The smallest
        // lease is 1 s either way.
        let (heartbeat, election) = if self.builder.members == 1 { (10, 100) } else { (50, 500) };
        let mut arguments = vec![
            format!("--name={}", self.name),
            format!("--data-dir={}", self.data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--listen-metrics-urls=http://{}", self.metrics.address()),
            format!("--initial-cluster={cluster}"),
            "--logger=zap".into(),
        ];
        if !self.builder.own_settings {
            arguments.push(format!("--heartbeat-interval={heartbeat}"));
            arguments.push(format!("--election-timeout={election}"));
            arguments.push("--unsafe-no-fsync".into());
        }
        if let Some(tls) = &self.builder.tls {
            arguments.push(format!("--cert-file={}", tls.server.cert.display()));
            arguments.push(format!("--key-file={}", tls.server.key.display()));
            if tls.client.is_some() {
                arguments.push(format!("--trusted-ca-file={}", tls.ca.display()));
                arguments.push("--client-cert-auth".into());
            }
        }
        arguments.extend(self.builder.arguments.iter().cloned());
        arguments
    }

    /// Looks once at how the start gets on.
    pub fn step(&mut self) -> Step {
        let process = self.process.as_mut().expect("the member was started");
        if let Some(status) = process.try_wait().expect("the member can be waited for") {
            let log = self.log();
            if log.contains("address already in use") {
                self.process = None;
                return Step::PortTaken;
            }
            panic!("{} ended with {status}:\n{log}", self.name);
        }
        // A store that is full is well enough to be tested.
        match self.ask("health?exclude=NOSPACE") {
            // It is healthy a little before it takes clients.
            Some(health) if health.contains("true") && TcpStream::connect(self.endpoint()).is_ok() => Step::Healthy,
            _ => Step::Starting,
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.ask("metrics")?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    fn ask(&self, what: &str) -> Option<String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build().into();
        let url = format!("http://{}/{what}", self.metrics.address());
        agent.get(&url).call().ok()?.body_mut().read_to_string().ok()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("a PID");
        kill_process(pid, signal).expect("the member can be signalled");
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the member can be killed");
            process.wait().expect("the member can be waited for");
        }
    }

    pub fn copy_data_to(&self, folder: &Path) {
        assert!(self.process.is_none(), "{} runs", self.name);
        copy(&self.data.join("."), folder);
    }

    pub fn copy_data_from(&self, folder: &Path) {
        assert!(self.process.is_none(), "{} runs", self.name);
        fs::remove_dir_all(&self.data).expect("the data can be removed");
        fs::create_dir(&self.data).expect("the folder can be made again");
        copy(&folder.join("."), &self.data);
    }

    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        // Dropped, it is killed: it stays here until it has ended.
        let process = self.process.as_mut().expect("the member runs");
        until("the member ends", || process.try_wait().expect("the member can be waited for"));
        self.process = None;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let first = log.lines().count().saturating_sub(LOG_TAIL);
            let tail: Vec<_> = log.lines().skip(first).collect();
            eprintln!("the log of {} ends so:\n{}", self.name, tail.join("\n"));
        }
        if let Some(mut process) = self.process.take() {
            // SIGKILL ends a paused one too. An error means that it has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.expect("cp can be run").success());
}

/// A command whose process the kernel kills when the thread that started it ends: see [`spawn`].
fn dies_with_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process does, whichever test asked: what dies with its
/// parent dies with the thread that started it.
pub fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: LazyLock<Mutex<mpsc::Sender<Request>>> = LazyLock::new(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(requests)
    });
    let (reply, answer) = mpsc::channel();
    STARTER.lock().expect("no starter panics").send((command, reply)).expect("the starter lives");
    answer.recv().expect("the starter answers")
}
