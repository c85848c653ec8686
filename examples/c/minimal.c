// A coordinator that stands by until it is chosen: minimal <store> <host:port>
#include <coordha.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

static ha_session *session;
static void on_sigterm(int sig) { (void)sig; ha_session_request_stop(session); }

static int32_t activate(void *app, ha_session *s, const ha_event *event) {
    (void)app, (void)s; // load what you need; ask ha_session_is_ending() now and then
    printf("active, with fencing token %" PRId64 "\n", ha_event_token(event));
    return HA_OK; // from now on ha_session_is_active() is true
}

static int32_t deactivate(void *app, ha_session *s, const ha_event *event) {
    (void)app, (void)s;
    printf("leaving: %s\n", ha_event_held(event) ? "finish what runs" : "the role is lost");
    return HA_OK; // nothing of this term runs any more
}

int main(int argc, char **argv) {
    ha_error *err = NULL;
    ha_config *config = ha_config_new();
    ha_callbacks callbacks = HA_CALLBACKS_INIT;
    callbacks.on_activate = activate, callbacks.on_deactivate = deactivate;
    if (argc != 3 || ha_config_set(config, HA_KEY_STORE_URL, argv[1], &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ADDRESS, argv[2], &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ROLE, "rootcoord", &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", &err) != HA_OK ||
        ha_session_start(config, &callbacks, &session, &err) != HA_OK) {
        fprintf(stderr, "%s\n", err ? ha_error_message(err) : "minimal <store> <host:port>");
        return 1;
    }
    signal(SIGTERM, on_sigterm);
    ha_session_wait(session, HA_UNTIL_ENDED, HA_FOREVER, NULL);
    signal(SIGTERM, SIG_IGN); // a second one must not meet a session that is being freed
    ha_session_free(session);
    ha_config_free(config);
}
