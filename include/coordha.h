/**
 * @mainpage Active-standby for coordinators on etcd
 *
 * Several processes stand in an election for a role. One of them is active and serves; when it
 * stops, hangs, dies or is cut off, a standby takes over; and nothing that the old one writes
 * late can do harm, because every write that matters carries a fencing token. The election is
 * held in etcd, or in a directory where all processes are on one host.
 *
 * This file is the manual. It is read from top to bottom: conventions, life of a session, then a
 * section for each noun. Where a question stays open, that is a defect of this file.
 *
 * # The smallest coordinator
 *
 *     // A coordinator that stands by until it is chosen: minimal <store> <host:port>
 *     #include <coordha.h>
 *     #include <inttypes.h>
 *     #include <signal.h>
 *     #include <stdio.h>
 *
 *     static ha_session *session;
 *     static void on_sigterm(int sig) { (void)sig; ha_session_request_stop(session); }
 *
 *     static int32_t activate(void *app, ha_session *s, const ha_event *event) {
 *         (void)app, (void)s; // load what you need; ask ha_session_is_ending() now and then
 *         printf("active, with fencing token %" PRId64 "\n", ha_event_token(event));
 *         return HA_OK; // from now on ha_session_is_active() is true
 *     }
 *
 *     static int32_t deactivate(void *app, ha_session *s, const ha_event *event) {
 *         (void)app, (void)s;
 *         printf("leaving: %s\n", ha_event_held(event) ? "finish what runs" : "the role is lost");
 *         return HA_OK; // nothing of this term runs any more
 *     }
 *
 *     int main(int argc, char **argv) {
 *         ha_error *err = NULL;
 *         ha_config *config = ha_config_new();
 *         ha_callbacks callbacks = HA_CALLBACKS_INIT;
 *         callbacks.on_activate = activate, callbacks.on_deactivate = deactivate;
 *         if (argc != 3 || ha_config_set(config, HA_KEY_STORE_URL, argv[1], &err) != HA_OK ||
 *             ha_config_set(config, HA_KEY_ADDRESS, argv[2], &err) != HA_OK ||
 *             ha_config_set(config, HA_KEY_ROLE, "rootcoord", &err) != HA_OK ||
 *             ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", &err) != HA_OK ||
 *             ha_session_start(config, &callbacks, &session, &err) != HA_OK) {
 *             fprintf(stderr, "%s\n", err ? ha_error_message(err) : "minimal <store> <host:port>");
 *             return 1;
 *         }
 *         signal(SIGTERM, on_sigterm);
 *         ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL);
 *         signal(SIGTERM, SIG_IGN); // a second one must not meet a session that is being freed
 *         ha_session_free(session);
 *         ha_config_free(config);
 *     }
 *
 * Compile with `cc coordinator.c $(pkg-config --cflags --libs coordha)`.
 *
 * # Conventions
 *
 * **Names.** Functions are ha_<noun>_<verb>, constants HA_*. A function never changes once it is
 * released; a new need gets a new name. `@since` says which version has it first.
 *
 * **Handles** (ha_config, ha_session, ha_event, ha_txn, ha_observer, ha_error, ha_log_record) are
 * opaque. What a function gives you through a pointer of yours, or returns without `const`, is
 * yours: free it with the function of its noun. What it returns as `const`, or hands to a
 * callback, is lent: the comment says for how long. Freeing NULL is a no-op. A handle of another
 * type, or NULL where none may be, is refused and never a crash; a handle that was freed is not
 * to be used again.
 *
 * **Failure.** A function that can fail returns an `int32_t`: HA_OK, which is 0, or one of
 * HA_ERR_*. Most take `ha_error **err` as the last argument for the reason in words: it may be
 * NULL, and is always written, with NULL on success. On failure every other out-parameter is NULL
 * or 0. Functions that answer a question return the answer, and false, 0, NULL or -1 where there
 * is none. Nothing here calls abort or exit, and a defect of the library comes back as
 * HA_ERR_INTERNAL.
 *
 * **Strings** in are NUL-terminated UTF-8 and are copied. Bytes are a pointer and a length;
 * (NULL, 0) is empty. Strings out are lent.
 *
 * **Times** are `int64_t` milliseconds. As a limit, 0 means "do not wait" and HA_FOREVER "for
 * ever".
 *
 * **Threads.** Every function may be called from any thread. Two threads may use one handle at
 * once where it is a session or an observer, or where the function takes it as `const`; else one
 * at a time. Threads of the library block all asynchronous signals, and it installs no signal
 * handler. From a signal handler of yours call ha_session_request_stop(), ha_session_is_active(),
 * ha_session_holds(), ha_session_is_ending() and ha_observer_request_stop(), nothing else; and not
 * once ha_session_free() or ha_observer_free() has begun. A second signal may come at any time, so
 * take the handler away before the free, as the example does: `signal(SIGTERM, SIG_IGN)`.
 *
 * **fork.** A child has no part in the sessions and observers of its parent: there every call on
 * a session, a transaction or an observer says HA_ERR_FORKED (questions say false, 0, NULL or -1;
 * ha_session_is_ending() says true), frees nothing and touches no lease. Configurations, events
 * and errors are plain data and stay usable. Where the parent had neither when it forked, the
 * child may start its own.
 *
 * **Never dlclose** the library while a session or an observer lives. A process that just exits,
 * without ha_session_stop(), leaves the role to be taken after the hold time (at once where a
 * standby on the same host sees the process die).
 *
 * **Linking.** `pkg-config --cflags --libs coordha`, or coordha-static for the archive. With CMake
 * `find_package(coordha)`, then the target coordha::coordha or coordha::static. By hand, the
 * archive is followed by these libraries of the system:
 *
 *     -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
 *
 * # The life of a session
 *
 *                        registered               won                  "ready"
 *     start -> STARTING ------------> STANDBY ------------> ACTIVATING --------> ACTIVE
 *              ^  ^  |                 |   ^                 ^      |               |
 *              |  |  |                 |   |                 |      | failed,       | asked to
 *              |  +--|-- lease lost ---+   |                 |      | too slow,     | stop, resign,
 *              |     |                     |                 |      | asked, lost   | or lost
 *              |     +-- won (exclusive) --|-----------------+      v               |
 *              |                           +------ "left" ---- DEACTIVATING <-------+
 *              +------- "left" (exclusive, or the lease is gone) ---+
 *
 *     ENDED <- stop, or a fatal error: from STARTING and STANDBY at once, else after "left" or its
 *              time limit
 *
 * An exclusive session (HA_KEY_ACTIVE_STANDBY_ENABLED is false) has no STANDBY: it waits for the
 * holder to go in STARTING, for HA_KEY_EXCLUSIVE_WAIT_MS at most, and then ends with
 * HA_ERR_ROLE_HELD.
 *
 * A **term** is one time of holding the role. It has a **fencing token**, a number larger than
 * that of every term before it, whoever held those. It has a **deadline**, which the library
 * moves on with each renewal, every quarter of HA_KEY_ELECTION_HOLD_MS; once the deadline has
 * passed the term is over, whatever any thread does or fails to do, and others may begin theirs.
 *
 * "Ready" and "left" are said by you:
 *
 * |                       | With callbacks                       | Pulling events                 |
 * |-----------------------|--------------------------------------|--------------------------------|
 * | you are told to begin | on_activate is called                | HA_EVENT_ACTIVATE              |
 * | you say "ready"       | return HA_OK; or HA_PENDING, later   | ha_session_activation_done()   |
 * |                       | ha_session_activation_done()         |                                |
 * | you say "failed"      | return another code; or HA_PENDING,  | ha_session_activation_done()   |
 * |                       | later ha_session_activation_done()   | with a code and a reason       |
 * | you are told to leave | ha_session_is_ending() at once, then | HA_EVENT_DEACTIVATE            |
 * |                       | on_deactivate is called              |                                |
 * | you say "left"        | return; or HA_PENDING, later         | ha_session_deactivation_done() |
 * |                       | ha_session_deactivation_done()       |                                |
 *
 * - "Ready" makes ha_session_is_active() true. The token is readable, and guarded transactions
 *   work, before that: load and repair what you must while ACTIVATING.
 * - "Left" means: nothing of this term runs any more. Until it is said this session does not
 *   contend (HA_EVENT_BLOCKED); others take over in the meantime.
 * - In an orderly end (stop, resign) the role is kept and renewed while you drain, for
 *   HA_KEY_DEACTIVATION_TIMEOUT_MS at most. When it is lost there is nothing to drain, only to
 *   clean up.
 * - An activation that takes longer than HA_KEY_ACTIVATION_TIMEOUT_MS, or fails, gives the term
 *   up; after HA_KEY_ACTIVATION_BACKOFF_MS, doubling up to 30 s, the session contends again. That
 *   pause, like the one after ha_session_resign(), is at least as long as the others need to take
 *   their turns.
 * - A paused session (ha_session_pause(), or HA_KEY_ELECTION_PAUSED from the start) does not
 *   contend until ha_session_resume(); a role that it holds it keeps.
 * - Acknowledgements name the token: one that comes late, or twice, is an error and never hits a
 *   wrong term.
 * - With HA_KEY_ACTIVATION_AUTO the library says both itself. The smallest programs start without
 *   callbacks, ha_session_wait(s, HA_UNTIL_ACTIVE, ...), and work while ha_session_is_active().
 *
 * # What it guarantees, and what it does not
 *
 * At most one session of a role is active at any time, given clocks whose rate is right within 11
 * percent. A guarded transaction never commits after its term. Tokens grow, unless etcd is restored
 * from an older snapshot, which stops every session that sees it. What it cannot do: stop a
 * thread of yours that asked, was then suspended, and acts late. What you touch outside the store
 * must compare the token; the section on transactions says how.
 */

#ifndef COORDHA_H
#define COORDHA_H

/** @file coordha.h
 * @brief Active-standby for coordinators on etcd: the C header, and its manual. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup version Version and features
 * @{
 */

/** The version of this header, as ha_version_number() gives that of the library. */
#define HA_VERSION_NUMBER (HA_VERSION_MAJOR * 1000000 + HA_VERSION_MINOR * 1000 + HA_VERSION_PATCH)
/** Changes that break programs. 0: none is promised yet. */
#define HA_VERSION_MAJOR 0
/** Additions. */
#define HA_VERSION_MINOR 1
/** Repairs. */
#define HA_VERSION_PATCH 0

/**
 * The version of the library that runs: MAJOR * 1000000 + MINOR * 1000 + PATCH, as
 * HA_VERSION_NUMBER is that of this header. A program that needs a function of a later version
 * compares them.
 *
 * @return The version. Never fails.
 * @since 0.1
 */
int32_t ha_version_number(void);

/**
 * The same as text, such as "0.1.0".
 *
 * @return Static: valid for ever, never freed. Any thread. Never fails.
 * @since 0.1
 */
const char *ha_version_string(void);

/**
 * Whether this build of the library has a feature.
 *
 * @param name "etcd", "local", "tls", "yaml", "metrics", "mirror" or "handover".
 * @return false also for a name that is not known, and for NULL. Any thread.
 * @since 0.1
 */
bool ha_has_feature(const char *name);

/** @} */

/**
 * @defgroup types The opaque types of the header
 * @{
 */

/**
 * The settings of a session, by key. Made by ha_config_new(), yours until ha_config_free().
 */
typedef struct ha_config ha_config;

/**
 * What went wrong. Yours until ha_error_free() where it was given through `err`; lent, and
 * alive as long as the event, where an event has it.
 */
typedef struct ha_error ha_error;

/**
 * Something that happened to a session, or that an observer has seen. Yours until
 * ha_event_free() where it was given through a pointer of yours; lent for the call where a
 * callback gets it. It outlives its session.
 */
typedef struct ha_event ha_event;

/**
 * A log record. Lent for the call of your receiver; yours until ha_log_record_free() where
 * ha_log_next() gave it.
 */
typedef struct ha_log_record ha_log_record;

/**
 * Somebody who looks on: who is active in a role. Made by ha_observer_start(), yours until
 * ha_observer_free().
 */
typedef struct ha_observer ha_observer;

/**
 * A stand in an election: one role, one address. Made by ha_session_start(), yours until
 * ha_session_free().
 */
typedef struct ha_session ha_session;

/**
 * A guarded transaction, and its results. Made by ha_txn_new(), yours until ha_txn_free().
 */
typedef struct ha_txn ha_txn;

/** @} */

/**
 * @defgroup error Status codes and errors
 * A function that can fail returns a status code: HA_OK, or a reason from the list below, the
 * numbers in families with room to grow. Most take `ha_error **err` as well, for the reason in
 * words and in details; pass NULL where the code is enough. `*err` is always written: NULL on
 * success, else an error that is yours to free.
 *
 *     ha_error *err;
 *     if (ha_config_set(c, HA_KEY_LEASE_TTL_MS, ttl, &err) != HA_OK) {
 *         fprintf(stderr, "%s\n", ha_error_message(err));
 *         ha_error_free(err);
 *     }
 *
 * Errors are plain data: they belong to no thread and no session, and outlive both. "Retriable"
 * says that the same call may succeed later; "fatal" that a session which meets it in a call or in
 * HA_EVENT_ENDED is over; what HA_EVENT_FOREIGN and HA_EVENT_DEGRADED carry ends nothing.
 * @{
 */

/**
 * Success. It will always be 0.
 */
#define HA_OK 0

/**
 * Returned by your callback, never by the library: the answer comes later, by
 * ha_session_activation_done() or ha_session_deactivation_done().
 */
#define HA_PENDING 1

/**
 * NULL was given where none may be.
 */
#define HA_ERR_NULL 101

/**
 * An argument is not of the allowed form, or a handle is of another type.
 */
#define HA_ERR_INVALID_ARGUMENT 102

/**
 * Not possible in the session's present state.
 */
#define HA_ERR_STATE 103

/**
 * The handle was closed. Only the bindings of other languages give it.
 */
#define HA_ERR_CLOSED 104

/**
 * The time limit passed; nothing else happened. Retriable.
 */
#define HA_ERR_TIMEOUT 105

/**
 * Not allowed in a callback of the same session: it would wait for itself.
 */
#define HA_ERR_IN_CALLBACK 106

/**
 * This process is a child of `fork`; the session belongs to its parent.
 */
#define HA_ERR_FORKED 107

/**
 * This build or version of the library cannot do it.
 */
#define HA_ERR_UNSUPPORTED 108

/**
 * Too much is waiting already. Retriable.
 */
#define HA_ERR_BUSY 109

/**
 * The session has ended, or its ENDED event was read.
 */
#define HA_ERR_ENDED 110

/**
 * This process has a session with the same role and address already.
 */
#define HA_ERR_ALREADY_STARTED 111

/**
 * No such configuration key.
 */
#define HA_ERR_CONFIG_KEY 201

/**
 * The value is not allowed; details "key", "value", "allowed".
 */
#define HA_ERR_CONFIG_VALUE 202

/**
 * A required key has no value; detail "key".
 */
#define HA_ERR_CONFIG_MISSING 203

/**
 * Two values contradict each other; detail "key".
 */
#define HA_ERR_CONFIG_CONFLICT 204

/**
 * A configuration file cannot be read.
 */
#define HA_ERR_CONFIG_FILE 205

/**
 * The term is over: nothing was written. Also a late or repeated acknowledgement.
 */
#define HA_ERR_FENCED 301

/**
 * Another session holds the role (exclusive sessions); details "holder_address",
 * "holder_server_id". Fatal.
 */
#define HA_ERR_ROLE_HELD 302

/**
 * The application's activation failed; detail "code": the number that it gave.
 */
#define HA_ERR_ACTIVATION_FAILED 303

/**
 * No session can take the role over. Retriable.
 */
#define HA_ERR_NO_TARGET 304

/**
 * A compare of your own failed: nothing was written; the present values are in the results.
 */
#define HA_ERR_COMPARE_FAILED 321

/**
 * Sent, and no answer came: it may have been done, or be done even later, but never after the
 * term.
 */
#define HA_ERR_UNKNOWN_OUTCOME 322

/**
 * More operations or bytes than a transaction may have.
 */
#define HA_ERR_TOO_LARGE 323

/**
 * The store cannot be reached; nothing was sent, or the release at the end is unconfirmed.
 * Retriable.
 */
#define HA_ERR_UNAVAILABLE 401

/**
 * The store refused the user or the password.
 */
#define HA_ERR_AUTH 402

/**
 * The store's user may not do it.
 */
#define HA_ERR_PERMISSION 403

/**
 * TLS could not be set up.
 */
#define HA_ERR_TLS 404

/**
 * The store has no space left; nothing was written. Retriable.
 */
#define HA_ERR_NO_SPACE 405

/**
 * The store's revision went back, as after a restore from a backup. Fatal.
 */
#define HA_ERR_REGRESSED 406

/**
 * A key of this library holds garbage; detail "key". Fatal.
 */
#define HA_ERR_CORRUPT 407

/**
 * The store's version cannot be used. Fatal.
 */
#define HA_ERR_STORE_VERSION 408

/**
 * A defect of this library, caught. The session that met it is lost and deactivates.
 */
#define HA_ERR_INTERNAL 901

/**
 * The system gave no thread, descriptor or memory. Retriable.
 */
#define HA_ERR_RESOURCES 902

/**
 * The first code that is yours: what a failed activation of yours returns, from here up, is
 * never one of the library.
 */
#define HA_ERR_APPLICATION 10000

/**
 * The name of a status code without "HA_" or "HA_ERR_", such as "OK" or "FENCED".
 *
 * @return Static: valid for ever, never freed. "APPLICATION" from HA_ERR_APPLICATION up,
 *         "UNKNOWN" for what this version does not know. Any thread. Never fails.
 * @since 0.1
 */
const char *ha_status_name(int32_t code);

/**
 * The status code of an error: what the call that gave it returned.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
int32_t ha_error_code(const ha_error *error);

/**
 * The name of its status code, as by ha_status_name().
 *
 * @return Static. NULL for NULL.
 * @since 0.1
 */
const char *ha_error_name(const ha_error *error);

/**
 * What happened, in words for a person: it names the key, the value and what is allowed where a
 * value was wrong. The wording may change from version to version; programs read the code and
 * the details.
 *
 * @return Lent: valid as long as the error. NULL for NULL.
 * @since 0.1
 */
const char *ha_error_message(const ha_error *error);

/**
 * A detail for a program to read.
 *
 * @param error the error
 * @param name  "key", "value", "allowed" (configuration, corrupt keys; "key" also: the argument
 *              that is wrong), "holder_address", "holder_server_id" (HA_ERR_ROLE_HELD), "endpoint"
 *              (the store), "code" (HA_ERR_ACTIVATION_FAILED: the number that your activation
 *              failed with, in decimal)
 * @return Lent: valid as long as the error. NULL where it has no such detail.
 * @since 0.1
 */
const char *ha_error_detail(const ha_error *error, const char *name);

/**
 * Whether the same call may succeed later with nothing changed but the time.
 * HA_ERR_UNKNOWN_OUTCOME is not retriable: see the section on transactions.
 *
 * @return false also for NULL.
 * @since 0.1
 */
bool ha_error_is_retriable(const ha_error *error);

/**
 * Whether a session that meets it ends. Errors of HA_EVENT_FOREIGN and HA_EVENT_DEGRADED end none.
 *
 * @return false also for NULL.
 * @since 0.1
 */
bool ha_error_is_fatal(const ha_error *error);

/**
 * Frees an error that was given to you through `err`. NULL is a no-op. Not for one that an
 * event lends.
 * @since 0.1
 */
void ha_error_free(ha_error *error);

/** @} */

/**
 * @defgroup config Configuration
 * A configuration is a set of keys with text values. Every key has a default but two: a role
 * and an address must be given. Times are whole numbers of milliseconds, booleans are true and
 * false. A wrong key or value is refused at once, and the error names the key, the value and
 * what is allowed; ha_config_check() looks at all of them together, as ha_session_start() does
 * before it starts anything.
 *
 *     ha_config *c = ha_config_new();
 *     ha_config_set(c, HA_KEY_ROLE, "rootcoord", NULL);
 *     ha_config_set(c, HA_KEY_ADDRESS, "10.0.0.5:53100", NULL);
 *     ha_config_set(c, HA_KEY_STORE_URL, "etcd://10.0.0.1,10.0.0.2,10.0.0.3", NULL);
 *     ha_config_set(c, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", NULL);
 *
 * A value may come from four places. The highest counts, whatever the order of the calls:
 *
 * 1. ha_config_set(): the program insists;
 * 2. ha_config_load_env(): the environment;
 * 3. ha_config_load_yaml(): a file;
 * 4. ha_config_set_default(): the program proposes;
 *
 * else the key's default. A file holds the keys below the map `coordha:`, as maps in maps or with
 * dots; what stands beside that map is left to others. An empty value, `~` and null mean off.
 *
 *     coordha:
 *       role: rootcoord
 *       store:
 *         url: etcd://10.0.0.1,10.0.0.2,10.0.0.3
 *       lease.ttl_ms: 60000
 *
 * In the environment the same is COORDHA_ROLE, COORDHA_STORE_URL and COORDHA_LEASE_TTL_MS. What
 * is below `coordha:` and is no key, is an error, and so is a variable with the prefix COORDHA_
 * that is none, but for COORDHA_LOG and for what Kubernetes sets for a service whose name begins
 * with "coordha" (COORDHA_PORT=tcp://..., COORDHA_SERVICE_HOST and so on).
 *
 * With HA_DIALECT_MILVUS instead of HA_DIALECT_NATIVE both read Milvus's names too, so that a
 * program can be configured by the files and variables of a Milvus beside it. ha_config_dump() says
 * what counts, and where it comes from.
 *
 * ha_session_start() copies it, so it may be changed, used for another session, or freed. One
 * thread at a time; the functions that take it as `const` may be called from many at once.
 * @{
 */

/**
 * Name of the role, such as rootcoord. All sessions with the same role, root and store stand in one
 * election.
 * Required. Allowed: [a-z][a-z0-9_]{0,62}; no name that merely begins with the name of a Milvus
 * role, no name of a Milvus node, neither id nor version.
 */
#define HA_KEY_ROLE "role"

/**
 * Where clients reach this session; written into its record. An empty host stands for the first
 * unicast IP address of this host, IPv4 before IPv6, as in Milvus.
 * Required. Allowed: host:port, port 1 to 65535, IPv6 in brackets, the host may be empty.
 */
#define HA_KEY_ADDRESS "address"

/**
 * Where the election is held: an etcd cluster by its endpoints (port 2379 where none is given), or
 * a directory for processes of one host, without a server.
 * Default: etcd://localhost:2379. Allowed: etcd://host:port[,host:port...] or `local:<directory>`.
 */
#define HA_KEY_STORE_URL "store.url"

/**
 * Root of all keys in the store. Repeated and trailing slashes are dropped, a leading one is kept,
 * as in Milvus, where it is etcd.rootPath and etcd.metaSubPath joined.
 * Default: by-dev/meta. Allowed: names with slashes between them, at most 1024 bytes.
 */
#define HA_KEY_ROOT "root"

/**
 * On: the session stands by while another one holds the role. Off: it is exclusive, it waits for
 * exclusive.wait_ms at most and then ends with ROLE_HELD.
 * Default: false. Allowed: true or false.
 */
#define HA_KEY_ACTIVE_STANDBY_ENABLED "active_standby.enabled"

/**
 * Of several standbys, the one with the highest priority is tried first.
 * Default: 0. Allowed: a whole number from -1000 to 1000.
 */
#define HA_KEY_PRIORITY "priority"

/**
 * Version in the session's record. Milvus reads it: it is a number of Milvus's, not of this library
 * or of the program.
 * Default: 2.5.0; role mixcoord: 2.6.0. Allowed: a strict semantic version such as 2.5.0.
 */
#define HA_KEY_RECORD_VERSION "record.version"

/**
 * On: the library itself says ready and left, for programs that only ask whether they are active.
 * Default: false. Allowed: true or false.
 */
#define HA_KEY_ACTIVATION_AUTO "activation.auto"

/**
 * On: the sessions of this process with the same store, root and address that have it on share one
 * server ID and one lease, which ends with the last of them; the first one's lease.ttl_ms counts.
 * What was put with the lease stays until then.
 * Default: false. Allowed: true or false.
 */
#define HA_KEY_SESSION_SHARED "session.shared"

/**
 * How long the application may take to say ready. Then the term is released and others are tried.
 * Default: 60000. Allowed: a whole number of ms from 100 to 3600000.
 */
#define HA_KEY_ACTIVATION_TIMEOUT_MS "activation.timeout_ms"

/**
 * Pause after a failed activation, doubling up to 30 s, and after a resignation that names no
 * pause.
 * Default: 1000. Allowed: a whole number of ms from 0 to 600000.
 */
#define HA_KEY_ACTIVATION_BACKOFF_MS "activation.backoff_ms"

/**
 * How long the application may drain in an orderly stop, the role still held. Then the session
 * fences itself and releases.
 * Default: 8000. Allowed: a whole number of ms from 0 to 3600000.
 */
#define HA_KEY_DEACTIVATION_TIMEOUT_MS "deactivation.timeout_ms"

/**
 * How long releasing the role and revoking the lease may take at the end. Then the hold time frees
 * the role. With deactivation.timeout_ms it should stay within what the supervisor grants between
 * SIGTERM and SIGKILL.
 * Default: 2000. Allowed: a whole number of ms from 100 to 60000.
 */
#define HA_KEY_RELEASE_TIMEOUT_MS "release.timeout_ms"

/**
 * Time to live of the session's lease, rounded up to whole seconds; the store may grant more. At
 * least twice election.hold_ms. Milvus standbys and observers go by it; this library's own standbys
 * by the hold time.
 * Default: 60000. Allowed: a whole number of ms from 2000 to 300000.
 */
#define HA_KEY_LEASE_TTL_MS "lease.ttl_ms"

/**
 * Hold time H: how long the active may act after its last renewal. It renews every H / 4; after a
 * loss of its host or network, another takes over in about 1.25 H.
 * Default: 5000. Allowed: a whole number of ms from 200 to 60000.
 */
#define HA_KEY_ELECTION_HOLD_MS "election.hold_ms"

/**
 * Pause between two linearizable re-reads of the role's keys: what a silent watch has hidden is
 * found so.
 * Default: 3000. Allowed: a whole number of ms from 200 to 60000.
 */
#define HA_KEY_ELECTION_REREAD_MS "election.reread_ms"

/**
 * How long a standby waits for each one that ranks before it when the role becomes free.
 * Default: 100. Allowed: a whole number of ms from 10 to 5000.
 */
#define HA_KEY_ELECTION_RANK_STEP_MS "election.rank_step_ms"

/**
 * On: the session starts without contending for the role, until it is resumed.
 * Default: false. Allowed: true or false.
 */
#define HA_KEY_ELECTION_PAUSED "election.paused"

/**
 * On: a holder that is proven dead on this host is followed at once. Off: its hold time is always
 * waited for; needed where child processes act for the role, as they outlive it.
 * Default: true. Allowed: true or false.
 */
#define HA_KEY_ELECTION_SAME_HOST_PROOF "election.same_host_proof"

/**
 * How long the role is left alone after a Milvus holder whose keys are gone, which may act on for a
 * while: for 31 s in releases 2.2.10 to 2.6.6, for its own time to live from 2.6.7 on. It counts
 * from when this session sees that both are gone, its active key and its member key (while the
 * member key stands it is waited for in any case); or from when it starts, or reads what its watch
 * has not shown, and finds the role free. Of no use where no Milvus coordinator stands for the
 * role.
 * Default: 0. Allowed: a whole number of ms from 0 to 120000.
 */
#define HA_KEY_ELECTION_MILVUS_TAKEOVER_DELAY_MS "election.milvus_takeover_delay_ms"

/**
 * How long an exclusive session waits for another holder. -1: the holder's time to live and 5 s,
 * for a Milvus holder 81 s or more; 0: not at all.
 * Default: -1. Allowed: a whole number of ms from -1 to 600000.
 */
#define HA_KEY_EXCLUSIVE_WAIT_MS "exclusive.wait_ms"

/**
 * How many unread events may wait; beyond it the oldest that may be dropped goes first.
 * Default: 256. Allowed: a whole number from 16 to 65536.
 */
#define HA_KEY_EVENTS_QUEUE "events.queue"

/**
 * How many transactions may be submitted whose TXN_DONE was not read; beyond it the next one is
 * refused as BUSY.
 * Default: 1024. Allowed: a whole number from 1 to 65536.
 */
#define HA_KEY_TXN_INFLIGHT "txn.inflight"

/**
 * Limit of every request to the store; for those of the election this or H / 4, whichever is
 * shorter.
 * Default: 5000. Allowed: a whole number of ms from 50 to 60000.
 */
#define HA_KEY_STORE_REQUEST_TIMEOUT_MS "store.request_timeout_ms"

/**
 * Limit of connecting to an etcd endpoint.
 * Default: 5000. Allowed: a whole number of ms from 50 to 60000.
 */
#define HA_KEY_STORE_ETCD_CONNECT_TIMEOUT_MS "store.etcd.connect_timeout_ms"

/**
 * Pause between two HTTP/2 pings to etcd; etcd drops a client that pings more often, so less than
 * 5000 counts as 5000.
 * Default: 5000. Allowed: a whole number of ms from 100 to 60000.
 */
#define HA_KEY_STORE_ETCD_KEEPALIVE_MS "store.etcd.keepalive_ms"

/**
 * How long a ping may stay unanswered before the connection is given up.
 * Default: 2000. Allowed: a whole number of ms from 100 to 60000.
 */
#define HA_KEY_STORE_ETCD_KEEPALIVE_TIMEOUT_MS "store.etcd.keepalive_timeout_ms"

/**
 * User name at etcd.
 * Default: off. Allowed: text without control characters, no space at either end; empty: off.
 */
#define HA_KEY_STORE_ETCD_USER "store.etcd.user"

/**
 * Password of that user.
 * Default: off. Allowed: text without control characters; empty: off.
 */
#define HA_KEY_STORE_ETCD_PASSWORD "store.etcd.password"

/**
 * On: etcd is reached by TLS, and store.etcd.tls.ca is required.
 * Default: false. Allowed: true or false.
 */
#define HA_KEY_STORE_ETCD_TLS_ENABLED "store.etcd.tls.enabled"

/**
 * PEM file with the certificates of the authorities that etcd's certificate may come from.
 * Default: off. Allowed: path of a file; empty: off.
 */
#define HA_KEY_STORE_ETCD_TLS_CA "store.etcd.tls.ca"

/**
 * PEM file with the client's certificate, where etcd asks for one; goes with store.etcd.tls.key.
 * Default: off. Allowed: path of a file; empty: off.
 */
#define HA_KEY_STORE_ETCD_TLS_CERT "store.etcd.tls.cert"

/**
 * PEM file with the private key of store.etcd.tls.cert.
 * Default: off. Allowed: path of a file; empty: off.
 */
#define HA_KEY_STORE_ETCD_TLS_KEY "store.etcd.tls.key"

/**
 * Name that etcd's certificate must be for; off: the endpoint's host.
 * Default: off. Allowed: a host name or IP address; empty: off.
 */
#define HA_KEY_STORE_ETCD_TLS_SERVER_NAME "store.etcd.tls.server_name"

/**
 * Oldest TLS version that is accepted.
 * Default: 1.2. Allowed: 1.2 or 1.3.
 */
#define HA_KEY_STORE_ETCD_TLS_MIN_VERSION "store.etcd.tls.min_version"

/**
 * How the session's states are worded in the log. plain: each with what it means and the numbers
 * that belong to it. milvus: those that Milvus has too in the words and the order of its release
 * 2.2.3, at INFO, the others as in plain.
 * Default: plain. Allowed: plain or milvus.
 */
#define HA_KEY_LOG_FORMAT "log.format"

/**
 * Pause between two log lines that say that the session stands by; 0: none. What keeps it from
 * contending is said with them, a Milvus process in the way at WARN.
 * Default: 10000. Allowed: a whole number of ms from 0 to 3600000.
 */
#define HA_KEY_LOG_STANDBY_MS "log.standby_ms"

/**
 * This library's own names. A file: the keys below the map `coordha:`. The environment: COORDHA_
 * and the key in capitals, dots as `_`.
 */
#define HA_DIALECT_NATIVE 0

/**
 * Milvus's names too, for its coordinators and what stands beside them: docs/CONFIGURATION.md has
 * the list. Capitals and the signs `/`, `_` and `.` do not count. A file: milvus.yaml, in which the
 * map `coordha:` may stand too. The environment: any variable whose name comes to such a key, also
 * after MILVUS_CONF_ (ROOT_COORD_ENABLE_ACTIVE_STANDBY). What means nothing here is left alone;
 * Milvus's configuration centre in etcd is not read.
 */
#define HA_DIALECT_MILVUS 1

/**
 * ha_config_dump(): a line a key, `lease.ttl_ms = 60000    # file, coordha.yaml:3`.
 */
#define HA_DUMP_TEXT 0

/**
 * ha_config_dump(): a JSON array of objects with the texts `key`, `value`, `source` and `place`.
 */
#define HA_DUMP_JSON 1

/**
 * Makes a configuration in which every key has its default.
 *
 * @return Yours until ha_config_free(). NULL where the library met a defect of its own.
 * @since 0.1
 */
ha_config *ha_config_new(void);

/**
 * Sets a key. The value is checked at once, by itself; on failure nothing changes.
 *
 * @param config the configuration
 * @param key    HA_KEY_*
 * @param value  copied
 * @param err    set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_CONFIG_KEY: no such key; HA_ERR_CONFIG_VALUE: the value is not allowed, or
 *         not UTF-8; HA_ERR_INVALID_ARGUMENT: the key is not UTF-8; HA_ERR_NULL. What is said of a
 *         secret is its key, never the value.
 * @since 0.1
 */
int32_t ha_config_set(ha_config *config, const char *key, const char *value, ha_error **err);

/**
 * Proposes a value, which file and environment may overrule. Else as ha_config_set().
 *
 * @param config the configuration
 * @param key    HA_KEY_*
 * @param value  copied
 * @param err    set to why it failed, which is yours to free; or NULL
 * @return HA_OK; as ha_config_set() HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE,
 *         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL.
 * @since 0.1
 */
int32_t ha_config_set_default(ha_config *config,
                              const char *key,
                              const char *value,
                              ha_error **err);

/**
 * Loads a YAML file of at most 1 MiB; of several, the one loaded last counts, key by key.
 *
 * @param config  the configuration
 * @param path    the file; NULL, with HA_DIALECT_MILVUS alone: milvus.yaml, and default.yaml and
 *                user.yaml where they are there, in the folder that the variable MILVUSCONF names,
 *                else in `configs`
 * @param dialect HA_DIALECT_NATIVE or HA_DIALECT_MILVUS
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_CONFIG_FILE: it cannot be read, is no YAML of one document, or has no map
 *         `coordha:`; HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE: something in it is wrong;
 *         HA_ERR_CONFIG_CONFLICT: a key stands in it twice; HA_ERR_UNSUPPORTED: a build without
 *         ha_has_feature("yaml"), or a dialect of a later version; HA_ERR_INVALID_ARGUMENT;
 *         HA_ERR_NULL. The error names the file and the line; several problems come in one error,
 *         whose code and details are those of the first.
 * @since 0.1
 */
int32_t ha_config_load_yaml(ha_config *config, const char *path, int32_t dialect, ha_error **err);

/**
 * Loads the environment of the process as it is now, in place of what was loaded from it before.
 * No other thread may change it meanwhile (setenv).
 *
 * @param config  the configuration
 * @param dialect HA_DIALECT_NATIVE or HA_DIALECT_MILVUS
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE: a variable is wrong, and is named;
 *         several problems come in one error, whose code and details are those of the first;
 *         HA_ERR_UNSUPPORTED: a dialect of a later version; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL.
 * @since 0.1
 */
int32_t ha_config_load_env(ha_config *config, int32_t dialect, ha_error **err);

/**
 * The value that a key has now, from the highest of its sources or by default. Secrets come in
 * plain text.
 *
 * @param config the configuration
 * @param key    HA_KEY_*
 * @return Lent: valid until the next change of the configuration or ha_config_free(). Empty: off.
 *         NULL where there is no such key, or it is required and not set.
 * @since 0.1
 */
const char *ha_config_get(const ha_config *config, const char *key);

/**
 * Checks all values together, without starting anything.
 *
 * @return HA_OK; HA_ERR_CONFIG_MISSING: a required key is not set; HA_ERR_CONFIG_CONFLICT: two
 *         values contradict each other; HA_ERR_NULL. Several problems come in one error, whose
 *         code and details are those of the first.
 * @since 0.1
 */
int32_t ha_config_check(const ha_config *config, ha_error **err);

/**
 * All keys, each with the value that counts and where it comes from: the source (`program`,
 * `environment`, `file`, `proposal`, `default`; `missing`: it is required and not set; `conflict`:
 * its sources contradict each other) and the place. Secrets are shown as `***`; an empty value is
 * off.
 *
 * @param config the configuration
 * @param format HA_DUMP_TEXT or HA_DUMP_JSON
 * @return Yours until ha_string_free(). NULL where the format is neither, or the handle is not one.
 * @since 0.1
 */
char *ha_config_dump(const ha_config *config, int32_t format);

/**
 * Frees a configuration. NULL is a no-op.
 * @since 0.1
 */
void ha_config_free(ha_config *config);

/** @} */

/**
 * @defgroup callbacks Callbacks
 * Pass `ha_callbacks` to ha_session_start(), and the library calls you; pass NULL, and you pull
 * events. A session's callbacks come in order, never two at once, on a thread of the library's
 * that carries no other work: a slow one delays no renewal of the role, only the next callback.
 * Not always on the same thread.
 *
 *     ha_callbacks cb = HA_CALLBACKS_INIT;
 *     cb.on_activate = activate;
 *     cb.user_data = app;
 *
 * - `on_activate` may run before ha_session_start() has returned: use the `session` that it is
 *   given.
 * - Long work in it asks ha_session_is_ending() now and then, and gives up where that is true;
 *   or it returns HA_PENDING at once and another thread says ha_session_activation_done().
 * - In a callback, ha_session_stop() and ha_session_wait() on its own session are refused
 *   (HA_ERR_IN_CALLBACK); ha_session_request_stop(), ha_txn_commit() and even ha_session_free()
 *   are allowed.
 * - A callback must return: no longjmp, no C++ exception out of it.
 * @{
 */

/**
 * What a session calls. Initialise it with HA_CALLBACKS_INIT, then set what you need; it is
 * copied.
 *
 * Later versions add fields at the end. A program that was compiled with an older header passes
 * a smaller `struct_size`, and what it lacks is taken for NULL; one with a newer header than
 * the library is refused (HA_ERR_UNSUPPORTED) only if it uses what the library does not know.
 */
typedef struct {
    /**
     * sizeof(ha_callbacks), as HA_CALLBACKS_INIT sets it.
     */
    size_t struct_size;
    /**
     * The term is won: get ready. The fencing token is ha_event_token(event); guarded
     * transactions work already. Return HA_OK: ready, ha_session_is_active() is true from now
     * on. HA_PENDING: ha_session_activation_done() will say. Any other code: it failed; the
     * term is given up and, after a pause, contended for again. NULL only where activation.auto
     * is true.
     */
    int32_t (*on_activate)(void *user_data, ha_session *session, const ha_event *event);
    /**
     * The term ends: drain where ha_event_held(event), else only clean up. Called once a term,
     * after on_activate has returned, also where that failed. Return HA_PENDING:
     * ha_session_deactivation_done() will say. Anything else: nothing of this term runs any
     * more. NULL: nothing has to be done.
     */
    int32_t (*on_deactivate)(void *user_data, ha_session *session, const ha_event *event);
    /**
     * Every other event; the last is HA_EVENT_ENDED. The event is lent for the call. NULL: they
     * are ignored.
     */
    void (*on_event)(void *user_data, ha_session *session, const ha_event *event);
    /**
     * Yours; handed to every callback. It must live until `destroy` has run.
     */
    void *user_data;
    /**
     * Called exactly once, after the last callback: inside a failing ha_session_start(), inside
     * ha_session_free(), or later on a thread of the library where ha_session_free() did not
     * wait. It must not use the session. NULL: nothing.
     */
    void (*destroy)(void *user_data);
} ha_callbacks;

/** Initialises a `ha_callbacks`: `ha_callbacks cb = HA_CALLBACKS_INIT;` */
#define HA_CALLBACKS_INIT { sizeof(ha_callbacks), NULL, NULL, NULL, NULL, NULL }

/** @} */

/**
 * @defgroup session Sessions
 * A session is one stand in the election of one role, under one address. It is started once and
 * ends once; in between it may hold the role many times, each time in a term of its own with a
 * larger fencing token.
 *
 * Everything here may be called from many threads at once, but ha_session_free() only after all
 * other calls on that session have returned; ha_session_request_stop() makes those return that
 * wait.
 *
 * A process may have many sessions: they share one connection and a few threads, and each has
 * its own server ID and lease. The first one starts the threads, the last ha_session_free()
 * ends them: there is no init and no shutdown call.
 * @{
 */

/**
 * A time limit that never passes. 0 means: do not wait.
 */
#define HA_FOREVER (-1)

/**
 * ha_session_wait(): the session has a server ID and a lease.
 */
#define HA_UNTIL_REGISTERED 1

/**
 * ha_session_wait(): ha_session_is_active() is true, or has been since the call.
 */
#define HA_UNTIL_ACTIVE 2

/**
 * ha_session_wait(): the term that is held at the call was asked to end, or is over; at once
 * where none is held.
 */
#define HA_UNTIL_TERM_ENDING 3

/**
 * ha_session_wait(): the session is over.
 */
#define HA_UNTIL_ENDED 4

/**
 * Starts a session: checks and copies the configuration, and returns without waiting for the
 * network. A store that cannot be reached is an event (HA_EVENT_DEGRADED) and is tried again.
 *
 * @param config    which role, which address, which store. Copied; stays yours.
 * @param callbacks what to call, copied; or NULL: you pull events with ha_session_next_event().
 * @param session   set to the session, which is yours until ha_session_free(); to NULL on failure.
 *                  Callbacks may run before it is set; where one of them has freed the session
 *                  already, it is NULL.
 * @param err       set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_CONFIG_MISSING, HA_ERR_CONFIG_CONFLICT: as ha_config_check() says;
 *         HA_ERR_CONFIG_VALUE: a file or directory that is named cannot be used;
 *         HA_ERR_ALREADY_STARTED: this process has a session with this role and address;
 *         HA_ERR_CORRUPT, HA_ERR_STORE_VERSION, HA_ERR_NO_SPACE, HA_ERR_UNAVAILABLE: what lies
 *         in the directory is damaged or of another version, its disk is full, or it stayed
 *         locked; HA_ERR_INVALID_ARGUMENT, HA_ERR_UNSUPPORTED: the callbacks are wrong, or the
 *         store's kind is not in this build; HA_ERR_RESOURCES; HA_ERR_NULL; HA_ERR_FORKED. On
 *         failure nothing was started, and `destroy` has run.
 * @since 0.1
 */
int32_t ha_session_start(const ha_config *config,
                         const ha_callbacks *callbacks,
                         ha_session **session,
                         ha_error **err);

/**
 * Waits until the session is so far.
 *
 * @param session    the session
 * @param until      HA_UNTIL_REGISTERED, HA_UNTIL_ACTIVE, HA_UNTIL_TERM_ENDING or HA_UNTIL_ENDED
 * @param timeout_ms how long to wait; 0: not at all, HA_FOREVER: until it is so
 * @param err        set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_TIMEOUT; the error that ended the session, such as HA_ERR_ROLE_HELD, or
 *         HA_ERR_ENDED where it ended in order and something else was waited for;
 *         HA_ERR_IN_CALLBACK in a callback of this session; HA_ERR_INVALID_ARGUMENT;
 *         HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_wait(ha_session *session, int32_t until, int64_t timeout_ms, ha_error **err);

/**
 * Says how the activation of a term went: "ready", or failed. Answers HA_EVENT_ACTIVATE where
 * you pull events, and an on_activate that returned HA_PENDING. It is the session's state that
 * counts, not whether the event was read.
 *
 * @param session the session
 * @param token   the term, as ha_event_token() of the event gave it
 * @param status  HA_OK: ready, ha_session_is_active() is true when this has returned. Any other
 *                code but HA_PENDING, yours from HA_ERR_APPLICATION up: failed; the term is given
 *                up and, after a pause, contended for again.
 * @param why     what went wrong, in words, for logs and events; or NULL
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_FENCED: too late, the term is over or was asked to end, or of another
 *         term; HA_ERR_STATE: it is active already; HA_ERR_ENDED; HA_ERR_INVALID_ARGUMENT;
 *         HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_activation_done(ha_session *session,
                                   int64_t token,
                                   int32_t status,
                                   const char *why,
                                   ha_error **err);

/**
 * Says that nothing of a term runs any more. Answers HA_EVENT_DEACTIVATE where you pull events,
 * and an on_deactivate that returned HA_PENDING. Until it is said the session does not contend
 * again, however long that takes.
 *
 * @param session the session
 * @param token   the term, as ha_event_token() of the event gave it
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_FENCED: it was said already, or of another term; HA_ERR_STATE: the term
 *         was not asked to end; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_deactivation_done(ha_session *session, int64_t token, ha_error **err);

/**
 * Asks the session to leave for ever: drain, release the role, end the lease, HA_EVENT_ENDED.
 * Returns at once, and ha_session_is_active() is false when it has returned. Twice is harmless.
 *
 * From any thread, from any callback, and from a signal handler, but not once ha_session_free()
 * has begun: take the handler away before that. errno is kept.
 * @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_request_stop(ha_session *session);

/**
 * ha_session_request_stop(), then waits until all is over: the role is released, and no
 * callback runs or will. Where you pull events, another thread must go on reading and answering
 * them; an event loop asks instead (ha_session_request_stop()) and reads on up to
 * HA_EVENT_ENDED.
 *
 * @return HA_OK; HA_ERR_UNAVAILABLE: over, but the store did not confirm the release, so others
 *         wait for the hold time; HA_ERR_TIMEOUT: it goes on behind, call again;
 *         HA_ERR_IN_CALLBACK in a callback of this session: nothing was done;
 *         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_stop(ha_session *session, int64_t timeout_ms, ha_error **err);

/**
 * Steps down and stays standby: drain, release the role, and contend again after a pause.
 * Returns at once.
 *
 * The pause begins when the term is over. It is never shorter than the others need to take their
 * turns: HA_KEY_ELECTION_HOLD_MS / 4, and HA_KEY_ELECTION_RANK_STEP_MS for each session of the
 * role and once more. With the defaults and no other session that is 1.45 s. After it the session
 * takes its turn like every standby. Where no role is held, the pause begins at once, as it is.
 *
 * @param session    the session
 * @param standby_ms the pause; 0: activation.backoff_ms. A shorter one than the others need counts
 *                   as just that.
 * @return HA_OK; HA_ERR_ENDED; HA_ERR_INVALID_ARGUMENT: it is negative; HA_ERR_NULL;
 *         HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_resign(ha_session *session, int64_t standby_ms);

/**
 * Gives the session another priority, in place of HA_KEY_PRIORITY: of several standbys, the one
 * with the highest is tried first. Its record in the store is written anew, which takes a moment.
 * Returns at once; a held role is kept. Of no effect in an exclusive session.
 *
 * @param session  the session
 * @param priority -1000 to 1000
 * @return HA_OK; HA_ERR_INVALID_ARGUMENT: outside that range; HA_ERR_ENDED; HA_ERR_NULL;
 *         HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_set_priority(ha_session *session, int32_t priority);

/**
 * Does not contend for the role any more, until ha_session_resume(); a role that is held is kept.
 * Returns at once. Twice is harmless.
 *
 * @return HA_OK; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_pause(ha_session *session);

/**
 * Contends again, after ha_session_pause() or where the session was started with
 * HA_KEY_ELECTION_PAUSED. Returns at once. Harmless where it is not paused.
 *
 * @return HA_OK; HA_ERR_ENDED; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_resume(ha_session *session);

/**
 * Ends a session and frees it. NULL is a no-op. A signal handler that uses the session is to be
 * taken away before: `signal(SIGTERM, SIG_IGN)`.
 *
 * After HA_EVENT_ENDED, or after a ha_session_stop() that did not time out, it does not wait.
 * Before, it is a ha_session_stop() of at most deactivation.timeout_ms + release.timeout_ms;
 * past that limit, and in a callback, it gives the role up and returns, what is left is done
 * behind, and `destroy` tells when all is over. A callback that comes after that may still use
 * the `session` that it is given. Where you pull events nobody is left to answer them: the role
 * is given up without a drain.
 *
 * In a child of `fork` it does nothing.
 * @since 0.1
 */
void ha_session_free(ha_session *session);

/** @} */

/**
 * @defgroup role May I act? Who is active?
 * Three questions, three calls, without a lock and without a system call but the clock:
 *
 * - **May I take new work?** ha_session_is_active().
 * - **May this step of work, begun in term t, still act?** ha_session_holds(session, t). A
 *   later term of the same session answers false.
 * - **Should the work of term t wind up?** ha_session_is_ending(session, t).
 *
 * | ha_session_role()        | is_active | holds(t) | fencing_token | is_ending(t) | remaining_ms |
 * |--------------------------|-----------|----------|---------------|--------------|--------------|
 * | STARTING, STANDBY, ENDED | false     | false    | 0             | true         | 0            |
 * | ACTIVATING               | false     | true     | t             | false        | to deadline  |
 * | ACTIVE                   | true      | true     | t             | false        | to deadline  |
 * | DEACTIVATING, role held  | false     | true     | t             | true         | to deadline  |
 * | DEACTIVATING, role lost  | false     | false    | 0             | true         | 0            |
 * | any, past the deadline   | false     | false    | 0             | true         | 0            |
 *
 * A half-loaded or draining coordinator takes no request, while activation and drain can still
 * write. All of them read the clock: no thread of the library has to run in time for the answer
 * to be right. What they cannot do is act for you: a thread that asked and was then stopped for
 * a while may act late. So let what you write carry the token, see the section on transactions.
 * @{
 */

/**
 * ha_session_role(): not registered yet. An exclusive session waits here for the holder to go.
 */
#define HA_ROLE_STARTING 1

/**
 * ha_session_role(): registered and contending.
 */
#define HA_ROLE_STANDBY 2

/**
 * ha_session_role(): the role is held, and you are getting ready.
 */
#define HA_ROLE_ACTIVATING 3

/**
 * ha_session_role(): the role is held, and you said "ready".
 */
#define HA_ROLE_ACTIVE 4

/**
 * ha_session_role(): the term ends or has ended, and you have not said "left" yet.
 */
#define HA_ROLE_DEACTIVATING 5

/**
 * ha_session_role(): over for ever.
 */
#define HA_ROLE_ENDED 6

/**
 * May new work be taken? True from "ready" to the end of the term, while its deadline lies
 * ahead.
 *
 * @return false also for NULL and in a child of `fork`.
 * @since 0.1
 */
bool ha_session_is_active(const ha_session *session);

/**
 * May a step of work that was begun in this term still act? True while the role is held in that
 * very term, also while getting ready and while draining.
 *
 * @param session the session
 * @param token   the term, as ha_event_token() or ha_session_fencing_token() gave it
 * @return false also for NULL and in a child of `fork`.
 * @since 0.1
 */
bool ha_session_holds(const ha_session *session, int64_t token);

/**
 * Should the work of this term wind up? True from a request to stop or resign on, and for every
 * term that is not the current one.
 *
 * @param session the session
 * @param token   the term
 * @return true also for NULL and in a child of `fork`: work that cannot ask must end.
 * @since 0.1
 */
bool ha_session_is_ending(const ha_session *session, int64_t token);

/**
 * The fencing token of the term that is held: it grows from term to term, over all sessions of
 * the role. Take it when the work begins, and let it go with everything that the work writes.
 *
 * @return 0: no term is held; also for NULL and in a child of `fork`.
 * @since 0.1
 */
int64_t ha_session_fencing_token(const ha_session *session);

/**
 * Time until the held term is over if nothing renews it, in ms. It is renewed all the time:
 * this is for logs and for limits of single steps, not for planning.
 *
 * @return 0: no term is held, or its deadline has passed; also for NULL and in a child of
 *         `fork`.
 * @since 0.1
 */
int64_t ha_session_remaining_ms(const ha_session *session);

/**
 * The state of the session, one of HA_ROLE_*. For logs and status pages; to decide, ask the
 * questions above.
 *
 * @return 0 for NULL and in a child of `fork`.
 * @since 0.1
 */
int32_t ha_session_role(const ha_session *session);

/**
 * The session's server ID, a number that no other session under this root has, save those that
 * share it by session.shared.
 *
 * @return 0 before it is known (HA_EVENT_REGISTERED), then the same for ever; 0 for NULL and in
 *         a child of `fork`.
 * @since 0.1
 */
int64_t ha_session_server_id(const ha_session *session);

/**
 * The key in the store that the active one owns. With a client of your own for the store,
 * compare `mod_revision(this key) == token` in your transactions, and they are fenced like the
 * library's.
 *
 * @return Lent: valid until ha_session_free(). NULL for NULL and in a child of `fork`.
 * @since 0.1
 */
const char *ha_session_active_key(const ha_session *session);

/**
 * Who is active, as far as this session knows: what a standby tells its clients.
 *
 * @param session the session
 * @param event   set to an event of the kind HA_EVENT_HOLDER, which is yours to free; to NULL on
 *                failure. ha_event_server_id() 0: nobody is known; ha_event_address() is where
 *                clients should go.
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_holder(const ha_session *session, ha_event **event, ha_error **err);

/** @} */

/**
 * @defgroup event Events
 * What happens to a session is told as events, in order: to your callbacks, or one by one from
 * ha_session_next_event().
 *
 * | Kind         | What it says                           | Carries, beside role and time     |
 * |--------------|----------------------------------------|-----------------------------------|
 * | REGISTERED   | a server ID and a lease were taken     | server_id, ttl_ms                 |
 * | STANDBY      | standing by                            | the holder, if known              |
 * | ACTIVATE *   | the term is won: get ready             | token, remaining_ms               |
 * | ACTIVE *     | you said "ready"                       | token, remaining_ms               |
 * | JEOPARDY     | half the hold time without a renewal   | token, remaining_ms               |
 * | SAFE         | renewed again after that               | token, remaining_ms               |
 * | DEACTIVATE * | leave: drain where held, else clean up | token, reason, held, error if any |
 * | TERM_ENDED * | the role is gone                       | token, reason, error if any       |
 * | HOLDER       | who is active now; server ID 0: nobody | server_id, address, token         |
 * | DEGRADED     | the store fails or refuses             | error, with detail "endpoint"     |
 * | RECOVERED    | it answers again                       |                                   |
 * | BLOCKED      | contending is held back                | reason, holder and key if known   |
 * | FOREIGN      | a key in the store cannot be read      | key, error                        |
 * | TXN_DONE *   | a submitted transaction is done        | tag, txn, error if any            |
 * | ENDED *      | the session is over: the last event    | error; none after an orderly stop |
 *
 * For an exclusive session HOLDER says who is in the way.
 *
 * Every ACTIVATE is followed by exactly one DEACTIVATE and one TERM_ENDED, also after a failed
 * activation. TERM_ENDED comes before or after DEACTIVATE is answered: it is the instant at
 * which the role is gone, and nothing of that term may act any more.
 *
 * Kinds with * are never dropped. Of the others at most events.queue wait unread; then the
 * oldest goes, and the next event delivered says in ha_event_missed() how many went. No slow
 * reader ever delays a renewal.
 *
 * What a kind does not carry is 0, false or NULL. Strings of an event live as long as the
 * event.
 * @{
 */

/**
 * A server ID and a lease were taken.
 */
#define HA_EVENT_REGISTERED 1

/**
 * Standing by.
 */
#define HA_EVENT_STANDBY 2

/**
 * The term is won: get ready, and say so with ha_session_activation_done() where you pull
 * events.
 */
#define HA_EVENT_ACTIVATE 10

/**
 * "Ready" was said: ha_session_is_active() is true.
 */
#define HA_EVENT_ACTIVE 11

/**
 * Half of the hold time passed without a renewal; the role is still held.
 */
#define HA_EVENT_JEOPARDY 12

/**
 * Renewed again after a jeopardy.
 */
#define HA_EVENT_SAFE 13

/**
 * Leave, and say so with ha_session_deactivation_done() where you pull events.
 */
#define HA_EVENT_DEACTIVATE 14

/**
 * The role is gone: nothing of that term may act any more.
 */
#define HA_EVENT_TERM_ENDED 15

/**
 * Who is active now.
 */
#define HA_EVENT_HOLDER 20

/**
 * The store cannot be reached, or refuses.
 */
#define HA_EVENT_DEGRADED 21

/**
 * The store answers again.
 */
#define HA_EVENT_RECOVERED 22

/**
 * Contending is held back.
 */
#define HA_EVENT_BLOCKED 23

/**
 * A key of the library's or of a stranger's cannot be read.
 */
#define HA_EVENT_FOREIGN 24

/**
 * A submitted transaction is done.
 */
#define HA_EVENT_TXN_DONE 30

/**
 * The session is over.
 */
#define HA_EVENT_ENDED 99

/**
 * The session was stopped; the role is held while you drain.
 */
#define HA_REASON_STOP 1

/**
 * It resigned; the role is held while you drain. (3 is kept for a handover.)
 */
#define HA_REASON_RESIGN 2

/**
 * The deadline passed without a renewal.
 */
#define HA_REASON_EXPIRED 10

/**
 * Another session owns the role.
 */
#define HA_REASON_SUPERSEDED 11

/**
 * Somebody deleted the active key.
 */
#define HA_REASON_KEY_DELETED 12

/**
 * The lease is gone.
 */
#define HA_REASON_LEASE_LOST 13

/**
 * The store's revision went back, as after a restore from a backup.
 */
#define HA_REASON_REGRESSED 14

/**
 * A defect of the library, caught.
 */
#define HA_REASON_INTERNAL 15

/**
 * Your activation failed.
 */
#define HA_REASON_ACTIVATION_FAILED 20

/**
 * Your activation took longer than activation.timeout_ms.
 */
#define HA_REASON_ACTIVATION_TIMEOUT 21

/**
 * Blocked: election.paused, or ha_session_pause().
 */
#define HA_REASON_PAUSED 40

/**
 * Blocked: the last term's DEACTIVATE is not answered yet.
 */
#define HA_REASON_CALLBACK_BUSY 41

/**
 * Blocked: a pause after a failed activation or a resignation.
 */
#define HA_REASON_BACKOFF 42

/**
 * Blocked: this session could take the role, but a Milvus process may still act for it: its
 * member key lives on though its active key is gone, or a session of an old coordinator keeps
 * a mixcoord away, or election.milvus_takeover_delay_ms is not over. ha_event_key() names the
 * key, server ID and address the process where they are known. It ends by itself when that
 * key is gone; where it never goes, end that process.
 */
#define HA_REASON_MILVUS_HOLDER 43

/**
 * The next event. From any threads; each event goes to one of them.
 *
 * @param session    the session
 * @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
 * @param event      set to the event, which is yours until ha_event_free(); to NULL where there is
 *                   none
 * @return HA_OK; HA_ERR_TIMEOUT; HA_ERR_ENDED for ever once HA_EVENT_ENDED was read;
 *         HA_ERR_STATE: the session has callbacks; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL;
 *         HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_session_next_event(ha_session *session, int64_t timeout_ms, ha_event **event);

/**
 * A descriptor for poll, epoll and event loops: readable while an event waits, and for ever
 * after HA_EVENT_ENDED, with a new edge at each arrival, so good for level and for edge. Wait
 * for it, then call ha_session_next_event() with a limit of 0 until it says HA_ERR_TIMEOUT.
 *
 * It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
 * session's, up to ha_session_free(). Reading from it is allowed and loses no event.
 *
 * @return -1 where there is none: the session has callbacks, no descriptor was to be had, NULL,
 *         a child of `fork`.
 * @since 0.1
 */
int32_t ha_session_event_fd(ha_session *session);

/**
 * What the event says, one of HA_EVENT_*.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
int32_t ha_event_kind(const ha_event *event);

/**
 * The name of its kind without "HA_EVENT_", such as "ACTIVATE".
 *
 * @return Static: valid for ever. NULL for NULL.
 * @since 0.1
 */
const char *ha_event_kind_name(const ha_event *event);

/**
 * The fencing token of the term that it is about; for STANDBY, HOLDER and BLOCKED the holder's.
 *
 * @return 0 where it has none.
 * @since 0.1
 */
int64_t ha_event_token(const ha_event *event);

/**
 * Why the term ends or has ended, or why contending is held back: one of HA_REASON_*.
 *
 * @return 0 where it has none.
 * @since 0.1
 */
int32_t ha_event_reason(const ha_event *event);

/**
 * Whether the role is still held, and renewed, until you say "left" or deactivation.timeout_ms
 * has passed: drain. Else it is gone: only clean up.
 *
 * @return false for every kind but DEACTIVATE, and for NULL.
 * @since 0.1
 */
bool ha_event_held(const ha_event *event);

/**
 * Time from the event to the term's deadline as it was then, in ms.
 *
 * @return 0 where no term was held.
 * @since 0.1
 */
int64_t ha_event_remaining_ms(const ha_event *event);

/**
 * The time to live in ms that the store granted the lease; it may be more than was asked for.
 *
 * @return 0 for every kind but REGISTERED, and for NULL.
 * @since 0.1
 */
int64_t ha_event_ttl_ms(const ha_event *event);

/**
 * When it happened: ms on the clock that counts suspend (CLOCK_BOOTTIME), which all processes
 * of a host share.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
int64_t ha_event_at_ms(const ha_event *event);

/**
 * REGISTERED: the session's own server ID; where a holder is named: the holder's.
 *
 * @return 0 where it has none.
 * @since 0.1
 */
int64_t ha_event_server_id(const ha_event *event);

/**
 * Where clients reach the holder that it names.
 *
 * @return Lent: valid as long as the event. NULL where it names none.
 * @since 0.1
 */
const char *ha_event_address(const ha_event *event);

/**
 * The name of the role, such as "rootcoord".
 *
 * @return Lent: valid as long as the event. NULL for NULL.
 * @since 0.1
 */
const char *ha_event_role_name(const ha_event *event);

/**
 * FOREIGN: the key that cannot be read. BLOCKED by a Milvus holder: the key that stands in the
 * way. Bytes that are no text are escaped.
 *
 * @return Lent: valid as long as the event. NULL where it names none.
 * @since 0.1
 */
const char *ha_event_key(const ha_event *event);

/**
 * What went wrong.
 *
 * @return Lent: valid as long as the event, not to be freed. NULL where nothing went wrong.
 * @since 0.1
 */
const ha_error *ha_event_error(const ha_event *event);

/**
 * How many events were dropped unread just before this one.
 *
 * @return 0: none; also for NULL.
 * @since 0.1
 */
uint64_t ha_event_missed(const ha_event *event);

/**
 * TXN_DONE: the tag that the transaction was submitted with.
 *
 * @return 0 where it has none.
 * @since 0.1
 */
uint64_t ha_event_tag(const ha_event *event);

/**
 * TXN_DONE: the transaction with its results, for ha_txn_revision(), ha_txn_count() and so on. It
 * is another handle than the one that was submitted.
 *
 * @return Lent: valid as long as the event, not to be freed. NULL where it has none.
 * @since 0.1
 */
const ha_txn *ha_event_txn(const ha_event *event);

/**
 * The event in one line of plain words, without its time: for logs. The wording may change.
 *
 * @return Lent: valid as long as the event. NULL for NULL.
 * @since 0.1
 */
const char *ha_event_text(const ha_event *event);

/**
 * Frees an event that was given to you through a pointer of yours. NULL is a no-op. Not for one
 * that a callback was lent.
 * @since 0.1
 */
void ha_event_free(ha_event *event);

/** @} */

/**
 * @defgroup txn Guarded transactions
 * A transaction on the store that commits while one term lasts, and never after: the library
 * adds the compare that fences it. The term is named when the transaction is made: take the
 * token when the work begins, not when it writes, or work begun in an old term writes with the
 * right of a new one.
 *
 *     ha_txn *t;
 *     ha_txn_new(session, token, &t, NULL);
 *     ha_txn_if_revision(t, key, strlen(key), revision_when_read);
 *     ha_txn_put(t, key, strlen(key), value, strlen(value));
 *     int32_t status = ha_txn_commit(t, 1000, NULL);
 *     ha_txn_free(t);
 *
 * Keys are absolute, bytes with NUL allowed, 1 to 4096 of them; at most 100 operations and
 * compares and 1 MiB in all. Keys of the library's own, under `<root>/session/` and
 * `<root>/ha/`, are refused, and so is a key that is written twice. The first error of a
 * builder call sticks, and ha_txn_commit() or ha_txn_submit() gives it. Single use; one thread at
 * a time; ha_txn_commit() is allowed in callbacks.
 *
 * | ha_txn_commit() says   | Meaning                                                              |
 * |------------------------|----------------------------------------------------------------------|
 * | HA_OK                  | committed; what was read is in the results                           |
 * | HA_ERR_FENCED          | the term is over; nothing was written                                |
 * | HA_ERR_COMPARE_FAILED  | a compare of yours failed; nothing was written; the results have the |
 * |                        | present values                                                       |
 * | HA_ERR_UNAVAILABLE     | never sent; nothing was written                                      |
 * | HA_ERR_UNKNOWN_OUTCOME | sent, and no answer: it may be committed, or commit even later, but  |
 * |                        | never after the term                                                 |
 *
 * After HA_ERR_UNKNOWN_OUTCOME do not guess. Let a transaction compare a key that it also
 * writes, and send the same again: if the second commits, the first never will; if its compare
 * fails, read what is there: an operation ID in the value says whether the first did it. A
 * write without a compare may be repeated only where doing it twice does no harm.
 *
 * ha_txn_commit() waits for the answer. A program that pulls its events need not: ha_txn_submit()
 * returns at once, and the answer comes as an event of the kind HA_EVENT_TXN_DONE:
 *
 *     ha_txn_submit(t, (uint64_t)(uintptr_t)request, 1000, NULL);
 *     // and in the loop that reads the events:
 *     case HA_EVENT_TXN_DONE:
 *         answer((struct request *)(uintptr_t)ha_event_tag(event), ha_event_error(event),
 *                ha_event_txn(event));
 *
 * A transaction that only reads proves its state at some instant of the call, not now.
 *
 * **Fencing what is not in this store.** A thread that asked ha_session_holds() and was then
 * stopped for a while acts late, so what it writes to must compare:
 *
 * - *A client of your own for the same store*: compare `mod_revision(ha_session_active_key())
 *   == token` in its transactions.
 * - *SQL*: a row per role. On activation `UPDATE fence SET token = :t WHERE role = :r AND token
 *   <= :t`; no row changed: you are too late. Each later transaction begins with `SELECT token
 *   FROM fence WHERE role = :r FOR SHARE` and rolls back unless that is :t.
 * - *Object stores*: immutable objects with the token in the name, and the pointer to the
 *   current one in a guarded transaction.
 * - *Servers of your own*: send the token with each call; they refuse what is below the highest
 *   they have seen, kept durably.
 * - Where nothing can compare (a mail, a device): ha_session_holds() just before, and a pause
 *   may still fall in between.
 * @{
 */

/**
 * Begins a transaction of one term.
 *
 * @param session the session
 * @param token   the term: ha_event_token() of its ACTIVATE, or ha_session_fencing_token() read
 *                when the work began. One that is not held any more is no error here: the commit
 *                says HA_ERR_FENCED.
 * @param txn     set to the transaction, which is yours until ha_txn_free(); to NULL on failure
 * @param err     set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_txn_new(ha_session *session, int64_t token, ha_txn **txn, ha_error **err);

/**
 * Only if the key was last written at this revision.
 *
 * @param txn      the transaction
 * @param key      the key
 * @param key_len  its length
 * @param revision ha_txn_mod_revision() of an earlier read; 0: only if the key is absent
 * @since 0.1
 */
void ha_txn_if_revision(ha_txn *txn, const void *key, size_t key_len, int64_t revision);

/**
 * Only if the key has this value. An absent key has none, not even the empty one.
 * @since 0.1
 */
void ha_txn_if_value(ha_txn *txn,
                     const void *key,
                     size_t key_len,
                     const void *value,
                     size_t value_len);

/**
 * Writes a value that stays.
 * @since 0.1
 */
void ha_txn_put(ha_txn *txn, const void *key, size_t key_len, const void *value, size_t value_len);

/**
 * Writes a value that goes away with the session's lease, which outlives the term.
 * @since 0.1
 */
void ha_txn_put_leased(ha_txn *txn,
                       const void *key,
                       size_t key_len,
                       const void *value,
                       size_t value_len);

/**
 * Deletes a key. One that is absent is no error.
 * @since 0.1
 */
void ha_txn_delete(ha_txn *txn, const void *key, size_t key_len);

/**
 * Deletes all keys that begin with a prefix.
 * @since 0.1
 */
void ha_txn_delete_prefix(ha_txn *txn, const void *prefix, size_t prefix_len);

/**
 * Reads a key into the results.
 * @since 0.1
 */
void ha_txn_get(ha_txn *txn, const void *key, size_t key_len);

/**
 * Reads all keys that begin with a prefix into the results, in order of the key.
 *
 * @param txn        the transaction
 * @param prefix     what the keys begin with
 * @param prefix_len its length
 * @param limit      at most so many; 0: all
 * @since 0.1
 */
void ha_txn_get_prefix(ha_txn *txn, const void *prefix, size_t prefix_len, int64_t limit);

/**
 * Sends the transaction and waits for the answer.
 *
 * @param txn        the transaction
 * @param timeout_ms how long to wait, never longer than store.request_timeout_ms; HA_FOREVER: just
 *                   that
 * @param err        set to why it failed, which is yours to free; or NULL
 * @return as in the table above, or HA_ERR_TOO_LARGE, HA_ERR_INVALID_ARGUMENT, HA_ERR_NULL: a
 *         builder call or the limit was wrong, nothing was sent; HA_ERR_TIMEOUT: the limit was
 *         0, nothing was sent, and the transaction is used up all the same; HA_ERR_STATE: it was
 *         used up before; HA_ERR_AUTH, HA_ERR_PERMISSION, HA_ERR_TLS, HA_ERR_NO_SPACE: the store
 *         refused it, nothing was written; HA_ERR_CORRUPT, HA_ERR_REGRESSED: the local database is
 *         damaged or was restored, nothing was written; HA_ERR_INTERNAL: a defect of the library,
 *         so whether it was written is unknown; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_txn_commit(ha_txn *txn, int64_t timeout_ms, ha_error **err);

/**
 * Sends the transaction and returns at once: its end is an event of the kind HA_EVENT_TXN_DONE,
 * exactly one, before HA_EVENT_ENDED, and never dropped. Only where you pull events.
 *
 * The event has the tag (ha_event_tag()), the results (ha_event_txn()), and as its error what
 * ha_txn_commit() would have said, NULL for HA_OK. Where the session ends before the answer has
 * come, that is HA_ERR_UNKNOWN_OUTCOME. Events of several transactions come in the order of the
 * answers.
 *
 * @param txn        on HA_OK it is the library's: do not use and do not free it any more. On
 *                   failure nothing was sent, no event follows, and it stays yours to free.
 * @param tag        yours, such as a number or a pointer of a request; not looked at
 * @param timeout_ms how long the answer may take, never longer than store.request_timeout_ms;
 *                   HA_FOREVER: just that
 * @param err        set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_BUSY: there are txn.inflight that were submitted and whose events were
 *         not read; read some, and submit the same again; HA_ERR_STATE: the session has
 *         callbacks, or it was sent before; HA_ERR_FENCED: the term is over already;
 *         HA_ERR_ENDED; HA_ERR_TOO_LARGE, HA_ERR_INVALID_ARGUMENT, HA_ERR_NULL: a builder call
 *         was wrong; HA_ERR_TIMEOUT: the limit was 0; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_txn_submit(ha_txn *txn, uint64_t tag, int64_t timeout_ms, ha_error **err);

/**
 * The store's revision at which the transaction was applied; of every key that it wrote, the
 * new mod revision.
 *
 * @return 0: it was not applied, as far as is known; also for NULL.
 * @since 0.1
 */
int64_t ha_txn_revision(const ha_txn *txn);

/**
 * How many keys are in the results: those that were read, in the order of the reads; after
 * HA_ERR_COMPARE_FAILED those that were compared, as they are now. A key that is absent is not
 * among them.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
size_t ha_txn_count(const ha_txn *txn);

/**
 * A key of the results.
 *
 * @param txn   the transaction
 * @param index from 0 to ha_txn_count() - 1
 * @param len   set to its length, 0 where there is none; or NULL
 * @return Lent: valid as long as the transaction. A NUL follows that `len` does not count. NULL
 *         beyond the last one.
 * @since 0.1
 */
const char *ha_txn_key(const ha_txn *txn, size_t index, size_t *len);

/**
 * A value of the results.
 *
 * @param txn   the transaction
 * @param index from 0 to ha_txn_count() - 1
 * @param len   set to its length, 0 where there is none; or NULL
 * @return Lent: valid as long as the transaction. A NUL follows that `len` does not count. NULL
 *         beyond the last one.
 * @since 0.1
 */
const char *ha_txn_value(const ha_txn *txn, size_t index, size_t *len);

/**
 * The revision at which a key of the results was last written: what ha_txn_if_revision() takes.
 *
 * @param txn   the transaction
 * @param index from 0 to ha_txn_count() - 1
 * @return 0 beyond the last one.
 * @since 0.1
 */
int64_t ha_txn_mod_revision(const ha_txn *txn, size_t index);

/**
 * Frees a transaction. One that was not committed is forgotten. NULL is a no-op. Not for one that
 * was submitted, nor for one that an event lends.
 * @since 0.1
 */
void ha_txn_free(ha_txn *txn);

/** @} */

/**
 * @defgroup observer Observers
 * An observer follows who is active in a role, for those who stand in no election: clients,
 * proxies, dashboards. It registers nothing in the store and needs no address; of the
 * configuration it uses the role, the root, the store and election.reread_ms. Observers and
 * sessions of a process with the same store share one connection.
 *
 *     ha_observer *o;
 *     ha_event *event;
 *     ha_observer_start(config, &o, NULL);
 *     while (ha_observer_next(o, HA_FOREVER, &event) == HA_OK) {
 *         if (ha_event_address(event))
 *             connect_to(ha_event_address(event), ha_event_token(event));
 *         else
 *             hold_requests_back();
 *         ha_event_free(event);
 *     }
 *     ha_observer_free(o);
 *
 * Its events are of the kind HA_EVENT_HOLDER: address, server ID and token of the active one, or
 * NULL and 0 while nobody is. The first one comes as soon as the store has answered. Those that
 * name a holder come by growing token; only the newest waits to be read, and ha_event_missed()
 * says how many it has replaced. So a slow reader misses what is past, never what is.
 *
 * It says what the store says, a moment ago. An active one that is cut off from the store is
 * named until another one has taken over, so let servers refuse a request with a token lower
 * than the highest they have seen. A store that cannot be reached is tried again for ever; what
 * was known last stays ha_observer_current(). A watch that is lost, or so late that the store
 * has compacted what it missed, is made up for by reading anew; every election.reread_ms the key
 * is read anyhow. Where the store was restored from a backup, tokens would not grow: then the
 * observer ends with HA_ERR_REGRESSED (a damaged local database: HA_ERR_CORRUPT), and it is for
 * you to start a new one.
 *
 * Everything here may be called from many threads at once, but ha_observer_free() only after all
 * other calls on that observer have returned; ha_observer_request_stop() makes those return that
 * wait.
 * @{
 */

/**
 * Starts an observer: checks and copies the configuration, and returns without waiting for the
 * network.
 *
 * @param config   which role, which store; an address is not needed. Copied; stays yours.
 * @param observer set to the observer, which is yours until ha_observer_free(); to NULL on failure
 * @param err      set to why it failed, which is yours to free; or NULL
 * @return HA_OK; HA_ERR_CONFIG_MISSING, HA_ERR_CONFIG_CONFLICT: as ha_config_check() says, but
 *         for the address; HA_ERR_CONFIG_VALUE: a file or directory that is named cannot be used;
 *         HA_ERR_CORRUPT, HA_ERR_STORE_VERSION, HA_ERR_NO_SPACE, HA_ERR_UNAVAILABLE: what lies
 *         in the directory is damaged or of another version, its disk is full, or it stayed
 *         locked; HA_ERR_UNSUPPORTED: the store's kind is not in this build; HA_ERR_RESOURCES;
 *         HA_ERR_NULL; HA_ERR_FORKED. On failure nothing was started.
 * @since 0.1
 */
int32_t ha_observer_start(const ha_config *config, ha_observer **observer, ha_error **err);

/**
 * Who is active, as far as is known now. Does not wait, and takes nothing from
 * ha_observer_next().
 *
 * @param observer the observer
 * @param event    set to an event of the kind HA_EVENT_HOLDER, which is yours to free; to NULL on
 *                 failure. ha_event_server_id() 0: nobody is active.
 * @param err      set to why it failed, which is yours to free; or NULL
 * @return HA_OK; where the store has not answered yet, why: HA_ERR_UNAVAILABLE, HA_ERR_AUTH,
 *         HA_ERR_PERMISSION, HA_ERR_TLS; HA_ERR_ENDED after ha_observer_request_stop();
 *         HA_ERR_REGRESSED, HA_ERR_CORRUPT: the store was restored from a backup, or is damaged;
 *         HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_observer_current(const ha_observer *observer, ha_event **event, ha_error **err);

/**
 * The next change of who is active; the first one says who is at all. From any threads; each
 * event goes to one of them.
 *
 * @param observer   the observer
 * @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
 * @param event      set to the event, which is yours until ha_event_free(); to NULL where there is
 *                   none
 * @return HA_OK; HA_ERR_TIMEOUT; for ever HA_ERR_ENDED after ha_observer_request_stop(), or
 *         HA_ERR_REGRESSED or HA_ERR_CORRUPT where the store was restored from a backup, or is
 *         damaged; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_observer_next(ha_observer *observer, int64_t timeout_ms, ha_event **event);

/**
 * Counts one event that ha_observer_next() gave and nobody will look at, in the metric
 * coordha_observer_events_missed_total. For adapters that hand events over, as to a queue of
 * their own, and drop one there for a newer: ha_event_missed() of that one does not include it.
 *
 * @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_observer_count_missed(ha_observer *observer);

/**
 * A descriptor for poll, epoll and event loops: readable while an event waits, and for ever once
 * the observer has ended, with a new edge at each arrival. Wait for it, then call
 * ha_observer_next() with a limit of 0 until it says HA_ERR_TIMEOUT.
 *
 * It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
 * observer's, up to ha_observer_free().
 *
 * @return -1 where there is none: no descriptor was to be had, NULL, a child of `fork`.
 * @since 0.1
 */
int32_t ha_observer_event_fd(ha_observer *observer);

/**
 * Ends the observer: whoever waits in ha_observer_next() is woken, and no event is given out any
 * more. Returns at once; twice is harmless.
 *
 * From any thread and from a signal handler, but not once ha_observer_free() has begun.
 * @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
 * @since 0.1
 */
int32_t ha_observer_request_stop(ha_observer *observer);

/**
 * Ends an observer and frees it. NULL is a no-op. Waits for nothing that the store does. Events
 * that it gave stay yours.
 *
 * In a child of `fork` it does nothing.
 * @since 0.1
 */
void ha_observer_free(ha_observer *observer);

/** @} */

/**
 * @defgroup metrics Metrics
 * What goes on in the process, for Prometheus: serve the text at /metrics, with the content type
 * "text/plain; version=0.0.4; charset=utf-8". docs/metrics.md says what is in it; the folder deploy
 * has a dashboard and alerts for it.
 * @{
 */

/**
 * All metrics of this process, as Prometheus text.
 *
 * Sessions and observers are in it while they have not ended; what is counted stays. It waits for
 * no network. In a child of fork() it is that of the child, which begins with nothing.
 *
 * @return Yours until ha_string_free(). Empty where ha_has_feature("metrics") is false. NULL only
 *         where a defect of the library kept it from being made. Any thread.
 * @since 0.1
 */
char *ha_metrics_text(void);

/** @} */

/**
 * @defgroup log Logging
 * What the library has to say beside its events. Without a receiver, warnings and errors go to
 * stderr, a line each; the environment variable COORDHA_LOG sets another level for that: off,
 * error, warn, info, debug or trace.
 *
 * A receiver is called for one record at a time, on a thread of the library's own, never on
 * yours and never on one that renews a role: it may take its time, and may call any function of
 * this header. What it causes itself is not logged. Up to 1024 records wait; beyond that new
 * ones are dropped, and a record says how many.
 *
 * Or the program fetches the records by itself, with ha_log_next(), in its own thread or event
 * loop (ha_log_event_fd()). The first call of either begins that: from then on records wait for
 * it, up to the same 1024, and none goes to stderr. They are of level HA_LOG_INFO and above, or
 * of the level that COORDHA_LOG says; after that call, ha_log_set_callback() with NULL for the
 * receiver sets another one. A receiver ends it.
 * @{
 */

/**
 * Nothing.
 */
#define HA_LOG_OFF 0

/**
 * What somebody must look at.
 */
#define HA_LOG_ERROR 1

/**
 * What somebody should know: the store cannot be reached, the role is in jeopardy or lost.
 */
#define HA_LOG_WARN 2

/**
 * The course of things: registered, standing by, active.
 */
#define HA_LOG_INFO 3

/**
 * For those who look for a fault.
 */
#define HA_LOG_DEBUG 4

/**
 * Every step.
 */
#define HA_LOG_TRACE 5

/**
 * Receives a log record, lent for the call.
 */
typedef void (*ha_log_fn)(void *user_data, const ha_log_record *record);

/**
 * Sets the receiver of log records, for the whole process, in place of the one before. Records
 * that wait go to the one before; when this returns, that one does not run and will not, and
 * its `destroy` has run. (Where a receiver calls this itself, `destroy` runs when that call has
 * returned.) A program that wants to see the last records before it exits takes its receiver
 * away.
 *
 * @param level     HA_LOG_*: records of this level and above
 * @param receive   the receiver; or NULL: none, warnings and errors go to stderr again. While
 *                  records are fetched by ha_log_next(), NULL only sets their level.
 * @param user_data yours, handed to every call; or NULL
 * @param destroy   called exactly once with `user_data`, after the last call, also where this
 *                  function fails; or NULL
 * @return HA_OK; HA_ERR_INVALID_ARGUMENT: no such level; HA_ERR_UNSUPPORTED: this is a Rust
 *         program whose log goes elsewhere; HA_ERR_FORKED: a child of `fork` whose parent has
 *         sessions.
 * @since 0.1
 */
int32_t ha_log_set_callback(int32_t level,
                            ha_log_fn receive,
                            void *user_data,
                            void (*destroy)(void *user_data));

/**
 * Fetches the next log record. From any threads; each record goes to one of them.
 *
 * @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
 * @param record     set to the record, which is yours until ha_log_record_free(); to NULL where
 *                   there is none
 * @return HA_OK; HA_ERR_TIMEOUT; HA_ERR_STATE: there is a receiver, which is given the records;
 *         HA_ERR_UNSUPPORTED: this is a Rust program whose log goes elsewhere;
 *         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED: a child of `fork` whose parent has
 *         sessions.
 * @since 0.1
 */
int32_t ha_log_next(int64_t timeout_ms, ha_log_record **record);

/**
 * A descriptor for poll, epoll and event loops: readable while a log record waits, with a new
 * edge at each arrival. Wait for it, then call ha_log_next() with a limit of 0 until it says
 * HA_ERR_TIMEOUT.
 *
 * It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
 * library's, to the end of the process.
 *
 * @return -1 where there is none: there is a receiver, no descriptor was to be had, a Rust
 *         program whose log goes elsewhere, a child of `fork` whose parent has sessions.
 * @since 0.1
 */
int32_t ha_log_event_fd(void);

/**
 * The level of a record, one of HA_LOG_*.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
int32_t ha_log_record_level(const ha_log_record *record);

/**
 * Which part of the library says it, such as "coordha::driver".
 *
 * @return Lent: valid as long as the record. NULL for NULL.
 * @since 0.1
 */
const char *ha_log_record_target(const ha_log_record *record);

/**
 * What it says, in one line. The wording may change.
 *
 * @return Lent: valid as long as the record. NULL for NULL.
 * @since 0.1
 */
const char *ha_log_record_message(const ha_log_record *record);

/**
 * When it was said: ms since 1970 on the wall clock, which is good for nothing but logs.
 *
 * @return 0 for NULL.
 * @since 0.1
 */
int64_t ha_log_record_unix_ms(const ha_log_record *record);

/**
 * The record's fields as a JSON object, such as `{"role":"rootcoord","token":71}`; `{}` where
 * it has none.
 *
 * @return Lent: valid as long as the record. NULL for NULL.
 * @since 0.1
 */
const char *ha_log_record_fields_json(const ha_log_record *record);

/**
 * Frees a record that ha_log_next() gave you. NULL is a no-op. Not for one that a receiver was
 * lent.
 * @since 0.1
 */
void ha_log_record_free(ha_log_record *record);

/**
 * Frees a `char *` that a function returned as yours (ha_config_dump(),
 * ha_metrics_text()). NULL is a no-op. Strings
 * that are `const char *` are lent.
 * @since 0.1
 */
void ha_string_free(char *string);

/** @} */
#ifdef __cplusplus
}
#endif

#endif /* COORDHA_H */
