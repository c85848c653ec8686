//! A real etcd of a test's own: one member or several, on loopback, with its data in a folder that goes with it.
//!
//! ```ignore
//! let etcd = Etcd::start();                                  // one member, ready for work
//! let three = Etcd::builder().members(3).start();            // a cluster that has a leader
//! three.pause(three.leader());                               // SIGSTOP
//! ```
//!
//! Calls block; a test whose own tasks must go on meanwhile makes them in `spawn_blocking`.

pub mod member;

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::certs::{Authority, Pair};
use super::wait::until;
use member::{Member, Step};

/// Which etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Debian's 3.4: `etcd` on the path.
    V3_4,
    /// `$COORDHA_ETCD_3_6`, or `.etcd/3.6/bin/etcd` in this repository.
    V3_6,
    /// `$COORDHA_ETCD_3_7`, or `.etcd/3.7/bin/etcd` in this repository.
    V3_7,
}

impl Version {
    /// The one of all tests that name none: what `$COORDHA_TEST_ETCD` says (3.4, 3.6 or 3.7), else 3.6 where it is
    /// built, else Debian's.
    pub fn of_tests() -> Self {
        match std::env::var("COORDHA_TEST_ETCD").as_deref() {
            Ok("3.4") => Self::V3_4,
            Ok("3.6") => Self::V3_6,
            Ok("3.7") => Self::V3_7,
            Ok(other) => panic!("COORDHA_TEST_ETCD={other}: 3.4, 3.6 or 3.7"),
            Err(_) if Self::V3_6.etcd().exists() => Self::V3_6,
            Err(_) => Self::V3_4,
        }
    }

    /// The server.
    pub fn etcd(self) -> PathBuf {
        let (variable, version) = match self {
            Self::V3_4 => return "etcd".into(),
            Self::V3_6 => ("COORDHA_ETCD_3_6", "3.6"),
            Self::V3_7 => ("COORDHA_ETCD_3_7", "3.7"),
        };
        let built = || {
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            root.join(".etcd").join(version).join("bin/etcd")
        };
        std::env::var_os(variable).map_or_else(built, PathBuf::from)
    }

    /// The command line client beside it.
    pub fn etcdctl(self) -> PathBuf {
        self.etcd().with_file_name("etcdctl")
    }
}

/// What an etcd is started with.
#[derive(Clone, Debug)]
pub struct Builder {
    version: Version,
    members: usize,
    tls: Option<Tls>,
    root_password: Option<String>,
    arguments: Vec<String>,
    own_settings: bool,
}

#[derive(Clone, Debug)]
struct Tls {
    ca: PathBuf,
    server: Pair,
    /// Clients must show this one or another of the same authority.
    client: Option<Pair>,
}

impl Builder {
    /// Another version than [`Version::of_tests`].
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// How many members.
    pub fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// Clients must use TLS. The server's certificate is for `127.0.0.1` and `localhost`.
    pub fn tls(self, authority: &Authority) -> Self {
        self.tls_for(authority, &["127.0.0.1", "localhost"])
    }

    /// Clients must use TLS; the server's certificate is for these hosts.
    pub fn tls_for(mut self, authority: &Authority, hosts: &[&str]) -> Self {
        self.tls = Some(Tls { ca: authority.cert.clone(), server: authority.server(hosts), client: None });
        self
    }

    /// Clients must use TLS and show a certificate of the authority.
    pub fn mutual_tls(self, authority: &Authority) -> Self {
        let client = authority.client("root");
        let mut this = self.tls(authority);
        if let Some(tls) = &mut this.tls {
            tls.client = Some(client);
        }
        this
    }

    /// Authentication is on, with the user `root` and this password.
    pub fn root_password(mut self, password: &str) -> Self {
        self.root_password = Some(password.into());
        self
    }

    /// Tokens of users die so many seconds after their last use.
    pub fn token_ttl_s(self, seconds: u32) -> Self {
        self.argument(format!("--auth-token-ttl={seconds}"))
    }

    /// Size at which the store is full.
    pub fn quota_bytes(self, bytes: u64) -> Self {
        self.argument(format!("--quota-backend-bytes={bytes}"))
    }

    /// By etcd's own settings: each commit waits for the disk, the smallest lease is 2 s.
    pub fn own_settings(mut self) -> Self {
        self.own_settings = true;
        self
    }

    /// One more argument of etcd's own, such as `--max-txn-ops=8`.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts it, and returns once it answers.
    pub fn start(self) -> Etcd {
        // Others may bind a port between the check and the start, so the start itself is the proof.
        for _ in 0..10 {
            if let Some(etcd) = self.try_start() {
                return etcd;
            }
        }
        panic!("etcd found its ports taken ten times in a row");
    }

    fn try_start(&self) -> Option<Etcd> {
        let folder = tempfile::tempdir().expect("a folder for the data");
        let mut members: Vec<_> = (0..self.members).map(|index| Member::new(index, folder.path(), self)).collect();
        let peers: Vec<_> = members.iter().map(Member::peer).collect();
        let cluster = peers.join(",");
        for member in &mut members {
            member.spawn(&cluster);
        }
        let mut etcd = Etcd { builder: self.clone(), members, cluster, _folder: folder };
        for index in 0..etcd.members.len() {
            let started = until("etcd becomes healthy", || match etcd.members[index].step() {
                Step::Starting => None,
                Step::Healthy => Some(true),
                Step::PortTaken => Some(false),
            });
            if !started {
                return None;
            }
        }
        if let Some(password) = &self.root_password {
            etcd.enable_authentication(password);
        }
        Some(etcd)
    }
}

/// A running etcd. Dropping it ends all its members.
pub struct Etcd {
    builder: Builder,
    members: Vec<Member>,
    cluster: String,
    _folder: TempDir,
}

impl Etcd {
    /// One member of [`Version::of_tests`], without TLS and authentication.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// For everything else. The smallest lease is 1 s, unless an argument says otherwise.
    pub fn builder() -> Builder {
        Builder {
            version: Version::of_tests(),
            members: 1,
            tls: None,
            root_password: None,
            arguments: Vec::new(),
            own_settings: false,
        }
    }

    /// `host:port` of each member.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::endpoint).collect()
    }

    /// `host:port` of one member.
    pub fn endpoint(&self, member: usize) -> String {
        self.members[member].endpoint()
    }

    /// The PID of a member that runs.
    pub fn pid(&self, member: usize) -> u32 {
        self.members[member].pid()
    }

    /// The members, by index, that say that they lead. Members that are paused or down say nothing.
    pub fn leaders(&self) -> Vec<usize> {
        (0..self.members.len())
            .filter(|index| self.members[*index].metric("etcd_server_is_leader") == Some(1.0))
            .collect()
    }

    /// The leader; waits for one.
    pub fn leader(&self) -> usize {
        until("the cluster has a leader", || self.leaders().first().copied())
    }

    /// Waits for a leader other than this member, which may be paused or down.
    pub fn leader_other_than(&self, member: usize) -> usize {
        until("another member leads", || self.leaders().into_iter().find(|leader| *leader != member))
    }

    /// One of the metrics of a member, by its whole name with labels; `None` where it does not answer.
    pub fn metric(&self, member: usize, name: &str) -> Option<f64> {
        self.members[member].metric(name)
    }

    /// What a member has logged so far.
    pub fn log(&self, member: usize) -> String {
        self.members[member].log()
    }

    /// SIGSTOP: its connections stay, nothing answers.
    pub fn pause(&self, member: usize) {
        self.members[member].signal(rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self, member: usize) {
        self.members[member].signal(rustix::process::Signal::CONT);
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self, member: usize) {
        self.members[member].kill();
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&mut self, member: usize) {
        self.members[member].stop();
    }

    /// Starts a member again that was killed or stopped, with its data and its ports. Does not wait for it.
    pub fn restart(&mut self, member: usize) {
        let cluster = self.cluster.clone();
        self.members[member].spawn(&cluster);
    }

    /// Copies the data of a member into a new folder. It is down meanwhile, and well again afterwards.
    pub fn backup(&mut self, member: usize) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder for the backup");
        self.stop(member);
        self.members[member].copy_data_to(folder.path());
        self.restart(member);
        self.wait_healthy(member);
        folder
    }

    /// Starts a member anew with what was backed up in the place of its data.
    pub fn restore(&mut self, member: usize, backup: &TempDir) {
        self.stop(member);
        self.members[member].copy_data_from(backup.path());
        self.restart(member);
    }

    /// Waits until a member answers linearizable reads.
    pub fn wait_healthy(&mut self, member: usize) {
        until("etcd becomes healthy again", || match self.members[member].step() {
            Step::Starting => None,
            Step::Healthy => Some(()),
            Step::PortTaken => panic!("the port of a member was taken while it was down"),
        });
    }

    /// Runs `etcdctl` against all members and returns what it wrote; panics where it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        // By itself it gives up after 5 s, which a busy machine may take.
        let arguments = [&["--command-timeout=60s", "--dial-timeout=60s"][..], arguments].concat();
        let output = self.ctl_command(&self.endpoints(), &arguments).output();
        let output = output.expect("etcdctl can be run");
        assert!(output.status.success(), "etcdctl {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `etcdctl`, ready to be run against these endpoints, with the certificates and the user that they ask for.
    pub fn ctl_command(&self, endpoints: &[String], arguments: &[&str]) -> Command {
        let mut command = Command::new(self.builder.version.etcdctl());
        command.env("ETCDCTL_API", "3");
        let scheme = self.scheme();
        let urls: Vec<_> = endpoints.iter().map(|e| format!("{scheme}://{e}")).collect();
        command.arg(format!("--endpoints={}", urls.join(",")));
        if let Some(tls) = &self.builder.tls {
            command.arg("--cacert").arg(&tls.ca);
            if let Some(client) = &tls.client {
                command.arg("--cert").arg(&client.cert);
                command.arg("--key").arg(&client.key);
            }
        }
        if let Some(password) = &self.builder.root_password {
            command.arg(format!("--user=root:{password}"));
        }
        command.args(arguments);
        command
    }

    fn scheme(&self) -> &'static str {
        if self.builder.tls.is_some() { "https" } else { "http" }
    }

    fn enable_authentication(&mut self, password: &str) {
        let root_password = self.builder.root_password.take();
        self.ctl(&["user", "add", &format!("root:{password}")]);
        self.ctl(&["user", "grant-role", "root", "root"]);
        self.ctl(&["auth", "enable"]);
        self.builder.root_password = root_password;
    }
}
