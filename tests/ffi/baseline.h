#ifndef COORDHA_H
#define COORDHA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define HA_VERSION_NUMBER (HA_VERSION_MAJOR * 1000000 + HA_VERSION_MINOR * 1000 + HA_VERSION_PATCH)
#define HA_VERSION_MAJOR 0
#define HA_VERSION_MINOR 1
#define HA_VERSION_PATCH 0
int32_t ha_version_number(void);
const char *ha_version_string(void);
bool ha_has_feature(const char *name);
typedef struct ha_config ha_config;
typedef struct ha_error ha_error;
typedef struct ha_event ha_event;
typedef struct ha_log_record ha_log_record;
typedef struct ha_observer ha_observer;
typedef struct ha_session ha_session;
typedef struct ha_txn ha_txn;
#define HA_OK 0
#define HA_PENDING 1
#define HA_ERR_NULL 101
#define HA_ERR_INVALID_ARGUMENT 102
#define HA_ERR_STATE 103
#define HA_ERR_CLOSED 104
#define HA_ERR_TIMEOUT 105
#define HA_ERR_IN_CALLBACK 106
#define HA_ERR_FORKED 107
#define HA_ERR_UNSUPPORTED 108
#define HA_ERR_BUSY 109
#define HA_ERR_ENDED 110
#define HA_ERR_ALREADY_STARTED 111
#define HA_ERR_CONFIG_KEY 201
#define HA_ERR_CONFIG_VALUE 202
#define HA_ERR_CONFIG_MISSING 203
#define HA_ERR_CONFIG_CONFLICT 204
#define HA_ERR_CONFIG_FILE 205
#define HA_ERR_FENCED 301
#define HA_ERR_ROLE_HELD 302
#define HA_ERR_ACTIVATION_FAILED 303
#define HA_ERR_NO_TARGET 304
#define HA_ERR_COMPARE_FAILED 321
#define HA_ERR_UNKNOWN_OUTCOME 322
#define HA_ERR_TOO_LARGE 323
#define HA_ERR_UNAVAILABLE 401
#define HA_ERR_AUTH 402
#define HA_ERR_PERMISSION 403
#define HA_ERR_TLS 404
#define HA_ERR_NO_SPACE 405
#define HA_ERR_REGRESSED 406
#define HA_ERR_CORRUPT 407
#define HA_ERR_STORE_VERSION 408
#define HA_ERR_INTERNAL 901
#define HA_ERR_RESOURCES 902
#define HA_ERR_APPLICATION 10000
const char *ha_status_name(int32_t code);
int32_t ha_error_code(const ha_error *error);
const char *ha_error_name(const ha_error *error);
const char *ha_error_message(const ha_error *error);
const char *ha_error_detail(const ha_error *error, const char *name);
bool ha_error_is_retriable(const ha_error *error);
bool ha_error_is_fatal(const ha_error *error);
void ha_error_free(ha_error *error);
#define HA_KEY_ROLE "role"
#define HA_KEY_ADDRESS "address"
#define HA_KEY_STORE_URL "store.url"
#define HA_KEY_ROOT "root"
#define HA_KEY_ACTIVE_STANDBY_ENABLED "active_standby.enabled"
#define HA_KEY_PRIORITY "priority"
#define HA_KEY_RECORD_VERSION "record.version"
#define HA_KEY_ACTIVATION_AUTO "activation.auto"
#define HA_KEY_SESSION_SHARED "session.shared"
#define HA_KEY_ACTIVATION_TIMEOUT_MS "activation.timeout_ms"
#define HA_KEY_ACTIVATION_BACKOFF_MS "activation.backoff_ms"
#define HA_KEY_DEACTIVATION_TIMEOUT_MS "deactivation.timeout_ms"
#define HA_KEY_RELEASE_TIMEOUT_MS "release.timeout_ms"
#define HA_KEY_LEASE_TTL_MS "lease.ttl_ms"
#define HA_KEY_ELECTION_HOLD_MS "election.hold_ms"
#define HA_KEY_ELECTION_REREAD_MS "election.reread_ms"
#define HA_KEY_ELECTION_RANK_STEP_MS "election.rank_step_ms"
#define HA_KEY_ELECTION_PAUSED "election.paused"
#define HA_KEY_ELECTION_SAME_HOST_PROOF "election.same_host_proof"
#define HA_KEY_ELECTION_MILVUS_TAKEOVER_DELAY_MS "election.milvus_takeover_delay_ms"
#define HA_KEY_EXCLUSIVE_WAIT_MS "exclusive.wait_ms"
#define HA_KEY_EVENTS_QUEUE "events.queue"
#define HA_KEY_TXN_INFLIGHT "txn.inflight"
#define HA_KEY_STORE_REQUEST_TIMEOUT_MS "store.request_timeout_ms"
#define HA_KEY_STORE_ETCD_CONNECT_TIMEOUT_MS "store.etcd.connect_timeout_ms"
#define HA_KEY_STORE_ETCD_KEEPALIVE_MS "store.etcd.keepalive_ms"
#define HA_KEY_STORE_ETCD_KEEPALIVE_TIMEOUT_MS "store.etcd.keepalive_timeout_ms"
#define HA_KEY_STORE_ETCD_USER "store.etcd.user"
#define HA_KEY_STORE_ETCD_PASSWORD "store.etcd.password"
#define HA_KEY_STORE_ETCD_TLS_ENABLED "store.etcd.tls.enabled"
#define HA_KEY_STORE_ETCD_TLS_CA "store.etcd.tls.ca"
#define HA_KEY_STORE_ETCD_TLS_CERT "store.etcd.tls.cert"
#define HA_KEY_STORE_ETCD_TLS_KEY "store.etcd.tls.key"
#define HA_KEY_STORE_ETCD_TLS_SERVER_NAME "store.etcd.tls.server_name"
#define HA_KEY_STORE_ETCD_TLS_MIN_VERSION "store.etcd.tls.min_version"
#define HA_KEY_LOG_FORMAT "log.format"
#define HA_KEY_LOG_STANDBY_MS "log.standby_ms"
#define HA_DIALECT_NATIVE 0
#define HA_DIALECT_MILVUS 1
#define HA_DUMP_TEXT 0
#define HA_DUMP_JSON 1
ha_config *ha_config_new(void);
int32_t ha_config_set(ha_config *config, const char *key, const char *value, ha_error **err);
int32_t ha_config_set_default(ha_config *config,
                              const char *key,
                              const char *value,
                              ha_error **err);
int32_t ha_config_load_yaml(ha_config *config, const char *path, int32_t dialect, ha_error **err);
int32_t ha_config_load_env(ha_config *config, int32_t dialect, ha_error **err);
const char *ha_config_get(const ha_config *config, const char *key);
int32_t ha_config_check(const ha_config *config, ha_error **err);
char *ha_config_dump(const ha_config *config, int32_t format);
void ha_config_free(ha_config *config);
typedef struct {
    size_t struct_size;
    int32_t (*on_activate)(void *user_data, ha_session *session, const ha_event *event);
    int32_t (*on_deactivate)(void *user_data, ha_session *session, const ha_event *event);
    void (*on_event)(void *user_data, ha_session *session, const ha_event *event);
    void *user_data;
    void (*destroy)(void *user_data);
} ha_callbacks;
#define HA_CALLBACKS_INIT { sizeof(ha_callbacks), NULL, NULL, NULL, NULL, NULL }
#define HA_FOREVER (-1)
#define HA_UNTIL_REGISTERED 1
#define HA_UNTIL_ACTIVE 2
#define HA_UNTIL_TERM_ENDING 3
#define HA_UNTIL_ENDED 4
int32_t ha_session_start(const ha_config *config,
                         const ha_callbacks *callbacks,
                         ha_session **session,
                         ha_error **err);
int32_t ha_session_wait(ha_session *session, int32_t until, int64_t timeout_ms, ha_error **err);
int32_t ha_session_activation_done(ha_session *session,
                                   int64_t token,
                                   int32_t status,
                                   const char *why,
                                   ha_error **err);
int32_t ha_session_deactivation_done(ha_session *session, int64_t token, ha_error **err);
int32_t ha_session_request_stop(ha_session *session);
int32_t ha_session_stop(ha_session *session, int64_t timeout_ms, ha_error **err);
int32_t ha_session_resign(ha_session *session, int64_t standby_ms);
int32_t ha_session_set_priority(ha_session *session, int32_t priority);
int32_t ha_session_pause(ha_session *session);
int32_t ha_session_resume(ha_session *session);
void ha_session_free(ha_session *session);
#define HA_ROLE_STARTING 1
#define HA_ROLE_STANDBY 2
#define HA_ROLE_ACTIVATING 3
#define HA_ROLE_ACTIVE 4
#define HA_ROLE_DEACTIVATING 5
#define HA_ROLE_ENDED 6
bool ha_session_is_active(const ha_session *session);
bool ha_session_holds(const ha_session *session, int64_t token);
bool ha_session_is_ending(const ha_session *session, int64_t token);
int64_t ha_session_fencing_token(const ha_session *session);
int64_t ha_session_remaining_ms(const ha_session *session);
int32_t ha_session_role(const ha_session *session);
int64_t ha_session_server_id(const ha_session *session);
const char *ha_session_active_key(const ha_session *session);
int32_t ha_session_holder(const ha_session *session, ha_event **event, ha_error **err);
#define HA_EVENT_REGISTERED 1
#define HA_EVENT_STANDBY 2
#define HA_EVENT_ACTIVATE 10
#define HA_EVENT_ACTIVE 11
#define HA_EVENT_JEOPARDY 12
#define HA_EVENT_SAFE 13
#define HA_EVENT_DEACTIVATE 14
#define HA_EVENT_TERM_ENDED 15
#define HA_EVENT_HOLDER 20
#define HA_EVENT_DEGRADED 21
#define HA_EVENT_RECOVERED 22
#define HA_EVENT_BLOCKED 23
#define HA_EVENT_FOREIGN 24
#define HA_EVENT_TXN_DONE 30
#define HA_EVENT_ENDED 99
#define HA_REASON_STOP 1
#define HA_REASON_RESIGN 2
#define HA_REASON_EXPIRED 10
#define HA_REASON_SUPERSEDED 11
#define HA_REASON_KEY_DELETED 12
#define HA_REASON_LEASE_LOST 13
#define HA_REASON_REGRESSED 14
#define HA_REASON_INTERNAL 15
#define HA_REASON_ACTIVATION_FAILED 20
#define HA_REASON_ACTIVATION_TIMEOUT 21
#define HA_REASON_PAUSED 40
#define HA_REASON_CALLBACK_BUSY 41
#define HA_REASON_BACKOFF 42
#define HA_REASON_MILVUS_HOLDER 43
int32_t ha_session_next_event(ha_session *session, int64_t timeout_ms, ha_event **event);
int32_t ha_session_event_fd(ha_session *session);
int32_t ha_event_kind(const ha_event *event);
const char *ha_event_kind_name(const ha_event *event);
int64_t ha_event_token(const ha_event *event);
int32_t ha_event_reason(const ha_event *event);
bool ha_event_held(const ha_event *event);
int64_t ha_event_remaining_ms(const ha_event *event);
int64_t ha_event_ttl_ms(const ha_event *event);
int64_t ha_event_at_ms(const ha_event *event);
int64_t ha_event_server_id(const ha_event *event);
const char *ha_event_address(const ha_event *event);
const char *ha_event_role_name(const ha_event *event);
const char *ha_event_key(const ha_event *event);
const ha_error *ha_event_error(const ha_event *event);
uint64_t ha_event_missed(const ha_event *event);
uint64_t ha_event_tag(const ha_event *event);
const ha_txn *ha_event_txn(const ha_event *event);
const char *ha_event_text(const ha_event *event);
void ha_event_free(ha_event *event);
int32_t ha_txn_new(ha_session *session, int64_t token, ha_txn **txn, ha_error **err);
void ha_txn_if_revision(ha_txn *txn, const void *key, size_t key_len, int64_t revision);
void ha_txn_if_value(ha_txn *txn,
                     const void *key,
                     size_t key_len,
                     const void *value,
                     size_t value_len);
void ha_txn_put(ha_txn *txn, const void *key, size_t key_len, const void *value, size_t value_len);
void ha_txn_put_leased(ha_txn *txn,
                       const void *key,
                       size_t key_len,
                       const void *value,
                       size_t value_len);
void ha_txn_delete(ha_txn *txn, const void *key, size_t key_len);
void ha_txn_delete_prefix(ha_txn *txn, const void *prefix, size_t prefix_len);
void ha_txn_get(ha_txn *txn, const void *key, size_t key_len);
void ha_txn_get_prefix(ha_txn *txn, const void *prefix, size_t prefix_len, int64_t limit);
int32_t ha_txn_commit(ha_txn *txn, int64_t timeout_ms, ha_error **err);
int32_t ha_txn_submit(ha_txn *txn, uint64_t tag, int64_t timeout_ms, ha_error **err);
int64_t ha_txn_revision(const ha_txn *txn);
size_t ha_txn_count(const ha_txn *txn);
const char *ha_txn_key(const ha_txn *txn, size_t index, size_t *len);
const char *ha_txn_value(const ha_txn *txn, size_t index, size_t *len);
int64_t ha_txn_mod_revision(const ha_txn *txn, size_t index);
void ha_txn_free(ha_txn *txn);
int32_t ha_observer_start(const ha_config *config, ha_observer **observer, ha_error **err);
int32_t ha_observer_current(const ha_observer *observer, ha_event **event, ha_error **err);
int32_t ha_observer_next(ha_observer *observer, int64_t timeout_ms, ha_event **event);
int32_t ha_observer_event_fd(ha_observer *observer);
int32_t ha_observer_request_stop(ha_observer *observer);
void ha_observer_free(ha_observer *observer);
char *ha_metrics_text(void);
#define HA_LOG_OFF 0
#define HA_LOG_ERROR 1
#define HA_LOG_WARN 2
#define HA_LOG_INFO 3
#define HA_LOG_DEBUG 4
#define HA_LOG_TRACE 5
typedef void (*ha_log_fn)(void *user_data, const ha_log_record *record);
int32_t ha_log_set_callback(int32_t level,
                            ha_log_fn receive,
                            void *user_data,
                            void (*destroy)(void *user_data));
int32_t ha_log_next(int64_t timeout_ms, ha_log_record **record);
int32_t ha_log_event_fd(void);
int32_t ha_log_record_level(const ha_log_record *record);
const char *ha_log_record_target(const ha_log_record *record);
const char *ha_log_record_message(const ha_log_record *record);
int64_t ha_log_record_unix_ms(const ha_log_record *record);
const char *ha_log_record_fields_json(const ha_log_record *record);
void ha_log_record_free(ha_log_record *record);
void ha_string_free(char *string);
#ifdef __cplusplus
}
#endif
#endif
