/* Forks, signals, threads: what the library must leave to the program. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Forks; the child does its part and ends, the parent waits for it. */
static void in_child(void (*part)(ha_session *), ha_session *session)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        part(session);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int64_t parents_token;
static ha_event *parents_event;
static ha_txn *parents_txn;

static void ignore_record(void *user_data, const ha_log_record *record)
{
    (void)user_data, (void)record;
}

static void has_no_part(ha_session *session)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_config *config = a_config("child:1");
    ha_session *own = (ha_session *)(uintptr_t)1;
    ha_event *event = (ha_event *)(uintptr_t)1;
    ha_txn *txn = (ha_txn *)(uintptr_t)1;
    ha_log_record *log_record = (ha_log_record *)(uintptr_t)1;
    ha_error *err;

    CHECK(!ha_session_is_active(session));
    CHECK(!ha_session_holds(session, parents_token));
    CHECK(ha_session_is_ending(session, parents_token));
    CHECK(ha_session_fencing_token(session) == 0 && ha_session_remaining_ms(session) == 0);
    CHECK(ha_session_role(session) == 0 && ha_session_server_id(session) == 0);
    CHECK(ha_session_active_key(session) == NULL && ha_session_event_fd(session) == -1);

    CHECK_STATUS(ha_session_request_stop(session), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_resign(session, 0), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_set_priority(session, 1), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_pause(session), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_resume(session), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, &err), HA_ERR_FORKED);
    CHECK(ha_error_code(err) == HA_ERR_FORKED);
    ha_error_free(err);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_activation_done(session, parents_token, HA_OK, NULL, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_deactivation_done(session, parents_token, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_session_next_event(session, HA_FOREVER, &event), HA_ERR_FORKED);
    CHECK(event == NULL);
    CHECK_STATUS(ha_session_holder(session, &event, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_txn_new(session, parents_token, &txn, NULL), HA_ERR_FORKED);
    CHECK(txn == NULL);
    ha_txn_put(parents_txn, "k", 1, "v", 1);
    CHECK_STATUS(ha_txn_commit(parents_txn, HA_FOREVER, NULL), HA_ERR_FORKED);
    CHECK_STATUS(ha_txn_submit(parents_txn, 1, HA_FOREVER, NULL), HA_ERR_FORKED);
    CHECK(ha_txn_count(parents_txn) == 0);
    ha_txn_free(parents_txn);

    CHECK_STATUS(ha_session_start(config, &callbacks, &own, NULL), HA_ERR_FORKED);
    CHECK(own == NULL && record.destroyed == 1);
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, ignore_record, &record, record_destroy), HA_ERR_FORKED);
    CHECK(record.destroyed == 2);
    CHECK_STATUS(ha_log_next(HA_FOREVER, &log_record), HA_ERR_FORKED);
    CHECK(log_record == NULL && ha_log_event_fd() == -1);
    ha_session_free(session);
    ha_session_free(session);

    /* Plain data stays usable. */
    CHECK_TEXT(ha_config_get(config, HA_KEY_ROLE), "testrole");
    ha_config_free(config);
    CHECK(ha_event_kind(parents_event) == HA_EVENT_REGISTERED);
    ha_event_free(parents_event);
}

static void a_child_has_no_part_in_its_parents_session(void)
{
    ha_session *session = start_auto("parent:1");
    ha_txn *txn;
    parents_event = next_of(session, HA_EVENT_REGISTERED);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    parents_token = ha_session_fencing_token(session);
    CHECK_STATUS(ha_txn_new(session, parents_token, &parents_txn, NULL), HA_OK);

    in_child(has_no_part, session);

    /* The parent is as it was, and may still write. */
    CHECK(ha_session_is_active(session) && ha_session_fencing_token(session) == parents_token);
    CHECK_STATUS(ha_txn_new(session, parents_token, &txn, NULL), HA_OK);
    ha_txn_put(txn, "k", 1, "v", 1);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    ha_txn_free(parents_txn);
    ha_event_free(parents_event);
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
}

static void starts_its_own(ha_session *unused)
{
    ha_session *own = start_auto("child:1");
    (void)unused;
    CHECK_STATUS(ha_session_wait(own, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_session_is_active(own));
    CHECK_STATUS(ha_session_stop(own, HA_FOREVER, NULL), HA_OK);
    ha_session_free(own);
}

static void a_child_of_a_parent_without_a_session_starts_its_own(void)
{
    ha_config *config = ha_config_new();
    in_child(starts_its_own, NULL);
    /* Also where the parent had one before; and the parent again after that. */
    starts_its_own(NULL);
    in_child(starts_its_own, NULL);
    starts_its_own(NULL);
    ha_config_free(config);
}

static void forks_again(ha_session *session)
{
    in_child(has_no_part, session);
    has_no_part(session);
}

static void a_grandchild_has_no_part_either(void)
{
    ha_session *session = start_auto("parent:1");
    parents_event = next_of(session, HA_EVENT_REGISTERED);
    CHECK_STATUS(ha_txn_new(session, parents_token, &parents_txn, NULL), HA_OK);
    in_child(forks_again, session);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(parents_txn);
    ha_event_free(parents_event);
    ha_session_free(session);
}

static volatile sig_atomic_t clobbered;

/* In place of the C library's, for the library as well. One that succeeds may change errno too. */
ssize_t write(int fd, const void *bytes, size_t count)
{
    long written = syscall(SYS_write, fd, bytes, count);
    errno = EAGAIN;
    clobbered++;
    return written;
}

static ha_session *signalled;
static volatile sig_atomic_t still_active = -1, errno_was_kept;
static const int kept_errno = 12345;

static void on_sigterm(int signal)
{
    (void)signal;
    clobbered = 0;
    errno = kept_errno;
    ha_session_request_stop(signalled);
    still_active = ha_session_is_active(signalled) || ha_session_holds(signalled, 1) ||
                   !ha_session_is_ending(signalled, 1);
    errno_was_kept = errno == kept_errno && clobbered > 0;
}

static void a_stop_may_be_requested_in_a_signal_handler(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_sigterm;
    signalled = start(a_config("a:1"), &callbacks);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    CHECK_STATUS(ha_session_wait(signalled, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(raise(SIGTERM) == 0);
    CHECK(still_active == 0 && errno_was_kept);
    CHECK_STATUS(ha_session_wait(signalled, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_OK);
    CHECK(record.deactivated == 1 && record.held);
    ha_session_free(signalled);
}

/* A line of a status file in /proc as a mask of signals; false: it is a thread's that has ended. */
static bool read_mask(const char *path, const char *line, unsigned long long *bits)
{
    char text[256];
    bool found = false;
    FILE *stream = fopen(path, "r");
    if (stream == NULL)
        return false;
    while (!found && fgets(text, sizeof text, stream) != NULL)
        found = strncmp(text, line, strlen(line)) == 0 && sscanf(text + strlen(line), " %llx", bits) == 1;
    fclose(stream);
    return found;
}

static unsigned long long mask(const char *path, const char *line)
{
    unsigned long long bits = 0;
    CHECK(read_mask(path, line, &bits));
    return bits;
}

static unsigned long long bit(int signal)
{
    return 1ULL << (signal - 1);
}

/* What this process catches or ignores, but for the two signals that the C library keeps for itself. */
static unsigned long long handled(const char *line)
{
    return mask("/proc/self/status", line) & ~(bit(32) | bit(33));
}

/* The threads of this process but the calling one, each given to `look`. */
static int other_threads(void (*look)(const char *status))
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char path[512];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        if (access(path, R_OK) != 0)
            continue;
        look(path);
        count++;
    }
    closedir(folder);
    return count;
}

static void blocks_what_is_asynchronous(const char *status)
{
    static const int blocked[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE,
                                   SIGWINCH, SIGCONT, SIGURG };
    static const int open[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF };
    unsigned long long bits;
    size_t i;
    int tries;
    /* The C library blocks all for a moment, in a thread that begins, makes another one, or ends. */
    for (tries = 0; tries < 10000; tries++) {
        if (!read_mask(status, "SigBlk:", &bits))
            return;
        if (!(bits & bit(SIGSEGV)))
            break;
        usleep(1000);
    }
    for (i = 0; i < sizeof blocked / sizeof *blocked; i++)
        CHECK(bits & bit(blocked[i]));
    for (i = 0; i < sizeof open / sizeof *open; i++)
        CHECK(!(bits & bit(open[i])));
    CHECK(bits & bit(SIGRTMIN + 3));
}

static void look_at_threads(struct record *record, ha_session *session, const ha_event *event)
{
    (void)session, (void)event;
    /* The clock, two for the connections, and the one that calls. */
    record->seen = other_threads(blocks_what_is_asynchronous);
}

static void the_librarys_threads_block_asynchronous_signals(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    unsigned long long caught = handled("SigCgt:"), ignored = handled("SigIgn:");
    unsigned long long own = mask("/proc/self/status", "SigBlk:");
    ha_session *session;
    CHECK_STATUS(ha_log_set_callback(HA_LOG_TRACE, ignore_record, NULL, NULL), HA_OK);
    record.inside_activate = look_at_threads;
    session = start(a_config("a:1"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(record.seen >= 4);
    /* No handler was installed, and the caller's own mask is as it was. */
    CHECK(handled("SigCgt:") == caught && handled("SigIgn:") == ignored);
    CHECK(mask("/proc/self/status", "SigBlk:") == own);
    ha_session_free(session);
}

static void ignore_thread(const char *status)
{
    (void)status;
}

static void the_last_free_ends_the_threads(void)
{
    ha_session *first = start_auto("a:1"), *second = start_auto("b:1");
    CHECK_STATUS(ha_session_wait(first, HA_UNTIL_REGISTERED, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_wait(second, HA_UNTIL_REGISTERED, HA_FOREVER, NULL), HA_OK);
    CHECK(other_threads(ignore_thread) > 0);
    ha_session_free(first);
    CHECK(other_threads(ignore_thread) > 0);
    ha_session_free(second);
    /* One that ends is listed for a moment longer. */
    alarm(60);
    while (other_threads(ignore_thread) > 0)
        usleep(1000);
    alarm(0);
}

/* Each would wait for the threads for 2 s, which they cannot end while others are held. */
static void ended_sessions_that_are_still_held_hold_up_no_free(void)
{
    ha_session *sessions[20];
    char address[16];
    int i;
    for (i = 0; i < 20; i++) {
        snprintf(address, sizeof address, "a:%d", i + 1);
        sessions[i] = start_auto(address);
        CHECK_STATUS(ha_session_stop(sessions[i], HA_FOREVER, NULL), HA_OK);
    }
    alarm(30);
    for (i = 0; i < 20; i++)
        ha_session_free(sessions[i]);
    alarm(0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(a_child_has_no_part_in_its_parents_session),
        CASE(a_child_of_a_parent_without_a_session_starts_its_own),
        CASE(a_grandchild_has_no_part_either),
        CASE(a_stop_may_be_requested_in_a_signal_handler),
        CASE(the_librarys_threads_block_asynchronous_signals),
        CASE(the_last_free_ends_the_threads),
        CASE(ended_sessions_that_are_still_held_hold_up_no_free),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
