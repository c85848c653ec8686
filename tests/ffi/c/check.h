/* What the C tests share: cases by name, checks, a configuration on a store of their own, a record of callbacks. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE

#include <coordha.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
#define CHECK_STATUS(call, expected) check_status((call), (expected), #call, __FILE__, __LINE__)
#define CHECK_TEXT(text, expected) check_text((text), (expected), #text, __FILE__, __LINE__)

static inline void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    fflush(stderr);
    _exit(1);
}

static inline void check_status(int32_t status, int32_t expected, const char *what, const char *file, int line)
{
    if (status != expected) {
        fprintf(stderr, "%s:%d: %s is %s, must be %s\n", file, line, what, ha_status_name(status),
                ha_status_name(expected));
        fflush(stderr);
        _exit(1);
    }
}

static inline void check_text(const char *text, const char *expected, const char *what, const char *file, int line)
{
    if (text == NULL || strcmp(text, expected) != 0) {
        fprintf(stderr, "%s:%d: %s is \"%s\", must be \"%s\"\n", file, line, what, text ? text : "(NULL)", expected);
        fflush(stderr);
        _exit(1);
    }
}

/* The folder of this run's store. */
static const char *check_folder;

struct check_case {
    const char *name;
    void (*run)(void);
};

#define CASE(name) { #name, name }

/* program <case> <folder>. A case that hangs is ended by SIGALRM. */
static inline int check_main(int argc, char **argv, const struct check_case *cases, size_t count)
{
    size_t i;
    alarm(120);
    CHECK(argc == 3);
    check_folder = argv[2];
    for (i = 0; i < count; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}

static inline void set(ha_config *config, const char *key, const char *value)
{
    ha_error *err;
    if (ha_config_set(config, key, value, &err) != HA_OK)
        check_failed(ha_error_message(err), __FILE__, __LINE__);
}

/* Active-standby on, short times, a store in this run's folder. With CHECK_PATIENT set, times for a slow machine. */
static inline ha_config *a_config(const char *address)
{
    char url[4096];
    bool patient = getenv("CHECK_PATIENT") != NULL;
    ha_config *config = ha_config_new();
    snprintf(url, sizeof url, "local:%s", check_folder);
    set(config, HA_KEY_ROLE, "testrole");
    set(config, HA_KEY_ADDRESS, address);
    set(config, HA_KEY_STORE_URL, url);
    set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true");
    set(config, HA_KEY_ELECTION_HOLD_MS, patient ? "20000" : "5000");
    set(config, HA_KEY_LEASE_TTL_MS, patient ? "60000" : "10000");
    set(config, HA_KEY_ACTIVATION_BACKOFF_MS, "50");
    set(config, HA_KEY_RELEASE_TIMEOUT_MS, "20000");
    return config;
}

static inline ha_session *start(ha_config *config, const ha_callbacks *callbacks)
{
    ha_session *session = NULL;
    ha_error *err;
    if (ha_session_start(config, callbacks, &session, &err) != HA_OK)
        check_failed(ha_error_message(err), __FILE__, __LINE__);
    CHECK(session != NULL && err == NULL);
    ha_config_free(config);
    return session;
}

/* Started without callbacks; ready and left are said by the library. */
static inline ha_session *start_auto(const char *address)
{
    ha_config *config = a_config(address);
    set(config, HA_KEY_ACTIVATION_AUTO, "true");
    return start(config, NULL);
}

/* The next event of this kind; others are let go by. */
static inline ha_event *next_of(ha_session *session, int32_t kind)
{
    for (;;) {
        ha_event *event;
        CHECK_STATUS(ha_session_next_event(session, HA_FOREVER, &event), HA_OK);
        if (ha_event_kind(event) == kind)
            return event;
        CHECK(ha_event_kind(event) != HA_EVENT_ENDED);
        ha_event_free(event);
    }
}

/* What the callbacks of a session were told, and what they answer. */
struct record {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int activated, deactivated, events, ended, destroyed;
    int running, overlapped;
    ha_session *session;
    int64_t token;
    int32_t reason, event_error;
    bool held;
    int32_t answer_activate, answer_deactivate;
    /* Called inside the callbacks, if set. */
    void (*inside_activate)(struct record *record, ha_session *session, const ha_event *event);
    void (*inside_deactivate)(struct record *record, ha_session *session, const ha_event *event);
    void (*inside_event)(struct record *record, ha_session *session, const ha_event *event);
    int32_t seen;
};

#define RECORD_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static inline void record_count(struct record *record, int *count)
{
    pthread_mutex_lock(&record->lock);
    ++*count;
    pthread_cond_broadcast(&record->changed);
    pthread_mutex_unlock(&record->lock);
}

/* Waits until a count has been reached. */
static inline void record_await(struct record *record, const int *count, int wanted)
{
    pthread_mutex_lock(&record->lock);
    while (*count < wanted)
        pthread_cond_wait(&record->changed, &record->lock);
    pthread_mutex_unlock(&record->lock);
}

static inline void record_enter(struct record *record, ha_session *session)
{
    pthread_mutex_lock(&record->lock);
    if (record->running++)
        record->overlapped = 1;
    record->session = session;
    CHECK(!record->destroyed);
    pthread_mutex_unlock(&record->lock);
}

static inline void record_leave(struct record *record, int *count)
{
    pthread_mutex_lock(&record->lock);
    record->running--;
    ++*count;
    pthread_cond_broadcast(&record->changed);
    pthread_mutex_unlock(&record->lock);
}

static inline int32_t record_activate(void *user_data, ha_session *session, const ha_event *event)
{
    struct record *record = user_data;
    record_enter(record, session);
    CHECK(ha_event_kind(event) == HA_EVENT_ACTIVATE);
    record->token = ha_event_token(event);
    if (record->inside_activate)
        record->inside_activate(record, session, event);
    record_leave(record, &record->activated);
    return record->answer_activate;
}

static inline int32_t record_deactivate(void *user_data, ha_session *session, const ha_event *event)
{
    struct record *record = user_data;
    record_enter(record, session);
    CHECK(ha_event_kind(event) == HA_EVENT_DEACTIVATE);
    CHECK(ha_event_token(event) == record->token);
    record->held = ha_event_held(event);
    record->reason = ha_event_reason(event);
    if (record->inside_deactivate)
        record->inside_deactivate(record, session, event);
    record_leave(record, &record->deactivated);
    return record->answer_deactivate;
}

static inline void record_event(void *user_data, ha_session *session, const ha_event *event)
{
    struct record *record = user_data;
    int32_t kind = ha_event_kind(event);
    record_enter(record, session);
    CHECK(kind != HA_EVENT_ACTIVATE && kind != HA_EVENT_DEACTIVATE);
    if (record->inside_event)
        record->inside_event(record, session, event);
    if (kind == HA_EVENT_ENDED) {
        record->event_error = ha_error_code(ha_event_error(event));
        record_count(record, &record->ended);
    }
    record_leave(record, &record->events);
}

static inline void record_destroy(void *user_data)
{
    struct record *record = user_data;
    record_count(record, &record->destroyed);
}

static inline ha_callbacks callbacks_of(struct record *record)
{
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    callbacks.on_activate = record_activate;
    callbacks.on_deactivate = record_deactivate;
    callbacks.on_event = record_event;
    callbacks.user_data = record;
    callbacks.destroy = record_destroy;
    return callbacks;
}

#endif
