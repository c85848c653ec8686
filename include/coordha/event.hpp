/// @file
/// Events. Part of coordha.hpp.

#ifndef COORDHA_EVENT_HPP
#define COORDHA_EVENT_HPP

#include <coordha/error.hpp>
#include <coordha/txn.hpp>

#include <memory>

namespace coordha {
inline namespace COORDHA_FORM {

/// What an event says; HA_EVENT_* of coordha.h, with a table of what each carries.
enum class EventKind : std::int32_t {
    registered = HA_EVENT_REGISTERED,
    standby = HA_EVENT_STANDBY,
    activate = HA_EVENT_ACTIVATE,
    active = HA_EVENT_ACTIVE,
    jeopardy = HA_EVENT_JEOPARDY,
    safe = HA_EVENT_SAFE,
    deactivate = HA_EVENT_DEACTIVATE,
    term_ended = HA_EVENT_TERM_ENDED,
    holder = HA_EVENT_HOLDER,
    degraded = HA_EVENT_DEGRADED,
    recovered = HA_EVENT_RECOVERED,
    blocked = HA_EVENT_BLOCKED,
    foreign = HA_EVENT_FOREIGN,
    txn_done = HA_EVENT_TXN_DONE,
    ended = HA_EVENT_ENDED,
};

/// Why a term ends or has ended, or why contending is held back; HA_REASON_* of coordha.h.
enum class Reason : std::int32_t {
    none = 0,
    stop = HA_REASON_STOP,
    resign = HA_REASON_RESIGN,
    expired = HA_REASON_EXPIRED,
    superseded = HA_REASON_SUPERSEDED,
    key_deleted = HA_REASON_KEY_DELETED,
    lease_lost = HA_REASON_LEASE_LOST,
    regressed = HA_REASON_REGRESSED,
    internal = HA_REASON_INTERNAL,
    activation_failed = HA_REASON_ACTIVATION_FAILED,
    activation_timeout = HA_REASON_ACTIVATION_TIMEOUT,
    paused = HA_REASON_PAUSED,
    callback_busy = HA_REASON_CALLBACK_BUSY,
    backoff = HA_REASON_BACKOFF,
    milvus_holder = HA_REASON_MILVUS_HOLDER,
};

/// An event that is lent: for the call where a callback gets it, as long as the Event that it comes from elsewhere.
/// What a kind does not carry is 0, false or empty. Views live as long as the event. Any thread, one at a time.
class EventRef {
public:
    /// Looks at an event of the C header.
    explicit EventRef(const ha_event *raw) noexcept : raw_(raw) {}

    /// What it says.
    EventKind kind() const noexcept { return EventKind(ha_event_kind(raw_)); }
    /// The name of its kind, such as "TERM_ENDED". Static.
    std::string_view kind_name() const noexcept { return detail::view(ha_event_kind_name(raw_)); }
    /// The fencing token of the term that it is about; for standby, holder and blocked the holder's.
    std::int64_t token() const noexcept { return ha_event_token(raw_); }
    /// Why the term ends or has ended, or contending is held back.
    Reason reason() const noexcept { return Reason(ha_event_reason(raw_)); }
    /// Of deactivate: whether the role is still held and renewed while you drain; else it is gone, only clean up.
    bool held() const noexcept { return ha_event_held(raw_); }
    /// From the event to the term's deadline as it was then.
    std::chrono::milliseconds remaining() const noexcept { return std::chrono::milliseconds(ha_event_remaining_ms(raw_)); }
    /// Of registered: the lease's time to live, as the store granted it.
    std::chrono::milliseconds ttl() const noexcept { return std::chrono::milliseconds(ha_event_ttl_ms(raw_)); }
    /// When it happened.
    BootClock::time_point at() const noexcept
    {
        return BootClock::time_point(std::chrono::milliseconds(ha_event_at_ms(raw_)));
    }
    /// Of registered: the session's own server ID; where a holder is named: the holder's.
    std::int64_t server_id() const noexcept { return ha_event_server_id(raw_); }
    /// Where clients reach the holder that it names.
    std::string_view address() const noexcept { return detail::view(ha_event_address(raw_)); }
    /// The name of the role, such as "rootcoord".
    std::string_view role_name() const noexcept { return detail::view(ha_event_role_name(raw_)); }
    /// Of foreign: the key that cannot be read; of blocked: that of a Milvus process that stands in the way. Bytes that
    /// are no text are escaped.
    std::string_view key() const noexcept { return detail::view(ha_event_key(raw_)); }
    /// How many events were dropped unread just before this one.
    std::uint64_t missed() const noexcept { return ha_event_missed(raw_); }
    /// Of txn_done: the tag that the transaction was submitted with.
    std::uint64_t tag() const noexcept { return ha_event_tag(raw_); }
    /// Of txn_done: what was read, lent as long as the event.
    Results results() const noexcept { return Results(ha_event_txn(raw_)); }
    /// The event in one line of plain words, without its time; the wording may change.
    std::string_view text() const noexcept { return detail::view(ha_event_text(raw_)); }
    /// What went wrong; a copy.
    std::optional<Error> error() const
    {
        const ha_error *error = ha_event_error(raw_);
        return error != nullptr ? std::optional<Error>(Error::copy(error)) : std::nullopt;
    }

    /// The handle of the C header, lent.
    const ha_event *raw() const noexcept { return raw_; }

protected:
    const ha_event *raw_; ///< NULL: everything is 0, false or empty
};

/// An event of your own: it outlives its session. Moved, not copied; moved away, it is empty.
class Event : public detail::Own<EventRef, ha_event, ha_event_free> {
public:
    using Own::Own;
};

/// @cond
namespace detail {

template <class Source> const Source &points_to(const Source &source) noexcept { return source; }
template <class Source> const Source &points_to(const Source *source) noexcept { return *source; }

} // namespace detail
/// @endcond

/// A range of events, each read when the loop asks for it: `for (const coordha::Event &event : session.events())`.
/// It ends after the last one, `ended`. Once through; the source must outlive it. Errors as of next_event(); without
/// exceptions they end the loop.
template <class Source> class Events {
public:
    /// Where the loop is; copies share the event that they are at.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; ///< once through
        using value_type = Event;                          ///< what it reads
        using difference_type = std::ptrdiff_t;            ///< that of all iterators
        using pointer = Event *;                           ///< the event's members
        using reference = Event &;                         ///< the event

        /// The end.
        Iterator() noexcept = default;
        /// Waits for the first event.
        explicit Iterator(Source source) : source_(source) { ++*this; }
        /// The event, which may be moved from.
        reference operator*() const noexcept { return *event_; }
        /// The event's members.
        pointer operator->() const noexcept { return event_.get(); }
        /// Waits for the next event.
        Iterator &operator++()
        {
            auto next = detail::points_to(*source_).try_next_event(forever);
            event_ = next ? std::make_shared<Event>(*std::move(next)) : nullptr;
#if COORDHA_EXCEPTIONS
            if (!next && next.code() != Errc::ended) {
                throw next.error();
            }
#endif
            return *this;
        }
        /// Waits for the next event; gives the place before it.
        Iterator operator++(int)
        {
            Iterator before = *this;
            ++*this;
            return before;
        }
        /// Whether both are at the end.
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return !a.event_ && !b.event_; }
        /// Whether one is not.
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }

    private:
        std::optional<Source> source_;
        std::shared_ptr<Event> event_;
    };

    /// Reads nothing yet.
    explicit Events(Source source) noexcept : source_(source) {}
    /// Waits for the first event.
    Iterator begin() const { return Iterator(source_); }
    /// The end.
    Iterator end() const noexcept { return Iterator(); }

private:
    Source source_;
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
