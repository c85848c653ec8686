//! Endpoints: one connection each, the login over it, and which endpoint is used next.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, KvClient, LeaseClient, MaintenanceClient, WatchClient};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Uri};
use tower::service_fn;
use tracing::{debug, info, warn};

use super::dial::Connector;
use super::error::Failure;
use super::options::{Address, EtcdOptions, addresses, check_values};
use super::tls::Tls;
use super::watch::Hub;
use crate::error::{Error, Result};
use crate::kv::StoreError;
use crate::metrics::StoreCounts;

/// Replies of any size are read: etcd's own client does the same.
const MAX_REPLY: usize = i32::MAX as usize;

/// etcd closes a connection whose client pings more often (`--grpc-keepalive-min-time`), after the third time.
const MIN_KEEPALIVE: Duration = Duration::from_secs(5);

/// A request with a shorter limit that runs into it says nothing of the endpoint, which all sessions share. No request of
/// an election has one: `election.hold_ms` is at least four times it, and `store.request_timeout_ms` at least this.
const SHORTEST_FAULT: Duration = Duration::from_millis(50);

/// How long an endpoint may be silent, where there is another one to ask.
const SILENCE: Duration = Duration::from_secs(1);

/// Locks; what a panic left behind is whole, as no guard is held over a step that can fail.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All endpoints of a store.
pub(super) struct Pool {
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    /// Index of the endpoint in use.
    current: AtomicUsize,
    /// Counts faults, so that of several faulty endpoints the one whose fault is oldest comes next.
    faults: AtomicU64,
    /// Closed when the store is dropped: then all its tasks end.
    pub(super) closing: watch::Receiver<()>,
    /// A question that one endpoint does not answer is put to the next one: see [`Pool::ask`].
    asks_around: bool,
    /// etcd has said of a NOSPACE alarm that it is on: see `txn`.
    pub(super) is_full: AtomicBool,
    counts: StoreCounts,
}

impl Pool {
    /// Checks the options and reads the certificates. Touches no network.
    pub(super) fn new(options: &EtcdOptions, closing: watch::Receiver<()>, asks_around: bool) -> Result<Arc<Self>> {
        check_values(options)?;
        let addresses = addresses(options)?;
        let hosts = addresses.iter().map(|address| address.host.as_str());
        let mut tls = match &options.tls {
            Some(tls) => Tls::load(tls, hosts)?.into_iter().map(Some).collect(),
            None => Vec::new(),
        };
        tls.resize_with(addresses.len(), || None);
        let endpoints = addresses
            .into_iter()
            .zip(tls)
            .enumerate()
            .map(|(index, (address, tls))| Arc::new(Endpoint::new(index, address, tls, options)))
            .collect();
        Ok(Arc::new(Self {
            endpoints,
            current: AtomicUsize::new(0),
            faults: AtomicU64::new(0),
            closing,
            asks_around,
            is_full: AtomicBool::new(false),
            counts: StoreCounts::new("etcd"),
        }))
    }

    /// The endpoint in use.
    pub(super) fn current(&self) -> &Arc<Endpoint> {
        &self.endpoints[self.current.load(Ordering::Relaxed)]
    }

    /// Notes that an endpoint failed; where it is the one in use, another takes its place.
    pub(super) fn fault(&self, index: usize, why: &StoreError) {
        let fault = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        self.endpoints[index].fault.store(fault, Ordering::Relaxed);
        let count = self.endpoints.len();
        let next = (1..=count)
            .map(|step| (index + step) % count)
            .min_by_key(|other| self.endpoints[*other].fault.load(Ordering::Relaxed));
        let Some(next) = next else { return };
        let moved = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let (from, to) = (&self.endpoints[index].name, &self.endpoints[next].name);
        if moved && next != index {
            self.counts.switched();
            warn!(from, to, why = %Error::from(why.clone()), "endpoint failed, moving to the next one");
        } else {
            debug!(endpoint = from, ?why, "endpoint failed");
        }
    }

    /// Makes a request at the endpoint in use, within `limit` whatever happens. Where it certainly was not done, the
    /// other endpoints are tried as well.
    pub(super) async fn call<T, F, R>(
        self: &Arc<Self>,
        limit: Duration,
        request: F,
    ) -> std::result::Result<T, StoreError>
    where
        F: Fn(Access) -> R + Sync,
        R: Future<Output = std::result::Result<T, Failure>> + Send,
    {
        let used = AtomicUsize::new(self.current().index);
        match timeout(limit, self.try_all(&used, &request)).await {
            Ok(result) => result,
            Err(_) => {
                let endpoint = &self.endpoints[used.load(Ordering::Relaxed)];
                let message = format!("{}: no answer within {limit:?}", endpoint.name);
                let error = StoreError::Unknown(message);
                if limit >= SHORTEST_FAULT {
                    self.fault(endpoint.index, &error);
                }
                Err(error)
            }
        }
    }

    async fn try_all<T, F, R>(self: &Arc<Self>, used: &AtomicUsize, request: &F) -> std::result::Result<T, StoreError>
    where
        F: Fn(Access) -> R + Sync,
        R: Future<Output = std::result::Result<T, Failure>> + Send,
    {
        let mut failures = Vec::new();
        for _ in 0..self.endpoints.len() {
            let endpoint = self.current().clone();
            used.store(endpoint.index, Ordering::Relaxed);
            let failure = match self.try_one(&endpoint, request).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            if failure.is_endpoint_fault {
                self.fault(endpoint.index, &failure.error);
            }
            if !failure.may_try_another() {
                return Err(failure.error);
            }
            failures.push(failure.error);
        }
        Err(all_failed(failures))
    }

    /// [`Pool::call`] for what changes nothing and may be asked twice. Where the store asks around, each endpoint but the
    /// last has a share of the limit, and one that is silent, or breaks off, is left for the next.
    pub(super) async fn ask<T, F, R>(
        self: &Arc<Self>,
        limit: Duration,
        request: F,
    ) -> std::result::Result<T, StoreError>
    where
        F: Fn(Access) -> R + Sync,
        R: Future<Output = std::result::Result<T, Failure>> + Send,
    {
        if !self.asks_around {
            return self.call(limit, request).await;
        }
        let (begin, count) = (Instant::now(), self.endpoints.len());
        let share = u32::try_from(count).map_or(Duration::ZERO, |count| limit / count).min(SILENCE);
        let mut failures = Vec::new();
        for turn in 1..=count {
            let endpoint = self.current().clone();
            let part = if turn < count { share } else { limit.saturating_sub(begin.elapsed()) };
            let failure = match timeout(part, self.try_one(&endpoint, &request)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let message = format!("{}: no answer within {:?}", endpoint.name, whole_ms(part));
                    Failure::unreachable(StoreError::Unavailable(message))
                }
            };
            if !failure.is_endpoint_fault {
                return Err(failure.error);
            }
            self.fault(endpoint.index, &failure.error);
            failures.push(failure.error);
        }
        Err(all_failed(failures))
    }

    async fn try_one<T, F, R>(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        request: &F,
    ) -> std::result::Result<T, Failure>
    where
        F: Fn(Access) -> R + Sync,
        R: Future<Output = std::result::Result<T, Failure>> + Send,
    {
        let login = endpoint.login(0).await?;
        let access = |login| Access { pool: self.clone(), endpoint: endpoint.clone(), login };
        let stale = login.generation;
        let result = match request(access(login)).await {
            Err(failure) if failure.is_login_stale && endpoint.has_credentials() => {
                let login = endpoint.login(stale).await?;
                request(access(login)).await
            }
            result => result,
        };
        if result.is_ok() {
            endpoint.fault.store(0, Ordering::Relaxed);
            self.learn_version(endpoint);
        }
        result
    }

    /// Asks for the version of the server, once for each endpoint that has answered; where it does not say, again and
    /// again, ever more rarely.
    fn learn_version(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        if endpoint.version.get().is_some() || !lock(&endpoint.version_asked).is_due(Instant::now()) {
            return;
        }
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let status = async {
                let login = endpoint.login(0).await.ok()?;
                login.maintenance.clone().status().await.ok()
            };
            if let Ok(Some(status)) = timeout(endpoint.request_timeout, status).await
                && endpoint.version.set(status.version().to_owned()).is_ok()
            {
                info!(endpoint = endpoint.name, version = status.version(), "connected to etcd");
            }
        });
    }
}

/// Rounded up, for people.
fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

/// What all endpoints have said, each in its turn.
fn all_failed(failures: Vec<StoreError>) -> StoreError {
    let is_tls = failures.iter().any(|failure| matches!(failure, StoreError::Tls(_)));
    let words = failures.into_iter().map(|failure| Error::from(failure).message().to_owned());
    let message = words.collect::<Vec<_>>().join("; ");
    if is_tls { StoreError::Tls(message) } else { StoreError::Unavailable(message) }
}

/// When something was asked for that nothing hangs on.
#[derive(Default)]
struct Asked {
    times: u32,
    next: Option<Instant>,
}

impl Asked {
    /// Whether to ask now: the first time, then after a pause of 1 s that doubles up to 17 min.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + Duration::from_secs(1 << self.times.min(10)));
        self.times += 1;
        true
    }
}

/// What a request is made with.
pub(super) struct Access {
    pub(super) pool: Arc<Pool>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) login: Arc<Login>,
}

impl Access {
    /// Reads an error of this endpoint's.
    pub(super) fn failure(&self, error: etcd_client::Error) -> Failure {
        Failure::new(&self.endpoint.name, error)
    }
}

/// Clients that carry one token, or none.
pub(super) struct Login {
    /// Grows with each login at this endpoint; from 1.
    pub(super) generation: u64,
    pub(super) kv: KvClient,
    pub(super) lease: LeaseClient,
    pub(super) watch: WatchClient,
    pub(super) maintenance: MaintenanceClient,
    #[cfg(feature = "cli")]
    pub(super) cluster: etcd_client::ClusterClient,
}

type LoginResult = std::result::Result<Arc<Login>, StoreError>;

#[derive(Default)]
struct LoginState {
    generation: u64,
    current: Option<Arc<Login>>,
    /// Where the login that is under way will put its result.
    running: Option<watch::Receiver<Option<LoginResult>>>,
}

/// One member: one connection, made when it is first needed and again when it broke.
pub(super) struct Endpoint {
    pub(super) index: usize,
    /// `host:port`.
    pub(super) name: String,
    connector: Connector,
    origin: Uri,
    options: EtcdOptions,
    request_timeout: Duration,
    channel: OnceLock<Channel>,
    login: Mutex<LoginState>,
    /// Number of its newest fault; 0 where it answered since.
    fault: AtomicU64,
    pub(super) version: OnceLock<String>,
    version_asked: Mutex<Asked>,
    /// The stream that new watches join.
    pub(super) hub: tokio::sync::Mutex<Option<Hub>>,
}

impl Endpoint {
    fn new(index: usize, address: Address, tls: Option<Tls>, options: &EtcdOptions) -> Self {
        Self {
            index,
            name: address.name,
            connector: Connector { host: address.host, port: address.port, limit: options.connect_timeout, tls },
            origin: address.origin,
            options: options.clone(),
            request_timeout: options.request_timeout,
            channel: OnceLock::new(),
            login: Mutex::default(),
            fault: AtomicU64::new(0),
            version: OnceLock::new(),
            version_asked: Mutex::default(),
            hub: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.options.credentials.is_some()
    }

    /// The channel, which connects by itself. Needs a runtime, as all that follows.
    fn channel(&self) -> &Channel {
        self.channel.get_or_init(|| {
            let connector = self.connector.clone();
            // TLS is ours, so the channel must not think of any: only the requests name the scheme.
            Channel::builder(Uri::from_static("http://etcd"))
                .origin(self.origin.clone())
                .http2_keep_alive_interval(self.options.keepalive.max(MIN_KEEPALIVE))
                .keep_alive_timeout(self.options.keepalive_timeout)
                // etcd closes a connection that pings without an open stream.
                .keep_alive_while_idle(false)
                .connect_with_connector_lazy(service_fn(move |_: Uri| connector.clone().connect()))
        })
    }

    /// The login in use, if it is newer than `stale`, or else a new one. Whoever asks meanwhile shares it, and it goes
    /// on where one of them gives up: a password is checked slowly, on purpose.
    pub(super) async fn login(self: &Arc<Self>, stale: u64) -> std::result::Result<Arc<Login>, Failure> {
        let mut running = {
            let mut state = lock(&self.login);
            match &state.current {
                Some(login) if login.generation > stale => return Ok(login.clone()),
                _ => {}
            }
            match &state.running {
                Some(running) if running.has_changed().is_ok() => running.clone(),
                _ => {
                    let (result, running) = watch::channel(None);
                    state.running = Some(running.clone());
                    tokio::spawn(self.clone().run_login(result));
                    running
                }
            }
        };
        let result = running.wait_for(Option::is_some).await;
        let result = result.ok().and_then(|result| result.clone());
        let gone = || Err(StoreError::Unavailable(format!("{}: the login was given up", self.name)));
        result.unwrap_or_else(gone).map_err(|error| match error {
            StoreError::Auth(_) | StoreError::Permission(_) => Failure::refused(error),
            // Nothing of the request itself was sent.
            StoreError::Unknown(why) => Failure::unreachable(StoreError::Unavailable(why)),
            error => Failure::unreachable(error),
        })
    }

    async fn run_login(self: Arc<Self>, result: watch::Sender<Option<LoginResult>>) {
        let client = match timeout(self.request_timeout, self.client()).await {
            Ok(client) => client.map_err(|error| Failure::new(&self.name, error).error),
            Err(_) => {
                let limit = self.request_timeout;
                Err(StoreError::Unavailable(format!("{}: no login within {limit:?}", self.name)))
            }
        };
        let mut state = lock(&self.login);
        state.running = None;
        let login = client.map(|client| {
            state.generation += 1;
            Arc::new(Login {
                generation: state.generation,
                kv: client.kv_client().max_decoding_message_size(MAX_REPLY),
                lease: client.lease_client(),
                watch: client.watch_client().max_decoding_message_size(MAX_REPLY),
                maintenance: client.maintenance_client(),
                #[cfg(feature = "cli")]
                cluster: client.cluster_client(),
            })
        });
        if let Ok(login) = &login {
            debug!(endpoint = self.name, generation = login.generation, "logged in to etcd");
            state.current = Some(login.clone());
        }
        drop(state);
        result.send_replace(Some(login));
    }

    async fn client(&self) -> std::result::Result<Client, etcd_client::Error> {
        // A member without a leader must say so, not let us wait.
        let options = ConnectOptions::new().with_require_leader(true);
        let channel = || etcd_client::Channel::Tonic(self.channel().clone());
        if let Some(credentials) = &self.options.credentials {
            let (user, password) = (&credentials.user, &credentials.password);
            let with_user = options.clone().with_user(user, password);
            match Client::from_channel(channel(), Some(with_user)).await {
                Err(etcd_client::Error::GRpcStatus(status))
                    if status.message() == "etcdserver: authentication is not enabled" =>
                {
                    warn!(endpoint = self.name, user, "etcd does not ask for users: going without");
                }
                result => return result,
            }
        }
        Client::from_channel(channel(), Some(options)).await
    }

    /// Has the next request log in anew, where this login is still in use.
    pub(super) fn forget_login(&self, generation: u64) {
        let mut state = lock(&self.login);
        if state.current.as_ref().is_some_and(|login| login.generation == generation) {
            state.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_answered_is_asked_for_ever_more_rarely() {
        let mut asked = Asked::default();
        let begin = Instant::now();
        let times: Vec<u64> = (0..4_000).filter(|s| asked.is_due(begin + Duration::from_secs(*s))).collect();
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 3071]);
    }
}
