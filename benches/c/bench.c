// The program of `make bench-bindings` for C. What it is told and what it says stands at the head of benches/bindings/main.rs.
#define _POSIX_C_SOURCE 200809L
#include <coordha.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS = 20000, LIMIT_MS = 60000, SESSIONS = 1000 };

static const char *store, *name;
static ha_session *sessions[SESSIONS];
static int started;

static void check(int32_t code, ha_error *err) {
    if (code != HA_OK) {
        fprintf(stderr, "%s: %s\n", ha_status_name(code), err ? ha_error_message(err) : "");
        exit(1);
    }
}

static ha_config *configure(const char *role) {
    ha_config *config = ha_config_new();
    ha_error *err = NULL;
    check(ha_config_set(config, HA_KEY_STORE_URL, store, &err), err);
    check(ha_config_set(config, HA_KEY_ROLE, role, &err), err);
    return config;
}

static int32_t done(void *app, ha_session *s, const ha_event *ev) {
    (void)app, (void)s, (void)ev;
    return HA_OK;
}

static void start(int count) {
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    ha_error *err = NULL;
    int first = started;
    callbacks.on_activate = callbacks.on_deactivate = done;
    for (; started < count && started < SESSIONS; started++) {
        char role[64], address[32];
        snprintf(role, sizeof role, "%s_%d", name, started);
        snprintf(address, sizeof address, "127.0.0.1:%d", started + 1);
        ha_config *config = configure(role);
        check(ha_config_set(config, HA_KEY_ADDRESS, address, &err), err);
        check(ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", &err), err);
        check(ha_session_start(config, &callbacks, &sessions[started], &err), err);
        ha_config_free(config);
    }
    for (int i = first; i < started; i++) {
        check(ha_session_wait(sessions[i], HA_UNTIL_ACTIVE, LIMIT_MS, &err), err);
    }
    printf("{\"sessions\":%d}\n", started);
}

static double ns_of_one(const struct timespec *from) {
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return ((double)(to.tv_sec - from->tv_sec) * 1e9 + (double)(to.tv_nsec - from->tv_nsec)) / CALLS;
}

// Each loop counts its "yes", so that no call can be left out and none answers "no" unseen.
static void calls(void) {
    const ha_session *s = sessions[0];
    int64_t token = ha_session_fencing_token(s);
    struct timespec from, now;
    int yes = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < CALLS; i++) yes += clock_gettime(CLOCK_BOOTTIME, &now) == 0;
    double clock = ns_of_one(&from);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < CALLS; i++) yes += ha_session_is_active(s);
    double is_active = ns_of_one(&from);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < CALLS; i++) yes += ha_session_holds(s, token);
    double holds = ns_of_one(&from);
    if (yes != 3 * CALLS) {
        fprintf(stderr, "the session was not active all the time\n");
        exit(1);
    }
    printf("{\"is_active\":%f,\"beside\":%f,\"holds\":%f,\"beside_holds\":%f}\n", is_active, clock, holds, clock);
}

static void *watch(void *observer) {
    ha_event *ev;
    while (ha_observer_next(observer, HA_FOREVER, &ev) == HA_OK) {
        struct timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        int64_t at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
        printf("{\"token\":%" PRId64 ",\"at\":%" PRId64 "}\n", ha_event_token(ev), at);
        ha_event_free(ev);
    }
    return NULL;
}

int main(int argc, char **argv) {
    char line[256];
    ha_observer *observer = NULL;
    ha_error *err = NULL;
    pthread_t watcher;
    if (argc != 3) return 2;
    store = argv[1], name = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"made_by\":\"gcc %s\"}\n", __VERSION__);
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "start ", 6) == 0) start(atoi(line + 6));
        if (strcmp(line, "calls\n") == 0) calls();
        if (strcmp(line, "watch\n") == 0) {
            ha_config *config = configure(name);
            check(ha_observer_start(config, &observer, &err), err);
            ha_config_free(config);
            pthread_create(&watcher, NULL, watch, observer);
        }
    }
    if (observer) {
        ha_observer_request_stop(observer);
        pthread_join(watcher, NULL);
        ha_observer_free(observer);
    }
    for (int i = 0; i < started; i++) ha_session_request_stop(sessions[i]);
    for (int i = 0; i < started; i++) ha_session_free(sessions[i]);
}
