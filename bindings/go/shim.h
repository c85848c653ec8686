// What cgo cannot say, or would need many calls for.
#ifndef COORDHA_GO_SHIM_H
#define COORDHA_GO_SHIM_H

#include <coordha.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if HA_VERSION_NUMBER < 1000 || HA_VERSION_MAJOR != 0
#error "this Go package needs coordha.h of version 0.1 or later, below 1.0"
#endif

// An event, read at once: a call from Go to C costs more than all of these together. The strings are the event's.
typedef struct {
    int32_t kind, reason;
    bool held;
    int64_t token, remaining_ms, ttl_ms, at_ms, server_id;
    uint64_t missed, tag;
    const char *address, *role, *key, *text;
    const ha_error *error;
    const ha_txn *txn;
} shim_event;

static inline void shim_read_event(const ha_event *event, shim_event *out)
{
    out->kind = ha_event_kind(event);
    out->reason = ha_event_reason(event);
    out->held = ha_event_held(event);
    out->token = ha_event_token(event);
    out->remaining_ms = ha_event_remaining_ms(event);
    out->ttl_ms = ha_event_ttl_ms(event);
    out->at_ms = ha_event_at_ms(event);
    out->server_id = ha_event_server_id(event);
    out->missed = ha_event_missed(event);
    out->tag = ha_event_tag(event);
    out->address = ha_event_address(event);
    out->role = ha_event_role_name(event);
    out->key = ha_event_key(event);
    out->text = ha_event_text(event);
    out->error = ha_event_error(event);
    out->txn = ha_event_txn(event);
}

// The clock of ha_event_at_ms(), in ns.
static inline int64_t shim_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// What comes before the texts of a log record on the pipe: target, message, fields.
typedef struct {
    int64_t unix_ms;
    uint32_t lengths[3];
    int32_t level;
} shim_log_head;

// The receiver of log records: writes them to a pipe, so that no Go code runs on a thread of the library. Where the pipe is
// full it waits, which only holds up that thread.
static inline void shim_log_write(void *pipe, const ha_log_record *record)
{
    const char *texts[] = { ha_log_record_target(record), ha_log_record_message(record), ha_log_record_fields_json(record) };
    shim_log_head head = { .unix_ms = ha_log_record_unix_ms(record), .level = ha_log_record_level(record) };
    struct iovec parts[4] = { { &head, sizeof head } };
    for (int i = 0; i < 3; i++) {
        size_t length = texts[i] ? strlen(texts[i]) : 0;
        head.lengths[i] = (uint32_t)length;
        parts[i + 1] = (struct iovec){ (void *)texts[i], length };
    }
    for (int at = 0; at < 4;) {
        ssize_t written = writev((int)(intptr_t)pipe, parts + at, 4 - at);
        if (written < 0 && errno != EINTR)
            return; // nobody reads any more
        for (; at < 4 && written >= (ssize_t)parts[at].iov_len; at++)
            written -= (ssize_t)parts[at].iov_len;
        if (at < 4 && written > 0) {
            parts[at].iov_base = (char *)parts[at].iov_base + written;
            parts[at].iov_len -= (size_t)written;
        }
    }
}

static inline void shim_log_close(void *pipe) { close((int)(intptr_t)pipe); }

// From now on log records go to this end of a pipe, which is the library's to close; -1: to nobody.
static inline int32_t shim_log_to(int32_t level, int pipe)
{
    if (pipe < 0)
        return ha_log_set_callback(HA_LOG_OFF, NULL, NULL, NULL);
    return ha_log_set_callback(level, shim_log_write, (void *)(intptr_t)pipe, shim_log_close);
}

#endif
