//! Where a scenario is played: a store, and what can be done to it behind the testers' backs.

use std::sync::Arc;
use std::time::Duration;

use coordha::kv::{KeyRange, Op, Txn};
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore};
use coordha::store::local::LocalStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::etcd::Etcd;
use crate::support::proxy::Proxy;

const LIMIT: Duration = Duration::from_secs(20);

/// One store of a kind, for one scenario in one language.
pub(crate) struct Place {
    runtime: Runtime,
    store: Arc<dyn Store>,
    at: At,
}

enum At {
    Local(TempDir),
    /// Each seat reaches it through a proxy of its own.
    Etcd(Box<Etcd>, Vec<Proxy>),
}

impl Place {
    pub(crate) fn local() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = LocalStore::open(folder.path(), LIMIT).expect("a local store");
        Self { runtime: runtime(), store: Arc::new(store), at: At::Local(folder) }
    }

    pub(crate) fn etcd(seats: usize) -> Self {
        let (etcd, runtime) = (Etcd::start(), runtime());
        let proxies = (0..seats).map(|_| Proxy::start(etcd.endpoint(0))).collect();
        let options = EtcdOptions::new(etcd.endpoints());
        let store = runtime.block_on(async { EtcdStore::new(&options) }).expect("an etcd store");
        Self { runtime, store: Arc::new(store), at: At::Etcd(Box::new(etcd), proxies) }
    }

    /// What a session in this seat is told of it.
    pub(crate) fn url(&self, seat: usize) -> String {
        match &self.at {
            At::Local(folder) => format!("local:{}", folder.path().display()),
            At::Etcd(_, proxies) => format!("etcd://{}", proxies[seat].address()),
        }
    }

    /// Writes without asking.
    pub(crate) fn write(&self, op: Op) {
        let txn = Txn { success: vec![op], ..Txn::default() };
        self.runtime.block_on(self.store.txn(txn, LIMIT)).expect("a write");
    }

    /// Ends the lease of the session whose member key names this address.
    pub(crate) fn revoke(&self, members: &str, address: &str) -> Result<(), String> {
        let range = KeyRange::prefix(members.as_bytes().to_vec());
        let found = self.runtime.block_on(self.store.range(range, 0, LIMIT)).map_err(|error| format!("{error:?}"))?;
        let named = |value: &[u8]| String::from_utf8_lossy(value).contains(&format!("\"{address}\""));
        let member = found.kvs.iter().find(|kv| named(&kv.value)).ok_or("no such member")?;
        self.runtime.block_on(self.store.revoke(member.lease, LIMIT)).map_err(|error| format!("{error:?}"))
    }

    pub(crate) fn proxy(&self, seat: usize, what: &str) -> Result<(), String> {
        let At::Etcd(_, proxies) = &self.at else { return Err("local: has no proxy".into()) };
        match what {
            "drop_replies" => proxies[seat].drop_replies(),
            "black_hole" => proxies[seat].black_hole(),
            "cut" => proxies[seat].cut(),
            "forward" => proxies[seat].forward(),
            other => return Err(format!("{other}: no such thing to do to a proxy")),
        }
        Ok(())
    }

    /// Stops the server, or lets it go on.
    pub(crate) fn server(&self, what: &str) -> Result<(), String> {
        let At::Etcd(etcd, _) = &self.at else { return Err("local: has no server".into()) };
        match what {
            "pause" => etcd.pause(0),
            "resume" => etcd.resume(0),
            other => return Err(format!("{other}: no such thing to do to a server")),
        }
        Ok(())
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}
