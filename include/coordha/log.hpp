/// @file
/// Logging. Part of coordha.hpp.

#ifndef COORDHA_LOG_HPP
#define COORDHA_LOG_HPP

#include <coordha/callbacks.hpp>

namespace coordha {
inline namespace COORDHA_FORM {

/// How much a log record matters; HA_LOG_* of coordha.h.
enum class LogLevel : std::int32_t {
    off = HA_LOG_OFF,
    error = HA_LOG_ERROR, ///< what somebody must look at
    warn = HA_LOG_WARN,   ///< what somebody should know: the store is away, the role is lost
    info = HA_LOG_INFO,   ///< the course of things: registered, standing by, active
    debug = HA_LOG_DEBUG,
    trace = HA_LOG_TRACE,
};

/// A log record that is lent: for the call where a receiver gets it, as long as the LogRecord that it comes from
/// elsewhere. Views live as long as the record.
class LogRecordRef {
public:
    /// Looks at a record of the C header.
    explicit LogRecordRef(const ha_log_record *raw) noexcept : raw_(raw) {}

    /// How much it matters.
    LogLevel level() const noexcept { return LogLevel(ha_log_record_level(raw_)); }
    /// Which part of the library says it, such as "coordha::driver".
    std::string_view target() const noexcept { return detail::view(ha_log_record_target(raw_)); }
    /// What it says, in one line; the wording may change.
    std::string_view message() const noexcept { return detail::view(ha_log_record_message(raw_)); }
    /// When it was said, on the wall clock.
    std::chrono::system_clock::time_point at() const noexcept
    {
        return std::chrono::system_clock::time_point(std::chrono::milliseconds(ha_log_record_unix_ms(raw_)));
    }
    /// Its fields as a JSON object, `{}` where it has none.
    std::string_view fields_json() const noexcept { return detail::view(ha_log_record_fields_json(raw_)); }

protected:
    const ha_log_record *raw_; ///< NULL: everything is 0 or empty
};

/// A log record of your own. Moved, not copied; moved away, it is empty.
class LogRecord : public detail::Own<LogRecordRef, ha_log_record, ha_log_record_free> {
public:
    using Own::Own;
};

/// Receives log records, one at a time, on a thread of the library's own, never on one that renews a role: it may take
/// its time and call anything. An exception out of it is told on stderr in a line, and the next record follows.
using LogReceiver = std::function<void(LogRecordRef)>;

/// Sets the receiver of the library's log records of this level and above, for the whole process, in place of the one
/// before; when it has returned, that one does not run, will not, and is destroyed (where a receiver calls this itself,
/// once that call has returned). An empty one: warnings and errors go to stderr, as without any; while records are
/// fetched by try_next_log(), it only sets their level.
///
/// Errors: invalid_argument (no such level), unsupported (the log of a Rust program goes elsewhere), forked.
inline Result<void> try_set_log(LogLevel level, LogReceiver receiver)
{
    struct Receiver {
        static void receive(void *user_data, const ha_log_record *record) noexcept
        {
            const auto &receiver = *static_cast<LogReceiver *>(user_data);
            (void)detail::guard(
                nullptr, "the log receiver", [&] { receiver(LogRecordRef(record)); }, [] { return false; });
        }
        static void destroy(void *user_data) noexcept { delete static_cast<LogReceiver *>(user_data); }
    };
    const auto number = static_cast<std::int32_t>(level);
    const std::int32_t status =
        receiver ? ha_log_set_callback(number, Receiver::receive, new LogReceiver(std::move(receiver)), Receiver::destroy)
                 : ha_log_set_callback(number, nullptr, nullptr, nullptr);
    return status == HA_OK ? Result<void>() : Result<void>(Error::take(status, nullptr));
}

/// Takes the receiver away; records that wait are given to it first. Before a program exits, so that it sees the last.
inline void reset_log() noexcept { (void)ha_log_set_callback(HA_LOG_WARN, nullptr, nullptr, nullptr); }

/// Fetches the next log record, for programs that want no receiver on a thread of the library's. From any threads; each
/// record goes to one of them. The first call (or of log_event_fd()) begins it: from then on up to 1024 records wait, and
/// none goes to stderr; a receiver ends it.
///
/// Errors: timeout, state (there is a receiver), unsupported (the log of a Rust program goes elsewhere),
/// invalid_argument, forked.
inline Result<LogRecord> try_next_log(std::chrono::milliseconds timeout = forever)
{
    ha_log_record *record = nullptr;
    const std::int32_t status = ha_log_next(timeout.count(), &record);
    return status == HA_OK ? Result<LogRecord>(LogRecord(record)) : Result<LogRecord>(Error::take(status, nullptr));
}

/// A descriptor for poll, epoll and event loops: readable while a log record waits, with a new edge at each arrival. Then
/// call try_next_log() with a limit of zero until it says timeout. The library's: never close it. -1: there is none.
inline int log_event_fd() noexcept { return ha_log_event_fd(); }

#if COORDHA_EXCEPTIONS
/// try_set_log(), throwing.
inline void set_log(LogLevel level, LogReceiver receiver) { try_set_log(level, std::move(receiver)).value(); }
/// try_next_log(), throwing. Empty: the limit passed.
inline std::optional<LogRecord> next_log(std::chrono::milliseconds timeout = forever)
{
    auto next = try_next_log(timeout);
    return next.code() == Errc::timeout ? std::nullopt : std::optional<LogRecord>(std::move(next).value());
}
#endif

} // namespace COORDHA_FORM
} // namespace coordha

#endif
