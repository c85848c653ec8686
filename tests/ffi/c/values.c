/* Configurations and errors: plain data. */
#include "check.h"

static void an_error_is_written_always(void)
{
    ha_config *config = ha_config_new();
    ha_error *err = (ha_error *)(uintptr_t)1;

    CHECK_STATUS(ha_config_set(config, HA_KEY_ROLE, "rootcoord", &err), HA_OK);
    CHECK(err == NULL);
    err = (ha_error *)(uintptr_t)1;
    CHECK_STATUS(ha_config_set(config, HA_KEY_LEASE_TTL_MS, "sixty", &err), HA_ERR_CONFIG_VALUE);
    CHECK(err != NULL && err != (ha_error *)(uintptr_t)1);
    CHECK(ha_error_code(err) == HA_ERR_CONFIG_VALUE);
    CHECK_TEXT(ha_error_name(err), "CONFIG_VALUE");
    CHECK_TEXT(ha_error_detail(err, "key"), "lease.ttl_ms");
    CHECK_TEXT(ha_error_detail(err, "value"), "sixty");
    CHECK(strstr(ha_error_detail(err, "allowed"), "2000") != NULL);
    CHECK(strstr(ha_error_message(err), "lease.ttl_ms") != NULL);
    CHECK(ha_error_detail(err, "holder_address") == NULL);
    CHECK(!ha_error_is_retriable(err) && !ha_error_is_fatal(err));
    ha_error_free(err);

    CHECK_STATUS(ha_config_set(NULL, HA_KEY_ROLE, "rootcoord", &err), HA_ERR_NULL);
    CHECK(ha_error_code(err) == HA_ERR_NULL);
    ha_error_free(err);
    ha_config_free(config);
}

static void an_error_may_be_left_out(void)
{
    ha_config *config = ha_config_new();
    CHECK_STATUS(ha_config_set(config, "no.such.key", "1", NULL), HA_ERR_CONFIG_KEY);
    CHECK_STATUS(ha_config_check(config, NULL), HA_ERR_CONFIG_MISSING);
    ha_config_free(config);
}

static void an_error_outlives_what_it_came_from(void)
{
    ha_config *config = ha_config_new();
    ha_error *err;
    CHECK_STATUS(ha_config_check(config, &err), HA_ERR_CONFIG_MISSING);
    ha_config_free(config);
    CHECK_TEXT(ha_error_detail(err, "key"), "role");
    ha_error_free(err);
}

static void a_failed_set_changes_nothing(void)
{
    ha_config *config = ha_config_new();
    CHECK(ha_config_get(config, HA_KEY_ROLE) == NULL);
    CHECK_TEXT(ha_config_get(config, HA_KEY_LEASE_TTL_MS), "60000");
    set(config, HA_KEY_LEASE_TTL_MS, "20000");
    CHECK_STATUS(ha_config_set(config, HA_KEY_LEASE_TTL_MS, "1", NULL), HA_ERR_CONFIG_VALUE);
    CHECK_TEXT(ha_config_get(config, HA_KEY_LEASE_TTL_MS), "20000");
    CHECK(ha_config_get(config, "no.such.key") == NULL);
    ha_config_free(config);
}

static void a_value_is_lent_until_the_next_change(void)
{
    ha_config *config = ha_config_new();
    const char *first = ha_config_get(config, HA_KEY_LEASE_TTL_MS);
    /* Other questions, and the same one again, leave it alone. */
    ha_config_get(config, HA_KEY_ROOT);
    CHECK(ha_config_get(config, HA_KEY_LEASE_TTL_MS) == first);
    CHECK_TEXT(first, "60000");
    ha_config_free(config);
}

static void text_that_is_not_utf8_is_refused(void)
{
    ha_config *config = ha_config_new();
    ha_error *err;
    CHECK_STATUS(ha_config_set(config, HA_KEY_ROLE, "ro\xff", &err), HA_ERR_CONFIG_VALUE);
    CHECK_TEXT(ha_error_detail(err, "key"), HA_KEY_ROLE);
    CHECK(strstr(ha_error_detail(err, "value"), "ro") != NULL);
    CHECK(ha_error_detail(err, "allowed") != NULL);
    ha_error_free(err);
    CHECK_STATUS(ha_config_set(config, "ro\xff", "rootcoord", &err), HA_ERR_INVALID_ARGUMENT);
    CHECK_TEXT(ha_error_message(err), "key is not UTF-8 from its byte 2 on");
    ha_error_free(err);
    CHECK_STATUS(ha_config_load_yaml(config, "/a\xff", HA_DIALECT_NATIVE, &err), HA_ERR_INVALID_ARGUMENT);
    CHECK_TEXT(ha_error_message(err), "path is not UTF-8 from its byte 2 on");
    ha_error_free(err);
    CHECK(ha_config_get(config, "\xff") == NULL);
    CHECK(!ha_has_feature("\xff"));
    ha_config_free(config);
}

/* Whether an error shows this word anywhere. */
static bool shows(const ha_error *err, const char *word)
{
    static const char *const details[] = { "key", "value", "allowed" };
    bool shown = strstr(ha_error_message(err), word) != NULL;
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        shown |= ha_error_detail(err, details[i]) != NULL && strstr(ha_error_detail(err, details[i]), word) != NULL;
    return shown;
}

static void what_may_be_a_secret_is_not_shown(void)
{
    /* Values that are not allowed, for keys that there are not, or in the place of a key. */
    static const struct { const char *key, *value; int32_t status; } wrong[] = {
        { HA_KEY_STORE_ETCD_PASSWORD, "hidden\xff", HA_ERR_CONFIG_VALUE },
        { HA_KEY_STORE_ETCD_PASSWORD, "hidden\n", HA_ERR_CONFIG_VALUE },
        { "store.etcd.pasword", "hidden", HA_ERR_CONFIG_KEY },
        { "store.etcd.pasword", "hidden\xff", HA_ERR_CONFIG_KEY },
        { HA_KEY_STORE_URL, "etcd://me:hidden@10.0.0.1", HA_ERR_CONFIG_VALUE },
        { HA_KEY_STORE_URL, "etcd://me:hidden\xff@10.0.0.1", HA_ERR_CONFIG_VALUE },
        { "hidden\xff", HA_KEY_STORE_ETCD_PASSWORD, HA_ERR_INVALID_ARGUMENT },
    };
    ha_config *config = ha_config_new();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ha_error *err;
        CHECK_STATUS(ha_config_set(config, wrong[i].key, wrong[i].value, &err), wrong[i].status);
        CHECK(!shows(err, "hidden"));
        ha_error_free(err);
        CHECK_STATUS(ha_config_set_default(config, wrong[i].key, wrong[i].value, &err), wrong[i].status);
        CHECK(!shows(err, "hidden"));
        if (i == 0) {
            CHECK_TEXT(ha_error_detail(err, "key"), HA_KEY_STORE_ETCD_PASSWORD);
            CHECK_TEXT(ha_error_detail(err, "value"), "***");
            CHECK(ha_error_detail(err, "allowed") != NULL);
        }
        ha_error_free(err);
    }
    ha_config_free(config);
}

static void a_handle_of_another_type_is_refused(void)
{
    ha_config *config = ha_config_new();
    ha_error *err, *again;
    const void *wrong = config;
    CHECK_STATUS(ha_session_request_stop((ha_session *)config), HA_ERR_INVALID_ARGUMENT);
    CHECK(!ha_session_is_active(wrong));
    CHECK(!ha_session_holds(wrong, 1));
    CHECK(ha_session_is_ending(wrong, 1));
    CHECK(ha_event_kind(wrong) == 0);
    CHECK(ha_event_text(wrong) == NULL);
    CHECK(ha_error_message(wrong) == NULL);
    CHECK(ha_txn_count(wrong) == 0);
    CHECK_STATUS(ha_config_check(config, &err), HA_ERR_CONFIG_MISSING);
    CHECK_STATUS(ha_config_check((const ha_config *)err, &again), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_config_check((const ha_config *)((const char *)wrong + 1), NULL), HA_ERR_INVALID_ARGUMENT);
    ha_error_free(again);
    ha_error_free(err);
    /* Freed as something else: left alone. */
    ha_event_free((ha_event *)config);
    ha_session_free((ha_session *)config);
    CHECK_TEXT(ha_config_get(config, HA_KEY_LEASE_TTL_MS), "60000");
    ha_config_free(config);
}

static void freeing_null_is_a_no_op(void)
{
    ha_config_free(NULL);
    ha_error_free(NULL);
    ha_event_free(NULL);
    ha_log_record_free(NULL);
    ha_session_free(NULL);
    ha_string_free(NULL);
    ha_txn_free(NULL);
}

static void versions_and_names_are_told(void)
{
    char text[32];
    CHECK(ha_version_number() == HA_VERSION_NUMBER);
    snprintf(text, sizeof text, "%d.%d.%d", HA_VERSION_MAJOR, HA_VERSION_MINOR, HA_VERSION_PATCH);
    CHECK_TEXT(ha_version_string(), text);
    CHECK(HA_VERSION_NUMBER == HA_VERSION_MAJOR * 1000000 + HA_VERSION_MINOR * 1000 + HA_VERSION_PATCH);
    CHECK(ha_has_feature("local") && ha_has_feature("etcd") && ha_has_feature("tls"));
    CHECK(ha_has_feature("yaml") && !ha_has_feature("handover") && !ha_has_feature("telepathy") && !ha_has_feature(NULL));
    CHECK_TEXT(ha_status_name(HA_OK), "OK");
    CHECK_TEXT(ha_status_name(HA_ERR_UNKNOWN_OUTCOME), "UNKNOWN_OUTCOME");
    CHECK_TEXT(ha_status_name(HA_ERR_APPLICATION + 5), "APPLICATION");
    CHECK_TEXT(ha_status_name(-7), "UNKNOWN");
}

static void constants_may_stand_in_a_switch(void)
{
    switch (HA_ERR_FENCED + (int)(check_folder == NULL)) {
    case HA_OK:
    case HA_PENDING:
    case HA_EVENT_ENDED:
    case HA_ROLE_ACTIVE:
        CHECK(false);
        break;
    case HA_ERR_FENCED:
        break;
    default:
        CHECK(false);
    }
}

/* A file of this run with this text. */
static const char *a_file(const char *text)
{
    static char path[4096];
    FILE *file;
    snprintf(path, sizeof path, "%s/coordha.yaml", check_folder);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    return path;
}

static void of_four_sources_the_highest_counts(void)
{
    ha_config *config = ha_config_new();
    const char *path = a_file("others: [1]\ncoordha:\n  role: from_file\n  lease: {ttl_ms: 30000}\n  priority: 3\n");
    CHECK(setenv("COORDHA_LEASE_TTL_MS", "20000", 1) == 0 && setenv("COORDHA_PRIORITY", "2", 1) == 0);
    CHECK(setenv("COORDHA_PORT", "tcp://10.0.0.1:2379", 1) == 0);
    set(config, HA_KEY_PRIORITY, "1");
    CHECK_STATUS(ha_config_load_env(config, HA_DIALECT_NATIVE, NULL), HA_OK);
    CHECK_STATUS(ha_config_load_yaml(config, path, HA_DIALECT_NATIVE, NULL), HA_OK);
    CHECK_STATUS(ha_config_set_default(config, HA_KEY_PRIORITY, "4", NULL), HA_OK);
    CHECK_STATUS(ha_config_set_default(config, HA_KEY_ADDRESS, "a:4", NULL), HA_OK);
    CHECK_STATUS(ha_config_set_default(config, HA_KEY_ROLE, "proposed", NULL), HA_OK);
    CHECK_TEXT(ha_config_get(config, HA_KEY_PRIORITY), "1");
    CHECK_TEXT(ha_config_get(config, HA_KEY_LEASE_TTL_MS), "20000");
    CHECK_TEXT(ha_config_get(config, HA_KEY_ROLE), "from_file");
    CHECK_TEXT(ha_config_get(config, HA_KEY_ADDRESS), "a:4");
    CHECK_TEXT(ha_config_get(config, HA_KEY_ELECTION_HOLD_MS), "5000");
    CHECK_STATUS(ha_config_check(config, NULL), HA_OK);
    ha_config_free(config);
}

static void milvus_names_count_too(void)
{
    ha_config *config = ha_config_new();
    ha_error *err;
    const char *path = a_file("rootCoord: {port: 53100}\netcd: {rootPath: mine, auth: {enabled: true, userName: u, password: geheim}}\n");
    set(config, HA_KEY_ROLE, "rootcoord");
    CHECK(setenv("ROOT_COORD_ENABLE_ACTIVE_STANDBY", "true", 1) == 0 && setenv("MILVUSCONF", check_folder, 1) == 0);
    CHECK_STATUS(ha_config_load_yaml(config, path, HA_DIALECT_MILVUS, NULL), HA_OK);
    CHECK_STATUS(ha_config_load_env(config, HA_DIALECT_MILVUS, NULL), HA_OK);
    CHECK_TEXT(ha_config_get(config, HA_KEY_ROOT), "mine/meta");
    CHECK_TEXT(ha_config_get(config, HA_KEY_ADDRESS), ":53100");
    CHECK_TEXT(ha_config_get(config, HA_KEY_ACTIVE_STANDBY_ENABLED), "true");
    CHECK_STATUS(ha_config_load_yaml(config, NULL, HA_DIALECT_MILVUS, &err), HA_ERR_CONFIG_FILE);
    CHECK(strstr(ha_error_message(err), "milvus.yaml") != NULL);
    ha_error_free(err);
    char *text = ha_config_dump(config, HA_DUMP_TEXT), *json = ha_config_dump(config, HA_DUMP_JSON);
    CHECK(strstr(text, "ROOT_COORD_ENABLE_ACTIVE_STANDBY") != NULL && strstr(text, "geheim") == NULL);
    CHECK(strstr(json, "\"source\": \"environment\"") != NULL && strstr(json, "geheim") == NULL);
    CHECK(ha_config_dump(config, 2) == NULL && ha_config_dump(NULL, HA_DUMP_TEXT) == NULL);
    ha_string_free(text);
    ha_string_free(json);
    ha_string_free(NULL);
    CHECK(setenv("ROOT_COORD_ENABLE_ACTIVE_STANDBY", "yes", 1) == 0);
    CHECK_STATUS(ha_config_load_env(config, HA_DIALECT_MILVUS, &err), HA_ERR_CONFIG_VALUE);
    CHECK_TEXT(ha_error_detail(err, "key"), "rootCoord.enableActiveStandby");
    ha_error_free(err);
    CHECK(unsetenv("ROOT_COORD_ENABLE_ACTIVE_STANDBY") == 0);
    ha_config_free(config);
}

static void metrics_are_told_without_a_session(void)
{
    char *text = ha_metrics_text();
    CHECK(ha_has_feature("metrics"));
    CHECK(text != NULL && strstr(text, "# TYPE coordha_build_info gauge\n") != NULL);
    CHECK(strstr(text, "coordha_sessions") == NULL);
    ha_string_free(text);
}

static void what_is_wrong_in_a_source_is_told_with_its_place(void)
{
    ha_config *config = ha_config_new();
    const char *path = a_file("coordha:\n  role: a\n  lease:\n    ttl_ms: long\n");
    ha_error *err;
    CHECK_STATUS(ha_config_load_yaml(config, path, HA_DIALECT_NATIVE, &err), HA_ERR_CONFIG_VALUE);
    CHECK_TEXT(ha_error_detail(err, "key"), "lease.ttl_ms");
    CHECK_TEXT(ha_error_detail(err, "value"), "long");
    CHECK(ha_error_detail(err, "allowed") != NULL && strstr(ha_error_message(err), "coordha.yaml:4: ") != NULL);
    ha_error_free(err);
    CHECK(ha_config_get(config, HA_KEY_ROLE) == NULL);
    CHECK_STATUS(ha_config_load_yaml(config, "/none/such", HA_DIALECT_NATIVE, &err), HA_ERR_CONFIG_FILE);
    ha_error_free(err);
    CHECK(setenv("COORDHA_ROLLE", "a", 1) == 0);
    CHECK_STATUS(ha_config_load_env(config, HA_DIALECT_NATIVE, &err), HA_ERR_CONFIG_KEY);
    CHECK_TEXT(ha_error_detail(err, "key"), "COORDHA_ROLLE");
    ha_error_free(err);
    CHECK(unsetenv("COORDHA_ROLLE") == 0);
    CHECK_STATUS(ha_config_load_yaml(config, NULL, HA_DIALECT_NATIVE, NULL), HA_ERR_NULL);
    CHECK_STATUS(ha_config_load_env(config, -3, NULL), HA_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(ha_config_set_default(config, "rolle", "a", NULL), HA_ERR_CONFIG_KEY);
    CHECK_STATUS(ha_config_set_default(config, HA_KEY_ROLE, "A", NULL), HA_ERR_CONFIG_VALUE);
    ha_config_free(config);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(an_error_is_written_always),
        CASE(an_error_may_be_left_out),
        CASE(an_error_outlives_what_it_came_from),
        CASE(a_failed_set_changes_nothing),
        CASE(a_value_is_lent_until_the_next_change),
        CASE(text_that_is_not_utf8_is_refused),
        CASE(what_may_be_a_secret_is_not_shown),
        CASE(a_handle_of_another_type_is_refused),
        CASE(freeing_null_is_a_no_op),
        CASE(versions_and_names_are_told),
        CASE(constants_may_stand_in_a_switch),
        CASE(of_four_sources_the_highest_counts),
        CASE(milvus_names_count_too),
        CASE(metrics_are_told_without_a_session),
        CASE(what_is_wrong_in_a_source_is_told_with_its_place),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
