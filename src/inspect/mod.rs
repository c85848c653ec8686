//! Looking into elections, for the command: the roles below a root, read whole at one revision; what changes in them; how
//! the store fares. Nothing is written, but for [`Inspector::probe`], which says so.

mod chance;
mod follow;
mod health;
mod old_roles;
mod role;
mod snapshot;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::chance::{Chance, Standing};
pub use self::follow::{Follow, Update};
pub use self::health::{Endpoint, Health, Probe};
pub use self::old_roles::OLD_ROLES;
pub use self::role::{Kind, RoleView, SessionView, StandbyView, Stranger, Tenure, TermView};
pub use self::snapshot::{Counter, Snapshot};
pub use crate::store::etcd::{Alarm, ClusterMember, LeaseLeft, MemberStatus};

use crate::config::{Config, InspectorOptions, StoreUrl, keys};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{KeyRange, Op, StoreError, Txn, WatchItem};
use crate::record::Keys;
use crate::session::stores;
use crate::store::Store;
use crate::store::etcd::EtcdStore;

/// How long a watch that stands may take to say that its revision is gone.
const AFTER_START: Duration = Duration::from_millis(300);

/// Looks into the elections of a store. A handle: clones share the connection.
///
/// It lives within one tokio runtime. Every call returns within `store.request_timeout_ms`; of several endpoints, one that is
/// silent is left for the next after a share of that, of 1 s at most.
#[derive(Clone)]
pub struct Inspector {
    options: Arc<InspectorOptions>,
    store: Arc<dyn Store>,
    /// The same store, where it is etcd.
    etcd: Option<Arc<EtcdStore>>,
    takeover_delay_ms: u64,
}

impl Inspector {
    /// Opens the store of a configuration, in which role and address may be missing. Waits for no network; makes nothing: a
    /// local store that is not there is an error.
    ///
    /// # Errors
    /// Those of [`Config::resolve_inspector`]; what opening the store may say;
    /// [`ErrorKind::Unavailable`] where there is no local store.
    pub fn open(config: &Config) -> Result<Self> {
        let options = config.resolve_inspector()?;
        let (store, etcd): (Arc<dyn Store>, _) = match &options.store.url {
            StoreUrl::Etcd { endpoints } => {
                let etcd = Arc::new(EtcdStore::asking_around(&stores::etcd_options(&options.store, endpoints))?);
                (Arc::clone(&etcd) as Arc<dyn Store>, Some(etcd))
            }
            StoreUrl::Local { directory } => {
                if !directory.join("coordha.db").exists() {
                    let message = format!("{}: there is no store (the first session makes it)", options.store.url);
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                (stores::open(&options.store)?, None)
            }
        };
        let delay = config.get(keys::ELECTION_MILVUS_TAKEOVER_DELAY_MS);
        let takeover_delay_ms = delay.and_then(|ms| ms.parse().ok()).unwrap_or(0);
        Ok(Self { options: Arc::new(options), store, etcd, takeover_delay_ms })
    }

    /// The store, as the configuration names it.
    pub fn store_url(&self) -> String {
        self.options.store.url.to_string()
    }

    /// The root of all keys.
    pub fn root(&self) -> &str {
        &self.options.root
    }

    /// The role that the configuration names; `None`: all roles are looked at.
    pub fn role(&self) -> Option<&str> {
        self.options.role.as_deref()
    }

    /// Limit of every request.
    pub fn limit(&self) -> Duration {
        self.options.store.request_timeout
    }

    /// Reads the role, or all roles, whole and at one revision; and where the store says it, how long the leases have left.
    ///
    /// # Errors
    /// Why the store cannot be reached, or refuses; each names the store.
    pub async fn read(&self) -> Result<Snapshot> {
        self.read_of(self.role()).await
    }

    /// [`Inspector::read`] of all roles, whichever the configuration names.
    ///
    /// # Errors
    /// As [`Inspector::read`].
    pub async fn read_all(&self) -> Result<Snapshot> {
        self.read_of(None).await
    }

    async fn read_of(&self, role: Option<&str>) -> Result<Snapshot> {
        let mut snapshot = self.read_keys(role).await?;
        snapshot.leases = self.leases(&snapshot).await;
        Ok(snapshot)
    }

    async fn read_keys(&self, role: Option<&str>) -> Result<Snapshot> {
        let mut ranges = ranges(&self.options.root, role);
        ranges.push(KeyRange::key(format!("{}/session/id", self.options.root)));
        let txn = Txn { success: ranges.into_iter().map(Op::read).collect(), ..Txn::default() };
        let reply = self.store.txn(txn, self.limit()).await.map_err(|error| self.failed(error))?;
        Ok(Snapshot::new(&self.options.root, role, self.takeover_delay_ms, &reply))
    }

    /// How long the leases have left; of those that cannot be learned nothing is said.
    async fn leases(&self, snapshot: &Snapshot) -> snapshot::Leases {
        let Some(etcd) = &self.etcd else { return snapshot::Leases::default() };
        let leases: BTreeSet<_> = snapshot.keys.values().map(|kv| kv.lease).filter(|lease| *lease != 0).collect();
        let mut asked = JoinSet::new();
        for lease in leases {
            let (etcd, limit) = (Arc::clone(etcd), self.limit());
            asked.spawn(async move { (lease, etcd.lease_left(lease, limit).await) });
        }
        let mut known = snapshot::Leases::default();
        while let Some(answer) = asked.join_next().await {
            if let Ok((lease, Ok(left))) = answer {
                known.insert(lease, left.unwrap_or(LeaseLeft { left_ms: 0, granted_ms: 0 }));
            }
        }
        known
    }

    /// Follows what changes in the role, or in all roles.
    pub fn follow(&self) -> Follow {
        Follow::new(self.clone())
    }

    /// The lowest revision that can still be watched; `None`: it cannot be learned.
    pub async fn compacted(&self) -> Option<i64> {
        let range = KeyRange::key(format!("{}/session/id", self.options.root));
        let mut stream = self.store.watch(vec![range], 1, self.limit()).await.ok()?;
        let mut limit = self.limit();
        loop {
            match timeout(limit, stream.recv()).await {
                Ok(Some(WatchItem::Compacted { revision })) => return Some(revision),
                Ok(Some(WatchItem::Events(_))) => return Some(1),
                // A refusal comes right after that; without one, and without a key, nothing more comes.
                Ok(Some(WatchItem::Started)) => limit = limit.min(AFTER_START),
                Err(_) if limit <= AFTER_START => return Some(1),
                _ => return None,
            }
        }
    }

    /// Waits for an answer to the smallest question, and says where it came from: of one that hangs, another endpoint.
    async fn answering(&self) -> String {
        if self.etcd.as_ref().is_some_and(|etcd| etcd.endpoints().len() > 1) {
            // What it says is no matter here: one that does not answer at all has made room for the next.
            let _ = self.store.range(KeyRange::key(format!("{}/session/id", self.root())), 0, self.limit()).await;
        }
        self.store.health().endpoint
    }

    /// The error, with the name of the store before its words.
    fn failed(&self, error: StoreError) -> Error {
        let error = unanswered(error);
        Error::new(error.kind(), format!("{}: {}", self.options.store.url, error.message()))
    }
}

/// A question that was not answered has changed nothing; and who does not understand what is asked here is no etcd.
fn unanswered(error: StoreError) -> Error {
    let error: Error = error.into();
    match error.kind() {
        ErrorKind::UnknownOutcome | ErrorKind::Internal => Error::new(ErrorKind::Unavailable, error.message()),
        _ => error,
    }
}

/// `5 s`, `0.5 s`, `1.25 s`.
pub fn seconds(ms: u64) -> String {
    let (whole, rest) = (ms / 1000, ms % 1000);
    if rest == 0 {
        return format!("{whole} s");
    }
    let rest = format!("{rest:03}");
    format!("{whole}.{} s", rest.trim_end_matches('0'))
}

/// What belongs to a role, or to all.
fn ranges(root: &str, role: Option<&str>) -> Vec<KeyRange> {
    let Some(role) = role else {
        return vec![KeyRange::prefix(format!("{root}/session/")), KeyRange::prefix(format!("{root}/ha/"))];
    };
    let mut ranges = vec![Keys::new(root, role).role_range(), KeyRange::prefix(format!("{root}/ha/{role}/"))];
    if role == "mixcoord" {
        ranges.extend(OLD_ROLES.map(|old| KeyRange::prefix(format!("{root}/session/{old}"))));
    }
    ranges
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("options", &self.options).finish_non_exhaustive()
    }
}
