//! The exit codes: one table in docs/command.md, the same in each help, and each of them brought about.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::command::{Killed, coordha, ran};
use crate::stream::Stream;
use crate::support::etcd::Etcd;
use crate::support::ports::Port;
use crate::world::{Milvus, World};

const SUBCOMMANDS: [&str; 9] = ["run", "status", "watch", "observe", "doctor", "ids", "config", "completions", "man"];

/// What the help of each subcommand says: `("status", "4")`.
fn told_by_the_help() -> BTreeSet<(String, String)> {
    let mut told = BTreeSet::new();
    for name in SUBCOMMANDS {
        let help = ran(&mut coordha(std::path::Path::new("/"), [name, "--help"])).stdout;
        let (_, codes) = help.split_once("\nExit codes:\n").unwrap();
        for line in codes.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let (code, _) = line.trim().split_once("  ").unwrap();
            told.insert((name.to_owned(), code.to_owned()));
        }
    }
    told
}

#[test]
fn the_table_of_the_page_and_the_help_of_each_subcommand_say_the_same() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command.md")).unwrap();
    let (_, table) = page.split_once("\n| Exit code |").unwrap();
    let mut told = BTreeSet::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        let of = cells[2].trim_end_matches(" |").replace('`', "");
        let of: Vec<&str> = if of == "all" { SUBCOMMANDS.to_vec() } else { of.split(", ").collect() };
        told.extend(of.into_iter().map(|name| (name.to_owned(), cells[0].trim_start_matches("| ").to_owned())));
    }
    assert_eq!(told, told_by_the_help());
}

/// Stores in all the states that lead to an exit code.
struct Stores {
    free: World,
    held: World,
    /// Nobody is there, and nobody comes, as this holds its port.
    gone: World,
    _port: Port,
    /// Of a version that does not exist yet.
    newer: World,
    /// Its counter of server IDs is no number.
    broken: World,
}

impl Stores {
    /// The command with these arguments on one of these stores, or with none.
    fn command(&self, store: &str, args: &str) -> Command {
        match store {
            "newer" => self.newer.command(args),
            "broken" => self.broken.command(args),
            "held" => self.held.command(args),
            "gone" => self.gone.command(args),
            _ if args.starts_with("completions") || args.starts_with("man") => {
                coordha(self.free.path(), args.split(' '))
            }
            _ => self.free.command(args),
        }
    }
}

fn run(options: &str, command: &str) -> String {
    format!("run --role worker --set address=:1 --set exclusive.wait_ms=0 {options} -- {command}")
}

/// Code, store, and what to run there.
fn cases(free: &World) -> Vec<(&'static str, &'static str, String)> {
    let script = |name: &str, text: &str| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o755).open(free.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        format!("./{name}")
    };
    let never = |command: &str| run("--restart never", command);
    vec![
        ("0", "free", never("true")),
        ("2", "free", run("--grace-ms x", "true")),
        ("3", "newer", never("true")),
        ("4", "held", never("true")),
        ("126", "free", never(&script("no-program", "#!/etc/passwd\n"))),
        ("127", "free", never(&script("no-interpreter", "#!/no/such/interpreter\n"))),
        ("*", "free", never("false")),
        ("0", "held", "status --role worker".into()),
        ("2", "held", "status --role No".into()),
        ("3", "gone", "status".into()),
        ("4", "free", "status".into()),
        ("2", "held", "watch --log --set role".into()),
        ("3", "gone", "watch --log".into()),
        ("0", "held", "observe --role worker --once".into()),
        ("1", "held", "observe --role worker --once --exec false".into()),
        ("2", "held", "observe".into()),
        ("3", "gone", "observe --role worker".into()),
        ("4", "free", "observe --role worker --once".into()),
        ("0", "held", "doctor --role worker --set address=:1".into()),
        ("2", "held", "doctor --write=no".into()),
        ("5", "gone", "doctor".into()),
        ("0", "held", "ids".into()),
        ("2", "held", "ids --no-such-option".into()),
        ("3", "gone", "ids".into()),
        ("5", "broken", "ids".into()),
        ("0", "free", "config --role worker".into()),
        ("2", "free", "config --set lease.ttl_ms=1".into()),
        ("0", "", "completions bash".into()),
        ("2", "", "completions no-such-shell".into()),
        ("0", "", "man".into()),
        ("1", "", "man --into no/such/folder".into()),
        ("2", "", "man no-such-subcommand".into()),
    ]
}

impl Stores {
    fn new(etcd: &Etcd) -> Self {
        Milvus(etcd).raw("id", "no number", None);
        let port = Port::take();
        let gone = World { folder: tempfile::TempDir::new().unwrap(), url: format!("etcd://{}", port.address()) };
        let newer = World::local();
        drop(newer.active("worker", "127.0.0.1:5001"));
        let database = rusqlite::Connection::open(newer.path().join("store/coordha.db")).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
        Self { free: World::local(), held: World::local(), gone, _port: port, newer, broken: World::etcd(etcd) }
    }
}

#[test]
fn each_exit_code_that_a_help_tells_can_be_brought_about() {
    let etcd = Etcd::start();
    let stores = Stores::new(&etcd);
    let _active = stores.held.active("worker", "127.0.0.1:5001");
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut see = |args: &str, code: &str| {
        let code = if code.len() == 3 { "126, 127" } else { code };
        seen.insert((args.split(' ').next().unwrap().to_owned(), code.to_owned()));
    };
    for (code, store, args) in &cases(&stores.free) {
        let ran = ran(stores.command(store, args).env("COORDHA_LOG", "off"));
        let wanted = code.parse().unwrap_or(1);
        assert_eq!(ran.code, wanted, "{args} on {store}: {ran:?}");
        let messages = ran.stderr.lines().filter(|line| line.starts_with("coordha: ")).count();
        let is_told = ["1", "3"].contains(code) || code.len() == 3 || (*code, store) == ("4", &"held");
        assert!(!is_told || messages == 1, "{args} on {store}: {ran:?}");
        see(args, code);
    }
    // What it says goes nowhere.
    let writing =
        ["status", "watch --log", "observe --role worker", "doctor", "ids", "config", "completions fish", "man"];
    for args in writing {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let store = if args.starts_with(['c', 'm']) { "" } else { "held" };
        let mut command = stores.command(store, args);
        let mut process = Killed(command.stdout(full).stderr(Stdio::null()).spawn().unwrap());
        assert_eq!(process.ended(args).code(), Some(1), "{args}");
        see(args, "1");
    }
    for (args, line) in [("watch --log", "is active"), ("observe --role worker", "worker: ")] {
        let mut stream = Stream::start(&mut stores.command("held", args));
        stream.line(&[line]);
        assert_eq!(stream.end(Signal::TERM), Some(0), "{args}");
        see(args, "0");
    }
    // Of `run` that is what cannot be had here: no process, no descriptor.
    see("run", "1");
    assert_eq!(seen, told_by_the_help());
}
