/* Observers: who is active, for those who stand in no election. */
#include "check.h"

#include <poll.h>
#include <sys/wait.h>

/* One without an address. */
static ha_observer *observe(void)
{
    char url[4096];
    ha_config *config = ha_config_new();
    ha_observer *observer = NULL;
    ha_error *err;
    snprintf(url, sizeof url, "local:%s", check_folder);
    set(config, HA_KEY_ROLE, "testrole");
    set(config, HA_KEY_STORE_URL, url);
    if (ha_observer_start(config, &observer, &err) != HA_OK)
        check_failed(ha_error_message(err), __FILE__, __LINE__);
    CHECK(observer != NULL && err == NULL);
    ha_config_free(config);
    return observer;
}

static ha_event *next_holder(ha_observer *observer)
{
    ha_event *event;
    CHECK_STATUS(ha_observer_next(observer, HA_FOREVER, &event), HA_OK);
    CHECK(ha_event_kind(event) == HA_EVENT_HOLDER);
    CHECK_TEXT(ha_event_role_name(event), "testrole");
    return event;
}

static void expect_nobody(ha_observer *observer)
{
    ha_event *event = next_holder(observer);
    CHECK(ha_event_server_id(event) == 0 && ha_event_token(event) == 0 && ha_event_address(event) == NULL);
    ha_event_free(event);
}

static ha_session *start_active(const char *address)
{
    ha_session *session = start_auto(address);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    return session;
}

static void each_holder_is_told_in_turn(void)
{
    ha_observer *observer = observe();
    ha_event *event, *current;
    int64_t last = 0;
    int term;
    expect_nobody(observer);
    for (term = 1; term <= 3; term++) {
        char address[16];
        ha_session *session;
        snprintf(address, sizeof address, "a:%d", term);
        session = start_active(address);
        event = next_holder(observer);
        CHECK_TEXT(ha_event_address(event), address);
        CHECK(ha_event_token(event) > last && ha_event_token(event) == ha_session_fencing_token(session));
        CHECK(ha_event_server_id(event) == ha_session_server_id(session));
        CHECK_STATUS(ha_observer_current(observer, &current, NULL), HA_OK);
        CHECK_TEXT(ha_event_address(current), address);
        ha_event_free(current);
        last = ha_event_token(event);
        ha_event_free(event);
        ha_session_free(session);
        expect_nobody(observer);
    }
    CHECK_STATUS(ha_observer_next(observer, 0, &event), HA_ERR_TIMEOUT);
    CHECK(event == NULL);
    CHECK_STATUS(ha_observer_next(observer, -2, &event), HA_ERR_INVALID_ARGUMENT);
    ha_observer_free(observer);
}

/* The metric of the one observer of this process. */
static uint64_t missed_in_all(void)
{
    char *text = ha_metrics_text();
    const char *line = strstr(text, "\ncoordha_observer_events_missed_total{");
    const char *value = line ? strstr(line, "} ") : NULL;
    uint64_t missed = value ? strtoull(value + 2, NULL, 10) : 0;
    ha_string_free(text);
    return missed;
}

static void a_slow_reader_gets_the_newest(void)
{
    ha_observer *observer = observe();
    ha_event *event;
    ha_session *session;
    int64_t token;
    bool is_known = false;
    expect_nobody(observer);
    ha_session_free(start_active("a:1"));
    session = start_active("a:2");
    token = ha_session_fencing_token(session);
    while (!is_known) {
        CHECK_STATUS(ha_observer_current(observer, &event, NULL), HA_OK);
        is_known = ha_event_token(event) == token;
        ha_event_free(event);
    }
    event = next_holder(observer);
    CHECK(ha_event_token(event) == token && ha_event_missed(event) > 0);
    CHECK(missed_in_all() == ha_event_missed(event));
    CHECK_STATUS(ha_observer_count_missed(observer), HA_OK);
    CHECK(missed_in_all() == ha_event_missed(event) + 1);
    /* It outlives the observer. */
    ha_observer_free(observer);
    CHECK_TEXT(ha_event_address(event), "a:2");
    ha_event_free(event);
    ha_session_free(session);
}

static void *wait_for_another(void *observer)
{
    ha_event *event = (ha_event *)(uintptr_t)1;
    CHECK_STATUS(ha_observer_next(observer, HA_FOREVER, &event), HA_ERR_ENDED);
    CHECK(event == NULL);
    return NULL;
}

static ha_observer *signalled;

static void on_sigterm(int signal)
{
    (void)signal;
    ha_observer_request_stop(signalled);
}

static void a_stop_in_a_signal_handler_wakes_who_waits(void)
{
    struct sigaction action;
    struct pollfd ready;
    ha_event *event;
    pthread_t reader;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_sigterm;
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    signalled = observe();
    expect_nobody(signalled);
    ready.fd = ha_observer_event_fd(signalled);
    ready.events = POLLIN;
    CHECK(ready.fd >= 0 && poll(&ready, 1, 0) == 0);
    CHECK(pthread_create(&reader, NULL, wait_for_another, signalled) == 0);
    CHECK(raise(SIGTERM) == 0);
    CHECK(pthread_join(reader, NULL) == 0);
    CHECK(poll(&ready, 1, -1) == 1);
    CHECK_STATUS(ha_observer_next(signalled, 0, &event), HA_ERR_ENDED);
    CHECK_STATUS(ha_observer_current(signalled, &event, NULL), HA_ERR_ENDED);
    CHECK_STATUS(ha_observer_request_stop(signalled), HA_OK);
    ha_observer_free(signalled);
}

static void the_descriptor_tells_of_each_holder(void)
{
    ha_observer *observer = observe();
    struct pollfd ready = { ha_observer_event_fd(observer), POLLIN, 0 };
    ha_session *session;
    CHECK(ha_observer_event_fd(observer) == ready.fd);
    CHECK(poll(&ready, 1, -1) == 1);
    expect_nobody(observer);
    CHECK(poll(&ready, 1, 0) == 0);
    session = start_active("a:1");
    CHECK(poll(&ready, 1, -1) == 1);
    ha_event_free(next_holder(observer));
    CHECK(poll(&ready, 1, 0) == 0);
    ha_session_free(session);
    CHECK(poll(&ready, 1, -1) == 1);
    ha_observer_free(observer);
}

static void has_no_part(ha_observer *observer)
{
    ha_config *config = a_config("child:1");
    ha_observer *own = (ha_observer *)(uintptr_t)1;
    ha_session *session;
    ha_event *event = (ha_event *)(uintptr_t)1;
    CHECK_STATUS(ha_observer_next(observer, HA_FOREVER, &event), HA_ERR_FORKED);
    CHECK(event == NULL);
    CHECK_STATUS(ha_observer_current(observer, &event, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_observer_request_stop(observer), HA_ERR_FORKED);
    CHECK_STATUS(ha_observer_count_missed(observer), HA_ERR_FORKED);
    CHECK(ha_observer_event_fd(observer) == -1);
    CHECK_STATUS(ha_observer_start(config, &own, NULL), HA_ERR_FORKED);
    CHECK(own == NULL);
    CHECK_STATUS(ha_session_start(config, NULL, &session, NULL), HA_ERR_FORKED);
    ha_observer_free(observer);
    ha_config_free(config);
}

static void in_child(ha_observer *observer, void (*part)(ha_observer *))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        part(observer);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void observes_itself(ha_observer *unused)
{
    ha_observer *own = observe();
    (void)unused;
    expect_nobody(own);
    ha_observer_free(own);
}

static void a_child_has_no_part_in_its_parents_observer(void)
{
    ha_observer *observer = observe();
    ha_session *session;
    in_child(observer, has_no_part);
    expect_nobody(observer);
    session = start_active("a:1");
    ha_event_free(next_holder(observer));
    ha_session_free(session);
    ha_observer_free(observer);
    /* The last one is gone with all its threads: a child may begin anew. */
    in_child(NULL, observes_itself);
    observes_itself(NULL);
}

static void expect_unusable(const char *key, const char *url, const char *ca)
{
    ha_config *config = ha_config_new();
    ha_observer *observer = (ha_observer *)(uintptr_t)1;
    ha_error *err;
    set(config, HA_KEY_ROLE, "testrole");
    set(config, HA_KEY_STORE_URL, url);
    if (ca != NULL) {
        set(config, HA_KEY_STORE_ETCD_TLS_ENABLED, "true");
        set(config, HA_KEY_STORE_ETCD_TLS_CA, ca);
    }
    CHECK_STATUS(ha_observer_start(config, &observer, &err), HA_ERR_CONFIG_VALUE);
    CHECK(observer == NULL);
    CHECK_TEXT(ha_error_detail(err, "key"), key);
    ha_error_free(err);
    ha_config_free(config);
}

static void what_cannot_be_used_is_told(void)
{
    char file[4096];
    FILE *empty;
    expect_unusable(HA_KEY_STORE_URL, "local:/proc/nope", NULL);
    expect_unusable(HA_KEY_STORE_ETCD_TLS_CA, "etcd://127.0.0.1:1", "/proc/nope");
    snprintf(file, sizeof file, "%s.pem", check_folder);
    empty = fopen(file, "w");
    CHECK(empty != NULL && fclose(empty) == 0);
    expect_unusable(HA_KEY_STORE_ETCD_TLS_CA, "etcd://127.0.0.1:1", file);
    CHECK(remove(file) == 0);
}

static void what_is_missing_is_told(void)
{
    ha_config *config = ha_config_new();
    ha_observer *observer = (ha_observer *)(uintptr_t)1;
    ha_error *err;
    CHECK_STATUS(ha_observer_start(config, &observer, &err), HA_ERR_CONFIG_MISSING);
    CHECK(observer == NULL);
    CHECK_TEXT(ha_error_detail(err, "key"), "role");
    ha_error_free(err);
    ha_config_free(config);
    ha_observer_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(each_holder_is_told_in_turn),
        CASE(a_slow_reader_gets_the_newest),
        CASE(a_stop_in_a_signal_handler_wakes_who_waits),
        CASE(the_descriptor_tells_of_each_holder),
        CASE(a_child_has_no_part_in_its_parents_observer),
        CASE(what_cannot_be_used_is_told),
        CASE(what_is_missing_is_told),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
