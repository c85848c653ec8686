// An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//
// coordinator KEY=VALUE...    keys of the configuration: role=rootcoord address=127.0.0.1:53100 store.url=local:/tmp/ids
//
// - GET /next: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not it.
// - GET /status: at_ms=... active=... token=... server_id=...; at_ms (CLOCK_BOOTTIME) is read before "active" is asked.
// - Each event is a line on stdout: event at_ms=... kind=... token=... server_id=... text=...
// - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
//
// cc coordinator.c $(pkg-config --cflags --libs coordha libmicrohttpd) -o coordinator    # http.h lies beside it
#define _GNU_SOURCE
#include "http.h"

#include <coordha.h>
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static ha_session *session;
static char key[2048];                                     // its value is the last ID
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER; // held while an ID is taken

// Reads the last ID, and writes the next one if nobody has written it in between; both in the term of this token only.
static int32_t try_next(int64_t token, int64_t *id)
{
    char text[24];
    ha_txn *txn;
    ha_txn_new(session, token, &txn, NULL);
    ha_txn_get(txn, key, strlen(key));
    int32_t status = ha_txn_commit(txn, HA_FOREVER, NULL);
    const char *last = ha_txn_value(txn, 0, NULL);  // NULL: there is none yet,
    int64_t revision = ha_txn_mod_revision(txn, 0); // and this is 0
    *id = (last ? strtoll(last, NULL, 10) : 0) + 1;
    ha_txn_free(txn);
    if (status != HA_OK)
        return status;
    snprintf(text, sizeof text, "%" PRId64, *id);
    ha_txn_new(session, token, &txn, NULL);
    ha_txn_if_revision(txn, key, strlen(key), revision);
    ha_txn_put(txn, key, strlen(key), text, strlen(text));
    status = ha_txn_commit(txn, HA_FOREVER, NULL);
    ha_txn_free(txn);
    return status;
}

// Takes the next ID; HA_ERR_FENCED where this one is not active. An ID whose write was not confirmed is never handed out:
// it reads again, and should that write be done even later, the next compare fails.
static int32_t take_id(int64_t *id)
{
    pthread_mutex_lock(&taking);
    int64_t token = ha_session_fencing_token(session);
    int32_t status = ha_session_is_active(session) ? try_next(token, id) : HA_ERR_FENCED;
    while (status == HA_ERR_UNKNOWN_OUTCOME || status == HA_ERR_COMPARE_FAILED)
        status = try_next(token, id);
    pthread_mutex_unlock(&taking);
    return status;
}

static unsigned next(char *body, size_t size)
{
    int64_t id;
    int32_t status = take_id(&id);
    if (status == HA_OK) {
        snprintf(body, size, "%" PRId64 "\n", id);
        return MHD_HTTP_OK;
    }
    if (status != HA_ERR_FENCED) {
        snprintf(body, size, "%s\n", ha_status_name(status));
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    ha_event *active;
    ha_session_holder(session, &active, NULL);
    bool is_known = ha_event_address(active) && ha_event_server_id(active) != ha_session_server_id(session);
    snprintf(body, size, "%s\n", is_known ? ha_event_address(active) : "");
    ha_event_free(active);
    return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned answer(const char *path, char *body, size_t size)
{
    struct timespec now;
    if (strcmp(path, "/next") == 0)
        return next(body, size);
    if (strcmp(path, "/status") != 0)
        return MHD_HTTP_NOT_FOUND;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const char *active = ha_session_is_active(session) ? "true" : "false";
    snprintf(body, size, "at_ms=%" PRId64 " active=%s token=%" PRId64 " server_id=%" PRId64 "\n",
             (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, active, ha_session_fencing_token(session),
             ha_session_server_id(session));
    return MHD_HTTP_OK;
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
    pthread_mutex_lock(&taking); // until the ID that is being taken has been taken
    pthread_mutex_unlock(&taking);
    return HA_OK;
}

static void on_signal(int number)
{
    (void)number;
    ha_session_request_stop(session);
}

static ha_config *configuration(char **arguments)
{
    ha_config *config = ha_config_new();
    ha_error *err;
    ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", NULL);
    for (; *arguments != NULL; arguments++) {
        char *value = strchr(*arguments, '=');
        if (value == NULL)
            errx(EXIT_FAILURE, "%s: no KEY=VALUE", *arguments);
        *value = '\0';
        if (ha_config_set(config, *arguments, value + 1, &err) != HA_OK)
            errx(EXIT_FAILURE, "%s", ha_error_message(err));
    }
    if (ha_config_check(config, &err) != HA_OK)
        errx(EXIT_FAILURE, "%s", ha_error_message(err));
    snprintf(key, sizeof key, "%s/ids/%s", ha_config_get(config, HA_KEY_ROOT), ha_config_get(config, HA_KEY_ROLE));
    return config;
}

int main(int argc, char **argv)
{
    (void)argc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    callbacks.on_activate = on_activate;
    callbacks.on_deactivate = on_deactivate;
    callbacks.on_event = on_event;
    ha_error *err;
    ha_config *config = configuration(argv + 1);
    int fd = http_listen(ha_config_get(config, HA_KEY_ADDRESS)); // before anybody is told of it
    if (fd < 0)
        errx(EXIT_FAILURE, "nobody can listen at this address");
    if (ha_session_start(config, &callbacks, &session, &err) != HA_OK)
        errx(EXIT_FAILURE, "%s", ha_error_message(err));
    ha_config_free(config);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    struct MHD_Daemon *http = http_serve(fd, answer);
    if (http == NULL)
        errx(EXIT_FAILURE, "no HTTP server");
    if (ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, &err) != HA_OK)
        errx(EXIT_FAILURE, "%s", ha_error_message(err));
    MHD_stop_daemon(http);
    ha_session_free(session);
    return EXIT_SUCCESS;
}
