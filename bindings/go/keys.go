//go:build cgo

package coordha

// The names of all settings, for [Config.Settings] and [Config.Value]. What each means, its range and its default:
// docs/CONFIGURATION.md, and the C header. Times are whole numbers of milliseconds there.
const (
	KeyRole                        = "role"
	KeyAddress                     = "address"
	KeyStoreURL                    = "store.url"
	KeyRoot                        = "root"
	KeyActiveStandbyEnabled        = "active_standby.enabled"
	KeyPriority                    = "priority"
	KeyRecordVersion               = "record.version"
	KeyActivationAuto              = "activation.auto"
	KeySessionShared               = "session.shared"
	KeyActivationTimeoutMS         = "activation.timeout_ms"
	KeyActivationBackoffMS         = "activation.backoff_ms"
	KeyDeactivationTimeoutMS       = "deactivation.timeout_ms"
	KeyReleaseTimeoutMS            = "release.timeout_ms"
	KeyLeaseTTLMS                  = "lease.ttl_ms"
	KeyElectionHoldMS              = "election.hold_ms"
	KeyElectionRereadMS            = "election.reread_ms"
	KeyElectionRankStepMS          = "election.rank_step_ms"
	KeyElectionPaused              = "election.paused"
	KeyElectionSameHostProof       = "election.same_host_proof"
	KeyExclusiveWaitMS             = "exclusive.wait_ms"
	KeyEventsQueue                 = "events.queue"
	KeyTxnInflight                 = "txn.inflight"
	KeyStoreRequestTimeoutMS       = "store.request_timeout_ms"
	KeyStoreEtcdConnectTimeoutMS   = "store.etcd.connect_timeout_ms"
	KeyStoreEtcdKeepaliveMS        = "store.etcd.keepalive_ms"
	KeyStoreEtcdKeepaliveTimeoutMS = "store.etcd.keepalive_timeout_ms"
	KeyStoreEtcdUser               = "store.etcd.user"
	KeyStoreEtcdPassword           = "store.etcd.password"
	KeyStoreEtcdTLSEnabled         = "store.etcd.tls.enabled"
	KeyStoreEtcdTLSCA              = "store.etcd.tls.ca"
	KeyStoreEtcdTLSCert            = "store.etcd.tls.cert"
	KeyStoreEtcdTLSKey             = "store.etcd.tls.key"
	KeyStoreEtcdTLSServerName      = "store.etcd.tls.server_name"
	KeyStoreEtcdTLSMinVersion      = "store.etcd.tls.min_version"
	KeyLogFormat                   = "log.format"
	KeyLogStandbyMS                = "log.standby_ms"
)
