/* The tester of the scenarios for C: does what it is told on stdin and says what happens on stdout. The protocol stands at the
 * head of tests/scenarios/scenarios.toml. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coordha.h"

enum { WORDS = 64, NAMED = 16, NEVER_MS = 20000 };

/* A session and its application. Freed sessions keep their place: a callback may still run. */
struct named {
    char name[32], activate[16], deactivate[16], body[16];
    ha_session *session;
    pthread_t reader;
    bool reads;
};

struct watching {
    char name[32];
    ha_observer *observer;
    pthread_t reader;
};

static struct watching observers[NAMED];
static int observed;
static struct named all[NAMED];
static int used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct named *find(const char *name) {
    for (int i = used - 1; i >= 0; i--)
        if (all[i].session && strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

static void say_event(const char *name, const ha_event *ev) {
    char line[1024];
    int n = snprintf(line, sizeof line, "! %s %s", name, ha_event_kind_name(ev));
#define FIELD(...) n += snprintf(line + n, sizeof line - (size_t)n, __VA_ARGS__)
    if (ha_event_token(ev)) FIELD(" token=%lld", (long long)ha_event_token(ev));
    if (ha_event_reason(ev)) FIELD(" reason=%d", ha_event_reason(ev));
    if (ha_event_kind(ev) == HA_EVENT_DEACTIVATE) FIELD(" held=%s", ha_event_held(ev) ? "true" : "false");
    if (ha_event_server_id(ev)) FIELD(" server_id=%lld", (long long)ha_event_server_id(ev));
    if (ha_event_address(ev)) FIELD(" address=%s", ha_event_address(ev));
    if (ha_event_key(ev)) FIELD(" key=%s", ha_event_key(ev));
    const ha_error *error = ha_event_error(ev);
    if (error) FIELD(" error=%s", ha_error_name(error));
    if (ha_error_detail(error, "code")) FIELD(" code=%s", ha_error_detail(error, "code"));
    if (ha_event_missed(ev)) FIELD(" missed=%llu", (unsigned long long)ha_event_missed(ev));
#undef FIELD
    puts(line);
}

/* What a term body of other languages does up to "ready", and after it where it does not wait: C has none, so by calls. */
static int32_t begin_body(const char *body, ha_session *s, int64_t token) {
    const char *why = NULL;
    if (strcmp(body, "early") == 0) why = "the term's body returned before it was ready";
    if (strcmp(body, "throw") == 0) why = "boom";
    ha_session_activation_done(s, token, why ? HA_ERR_ACTIVATION_FAILED : HA_OK, why, NULL);
    if (strcmp(body, "return") == 0 || strcmp(body, "late") == 0) ha_session_resign(s, 0);
    return HA_PENDING;
}

/* What it does when its term ends. One that hangs answers when the term is gone: see on_event. */
static int32_t end_body(const char *body, ha_session *s, int64_t token) {
    if (strcmp(body, "hang") != 0 || !ha_session_holds(s, token)) ha_session_deactivation_done(s, token, NULL);
    return HA_PENDING;
}

static int32_t on_activate(void *app, ha_session *s, const ha_event *ev) {
    struct named *own = app;
    say_event(own->name, ev);
    if (*own->body) return begin_body(own->body, s, ha_event_token(ev));
    if (strcmp(own->activate, "pending") == 0) return HA_PENDING;
    if (strcmp(own->activate, "fail") == 0) return 10001;
    if (strcmp(own->activate, "throw") == 0) return HA_ERR_ACTIVATION_FAILED;
    if (strcmp(own->activate, "stop") == 0) ha_session_request_stop(s);
    if (strcmp(own->activate, "free") == 0) {
        pthread_mutex_lock(&lock);
        own->session = NULL;
        pthread_mutex_unlock(&lock);
        ha_session_free(s);
    }
    if (strcmp(own->activate, "hang") == 0)
        while (!ha_session_is_ending(s, ha_event_token(ev))) nanosleep(&(struct timespec){0, 1000000}, NULL);
    return HA_OK;
}

static int32_t on_deactivate(void *app, ha_session *s, const ha_event *ev) {
    struct named *own = app;
    say_event(own->name, ev);
    if (*own->body) return end_body(own->body, s, ha_event_token(ev));
    return strcmp(own->deactivate, "pending") == 0 ? HA_PENDING : HA_OK;
}

static void on_event(void *app, ha_session *s, const ha_event *ev) {
    struct named *own = app;
    say_event(own->name, ev);
    /* Refused where it was said already. */
    if (strcmp(own->body, "hang") == 0 && ha_event_kind(ev) == HA_EVENT_TERM_ENDED)
        ha_session_deactivation_done(s, ha_event_token(ev), NULL);
}

static void *read_events(void *app) {
    struct named *own = app;
    ha_event *ev;
    while (ha_session_next_event(own->session, HA_FOREVER, &ev) == HA_OK) {
        say_event(own->name, ev);
        ha_event_free(ev);
    }
    return NULL;
}

/* Answers with what came of it, and frees the error. A line that is made of parts holds stdout: others say events meanwhile. */
static void answer(int32_t code, ha_error *err) {
    static const char *const details[] = {"key", "value", "allowed", "holder_address", "holder_server_id", "code"};
    if (code == HA_OK) {
        puts("= ok");
        return;
    }
    flockfile(stdout);
    printf("= error %s", ha_status_name(code));
    for (size_t i = 0; err && i < sizeof details / sizeof *details; i++) {
        const char *text = ha_error_detail(err, details[i]);
        if (!text) continue;
        printf(" %s=", details[i]);
        for (; *text; text++) putchar(*text == ' ' ? '_' : *text);
    }
    putchar('\n');
    funlockfile(stdout);
    ha_error_free(err);
}

static bool is_for_tester(const char *word) { return word[0] == '@'; }

static const char *wish(char **words, int count, const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < count; i++)
        if (is_for_tester(words[i]) && strncmp(words[i] + 1, name, length) == 0)
            return words[i] + 1 + length + (words[i][1 + length] == '=');
    return NULL;
}

static int32_t configure(ha_config *config, char **words, int count, ha_error **err) {
    for (int i = 0; i < count; i++) {
        if (is_for_tester(words[i])) continue;
        char *value = strchr(words[i], '=');
        if (!value) continue;
        *value = 0;
        int32_t code = ha_config_set(config, words[i], value + 1, err);
        if (code != HA_OK) return code;
    }
    return HA_OK;
}

static void start(char **words, int count) {
    static const ha_callbacks init = HA_CALLBACKS_INIT;
    ha_callbacks callbacks = init;
    ha_config *config = ha_config_new();
    ha_error *err = NULL;
    bool pull = wish(words, count, "pull") != NULL;
    struct named *own = &all[used];
    const char *activate = wish(words, count, "activate"), *deactivate = wish(words, count, "deactivate");
    const char *body = wish(words, count, "body");
    snprintf(own->name, sizeof own->name, "%s", words[1]);
    snprintf(own->activate, sizeof own->activate, "%s", activate ? activate : "");
    snprintf(own->deactivate, sizeof own->deactivate, "%s", deactivate ? deactivate : "");
    snprintf(own->body, sizeof own->body, "%s", body ? body : "");
    callbacks.on_activate = on_activate;
    callbacks.on_deactivate = on_deactivate;
    callbacks.on_event = on_event;
    callbacks.user_data = own;
    int32_t code = configure(config, words + 2, count - 2, &err);
    /* A callback may come before the start has returned. */
    pthread_mutex_lock(&lock);
    if (code == HA_OK) code = ha_session_start(config, pull ? NULL : &callbacks, &own->session, &err);
    used += code == HA_OK;
    pthread_mutex_unlock(&lock);
    ha_config_free(config);
    own->reads = code == HA_OK && pull && !wish(words, count, "unread");
    if (own->reads) pthread_create(&own->reader, NULL, read_events, own);
    answer(code, err);
}

static void check(char **words, int count) {
    ha_config *config = ha_config_new();
    ha_error *err = NULL;
    int32_t code = configure(config, words + 1, count - 1, &err);
    if (code == HA_OK) code = ha_config_check(config, &err);
    ha_config_free(config);
    answer(code, err);
}

static void cycle(char **words, int count) {
    ha_config *config = ha_config_new();
    ha_error *err = NULL;
    int32_t code = configure(config, words + 2, count - 2, &err);
    for (int i = atoi(words[1]); i > 0 && code == HA_OK; i--) {
        ha_session *session;
        code = ha_session_start(config, NULL, &session, &err);
        if (code == HA_OK) code = ha_session_stop(session, NEVER_MS, &err);
        ha_session_free(session);
    }
    ha_config_free(config);
    answer(code, err);
}

static void *read_holders(void *app) {
    struct watching *own = app;
    ha_event *ev;
    while (ha_observer_next(own->observer, HA_FOREVER, &ev) == HA_OK) {
        say_event(own->name, ev);
        ha_event_free(ev);
    }
    return NULL;
}

static void observe(char **words, int count) {
    struct watching *own = &observers[observed];
    ha_config *config = ha_config_new();
    ha_error *err = NULL;
    snprintf(own->name, sizeof own->name, "%s", words[1]);
    int32_t code = configure(config, words + 2, count - 2, &err);
    if (code == HA_OK) code = ha_observer_start(config, &own->observer, &err);
    ha_config_free(config);
    if (code == HA_OK) {
        observed++;
        pthread_create(&own->reader, NULL, read_holders, own);
    }
    answer(code, err);
}

static void unobserve(struct watching *own) {
    if (!own->observer) return;
    ha_observer_request_stop(own->observer);
    pthread_join(own->reader, NULL);
    ha_observer_free(own->observer);
    own->observer = NULL;
}

static void unobserve_named(const char *name) {
    for (int i = 0; i < observed; i++)
        if (strcmp(observers[i].name, name) == 0) unobserve(&observers[i]);
    answer(HA_OK, NULL);
}

static void release(struct named *own) {
    ha_session *session = own->session;
    ha_session_request_stop(session);
    if (own->reads) pthread_join(own->reader, NULL);
    pthread_mutex_lock(&lock);
    own->session = NULL;
    pthread_mutex_unlock(&lock);
    ha_session_free(session);
}

static void state(const ha_session *s, int64_t token) {
    printf("= ok role=%d is_active=%s holds=%s is_ending=%s remaining=%s token=%lld server_id=%lld\n", ha_session_role(s),
           ha_session_is_active(s) ? "true" : "false", ha_session_holds(s, token) ? "true" : "false",
           ha_session_is_ending(s, token) ? "true" : "false", ha_session_remaining_ms(s) > 0 ? "true" : "false",
           (long long)ha_session_fencing_token(s), (long long)ha_session_server_id(s));
}

static void transact(ha_session *s, char **words, int count) {
    ha_txn *txn;
    ha_error *err = NULL;
    int32_t code = ha_txn_new(s, atoll(words[2]), &txn, &err);
    for (int i = 3; i < count && code == HA_OK; i++) {
        char *key = strchr(words[i], ':') + 1, *value = strchr(key, ':');
        if (value) *value++ = 0;
        size_t klen = strlen(key), vlen = value ? strlen(value) : 0;
        if (strncmp(words[i], "if:", 3) == 0) ha_txn_if_revision(txn, key, klen, atoll(value));
        else if (strncmp(words[i], "ifv:", 4) == 0) ha_txn_if_value(txn, key, klen, value, vlen);
        else if (strncmp(words[i], "put:", 4) == 0) ha_txn_put(txn, key, klen, value, vlen);
        else if (strncmp(words[i], "leased:", 7) == 0) ha_txn_put_leased(txn, key, klen, value, vlen);
        else if (strncmp(words[i], "del:", 4) == 0) ha_txn_delete(txn, key, klen);
        else ha_txn_get(txn, key, klen);
    }
    if (code == HA_OK) code = ha_txn_commit(txn, 5000, &err);
    if (code == HA_OK) {
        flockfile(stdout);
        printf("= ok revision=%lld count=%zu", (long long)ha_txn_revision(txn), ha_txn_count(txn));
        for (size_t i = 0; i < ha_txn_count(txn); i++) {
            size_t klen, vlen;
            const char *key = ha_txn_key(txn, i, &klen), *value = ha_txn_value(txn, i, &vlen);
            printf(" %.*s=%.*s", (int)klen, key, (int)vlen, value);
        }
        putchar('\n');
        funlockfile(stdout);
    } else {
        answer(code, err);
    }
    ha_txn_free(txn);
}

static void in_child(ha_session *s, int64_t token) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        bool active = ha_session_is_active(s), holds = ha_session_holds(s, token);
        int32_t stop = ha_session_stop(s, 0, NULL);
        printf("= ok is_active=%s holds=%s stop=%s\n", active ? "true" : "false", holds ? "true" : "false", ha_status_name(stop));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static int32_t until(const char *word) {
    if (strcmp(word, "registered") == 0) return HA_UNTIL_REGISTERED;
    if (strcmp(word, "active") == 0) return HA_UNTIL_ACTIVE;
    return strcmp(word, "term_ending") == 0 ? HA_UNTIL_TERM_ENDING : HA_UNTIL_ENDED;
}

static void holder(const ha_session *s) {
    ha_event *ev;
    ha_error *err = NULL;
    int32_t code = ha_session_holder(s, &ev, &err);
    if (code != HA_OK) answer(code, err);
    else if (!ha_event_address(ev)) puts("= ok");
    else printf("= ok address=%s server_id=%lld\n", ha_event_address(ev), (long long)ha_event_server_id(ev));
    ha_event_free(ev);
}

/* Of the metrics' lines: the names after "# TYPE", or those that begin so, with spaces as underscores. */
static void say_lines(const char *text, const char *start, bool name) {
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, start, strlen(start)) != 0) continue;
        const char *word = name ? line + strlen(start) : line;
        putchar(' ');
        for (size_t i = 0, length = strcspn(word, name ? " \n" : "\n"); i < length; i++) putchar(word[i] == ' ' ? '_' : word[i]);
    }
}

static void metrics(const char *prefix) {
    char *text = ha_metrics_text();
    flockfile(stdout);
    fputs("= ok", stdout);
    say_lines(text, "# TYPE ", true);
    say_lines(text, prefix, false);
    putchar('\n');
    funlockfile(stdout);
    ha_string_free(text);
}

static void next(struct named *own, int64_t timeout_ms) {
    ha_event *ev;
    int32_t code = ha_session_next_event(own->session, timeout_ms, &ev);
    if (code == HA_OK) say_event(own->name, ev);
    ha_event_free(ev);
    answer(code, NULL);
}

/* A command to a session. */
static void command(struct named *own, char **words, int count) {
    ha_session *s = own->session;
    const char *what = words[0];
    ha_error *err = NULL;
    int64_t first = count > 2 ? atoll(words[2]) : 0;
#define IS(name) (strcmp(what, name) == 0)
    if (IS("state")) state(s, first);
    else if (IS("txn")) transact(s, words, count);
    else if (IS("fork")) in_child(s, first);
    else if (IS("holder")) holder(s);
    else if (IS("next")) next(own, first);
    else if (IS("free")) release(own), answer(HA_OK, NULL);
    else if (IS("request_stop")) answer(ha_session_request_stop(s), NULL);
    else if (IS("resign")) answer(ha_session_resign(s, first), NULL);
    else if (IS("pause")) answer(ha_session_pause(s), NULL);
    else if (IS("resume")) answer(ha_session_resume(s), NULL);
    else {
        int32_t code = HA_ERR_UNSUPPORTED;
        if (IS("ready")) code = ha_session_activation_done(s, first, HA_OK, NULL, &err);
        if (IS("fail")) code = ha_session_activation_done(s, first, atoi(words[3]), "no disk", &err);
        if (IS("left")) code = ha_session_deactivation_done(s, first, &err);
        if (IS("stop")) code = ha_session_stop(s, first, &err);
        if (IS("wait")) code = ha_session_wait(s, until(words[2]), atoll(words[3]), &err);
        answer(code, err);
    }
#undef IS
}

int main(void) {
    char line[8192];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS], *rest = NULL;
        int count = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *word = strtok_r(line, " ", &rest); word && count < WORDS; word = strtok_r(NULL, " ", &rest))
            words[count++] = word;
        if (count == 0 || strcmp(words[0], "quit") == 0) break;
        if (strcmp(words[0], "start") == 0) { start(words, count); continue; }
        if (strcmp(words[0], "check") == 0) { check(words, count); continue; }
        if (strcmp(words[0], "cycle") == 0) { cycle(words, count); continue; }
        if (strcmp(words[0], "observe") == 0) { observe(words, count); continue; }
        if (strcmp(words[0], "metrics") == 0) { metrics(words[1]); continue; }
        if (strcmp(words[0], "unobserve") == 0) { unobserve_named(words[1]); continue; }
        struct named *own = count > 1 ? find(words[1]) : NULL;
        if (own) command(own, words, count);
        else puts("= error CLOSED");
    }
    for (int i = 0; i < observed; i++) unobserve(&observers[i]);
    for (int i = 0; i < used; i++)
        if (all[i].session) release(&all[i]);
    return 0;
}
