// What a look at the role costs a C program, beside the bare read of the clock that each look contains.
//
//     is_active <store>
//
// Prints three lines, the name and the time of one call in ns: clock, is_active, holds. The three are measured in turns, so
// that what else goes on at the host meets all of them alike; each number is the median of the turns.
#define _POSIX_C_SOURCE 200809L
#include <coordha.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 500, CALLS = 20000, START_MS = 60000 };

static ha_session *session;
static int64_t token;

static void read_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
}

// Each loop counts its "yes", so that no call can be left out and none answers "no" unseen.
static double clock_ns(void) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < CALLS; i++) {
        read_clock();
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / CALLS;
}

static double question_ns(bool about_token) {
    struct timespec from, to;
    int yes = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (about_token) {
        for (int i = 0; i < CALLS; i++) {
            yes += ha_session_holds(session, token);
        }
    } else {
        for (int i = 0; i < CALLS; i++) {
            yes += ha_session_is_active(session);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (yes != CALLS) {
        fprintf(stderr, "the session was not active all the time\n");
        exit(1);
    }
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / CALLS;
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *turns) {
    qsort(turns, TURNS, sizeof *turns, by_size);
    return turns[TURNS / 2];
}

int main(int argc, char **argv) {
    static double clocks[TURNS], actives[TURNS], holdings[TURNS];
    ha_error *err = NULL;
    ha_config *config = ha_config_new();
    if (argc != 2 || ha_config_set(config, HA_KEY_STORE_URL, argv[1], &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ADDRESS, "127.0.0.1:1", &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ROLE, "bench", &err) != HA_OK ||
        ha_config_set(config, HA_KEY_ACTIVATION_AUTO, "true", &err) != HA_OK ||
        ha_session_start(config, NULL, &session, &err) != HA_OK ||
        ha_session_wait(session, HA_UNTIL_ACTIVE, START_MS, &err) != HA_OK) {
        fprintf(stderr, "%s\n", err ? ha_error_message(err) : "is_active <store>");
        return 1;
    }
    token = ha_session_fencing_token(session);
    for (int turn = 0; turn < TURNS; turn++) {
        clocks[turn] = clock_ns();
        actives[turn] = question_ns(false);
        holdings[turn] = question_ns(true);
    }
    printf("clock %.2f\nis_active %.2f\nholds %.2f\n", median(clocks), median(actives), median(holdings));
    ha_session_free(session);
    ha_config_free(config);
}
