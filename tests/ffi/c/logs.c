/* Logging. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>

struct log {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int records, destroyed, running, worst, told_of_active;
    pthread_t caller;
    int (*inside)(struct log *log);
};

#define LOG_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static void receive(void *user_data, const ha_log_record *record)
{
    struct log *log = user_data;
    int32_t level = ha_log_record_level(record);
    const char *fields = ha_log_record_fields_json(record);
    pthread_mutex_lock(&log->lock);
    CHECK(!log->running && !log->destroyed);
    log->running = 1;
    pthread_mutex_unlock(&log->lock);

    CHECK(level >= HA_LOG_ERROR && level <= HA_LOG_TRACE);
    CHECK(strncmp(ha_log_record_target(record), "coordha", 7) == 0);
    CHECK(strlen(ha_log_record_message(record)) > 0);
    CHECK(ha_log_record_unix_ms(record) > 1600000000000);
    CHECK(fields[0] == '{' && fields[strlen(fields) - 1] == '}');
    if (log->inside)
        log->inside(log);

    pthread_mutex_lock(&log->lock);
    log->running = 0;
    log->records++;
    log->caller = pthread_self();
    if (level > log->worst)
        log->worst = level;
    if (strstr(fields, "\"role\":\"testrole\"") != NULL)
        log->told_of_active++;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static void destroyed(void *user_data)
{
    struct log *log = user_data;
    pthread_mutex_lock(&log->lock);
    log->destroyed++;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static void a_term(void)
{
    ha_session *session = start_auto("a:1");
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
}

static void a_receiver_is_told_what_happens(void)
{
    struct log log = LOG_INIT;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_INFO, receive, &log, destroyed), HA_OK);
    a_term();
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
    /* All that waited was delivered, and nothing comes after. */
    CHECK(log.records > 0 && log.told_of_active > 0 && log.worst <= HA_LOG_INFO);
    CHECK(log.destroyed == 1 && !log.running);
    CHECK(!pthread_equal(log.caller, pthread_self()));
    a_term();
    CHECK(log.destroyed == 1);
}

static void the_level_is_kept_to(void)
{
    struct log log = LOG_INIT;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, receive, &log, destroyed), HA_OK);
    a_term();
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
    CHECK(log.records == 0 && log.destroyed == 1);
}

static void a_receiver_is_replaced_at_once(void)
{
    struct log first = LOG_INIT, second = LOG_INIT;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, receive, &first, destroyed), HA_OK);
    a_term();
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, receive, &second, destroyed), HA_OK);
    CHECK(first.destroyed == 1 && first.records > 0);
    a_term();
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, NULL, NULL, NULL), HA_OK);
    CHECK(first.destroyed == 1 && second.destroyed == 1 && second.records > 0);
}

static int replaces_itself(struct log *log)
{
    log->inside = NULL;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
    /* It still runs. */
    CHECK(!log->destroyed);
    return 0;
}

static void a_receiver_may_take_itself_away(void)
{
    struct log log = LOG_INIT;
    log.inside = replaces_itself;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, receive, &log, destroyed), HA_OK);
    a_term();
    pthread_mutex_lock(&log.lock);
    while (!log.destroyed)
        pthread_cond_wait(&log.changed, &log.lock);
    CHECK(log.destroyed == 1 && log.records == 1);
    pthread_mutex_unlock(&log.lock);
}

static ha_session *seen_from_the_receiver;

static int asks_the_session(struct log *log)
{
    (void)log;
    if (seen_from_the_receiver) {
        /* Functions that take the session's locks, and one that has something to log. */
        ha_event *event;
        ha_session_role(seen_from_the_receiver);
        if (ha_session_holder(seen_from_the_receiver, &event, NULL) == HA_OK)
            ha_event_free(event);
        ha_session_resign(seen_from_the_receiver, 1);
    }
    return 0;
}

static void a_receiver_may_call_the_library(void)
{
    struct log log = LOG_INIT;
    log.inside = asks_the_session;
    seen_from_the_receiver = start_auto("a:1");
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, receive, &log, destroyed), HA_OK);
    CHECK_STATUS(ha_session_wait(seen_from_the_receiver, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_stop(seen_from_the_receiver, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
    CHECK(log.destroyed == 1);
    ha_session_free(seen_from_the_receiver);
}

static void a_level_that_is_none_is_refused(void)
{
    struct log log = LOG_INIT;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE + 1, receive, &log, destroyed), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_log_set_callback(-1, receive, &log, destroyed), HA_ERR_INVALID_ARGUMENT);
    CHECK(log.destroyed == 2);
}

/* Turns stderr into a pipe; returns the end to read from. */
static FILE *read_stderr(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return fdopen(ends[0], "r");
}

/* A store that cannot be reached: nobody listens on the discard port of this host. */
static void something_to_warn_of(void)
{
    ha_config *config = a_config("a:1");
    ha_session *session;
    set(config, HA_KEY_STORE_URL, "etcd://127.0.0.1:9");
    session = start(config, NULL);
    ha_event_free(next_of(session, HA_EVENT_DEGRADED));
    ha_session_free(session);
}

static void is_line(FILE *stream, const char *begin)
{
    char line[4096];
    CHECK(fgets(line, sizeof line, stream) != NULL);
    if (strncmp(line, begin, strlen(begin)) != 0 || strchr(line, '\n') == NULL) {
        printf("stderr: %s\n", line);
        fflush(stdout);
        _exit(1);
    }
}

static void without_a_receiver_warnings_go_to_stderr(void)
{
    FILE *stream = read_stderr();
    unsetenv("COORDHA_LOG");
    something_to_warn_of();
    is_line(stream, "WARN coordha::");
}

static void a_level_that_the_environment_makes_up_is_the_usual_one(void)
{
    FILE *stream = read_stderr();
    setenv("COORDHA_LOG", "loud", 1);
    something_to_warn_of();
    is_line(stream, "WARN coordha::");
}

static void the_environment_may_ask_for_more(void)
{
    FILE *stream = read_stderr();
    setenv("COORDHA_LOG", "info", 1);
    a_term();
    is_line(stream, "INFO coordha::");
}

static void the_environment_may_turn_stderr_off(void)
{
    FILE *stream = read_stderr();
    struct log log = LOG_INIT;
    setenv("COORDHA_LOG", "off", 1);
    something_to_warn_of();
    /* What would be on its way is there when this has returned. */
    CHECK_STATUS(ha_log_set_callback(HA_LOG_ERROR, receive, &log, destroyed), HA_OK);
    CHECK(fcntl(fileno(stream), F_SETFL, O_NONBLOCK) == 0);
    CHECK(fgetc(stream) == EOF);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
}

/* Fetches all that waits; gives how many there were of a session's. */
static int fetch_all(void)
{
    int told = 0;
    for (;;) {
        ha_log_record *record = (ha_log_record *)(uintptr_t)1;
        int32_t status = ha_log_next(0, &record);
        if (status != HA_OK) {
            CHECK_STATUS(status, HA_ERR_TIMEOUT);
            CHECK(record == NULL);
            return told;
        }
        CHECK(ha_log_record_level(record) >= HA_LOG_ERROR && ha_log_record_level(record) <= HA_LOG_INFO);
        CHECK(strncmp(ha_log_record_target(record), "coordha", 7) == 0);
        CHECK(strlen(ha_log_record_message(record)) > 0 && ha_log_record_unix_ms(record) > 1600000000000);
        told += strstr(ha_log_record_fields_json(record), "\"role\":\"testrole\"") != NULL;
        ha_log_record_free(record);
    }
}

/* Waits for records until some were told of a session. */
static void fetch_some(struct pollfd *ready)
{
    int told = 0;
    while (told < 3) {
        CHECK(poll(ready, 1, -1) == 1);
        told += fetch_all();
    }
}

static void the_level_of_fetched_records_may_be_set(void)
{
    FILE *stream = read_stderr();
    CHECK(ha_log_event_fd() >= 0);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_ERROR, NULL, NULL, NULL), HA_OK);
    a_term();
    something_to_warn_of();
    CHECK(fetch_all() == 0);
    CHECK(fcntl(fileno(stream), F_SETFL, O_NONBLOCK) == 0);
    CHECK(fgetc(stream) == EOF);
}

static void records_may_be_fetched(void)
{
    struct pollfd ready = { ha_log_event_fd(), POLLIN, 0 };
    ha_log_record *record;
    CHECK(ready.fd >= 0 && ha_log_event_fd() == ready.fd);
    CHECK(fetch_all() == 0 && poll(&ready, 1, 0) == 0);
    a_term();
    fetch_some(&ready);
    /* Reading from the descriptor loses no record. */
    a_term();
    CHECK(poll(&ready, 1, -1) == 1);
    while (read(ready.fd, &(uint64_t){ 0 }, 8) == 8)
        continue;
    CHECK_STATUS(ha_log_next(0, &record), HA_OK);
    ha_log_record_free(record);
    CHECK_STATUS(ha_log_next(-2, &record), HA_ERR_INVALID_ARGUMENT);
    CHECK(record == NULL);
}

static void *fetch_in_vain(void *unused)
{
    ha_log_record *record;
    int32_t status;
    while ((status = ha_log_next(HA_FOREVER, &record)) == HA_OK)
        ha_log_record_free(record);
    CHECK_STATUS(status, HA_ERR_STATE);
    return unused;
}

static void a_receiver_ends_the_fetching(void)
{
    struct log log = LOG_INIT;
    ha_log_record *record;
    pthread_t thread;
    CHECK_STATUS(ha_log_next(0, &record), HA_ERR_TIMEOUT);
    a_term();
    /* What was not fetched is the receiver's. */
    CHECK_STATUS(ha_log_set_callback(HA_LOG_INFO, receive, &log, destroyed), HA_OK);
    CHECK_STATUS(ha_log_next(0, &record), HA_ERR_STATE);
    CHECK(record == NULL && ha_log_event_fd() == -1);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
    CHECK(log.told_of_active > 0 && log.destroyed == 1);

    CHECK_STATUS(ha_log_next(0, &record), HA_ERR_TIMEOUT);
    CHECK(pthread_create(&thread, NULL, fetch_in_vain, NULL) == 0);
    a_term();
    CHECK_STATUS(ha_log_set_callback(HA_LOG_INFO, receive, &log, destroyed), HA_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL), HA_OK);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(a_receiver_is_told_what_happens),
        CASE(the_level_is_kept_to),
        CASE(a_receiver_is_replaced_at_once),
        CASE(a_receiver_may_take_itself_away),
        CASE(a_receiver_may_call_the_library),
        CASE(a_level_that_is_none_is_refused),
        CASE(without_a_receiver_warnings_go_to_stderr),
        CASE(a_level_that_the_environment_makes_up_is_the_usual_one),
        CASE(the_environment_may_ask_for_more),
        CASE(the_environment_may_turn_stderr_off),
        CASE(records_may_be_fetched),
        CASE(the_level_of_fetched_records_may_be_set),
        CASE(a_receiver_ends_the_fetching),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
