/* Guarded transactions. */
#include "check.h"

static ha_session *active(void)
{
    ha_session *session = start_auto("a:1");
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    return session;
}

static ha_txn *begin(ha_session *session)
{
    ha_txn *txn;
    ha_error *err;
    CHECK_STATUS(ha_txn_new(session, ha_session_fencing_token(session), &txn, &err), HA_OK);
    CHECK(txn != NULL && err == NULL);
    return txn;
}

static void put(ha_txn *txn, const char *key, const char *value)
{
    ha_txn_put(txn, key, strlen(key), value, strlen(value));
}

static void is_row(const ha_txn *txn, size_t index, const char *key, const char *value)
{
    size_t key_len = 99, value_len = 99;
    CHECK_TEXT(ha_txn_key(txn, index, &key_len), key);
    CHECK_TEXT(ha_txn_value(txn, index, &value_len), value);
    CHECK(key_len == strlen(key) && value_len == strlen(value));
}

static void what_is_written_is_read_back(void)
{
    ha_session *session = active();
    ha_txn *txn = begin(session);
    size_t len = 99;
    int64_t revision;
    put(txn, "/a", "one");
    put(txn, "/b", "");
    CHECK(ha_txn_revision(txn) == 0 && ha_txn_count(txn) == 0);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    revision = ha_txn_revision(txn);
    CHECK(revision > ha_session_fencing_token(session) && ha_txn_count(txn) == 0);
    ha_txn_free(txn);

    txn = begin(session);
    ha_txn_get(txn, "/b", 2);
    ha_txn_get(txn, "/none", 5);
    ha_txn_get_prefix(txn, "/", 1, 0);
    CHECK_STATUS(ha_txn_commit(txn, 5000, NULL), HA_OK);
    CHECK(ha_txn_count(txn) == 3);
    is_row(txn, 0, "/b", "");
    is_row(txn, 1, "/a", "one");
    is_row(txn, 2, "/b", "");
    CHECK(ha_txn_mod_revision(txn, 1) == revision);
    CHECK(ha_txn_key(txn, 3, &len) == NULL && len == 0);
    CHECK(ha_txn_value(txn, 3, NULL) == NULL && ha_txn_mod_revision(txn, 3) == 0);
    ha_txn_free(txn);
    ha_session_free(session);
}

static void bytes_may_be_anything(void)
{
    ha_session *session = active();
    ha_txn *txn = begin(session);
    size_t len;
    ha_txn_put(txn, "k\0\xff", 3, "v\0\xfe", 3);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    txn = begin(session);
    ha_txn_if_value(txn, "k\0\xff", 3, "v\0\xfe", 3);
    ha_txn_get_prefix(txn, "k\0", 2, 1);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_txn_count(txn) == 1);
    CHECK(memcmp(ha_txn_key(txn, 0, &len), "k\0\xff", 4) == 0 && len == 3);
    CHECK(memcmp(ha_txn_value(txn, 0, &len), "v\0\xfe", 4) == 0 && len == 3);
    ha_txn_free(txn);
    ha_session_free(session);
}

static void a_failed_compare_writes_nothing_and_shows_what_is_there(void)
{
    ha_session *session = active();
    ha_txn *txn = begin(session);
    ha_error *err;
    int64_t revision;
    ha_txn_if_revision(txn, "/c", 2, 0);
    put(txn, "/c", "first");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    revision = ha_txn_revision(txn);
    ha_txn_free(txn);

    txn = begin(session);
    ha_txn_if_revision(txn, "/c", 2, 0);
    put(txn, "/c", "second");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, &err), HA_ERR_COMPARE_FAILED);
    CHECK(!ha_error_is_retriable(err) && !ha_error_is_fatal(err));
    ha_error_free(err);
    CHECK(ha_txn_revision(txn) == 0);
    CHECK(ha_txn_count(txn) == 1);
    is_row(txn, 0, "/c", "first");
    CHECK(ha_txn_mod_revision(txn, 0) == revision);
    ha_txn_free(txn);

    txn = begin(session);
    ha_txn_if_value(txn, "/c", 2, "other", 5);
    ha_txn_delete(txn, "/c", 2);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_ERR_COMPARE_FAILED);
    is_row(txn, 0, "/c", "first");
    ha_txn_free(txn);

    txn = begin(session);
    ha_txn_if_revision(txn, "/c", 2, revision);
    ha_txn_if_value(txn, "/c", 2, "first", 5);
    put(txn, "/c", "third");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    ha_session_free(session);
}

static void keys_are_deleted_one_by_one_and_by_prefix(void)
{
    ha_session *session = active();
    ha_txn *txn = begin(session);
    put(txn, "/d/1", "x");
    put(txn, "/d/2", "x");
    put(txn, "/d/3", "x");
    put(txn, "/e", "x");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    txn = begin(session);
    ha_txn_delete(txn, "/d/1", 4);
    ha_txn_delete(txn, "/none", 5);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    txn = begin(session);
    ha_txn_get_prefix(txn, "/d/", 3, 0);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_txn_count(txn) == 2);
    ha_txn_free(txn);
    txn = begin(session);
    ha_txn_delete_prefix(txn, "/d/", 3);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    txn = begin(session);
    ha_txn_get_prefix(txn, "/", 1, 0);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_txn_count(txn) == 1);
    is_row(txn, 0, "/e", "x");
    ha_txn_free(txn);
    ha_session_free(session);
}

static void nothing_is_written_after_the_term(void)
{
    ha_session *session = active(), *next;
    int64_t token = ha_session_fencing_token(session);
    ha_txn *late = begin(session), *never;
    ha_error *err;
    put(late, "/f", "late");
    CHECK_STATUS(ha_txn_new(session, token + 1, &never, NULL), HA_OK);
    put(never, "/f", "never");
    CHECK_STATUS(ha_txn_commit(never, HA_FOREVER, NULL), HA_ERR_FENCED);
    ha_txn_free(never);

    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_txn_commit(late, HA_FOREVER, &err), HA_ERR_FENCED);
    CHECK(ha_error_code(err) == HA_ERR_FENCED && ha_txn_revision(late) == 0);
    ha_error_free(err);
    ha_session_free(session);
    /* It outlives its session. */
    CHECK(ha_txn_count(late) == 0);
    ha_txn_free(late);

    next = start_auto("b:1");
    CHECK_STATUS(ha_session_wait(next, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    late = begin(next);
    ha_txn_get(late, "/f", 2);
    CHECK_STATUS(ha_txn_commit(late, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_txn_count(late) == 0);
    ha_txn_free(late);
    ha_session_free(next);
}

static void write_inside(struct record *record, ha_session *session, const ha_event *event)
{
    ha_txn *txn;
    CHECK(!ha_session_is_active(session));
    CHECK_STATUS(ha_txn_new(session, ha_event_token(event), &txn, NULL), HA_OK);
    ha_txn_put(txn, "/g", 2, "x", 1);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    record->seen++;
}

static void activation_and_drain_may_write(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    record.inside_activate = write_inside;
    record.inside_deactivate = write_inside;
    session = start(a_config("a:1"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    CHECK(record.seen == 2);
    ha_session_free(session);
}

static void what_goes_with_the_lease_goes_with_the_session(void)
{
    ha_session *session = active(), *next;
    ha_txn *txn = begin(session);
    ha_txn_put_leased(txn, "/h", 2, "x", 1);
    put(txn, "/i", "x");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    ha_txn_free(txn);
    ha_session_free(session);
    next = start_auto("b:1");
    CHECK_STATUS(ha_session_wait(next, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    txn = begin(next);
    ha_txn_get(txn, "/h", 2);
    ha_txn_get(txn, "/i", 2);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    CHECK(ha_txn_count(txn) == 1);
    is_row(txn, 0, "/i", "x");
    ha_txn_free(txn);
    ha_session_free(next);
}

static void refused(ha_txn *txn, int32_t status)
{
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), status);
    CHECK(ha_txn_revision(txn) == 0 && ha_txn_count(txn) == 0);
    ha_txn_free(txn);
}

static void what_is_wrong_sticks_until_the_commit(void)
{
    static char large[1 << 20];
    ha_session *session = active();
    ha_txn *txn = begin(session);
    char key[16];
    int i;
    put(txn, "by-dev/meta/session/testrole", "mine");
    refused(txn, HA_ERR_INVALID_ARGUMENT);
    txn = begin(session);
    put(txn, "by-dev/meta/ha/testrole/term", "mine");
    refused(txn, HA_ERR_INVALID_ARGUMENT);
    txn = begin(session);
    put(txn, "/twice", "1");
    put(txn, "/twice", "2");
    refused(txn, HA_ERR_INVALID_ARGUMENT);
    txn = begin(session);
    put(txn, "", "x");
    refused(txn, HA_ERR_INVALID_ARGUMENT);
    txn = begin(session);
    ha_txn_put(txn, large, 4097, "x", 1);
    refused(txn, HA_ERR_TOO_LARGE);
    txn = begin(session);
    ha_txn_put(txn, "/large", 6, large, sizeof large);
    refused(txn, HA_ERR_TOO_LARGE);
    txn = begin(session);
    for (i = 0; i < 101; i++) {
        snprintf(key, sizeof key, "/%d", i);
        put(txn, key, "x");
    }
    refused(txn, HA_ERR_TOO_LARGE);
    /* NULL with a length; and the first error stays the one. */
    txn = begin(session);
    ha_txn_get(txn, NULL, 3);
    put(txn, "by-dev/meta/session/testrole", "mine");
    refused(txn, HA_ERR_NULL);
    txn = begin(session);
    put(txn, "/ok", "x");
    CHECK_STATUS(ha_txn_commit(txn, -3, NULL), HA_ERR_INVALID_ARGUMENT);
    ha_txn_free(txn);
    /* Single use. */
    txn = begin(session);
    put(txn, "/ok", "x");
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_txn_commit(txn, HA_FOREVER, NULL), HA_ERR_STATE);
    ha_txn_free(txn);
    ha_session_free(session);
}

static ha_session *pulling(const char *inflight)
{
    ha_config *config = a_config("a:1");
    ha_session *session;
    set(config, HA_KEY_ACTIVATION_AUTO, "true");
    set(config, HA_KEY_TXN_INFLIGHT, inflight);
    session = start(config, NULL);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    return session;
}

static void a_submitted_one_ends_as_an_event(void)
{
    ha_session *session = pulling("1024");
    ha_txn *txn = begin(session);
    const ha_txn *done;
    ha_event *event;
    put(txn, "/a", "one");
    CHECK_STATUS(ha_txn_submit(txn, UINT64_MAX, HA_FOREVER, NULL), HA_OK);
    event = next_of(session, HA_EVENT_TXN_DONE);
    CHECK(ha_event_tag(event) == UINT64_MAX && ha_event_error(event) == NULL);
    CHECK_TEXT(ha_event_kind_name(event), "TXN_DONE");
    CHECK(ha_txn_revision(ha_event_txn(event)) > 0 && ha_txn_count(ha_event_txn(event)) == 0);
    ha_event_free(event);

    txn = begin(session);
    ha_txn_if_revision(txn, "/a", 2, 0);
    CHECK_STATUS(ha_txn_submit(txn, 7, 5000, NULL), HA_OK);
    event = next_of(session, HA_EVENT_TXN_DONE);
    CHECK(ha_event_tag(event) == 7 && ha_error_code(ha_event_error(event)) == HA_ERR_COMPARE_FAILED);
    done = ha_event_txn(event);
    CHECK(ha_txn_count(done) == 1);
    is_row(done, 0, "/a", "one");
    /* Of one that is done nothing more can be made; and it outlives the session. */
    CHECK_STATUS(ha_txn_commit((ha_txn *)(uintptr_t)done, HA_FOREVER, NULL), HA_ERR_STATE);
    ha_session_free(session);
    is_row(done, 0, "/a", "one");
    ha_event_free(event);
}

static void one_that_cannot_be_submitted_stays_the_callers(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session = pulling("1");
    ha_txn *first = begin(session), *second = begin(session);
    ha_error *err;
    put(first, "/a", "one");
    put(second, "/b", "two");
    CHECK_STATUS(ha_txn_submit(first, 1, -7, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_txn_submit(first, 1, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_txn_submit(second, 2, HA_FOREVER, &err), HA_ERR_BUSY);
    CHECK(ha_error_is_retriable(err));
    ha_error_free(err);
    ha_event_free(next_of(session, HA_EVENT_TXN_DONE));
    CHECK_STATUS(ha_txn_submit(second, 2, HA_FOREVER, &err), HA_OK);
    CHECK(err == NULL);
    ha_event_free(next_of(session, HA_EVENT_TXN_DONE));
    first = begin(session);
    put(first, "", "nothing");
    CHECK_STATUS(ha_txn_submit(first, 3, HA_FOREVER, NULL), HA_ERR_INVALID_ARGUMENT);
    ha_txn_free(first);
    ha_session_free(session);

    session = start(a_config("a:2"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    first = begin(session);
    CHECK_STATUS(ha_txn_submit(first, 1, HA_FOREVER, NULL), HA_ERR_STATE);
    ha_txn_free(first);
    ha_session_free(session);
}

static void each_submitted_one_is_told_before_the_end(void)
{
    ha_session *session = pulling("1024");
    uint64_t tag, told = 0;
    int32_t kind = 0;
    for (tag = 1; tag <= 64; tag++) {
        ha_txn *txn = begin(session);
        ha_txn_get(txn, "/a", 2);
        CHECK_STATUS(ha_txn_submit(txn, tag, HA_FOREVER, NULL), HA_OK);
    }
    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    while (kind != HA_EVENT_ENDED) {
        ha_event *event;
        CHECK_STATUS(ha_session_next_event(session, HA_FOREVER, &event), HA_OK);
        kind = ha_event_kind(event);
        told += kind == HA_EVENT_TXN_DONE;
        ha_event_free(event);
    }
    CHECK(told == 64);
    ha_session_free(session);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(what_is_written_is_read_back),
        CASE(bytes_may_be_anything),
        CASE(a_failed_compare_writes_nothing_and_shows_what_is_there),
        CASE(keys_are_deleted_one_by_one_and_by_prefix),
        CASE(nothing_is_written_after_the_term),
        CASE(activation_and_drain_may_write),
        CASE(what_goes_with_the_lease_goes_with_the_session),
        CASE(what_is_wrong_sticks_until_the_commit),
        CASE(a_submitted_one_ends_as_an_event),
        CASE(one_that_cannot_be_submitted_stays_the_callers),
        CASE(each_submitted_one_is_told_before_the_end),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
