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
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

static ha_session *session;
static char key[2048];                                     // its value is the last ID
static int64_t last, revision;                             // that ID and when it was written, as far as is known here
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER; // held while an ID is taken

// Writes the next ID if nobody has written in between, in the term of this token only. If somebody has, learns what is there.
static int32_t try_next(int64_t token, int64_t *id)
{
    char text[24];
    ha_txn *txn;
    snprintf(text, sizeof text, "%" PRId64, *id = last + 1);
    ha_txn_new(session, token, &txn, NULL);
    ha_txn_if_revision(txn, key, strlen(key), revision);
    ha_txn_put(txn, key, strlen(key), text, strlen(text));
    int32_t status = ha_txn_commit(txn, HA_FOREVER, NULL);
    if (status == HA_OK) {
        last = *id;
        revision = ha_txn_revision(txn);
    } else if (status == HA_ERR_COMPARE_FAILED) {
        const char *value = ha_txn_value(txn, 0, NULL); // NULL: there is none,
        last = value ? strtoll(value, NULL, 10) : 0;
        revision = ha_txn_mod_revision(txn, 0); // and this is 0
    }
    ha_txn_free(txn);
    return status;
}

// Takes the next ID; HA_ERR_FENCED where this one is not active. An ID whose write was not confirmed is never handed out:
// the same is sent again, and only one of the two can pass its compare.
static int32_t take_id(int64_t *id)
{
    pthread_mutex_lock(&taking);
    int64_t token = ha_session_fencing_token(session);
    int32_t status = ha_session_is_active(session) ? HA_ERR_COMPARE_FAILED : HA_ERR_FENCED;
    while (status == HA_ERR_COMPARE_FAILED || status == HA_ERR_UNKNOWN_OUTCOME)
        status = try_next(token, id);
    pthread_mutex_unlock(&taking);
    return status;
}

static unsigned next(char *body)
{
    int64_t id;
    ha_event *active;
    int32_t status = take_id(&id);
    if (status == HA_OK)
        return http_say(body, MHD_HTTP_OK, "%" PRId64 "\n", id);
    if (status != HA_ERR_FENCED)
        return http_say(body, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s\n", ha_status_name(status));
    ha_session_holder(session, &active, NULL);
    bool is_other = ha_event_address(active) && ha_event_server_id(active) != ha_session_server_id(session);
    unsigned code = http_say(body, MHD_HTTP_SERVICE_UNAVAILABLE, "%s\n", is_other ? ha_event_address(active) : "");
    ha_event_free(active);
    return code;
}

static unsigned answer(const char *path, char *body)
{
    struct timespec now;
    if (strcmp(path, "/next") == 0)
        return next(body);
    if (strcmp(path, "/status") != 0)
        return MHD_HTTP_NOT_FOUND;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const char *active = ha_session_is_active(session) ? "true" : "false";
    return http_say(body, MHD_HTTP_OK, "at_ms=%" PRId64 " active=%s token=%" PRId64 " server_id=%" PRId64 "\n",
                    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, active, ha_session_fencing_token(session),
                    ha_session_server_id(session));
}

// Says "ready" and "left", up to the session's end.
static void follow_events(void)
{
    ha_event *event;
    while (ha_session_next_event(session, HA_FOREVER, &event) == HA_OK) {
        int64_t token = ha_event_token(event);
        printf("event at_ms=%" PRId64 " kind=%s token=%" PRId64 " server_id=%" PRId64 " text=%s\n", ha_event_at_ms(event),
               ha_event_kind_name(event), token, ha_event_server_id(event), ha_event_text(event));
        if (ha_event_kind(event) == HA_EVENT_ACTIVATE) // there is nothing to load: the store knows the last ID
            ha_session_activation_done(session, token, HA_OK, NULL, NULL);
        if (ha_event_kind(event) == HA_EVENT_DEACTIVATE) {
            pthread_mutex_lock(&taking); // until the ID that is being taken has been taken
            ha_session_deactivation_done(session, token, NULL);
            pthread_mutex_unlock(&taking);
        }
        ha_event_free(event);
    }
}

static void must(int32_t status, ha_error **why)
{
    if (status != HA_OK)
        errx(EXIT_FAILURE, "%s", ha_error_message(*why));
}

static void on_signal(int number) { (void)number, (void)ha_session_request_stop(session); }

int main(int argc, char **argv)
{
    ha_error *why;
    ha_config *config = ha_config_new();
    setvbuf(stdout, NULL, _IOLBF, 0);
    must(ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", &why), &why);
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            errx(EXIT_FAILURE, "%s: no KEY=VALUE", argv[i]);
        *value = '\0';
        must(ha_config_set(config, argv[i], value + 1, &why), &why);
    }
    must(ha_config_check(config, &why), &why);
    snprintf(key, sizeof key, "%s/ids/%s", ha_config_get(config, HA_KEY_ROOT), ha_config_get(config, HA_KEY_ROLE));
    int fd = http_listen(ha_config_get(config, HA_KEY_ADDRESS)); // before anybody is told of it
    must(ha_session_start(config, NULL, &session, &why), &why);
    ha_config_free(config);
    signal(SIGTERM, on_signal), signal(SIGINT, on_signal);
    struct MHD_Daemon *http = http_serve(fd, answer);
    follow_events();
    must(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, &why), &why);
    signal(SIGTERM, SIG_IGN), signal(SIGINT, SIG_IGN); // no handler may meet a session that is being freed
    MHD_stop_daemon(http);
    ha_session_free(session);
}
