//! The processes of `peer`, which stand for Milvus's coordinators.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use coordha::kv::Revision;
use rustix::process::{Pid, Signal, kill_process};

use crate::lines::{Lines, number};
use crate::place::{Arena, Family};

/// Time to live of their leases in these tests, in seconds. Keepalives are a third of it apart, and a busy machine may
/// stand still for 2 or 3 s.
pub(crate) const TTL_S: u32 = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Go, as `tools/go.sh` finds it, in the folder of the peer.
fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new(root().join("tools/go.sh"));
    command.arg("-C").arg(root().join("tests/milvus/peer")).args(arguments);
    command
}

/// The program, built once in a run; an error: why it cannot be had. `$COORDHA_MILVUS_PEER` is another one in its place, with
/// the same flags, orders and lines.
static PROGRAM: LazyLock<Result<PathBuf, &str>> = LazyLock::new(|| {
    if let Some(program) = std::env::var_os("COORDHA_MILVUS_PEER") {
        return Ok(program.into());
    }
    let done = |arguments: &[&str]| go(arguments).output().is_ok_and(|output| output.status.success());
    if !done(&["version"]) {
        return Err("there is no Go (tools/setup.sh test)");
    }
    if !done(&["mod", "download"]) {
        return Err("etcd's Go client cannot be had");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("milvus");
    std::fs::create_dir_all(&folder).unwrap();
    let (program, new) = (folder.join("milvuspeer"), folder.join(format!("milvuspeer.{}", std::process::id())));
    let output = go(&["build", "-trimpath", "-o"]).arg(&new).arg(".").output().unwrap();
    assert!(output.status.success(), "the peer does not build: {}", String::from_utf8_lossy(&output.stderr));
    // A process of an earlier run may still be at the old one.
    std::fs::rename(new, &program).unwrap();
    Ok(program)
});

/// The program; where it cannot be had that is said, as the reason why this test is left out.
pub(crate) fn program(test: &str) -> Option<&'static Path> {
    match &*PROGRAM {
        Ok(program) => Some(program),
        Err(why) => {
            crate::support::skip(test, why);
            None
        }
    }
}

#[test]
fn the_peer_passes_its_own_tests() {
    let another = std::env::var_os("COORDHA_MILVUS_PEER").is_some();
    if another || program("the_peer_passes_its_own_tests").is_none() {
        return;
    }
    let output = go(&["test", "-count=1", "./..."]).output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}", told.concat());
}

/// One of them. Dropping it kills it.
pub(crate) struct Peer {
    pub(crate) name: String,
    role: &'static str,
    process: std::process::Child,
    input: ChildStdin,
    pub(crate) lines: Lines,
}

impl Peer {
    /// Starts one of a release at an address that `number` makes. Each line it says is told to `each`.
    pub(crate) fn start(arena: &Arena<'_>, number: u16, more: &[&str], each: impl Fn(&str) + Send + 'static) -> Self {
        let name = format!("Milvus {} no. {number}", arena.release);
        // The kernel ends it with its test, should the test not come to that.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(arena.program).args(["--release", arena.release]);
        command.args(["--endpoints", &arena.endpoints(), "--root", &arena.root, "--role", arena.role]);
        command.args(["--address", &address(number), "--ttl", &TTL_S.to_string()]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = crate::support::etcd::member::spawn(command).unwrap();
        let input = process.stdin.take().unwrap();
        let lines = Lines::read(&name, "", process.stdout.take().unwrap(), each);
        Self { name, role: arena.role, process, input, lines }
    }

    pub(crate) fn id(&self) -> i64 {
        number(&self.own("registered"), "id")
    }

    /// The first line of a kind about its role: a data coordinator has a second session.
    fn own(&self, kind: &str) -> String {
        self.lines.nth_with(kind, &format!("role={}", self.role), 1)
    }

    /// Its lease, in hexadecimal as etcdctl wants it.
    pub(crate) fn lease(&self) -> String {
        crate::lines::value(&self.own("registered"), "lease").to_owned()
    }

    /// Waits until it holds the active key, and gives the revision of that.
    pub(crate) fn active(&self) -> Revision {
        number(&self.own("active"), "rev")
    }

    pub(crate) fn is_active(&self) -> bool {
        !self.lines.of("active").is_empty()
    }

    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.input, "{order}").unwrap();
    }

    /// Gives an order, and waits until it is carried out.
    pub(crate) fn order(&mut self, order: &str) {
        let n = self.lines.of("done").len() + 1;
        self.tell(order);
        assert_eq!(self.lines.nth("done", n), format!("done {order}"));
    }

    /// Its threads stand still, once its keepalives have begun: those go on.
    pub(crate) fn hang(&mut self, family: Family) {
        if family.asks_for_its_lease() {
            self.lines.nth("time-to-live", 1);
        }
        self.order("hang");
    }

    /// How often it has campaigned so far.
    pub(crate) fn campaigns(&mut self) -> i64 {
        self.count("campaigns")
    }

    /// How often it has listed a role so far.
    pub(crate) fn listings(&mut self) -> i64 {
        self.count("listings")
    }

    fn count(&mut self, what: &str) -> i64 {
        let n = self.lines.of("count").len() + 1;
        self.tell("count");
        number(&self.lines.nth("count", n), what)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL to the process that does the work below one that runs with a subprocess.
    pub(crate) fn kill_subprocess(&self) {
        let pid = number(&self.lines.nth("subprocess", 1), "pid");
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM to one that is active.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        assert_eq!(self.exit_code(), 0);
    }

    /// Waits for its end by itself.
    pub(crate) fn exit_code(mut self) -> i32 {
        self.lines.end();
        self.process.wait().unwrap().code().unwrap_or_else(|| panic!("{} was killed", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} has said: {:#?}", self.name, self.lines.all());
        }
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address of a peer; those of ours begin otherwise.
pub(crate) fn address(number: u16) -> String {
    format!("127.0.0.2:{number}")
}
