/* The callback front end. */
#include "check.h"

#include <dirent.h>
#include <stddef.h>

static void ready_is_said_by_the_callbacks_return(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session = start(a_config("a:1"), &callbacks);

    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(record.session == session);
    CHECK(ha_session_is_active(session));
    CHECK(ha_session_role(session) == HA_ROLE_ACTIVE);
    CHECK(record.token > 0 && ha_session_fencing_token(session) == record.token);
    CHECK(ha_session_holds(session, record.token) && !ha_session_holds(session, record.token + 1));
    CHECK(!ha_session_is_ending(session, record.token) && ha_session_is_ending(session, record.token - 1));
    CHECK(ha_session_remaining_ms(session) > 0 && ha_session_remaining_ms(session) <= 5000);
    CHECK(ha_session_server_id(session) > 0);
    CHECK_TEXT(ha_session_active_key(session), "by-dev/meta/session/testrole");

    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    CHECK(record.deactivated == 1 && record.held && record.reason == HA_REASON_STOP);
    CHECK(record.activated == 1 && record.ended == 1 && record.event_error == 0);
    CHECK(!ha_session_is_active(session) && ha_session_role(session) == HA_ROLE_ENDED);
    CHECK(record.destroyed == 0);
    ha_session_free(session);
    CHECK(record.destroyed == 1 && !record.overlapped);
}

static void a_pending_answer_is_completed_later(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    ha_error *err;
    record.answer_activate = record.answer_deactivate = HA_PENDING;
    session = start(a_config("a:1"), &callbacks);

    record_await(&record, &record.activated, 1);
    CHECK(!ha_session_is_active(session) && ha_session_holds(session, record.token));
    CHECK(ha_session_role(session) == HA_ROLE_ACTIVATING);
    CHECK_STATUS(ha_session_activation_done(session, record.token - 1, HA_OK, NULL, &err), HA_ERR_FENCED);
    CHECK(ha_error_code(err) == HA_ERR_FENCED);
    ha_error_free(err);
    CHECK_STATUS(ha_session_activation_done(session, record.token, HA_PENDING, NULL, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_session_activation_done(session, record.token, HA_OK, NULL, &err), HA_OK);
    CHECK(err == NULL && ha_session_is_active(session));
    CHECK_STATUS(ha_session_activation_done(session, record.token, HA_OK, NULL, NULL), HA_ERR_STATE);
    CHECK_STATUS(ha_session_deactivation_done(session, record.token, NULL), HA_ERR_STATE);

    CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    CHECK(!ha_session_is_active(session));
    record_await(&record, &record.deactivated, 1);
    CHECK(ha_session_holds(session, record.token) && ha_session_is_ending(session, record.token));
    CHECK_STATUS(ha_session_deactivation_done(session, record.token - 1, NULL), HA_ERR_FENCED);
    CHECK_STATUS(ha_session_deactivation_done(session, record.token, NULL), HA_OK);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_deactivation_done(session, record.token, NULL), HA_ERR_ENDED);
    CHECK_STATUS(ha_session_activation_done(session, record.token, HA_OK, NULL, NULL), HA_ERR_ENDED);
    ha_session_free(session);
    CHECK(record.destroyed == 1);
}

static void answer_well_from_now_on(struct record *record, ha_session *session, const ha_event *event)
{
    (void)session;
    CHECK(!ha_event_held(event) || ha_event_reason(event) == HA_REASON_STOP);
    record->answer_activate = HA_OK;
    if (record->seen == 0)
        record->seen = ha_event_reason(event);
}

static void a_failed_activation_ends_the_term_and_another_follows(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    record.answer_activate = HA_ERR_APPLICATION + 1;
    record.inside_deactivate = answer_well_from_now_on;
    session = start(a_config("a:1"), &callbacks);

    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(record.activated == 2 && record.deactivated == 1);
    CHECK(record.seen == HA_REASON_ACTIVATION_FAILED);
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
    CHECK(record.deactivated == 2 && record.destroyed == 1 && !record.overlapped);
}

static void waiting_is_refused(struct record *record, ha_session *session, const ha_event *event)
{
    ha_error *err;
    (void)event;
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, &err), HA_ERR_IN_CALLBACK);
    CHECK(ha_error_code(err) == HA_ERR_IN_CALLBACK);
    ha_error_free(err);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_ERR_IN_CALLBACK);
    CHECK(ha_session_holds(session, record->token));
    record->seen++;
}

static void a_callback_cannot_wait_for_its_own_session(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    record.inside_activate = waiting_is_refused;
    session = start(a_config("a:1"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK(record.seen == 1);
    ha_session_free(session);
    CHECK(record.deactivated == 1 && record.destroyed == 1);
}

static void ask_to_stop(struct record *record, ha_session *session, const ha_event *event)
{
    if (ha_event_kind(event) == HA_EVENT_ACTIVE) {
        CHECK(ha_session_is_active(session));
        CHECK_STATUS(ha_session_request_stop(session), HA_OK);
        CHECK(!ha_session_is_active(session));
        CHECK_STATUS(ha_session_request_stop(session), HA_OK);
        record->seen++;
    }
}

static void a_callback_may_ask_its_own_session_to_stop(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    record.inside_event = ask_to_stop;
    session = start(a_config("a:1"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL), HA_OK);
    CHECK(record.seen == 1);
    ha_session_free(session);
    CHECK(record.deactivated == 1 && record.held && record.destroyed == 1);
}

static void free_it(struct record *record, ha_session *session, const ha_event *event)
{
    (void)event;
    if (record->seen++ == 0)
        ha_session_free(session);
}

static void free_it_at_the_end(struct record *record, ha_session *session, const ha_event *event)
{
    if (ha_event_kind(event) == HA_EVENT_ENDED)
        free_it(record, session, event);
}

/* The handle that a callback is given after that is still one. */
static void it_is_over(struct record *record, ha_session *session, const ha_event *event)
{
    CHECK(!ha_session_is_active(session));
    CHECK(ha_session_is_ending(session, record->token));
    CHECK(ha_event_token(event) == record->token);
    ha_session_free(session);
}

static void freed_in_a_callback(struct record *record)
{
    ha_callbacks callbacks = callbacks_of(record);
    ha_session *session = NULL;
    ha_config *config = a_config("a:1");
    CHECK_STATUS(ha_session_start(config, &callbacks, &session, NULL), HA_OK);
    ha_config_free(config);
    if (record->inside_activate != free_it) {
        record_await(record, &record->activated, 1);
        CHECK_STATUS(ha_session_request_stop(session), HA_OK);
    }
    record_await(record, &record->destroyed, 1);
    CHECK(record->activated == 1 && record->deactivated == 1 && record->ended == 1);

    /* The role is free for others. */
    session = start_auto("b:1");
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
    CHECK(record->destroyed == 1 && !record->overlapped);
}

static void a_session_may_be_freed_in_its_activation(void)
{
    struct record record = RECORD_INIT;
    record.inside_activate = free_it;
    record.inside_deactivate = it_is_over;
    freed_in_a_callback(&record);
}

static void a_session_may_be_freed_in_its_deactivation(void)
{
    struct record record = RECORD_INIT;
    record.inside_deactivate = free_it;
    freed_in_a_callback(&record);
}

static void a_session_may_be_freed_in_its_last_event(void)
{
    struct record record = RECORD_INIT;
    record.inside_event = free_it_at_the_end;
    freed_in_a_callback(&record);
}

static void destroy_runs_once_where_the_start_fails(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_config *config = a_config("a:1"), *bad = ha_config_new();
    ha_session *session = (ha_session *)(uintptr_t)1;
    ha_error *err;

    CHECK_STATUS(ha_session_start(bad, &callbacks, &session, &err), HA_ERR_CONFIG_MISSING);
    CHECK(session == NULL && err != NULL);
    ha_error_free(err);
    CHECK(record.destroyed == 1);
    CHECK_STATUS(ha_session_start(NULL, &callbacks, &session, NULL), HA_ERR_NULL);
    CHECK(record.destroyed == 2);
    CHECK_STATUS(ha_session_start(config, &callbacks, NULL, NULL), HA_ERR_NULL);
    CHECK(record.destroyed == 3);
    callbacks.on_activate = NULL;
    CHECK_STATUS(ha_session_start(config, &callbacks, &session, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK(record.destroyed == 4);
    set(bad, HA_KEY_ROLE, "testrole");
    set(bad, HA_KEY_ADDRESS, "a:1");
    set(bad, HA_KEY_LEASE_TTL_MS, "2000");
    set(bad, HA_KEY_ELECTION_HOLD_MS, "60000");
    callbacks.on_activate = record_activate;
    CHECK_STATUS(ha_session_start(bad, &callbacks, &session, NULL), HA_ERR_CONFIG_CONFLICT);
    CHECK(record.destroyed == 5 && session == NULL);
    ha_config_free(bad);
    ha_config_free(config);
    CHECK(record.activated == 0 && record.events == 0);
}

static int threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void a_wrong_configuration_starts_nothing(void)
{
    ha_config *config = a_config("a:1");
    ha_session *session;
    char folder[4096], url[5000];
    int count = threads();
    snprintf(folder, sizeof folder, "%s/not-made", check_folder);
    snprintf(url, sizeof url, "local:%s", folder);
    set(config, HA_KEY_STORE_URL, url);
    set(config, HA_KEY_ELECTION_HOLD_MS, "60000");
    CHECK_STATUS(ha_session_start(config, NULL, &session, NULL), HA_ERR_CONFIG_CONFLICT);
    CHECK(threads() == count && access(folder, F_OK) != 0);
    ha_config_free(config);
}

static void a_shorter_structure_lacks_its_end(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks whole = callbacks_of(&record);
    /* Not a byte more than it says: on_event, user_data and destroy do not exist in it. */
    size_t size = offsetof(ha_callbacks, on_event);
    ha_callbacks *callbacks = malloc(size);
    ha_config *config = a_config("a:1");
    ha_session *session;
    set(config, HA_KEY_ACTIVATION_AUTO, "true");
    whole.struct_size = size;
    whole.on_activate = NULL;
    whole.on_deactivate = NULL;
    memcpy(callbacks, &whole, size);
    session = start(config, callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
    free(callbacks);
    CHECK(record.events == 0 && record.destroyed == 0);
}

static void a_longer_structure_must_be_zero_beyond(void)
{
    struct {
        ha_callbacks known;
        void *later;
    } longer;
    struct record record = RECORD_INIT;
    ha_config *config = a_config("a:1");
    ha_session *session;
    ha_error *err;
    longer.known = callbacks_of(&record);
    longer.known.struct_size = sizeof longer;
    longer.later = &longer;
    CHECK_STATUS(ha_session_start(config, &longer.known, &session, &err), HA_ERR_UNSUPPORTED);
    CHECK(session == NULL && record.destroyed == 1);
    ha_error_free(err);
    record.destroyed = 0;
    longer.later = NULL;
    session = start(config, &longer.known);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
    CHECK(record.destroyed == 1 && record.deactivated == 1);
}

static void a_structure_that_was_not_initialised_is_refused(void)
{
    static const size_t wrong[] = { 0, 1, 7, sizeof(ha_callbacks) - 1, SIZE_MAX, SIZE_MAX - 7, (size_t)1 << 40 };
    struct record record = RECORD_INIT;
    ha_config *config = a_config("a:1");
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ha_callbacks callbacks = callbacks_of(&record);
        ha_session *session;
        callbacks.struct_size = wrong[i];
        CHECK_STATUS(ha_session_start(config, &callbacks, &session, NULL), HA_ERR_INVALID_ARGUMENT);
    }
    CHECK(record.destroyed == 0);
    ha_config_free(config);
}

static void without_a_deactivation_callback_left_is_said_at_once(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session;
    callbacks.on_deactivate = NULL;
    callbacks.on_event = NULL;
    session = start(a_config("a:1"), &callbacks);
    CHECK_STATUS(ha_session_wait(session, HA_UNTIL_ACTIVE, HA_FOREVER, NULL), HA_OK);
    CHECK_STATUS(ha_session_stop(session, HA_FOREVER, NULL), HA_OK);
    ha_session_free(session);
    CHECK(record.activated == 1 && record.destroyed == 1);
}

static void the_same_role_and_address_twice_is_refused(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *first = start_auto("a:1"), *second;
    ha_config *config = a_config("a:1");
    CHECK_STATUS(ha_session_start(config, &callbacks, &second, NULL), HA_ERR_ALREADY_STARTED);
    CHECK(second == NULL && record.destroyed == 1);
    ha_config_free(config);
    second = start_auto("b:1");
    ha_session_free(second);
    ha_session_free(first);
}

static void callbacks_pull_no_events(void)
{
    struct record record = RECORD_INIT;
    ha_callbacks callbacks = callbacks_of(&record);
    ha_session *session = start(a_config("a:1"), &callbacks);
    ha_event *event = (ha_event *)(uintptr_t)1;
    CHECK_STATUS(ha_session_next_event(session, 0, &event), HA_ERR_STATE);
    CHECK(event == NULL && ha_session_event_fd(session) == -1);
    ha_session_free(session);
    CHECK(record.destroyed == 1);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(ready_is_said_by_the_callbacks_return),
        CASE(a_pending_answer_is_completed_later),
        CASE(a_failed_activation_ends_the_term_and_another_follows),
        CASE(a_callback_cannot_wait_for_its_own_session),
        CASE(a_callback_may_ask_its_own_session_to_stop),
        CASE(a_session_may_be_freed_in_its_activation),
        CASE(a_session_may_be_freed_in_its_deactivation),
        CASE(a_session_may_be_freed_in_its_last_event),
        CASE(destroy_runs_once_where_the_start_fails),
        CASE(a_wrong_configuration_starts_nothing),
        CASE(a_shorter_structure_lacks_its_end),
        CASE(a_longer_structure_must_be_zero_beyond),
        CASE(a_structure_that_was_not_initialised_is_refused),
        CASE(without_a_deactivation_callback_left_is_said_at_once),
        CASE(the_same_role_and_address_twice_is_refused),
        CASE(callbacks_pull_no_events),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
