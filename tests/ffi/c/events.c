/* The pull front end, and waiting. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

/* Drains what waits; returns how many of this kind there were. */
static int drain(ha_session *session, int32_t kind)
{
    int count = 0;
    for (;;) {
        ha_event *event;
        int32_t status = ha_session_next_event(session, 0, &event);
        if (status != HA_OK) {
            CHECK(event == NULL && (status == HA_ERR_TIMEOUT || status == HA_ERR_ENDED));
            return count;
        }
        count += ha_event_kind(event) == kind;
        ha_event_free(event);
    }
}

static void a_term_is_pulled_and_answered(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    ha_event *event;
    int64_t token, at;
    int i;

    event = next_of(session, HA_EVENT_REGISTERED);
    CHECK(ha_event_server_id(event) > 0 && ha_event_server_id(event) == ha_session_server_id(session));
    CHECK(ha_event_ttl_ms(event) >= 10000);
    CHECK_TEXT(ha_event_kind_name(event), "REGISTERED");
    CHECK_TEXT(ha_event_role_name(event), "testrole");
    CHECK(ha_event_token(event) == 0 && ha_event_reason(event) == 0 && ha_event_error(event) == NULL);
    CHECK(ha_event_address(event) == NULL && ha_event_key(event) == NULL && ha_event_missed(event) == 0);
    CHECK(ha_event_tag(event) == 0 && ha_event_txn(event) == NULL);
    at = ha_event_at_ms(event);
    ha_event_free(event);

    event = next_of(session, HA_EVENT_ACTIVATE);
    token = ha_event_token(event);
    CHECK(token > 0 && ha_event_remaining_ms(event) > 0 && ha_event_at_ms(event) >= at);
    CHECK(!ha_session_is_active(session) && ha_session_holds(session, token));
    ha_event_free(event);
    CHECK_STATUS(ha_session_activation_done(session, token, HA_OK, NULL, NULL), HA_OK);
    CHECK(ha_session_is_active(session));
    ha_event_free(next_of(session, HA_EVENT_ACTIVE));

    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    event = next_of(session, HA_EVENT_DEACTIVATE);
    CHECK(ha_event_token(event) == token && ha_event_held(event) && ha_event_reason(event) == HA_REASON_STOP);
    CHECK(strstr(ha_event_text(event), "DEACTIVATE") != NULL && strchr(ha_event_text(event), '\n') == NULL);
    ha_event_free(event);
    CHECK_STATUS(ha_session_deactivation_done(session, token, NULL), HA_OK);
    event = next_of(session, HA_EVENT_TERM_ENDED);
    CHECK(ha_event_token(event) == token && ha_event_reason(event) == HA_REASON_STOP);
    ha_event_free(event);
    event = next_of(session, HA_EVENT_ENDED);
    CHECK(ha_event_error(event) == NULL);
    for (i = 0; i < 3; i++) {
        ha_event *none = (ha_event *)(uintptr_t)1;
        CHECK_STATUS(ha_session_next_event(session, HA_FOREVER, &none), HA_ERR_ENDED);
        CHECK(none == NULL);
    }
    ha_session_free(session);
    /* It outlives the session. */
    CHECK(ha_event_kind(event) == HA_EVENT_ENDED);
    CHECK_TEXT(ha_event_role_name(event), "testrole");
    ha_event_free(event);
}

static void a_failed_activation_tells_its_reason(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    ha_event *event = next_of(session, HA_EVENT_ACTIVATE);
    int64_t token = ha_event_token(event);
    ha_event_free(event);
    CHECK_STATUS(ha_session_activation_done(session, token, HA_ERR_APPLICATION, "no metadata", NULL), HA_OK);
    CHECK_STATUS(ha_session_activation_done(session, token, HA_OK, NULL, NULL), HA_ERR_FENCED);
    event = next_of(session, HA_EVENT_DEACTIVATE);
    CHECK(ha_event_reason(event) == HA_REASON_ACTIVATION_FAILED && !ha_event_held(event));
    CHECK(ha_error_code(ha_event_error(event)) == HA_ERR_ACTIVATION_FAILED);
    CHECK(strstr(ha_error_message(ha_event_error(event)), "no metadata") != NULL);
    ha_event_free(event);
    CHECK_STATUS(ha_session_deactivation_done(session, token, NULL), HA_OK);
    event = next_of(session, HA_EVENT_ACTIVATE);
    CHECK(ha_event_token(event) > token);
    ha_event_free(event);
    ha_session_free(session);
}

static int wait_readable(int fd, int timeout_ms)
{
    struct pollfd polled = { .fd = fd, .events = POLLIN };
    return poll(&polled, 1, timeout_ms);
}

/* Waits until the watch has shown it its own key: the last event that comes by itself. */
static void sees_itself(ha_session *session)
{
    bool is_seen = false;
    while (!is_seen) {
        ha_event *event;
        CHECK_STATUS(ha_session_holder(session, &event, NULL), HA_OK);
        is_seen = ha_event_server_id(event) == ha_session_server_id(session);
        ha_event_free(event);
        usleep(1000);
    }
}

static void the_descriptor_is_good_for_level(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    int fd = ha_session_event_fd(session), i;
    int64_t token = 0;
    CHECK(fd >= 0 && ha_session_event_fd(session) == fd);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    while (token == 0) {
        ha_event *event;
        CHECK(wait_readable(fd, -1) == 1);
        /* One at a time: it stays readable while another waits. */
        CHECK_STATUS(ha_session_next_event(session, 0, &event), HA_OK);
        if (ha_event_kind(event) == HA_EVENT_ACTIVATE)
            token = ha_event_token(event);
        ha_event_free(event);
    }
    sees_itself(session);
    drain(session, 0);
    CHECK(wait_readable(fd, 0) == 0);
    CHECK_STATUS(ha_session_activation_done(session, token, HA_OK, NULL, NULL), HA_OK);
    CHECK(wait_readable(fd, -1) == 1);
    CHECK(drain(session, HA_EVENT_ACTIVE) == 1);
    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    while (drain(session, HA_EVENT_DEACTIVATE) == 0)
        CHECK(wait_readable(fd, -1) == 1);
    CHECK_STATUS(ha_session_deactivation_done(session, token, NULL), HA_OK);
    while (drain(session, HA_EVENT_ENDED) == 0)
        CHECK(wait_readable(fd, -1) == 1);
    for (i = 0; i < 3; i++)
        CHECK(wait_readable(fd, 0) == 1);
    ha_session_free(session);
}

static void the_descriptor_has_an_edge_at_each_arrival(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    int fd = ha_session_event_fd(session), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = { .events = EPOLLIN | EPOLLET }, seen;
    int64_t token;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_REGISTERED, HA_FOREVER, NULL), HA_OK);
    while ((token = ha_session_fencing_token(session)) == 0)
        CHECK(epoll_wait(epoll, &seen, 1, -1) == 1);
    sees_itself(session);
    /* Nothing was read yet, and the next arrivals are edges none the less. */
    while (epoll_wait(epoll, &seen, 1, 0) == 1) {
    }
    CHECK_STATUS(ha_session_activation_done(session, token, HA_OK, NULL, NULL), HA_OK);
    CHECK(epoll_wait(epoll, &seen, 1, -1) == 1);
    CHECK(epoll_wait(epoll, &seen, 1, 0) == 0);
    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    CHECK(epoll_wait(epoll, &seen, 1, -1) == 1);
    close(epoll);
    ha_session_free(session);
}

static void reading_the_descriptor_loses_no_event(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    int fd = ha_session_event_fd(session);
    char bytes[64];
    ha_event *event;
    CHECK(wait_readable(fd, -1) == 1);
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
    event = next_of(session, HA_EVENT_REGISTERED);
    ha_event_free(event);
    event = next_of(session, HA_EVENT_ACTIVATE);
    ha_event_free(event);
    ha_session_free(session);
}

struct reader {
    pthread_t thread;
    ha_session *session;
    int activates, ends;
};

static void *read_all(void *argument)
{
    struct reader *reader = argument;
    ha_event *event;
    int32_t status;
    while ((status = ha_session_next_event(reader->session, HA_FOREVER, &event)) == HA_OK) {
        int64_t token = ha_event_token(event);
        switch (ha_event_kind(event)) {
        case HA_EVENT_ACTIVATE:
            reader->activates++;
            CHECK_STATUS(ha_session_activation_done(reader->session, token, HA_OK, NULL, NULL), HA_OK);
            break;
        case HA_EVENT_DEACTIVATE:
            CHECK_STATUS(ha_session_deactivation_done(reader->session, token, NULL), HA_OK);
            break;
        case HA_EVENT_ENDED:
            reader->ends++;
            break;
        default:
            break;
        }
        ha_event_free(event);
    }
    CHECK_STATUS(status, HA_ERR_ENDED);
    return NULL;
}

static void each_event_goes_to_one_of_two_threads(void)
{
    ha_session *session = start(a_config("a:1"), NULL);
    struct reader readers[2] = { { .session = session }, { .session = session } };
    int i;
    for (i = 0; i < 2; i++)
        CHECK(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) == 0);
    for (i = 1; i <= 5; i++) {
        CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
        if (i < 5)
            CHECK_STATUS(ha_session_resign(session, 1), HA_OK);
    }
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    for (i = 0; i < 2; i++)
        CHECK(pthread_join(readers[i].thread, NULL) == 0);
    CHECK(readers[0].activates + readers[1].activates == 5);
    CHECK(readers[0].ends + readers[1].ends == 1);
    ha_session_free(session);
}

static void every_stage_may_be_waited_for(void)
{
    ha_session *session = start_auto("a:1");
    ha_error *err;
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_REGISTERED, HA_FOREVER, &err), HA_OK);
    CHECK(err == NULL && ha_session_server_id(session) > 0);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, &err), HA_OK);
    CHECK(ha_session_is_active(session));
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_TERM_ENDING, 0, &err), HA_ERR_TIMEOUT);
    CHECK(ha_error_is_retriable(err));
    ha_error_free(err);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, 1, NULL), HA_ERR_TIMEOUT);
    CHECK_STATUS(ha_session_wait(session, 0, 0, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, -2, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_TERM_ENDING, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_TERM_ENDING, 0, NULL), HA_OK);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, &err), HA_ERR_ENDED);
    ha_error_free(err);
    CHECK_STATUS(ha_session_resign(session, 0), HA_ERR_ENDED);
    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    CHECK_STATUS(ha_session_stop(session, 0, NULL), HA_OK);
    ha_session_free(session);
}

static void an_exclusive_session_names_who_is_in_the_way(void)
{
    ha_session *holder = start_auto("holder:1"), *session;
    ha_config *config = a_config("late:1");
    ha_error *err;
    char id[32];
    CHECK_STATUS(ha_session_wait(holder, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "false");
    set(config, HA_KEY_EXCLUSIVE_WAIT_MS, "0");
    session = start(config, NULL);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, &err), HA_ERR_ROLE_HELD);
    CHECK_TEXT(ha_error_detail(err, "holder_address"), "holder:1");
    snprintf(id, sizeof id, "%" PRId64, ha_session_server_id(holder));
    CHECK_TEXT(ha_error_detail(err, "holder_server_id"), id);
    CHECK(ha_error_is_fatal(err));
    ha_error_free(err);
    ha_session_free(session);
    ha_session_free(holder);
}

static void a_standby_knows_the_holder(void)
{
    ha_session *active = start_auto("first:1"), *standby;
    ha_event *event;
    ha_error *err;
    CHECK_STATUS(ha_session_wait(active, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    standby = start_auto("second:1");
    event = next_of(standby, HA_EVENT_STANDBY);
    CHECK_TEXT(ha_event_address(event), "first:1");
    ha_event_free(event);
    CHECK_STATUS(ha_session_holder(standby, &event, &err), HA_OK);
    CHECK(err == NULL && ha_event_kind(event) == HA_EVENT_HOLDER);
    CHECK_TEXT(ha_event_address(event), "first:1");
    CHECK(ha_event_server_id(event) == ha_session_server_id(active));
    CHECK(ha_event_token(event) == ha_session_fencing_token(active));
    ha_event_free(event);
    CHECK(!ha_session_is_active(standby) && ha_session_role(standby) == HA_ROLE_STANDBY);

    /* Freed without a stop: it leaves in order, and the other one follows with a larger token. */
    {
        int64_t token = ha_session_fencing_token(active);
        ha_session_free(active);
        CHECK_STATUS(ha_session_wait(standby, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
        CHECK(ha_session_fencing_token(standby) > token);
    }
    ha_session_free(standby);
}

static void resigning_gives_the_role_to_the_other_one(void)
{
    ha_session *first = start_auto("first:1"), *second;
    int64_t token;
    CHECK_STATUS(ha_session_wait(first, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    second = start_auto("second:1");
    CHECK_STATUS(ha_session_wait(second, HA_UNTIL_REGISTERED, HA_FOREVER, NULL), HA_OK);
    token = ha_session_fencing_token(first);
    CHECK_STATUS(ha_session_resign(first, -1), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_resign(first, -5), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_resign(second, 0), HA_OK);
    CHECK_STATUS(ha_session_resign(first, 60000), HA_OK);
    CHECK(!ha_session_is_active(first) && ha_session_is_ending(first, token));
    CHECK_STATUS(ha_session_wait(second, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(!ha_session_holds(first, token) && ha_session_fencing_token(second) > token);
    ha_session_free(first);
    ha_session_free(second);
}

static void of_two_standbys_the_one_with_the_higher_priority_is_next(void)
{
    ha_session *active = start_auto("active:1"), *first, *second;
    ha_config *config = a_config("first:1");
    CHECK_STATUS(ha_session_wait(active, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    set(config, HA_KEY_ACTIVATION_AUTO, "true");
    /* It ranks behind the other one, and leaves it this much time, on a busy machine too. */
    set(config, HA_KEY_ELECTION_RANK_STEP_MS, "5000");
    first = start(config, NULL);
    ha_event_free(next_of(first, HA_EVENT_STANDBY));
    second = start_auto("second:1");
    ha_event_free(next_of(second, HA_EVENT_STANDBY));
    CHECK_STATUS(ha_session_set_priority(second, 1001), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_set_priority(second, -1001), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_set_priority(second, 1000), HA_OK);
    CHECK_STATUS(ha_session_set_priority(active, -1000), HA_OK);
    for (;;) {
        ha_txn *txn;
        char key[128];
        bool is_written = false;
        size_t i;
        snprintf(key, sizeof key, "%s-%" PRId64, ha_session_active_key(second), ha_session_server_id(second));
        CHECK_STATUS(ha_txn_new(active, ha_session_fencing_token(active), &txn, NULL), HA_OK);
        ha_txn_get_prefix(txn, "by-dev/", 7, 0);
        CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
        for (i = 0; i < ha_txn_count(txn); i++)
            if (strcmp(ha_txn_key(txn, i, NULL), key) == 0)
                is_written = strstr(ha_txn_value(txn, i, NULL), "\"Priority\":1000") != NULL;
        ha_txn_free(txn);
        if (is_written)
            break;
    }
    ha_session_free(active);
    CHECK_STATUS(ha_session_wait(second, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_session_role(first) == HA_ROLE_STANDBY);
    CHECK_STATUS(ha_session_stop(second, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_set_priority(second, 0), HA_ERR_ENDED);
    ha_session_free(first);
    ha_session_free(second);
}

static void a_paused_session_does_not_become_active_until_it_is_resumed(void)
{
    ha_session *paused, *other;
    ha_config *config = a_config("paused:1");
    ha_event *event;
    bool is_paused = false;
    set(config, HA_KEY_ELECTION_PAUSED, "true");
    set(config, HA_KEY_ACTIVATION_AUTO, "true");
    paused = start(config, NULL);
    event = next_of(paused, HA_EVENT_BLOCKED);
    CHECK(ha_event_reason(event) == HA_REASON_PAUSED);
    ha_event_free(event);
    CHECK_STATUS(ha_session_pause(paused), HA_OK);

    /* It leaves the role to one that came later, which keeps it while it is paused itself. */
    other = start_auto("other:1");
    CHECK_STATUS(ha_session_wait(other, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_pause(other), HA_OK);
    CHECK(ha_session_is_active(other) && ha_session_role(paused) == HA_ROLE_STANDBY);

    /* Now nobody contends. */
    CHECK_STATUS(ha_session_resign(other, 1), HA_OK);
    while (!is_paused) {
        event = next_of(other, HA_EVENT_BLOCKED);
        is_paused = ha_event_reason(event) == HA_REASON_PAUSED;
        ha_event_free(event);
    }
    CHECK_STATUS(ha_session_wait(paused, HA_UNTIL_ACTIVE, 0, NULL), HA_ERR_TIMEOUT);

    CHECK_STATUS(ha_session_resume(paused), HA_OK);
    CHECK_STATUS(ha_session_wait(paused, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_resume(paused), HA_OK);
    CHECK(ha_session_is_active(paused) && !ha_session_is_active(other));
    ha_session_free(other);

    CHECK_STATUS(ha_session_stop(paused, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_pause(paused), HA_ERR_ENDED);
    CHECK_STATUS(ha_session_resume(paused), HA_ERR_ENDED);
    CHECK_STATUS(ha_session_pause(NULL), HA_ERR_NULL);
    CHECK_STATUS(ha_session_resume(NULL), HA_ERR_NULL);
    ha_session_free(paused);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(a_term_is_pulled_and_answered),
        CASE(a_failed_activation_tells_its_reason),
        CASE(the_descriptor_is_good_for_level),
        CASE(the_descriptor_has_an_edge_at_each_arrival),
        CASE(reading_the_descriptor_loses_no_event),
        CASE(each_event_goes_to_one_of_two_threads),
        CASE(every_stage_may_be_waited_for),
        CASE(an_exclusive_session_names_who_is_in_the_way),
        CASE(a_standby_knows_the_holder),
        CASE(resigning_gives_the_role_to_the_other_one),
        CASE(of_two_standbys_the_one_with_the_higher_priority_is_next),
        CASE(a_paused_session_does_not_become_active_until_it_is_resumed),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
