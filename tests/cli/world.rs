//! What the command looks at: stores, sessions, and what Milvus would have written.

use std::path::Path;
use std::process::Command;

use coordha::config::keys;
use coordha::session::Session;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Ran, coordha, ran};
use crate::support::etcd::Etcd;
use crate::support::wait::until;

/// A folder to work in, and a store.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
}

impl World {
    /// The embedded store, in that folder.
    pub(crate) fn local() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("local:{}", folder.path().join("store").display());
        Self { folder, url }
    }

    pub(crate) fn etcd(etcd: &Etcd) -> Self {
        Self { folder: TempDir::new().unwrap(), url: format!("etcd://{}", etcd.endpoints().join(",")) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command with these arguments, split at spaces, on this store.
    pub(crate) fn command(&self, args: &str) -> Command {
        let (subcommand, rest) = args.split_once(' ').unwrap_or((args, ""));
        let mut command = coordha(self.path(), [subcommand, "--store", &self.url]);
        command.args(rest.split(' ').filter(|arg| !arg.is_empty()));
        // What --exec runs is looked for.
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    pub(crate) fn ran(&self, args: &str) -> Ran {
        ran(&mut self.command(args))
    }

    /// What it says as JSON, and its exit code.
    pub(crate) fn json(&self, args: &str) -> (Value, i32) {
        let ran = self.ran(&format!("{args} --json"));
        let value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (value, ran.code)
    }

    /// A session that stands by, and is active as soon as it may.
    pub(crate) fn session(&self, role: &str, address: &str) -> Session {
        let builder = Session::builder()
            .set(keys::STORE_URL, &self.url)
            .set(keys::ROLE, role)
            .set(keys::ADDRESS, address)
            .set(keys::ACTIVE_STANDBY_ENABLED, true)
            .set(keys::ACTIVATION_AUTO, true)
            .set(keys::RELEASE_TIMEOUT_MS, 20_000);
        builder.start().unwrap()
    }

    /// The same, once it is registered.
    pub(crate) fn registered(&self, role: &str, address: &str) -> Session {
        let session = self.session(role, address);
        until("the session is registered", || {
            let (ids, _) = self.json(&format!("ids --role {role}"));
            ids["sessions"].as_array().unwrap().iter().any(|s| s["address"] == address).then_some(())
        });
        session
    }

    /// The same, once it is active.
    pub(crate) fn active(&self, role: &str, address: &str) -> Session {
        let session = self.session(role, address);
        until("the session is active", || session.is_active().then_some(()));
        session
    }
}

/// What Milvus writes, by etcdctl.
pub(crate) struct Milvus<'a>(pub(crate) &'a Etcd);

impl Milvus<'_> {
    /// A lease, by etcdctl's name for it, without zeros before it.
    pub(crate) fn lease(&self) -> String {
        let told = self.0.ctl(&["lease", "grant", "60"]);
        told.split(' ').nth(1).unwrap().trim_start_matches('0').to_owned()
    }

    /// Writes a record as a Milvus process of this release, below `by-dev/meta/session/`.
    pub(crate) fn put(&self, key: &str, role: &str, id: i64, version: &str, lease: &str) {
        let number = i64::from_str_radix(lease, 16).unwrap();
        let address = format!("10.0.0.{id}:53100");
        let record = format!(
            r#"{{"ServerID":{id},"ServerName":"{role}","Address":"{address}","Exclusive":true,"TriggerKill":true,"Version":"{version}","IndexEngineVersion":{{}},"LeaseID":{number},"HostName":"h{id}"}}"#
        );
        self.raw(key, &record, Some(lease));
    }

    /// Writes what an active mixcoord of 2.6.8 or later writes.
    pub(crate) fn mixcoord(&self, id: i64, lease: &str) {
        self.put(&format!("mixcoord-{id}"), "mixcoord", id, "2.6.15", lease);
        for role in ["mixcoord", "rootcoord", "datacoord", "querycoord"] {
            self.put(role, role, id, "2.6.15", lease);
        }
    }

    /// Writes a record as a session of this library that does nothing more.
    pub(crate) fn ours(&self, key: &str, id: i64, lease: &str) {
        let ours =
            r#""Coordha":{"SessionID":"00000000000000000000000000000001","Priority":0,"HoldMs":500,"TtlMs":60000}"#;
        let record = format!(r#"{{"ServerID":{id},"Address":"10.0.0.{id}:1","Version":"2.6.0",{ours}}}"#);
        self.raw(key, &record, Some(lease));
    }

    /// Writes anything.
    pub(crate) fn raw(&self, key: &str, value: &str, lease: Option<&str>) {
        let key = format!("by-dev/meta/session/{key}");
        let lease = lease.map(|lease| format!("--lease={lease}"));
        let mut args = vec!["put", &key, value];
        args.extend(lease.as_deref());
        self.0.ctl(&args);
    }

    pub(crate) fn delete(&self, key: &str) {
        self.0.ctl(&["del", &format!("by-dev/meta/session/{key}")]);
    }
}

/// An etcd that takes no more writes, for want of space.
pub(crate) fn full_etcd() -> Etcd {
    let etcd = Etcd::builder().quota_bytes(1 << 20).start();
    let value = "x".repeat(100_000);
    until("the store is full", || {
        let put = etcd.ctl_command(&etcd.endpoints(), &["put", "fill", &value]).output().unwrap();
        (!put.status.success()).then_some(())
    });
    etcd
}
