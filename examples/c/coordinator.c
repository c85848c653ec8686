// An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//
// coordinator --store URL --root R --role R --listen HOST:PORT [--hold-ms N] [--ttl-ms N] [--no-same-host-proof]
//
// - GET /next: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not it.
// - GET /status: at_ms=... active=... token=... server_id=...; at_ms (CLOCK_BOOTTIME) is read before "active" is asked.
// - Each event is a line on stdout: event at_ms=... kind=... token=... server_id=... text=...
// - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
//
// cc coordinator.c $(pkg-config --cflags --libs coordha libmicrohttpd)
#define _GNU_SOURCE
#include <coordha.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static ha_session *session;
static char key[512];                                     // its value is the last ID
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // held while an ID is taken
static int64_t last_id, last_revision = -1;               // the last ID and the revision that wrote it; -1: to be read

static int32_t read_last(ha_txn *txn)
{
    ha_txn_get(txn, key, strlen(key));
    int32_t status = ha_txn_commit(txn, HA_FOREVER, NULL);
    if (status == HA_OK) {
        const char *value = ha_txn_value(txn, 0, NULL);
        last_id = value ? strtoll(value, NULL, 10) : 0;
        last_revision = ha_txn_mod_revision(txn, 0);
    }
    return status;
}

static int32_t write_next(ha_txn *txn)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRId64, last_id + 1);
    ha_txn_if_revision(txn, key, strlen(key), last_revision);
    ha_txn_put(txn, key, strlen(key), text, (size_t)length);
    int32_t status = ha_txn_commit(txn, HA_FOREVER, NULL);
    last_id += status == HA_OK;
    last_revision = status == HA_OK ? ha_txn_revision(txn) : -1;
    return status;
}

// Takes the next ID; HA_ERR_FENCED where this one is not active. An ID whose write was not confirmed is never handed out.
static int32_t take_id(int64_t *id)
{
    int32_t status = HA_ERR_FENCED;
    bool taken = false, goes_on = true;
    pthread_mutex_lock(&lock);
    int64_t token = ha_session_fencing_token(session);
    while (!taken && goes_on && ha_session_is_active(session)) {
        ha_txn *txn;
        if ((status = ha_txn_new(session, token, &txn, NULL)) != HA_OK)
            break;
        bool reads = last_revision < 0;
        status = reads ? read_last(txn) : write_next(txn);
        ha_txn_free(txn);
        taken = status == HA_OK && !reads;
        // Then it reads again. Should a write of unknown outcome commit even later, the next compare fails.
        goes_on = status == HA_OK || status == HA_ERR_UNKNOWN_OUTCOME || status == HA_ERR_COMPARE_FAILED;
    }
    *id = last_id;
    pthread_mutex_unlock(&lock);
    return taken ? HA_OK : goes_on ? HA_ERR_FENCED : status;
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned code, const char *format, ...)
{
    char body[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(body, sizeof body, format, arguments);
    va_end(arguments);
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result next(struct MHD_Connection *connection)
{
    int64_t id;
    int32_t status = take_id(&id);
    if (status == HA_OK)
        return reply(connection, MHD_HTTP_OK, "%" PRId64 "\n", id);
    if (status != HA_ERR_FENCED)
        return reply(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s\n", ha_status_name(status));
    ha_event *holder;
    ha_session_holder(session, &holder, NULL);
    bool is_other = ha_event_server_id(holder) != ha_session_server_id(session);
    const char *address = is_other ? ha_event_address(holder) : NULL;
    enum MHD_Result queued = reply(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "%s\n", address ? address : "");
    ha_event_free(holder);
    return queued;
}

static enum MHD_Result answer(void *unused, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **request)
{
    (void)unused, (void)version, (void)upload, (void)upload_size, (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET\n");
    if (strcmp(url, "/next") == 0)
        return next(connection);
    if (strcmp(url, "/status") != 0)
        return reply(connection, MHD_HTTP_NOT_FOUND, "/next, /status\n");
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const char *active = ha_session_is_active(session) ? "true" : "false";
    return reply(connection, MHD_HTTP_OK, "at_ms=%" PRId64 " active=%s token=%" PRId64 " server_id=%" PRId64 "\n",
                 (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, active, ha_session_fencing_token(session),
                 ha_session_server_id(session));
}

static void on_event(void *unused, ha_session *s, const ha_event *event)
{
    (void)unused, (void)s;
    printf("event at_ms=%" PRId64 " kind=%s token=%" PRId64 " server_id=%" PRId64 " text=%s\n", ha_event_at_ms(event),
           ha_event_kind_name(event), ha_event_token(event), ha_event_server_id(event), ha_event_text(event));
}

static int32_t on_activate(void *unused, ha_session *s, const ha_event *event)
{
    on_event(unused, s, event);
    return HA_OK; // nothing to load: the store knows the last ID
}

static int32_t on_deactivate(void *unused, ha_session *s, const ha_event *event)
{
    on_event(unused, s, event);
    pthread_mutex_lock(&lock); // until the ID that is being taken has been taken
    pthread_mutex_unlock(&lock);
    return HA_OK;
}

static void on_signal(int number)
{
    (void)number;
    ha_session_request_stop(session);
}

static void fail(const char *what, ha_error *err)
{
    fprintf(stderr, "coordinator: %s\n", err ? ha_error_message(err) : what);
    exit(EXIT_FAILURE);
}

static ha_config *configuration(int argc, char **argv)
{
    static const char *const flags[][2] = {
        { "--store", HA_KEY_STORE_URL }, { "--root", HA_KEY_ROOT },
        { "--role", HA_KEY_ROLE },       { "--listen", HA_KEY_ADDRESS },
        { "--ttl-ms", HA_KEY_LEASE_TTL_MS }, { "--hold-ms", HA_KEY_ELECTION_HOLD_MS },
    };
    ha_config *config = ha_config_new();
    ha_error *err;
    ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-same-host-proof") == 0) {
            ha_config_set(config, HA_KEY_ELECTION_SAME_HOST_PROOF, "false", NULL);
            continue;
        }
        size_t flag = 0;
        while (flag < sizeof flags / sizeof *flags && strcmp(argv[i], flags[flag][0]) != 0)
            flag++;
        if (flag == sizeof flags / sizeof *flags || i + 1 == argc)
            fail("usage: see the head of coordinator.c", NULL);
        if (ha_config_set(config, flags[flag][1], argv[++i], &err) != HA_OK)
            fail(NULL, err);
    }
    if (ha_config_check(config, &err) != HA_OK)
        fail(NULL, err);
    snprintf(key, sizeof key, "%s/ids/%s", ha_config_get(config, HA_KEY_ROOT), ha_config_get(config, HA_KEY_ROLE));
    return config;
}

// A socket that listens at host:port, before anybody is told of it.
static int listen_at(const char *address)
{
    char host[256];
    const char *port = strrchr(address, ':') + 1;
    snprintf(host, sizeof host, "%.*s", (int)(port - address - 1), address);
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
    if (getaddrinfo(*host ? host : NULL, port, &hints, &found) != 0)
        fail("the address of --listen is unknown", NULL);
    int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0)
        fail("nobody can listen at the address of --listen", NULL);
    freeaddrinfo(found);
    return fd;
}

int main(int argc, char **argv)
{
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    callbacks.on_activate = on_activate;
    callbacks.on_deactivate = on_deactivate;
    callbacks.on_event = on_event;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);

    ha_error *err;
    ha_config *config = configuration(argc, argv);
    int fd = listen_at(ha_config_get(config, HA_KEY_ADDRESS));
    if (ha_session_start(config, &callbacks, &session, &err) != HA_OK)
        fail(NULL, err);
    ha_config_free(config);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    struct MHD_Daemon *http = MHD_start_daemon(flags, 0, NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                                               MHD_OPTION_END);
    if (http == NULL)
        ha_session_request_stop(session);

    int32_t status = ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, &err);
    if (status != HA_OK)
        fprintf(stderr, "coordinator: %s\n", ha_error_message(err));
    ha_error_free(err);
    if (http != NULL)
        MHD_stop_daemon(http);
    ha_session_free(session);
    return status == HA_OK && http != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
