"""The configuration keys as type checkers see them; not loaded by a program that runs."""

from __future__ import annotations

from typing import TypedDict


class Keys(TypedDict, total=False):
    """The configuration keys as keyword arguments: dots as underscores, without ``.enabled``."""

    role: str
    address: str
    store_url: str
    root: str
    active_standby: bool
    priority: int
    record_version: str
    activation_auto: bool
    session_shared: bool
    activation_timeout_ms: int
    activation_backoff_ms: int
    deactivation_timeout_ms: int
    release_timeout_ms: int
    lease_ttl_ms: int
    election_hold_ms: int
    election_reread_ms: int
    election_rank_step_ms: int
    election_paused: bool
    election_same_host_proof: bool
    election_milvus_takeover_delay_ms: int
    exclusive_wait_ms: int
    events_queue: int
    txn_inflight: int
    store_request_timeout_ms: int
    store_etcd_connect_timeout_ms: int
    store_etcd_keepalive_ms: int
    store_etcd_keepalive_timeout_ms: int
    store_etcd_user: str
    store_etcd_password: str
    store_etcd_tls: bool
    store_etcd_tls_ca: str
    store_etcd_tls_cert: str
    store_etcd_tls_key: str
    store_etcd_tls_server_name: str
    store_etcd_tls_min_version: str
    log_format: str
    log_standby_ms: int
