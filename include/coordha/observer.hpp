/// @file
/// Observers. Part of coordha.hpp.

#ifndef COORDHA_OBSERVER_HPP
#define COORDHA_OBSERVER_HPP

#include <coordha/config.hpp>
#include <coordha/event.hpp>

namespace coordha {
inline namespace COORDHA_FORM {

/// Follows who is active in a role, for those who stand in no election: clients, proxies, dashboards. It registers
/// nothing in the store and needs no address; of the configuration it uses the role, the root, the store and
/// election.reread_ms.
///
///     coordha::Observer observer({{"role", "rootcoord"}, {"store.url", "etcd://10.0.0.1"}});
///     for (const coordha::Event &event : observer.events()) {
///         event.server_id() != 0 ? connect_to(event.address(), event.token()) : hold_requests_back();
///     }
///
/// Its events are of the kind holder: address, server ID and token of the active one, or empty and 0 while nobody is.
/// The first one comes as soon as the store has answered. They come by growing token; only the newest waits to be read,
/// and EventRef::missed() says how many it has replaced. It says what the store said a moment ago, so let servers refuse
/// a token lower than the highest they have seen. A store that cannot be reached is tried again for ever.
///
/// Moved, not copied. Everything may be called from many threads at once; moving, closing and destroying need it for
/// themselves (request_stop() makes those calls return that wait). After close() or moved away, every call says
/// `closed`; in a child of `fork`, `forked`.
class Observer {
public:
    /// Starts one: checks and copies the configuration, and does not wait for the network. Errors: config_missing,
    /// config_conflict, config_value (a file or directory that is named cannot be used), corrupt, store_version, no_space
    /// and unavailable (what lies in the local store's directory is damaged or of another version, its disk is full, or it
    /// stayed locked), unsupported (the store's kind is not in this build), resources, forked, closed (the configuration
    /// was moved away). Nothing is started then.
    static Result<Observer> try_start(const Config &config)
    {
        ha_observer *raw = nullptr;
        const auto started =
            detail::call(config.raw(), [&](ha_error **err) { return ha_observer_start(config.raw(), &raw, err); });
        if (!started) {
            return started.error();
        }
        return Observer(raw);
    }

    /// Who is active, as far as is known now: an event of the kind holder; server_id() 0: nobody is. Does not wait, and
    /// takes nothing from try_next_event(). Errors: where the store has not answered yet, why (unavailable, auth,
    /// permission, tls); ended (request_stop() was called); regressed (the store was restored from a backup); corrupt
    /// (the local database is damaged); closed; forked.
    Result<Event> try_current() const
    {
        ha_event *event = nullptr;
        const auto known =
            detail::call(raw_.get(), [&](ha_error **err) { return ha_observer_current(raw_.get(), &event, err); });
        if (!known) {
            return known.error();
        }
        return Event(event);
    }

    /// The next change of who is active; the first one says who is at all. From any threads; each event goes to one of
    /// them. Errors: timeout; for ever ended after request_stop(), or regressed, or corrupt; invalid_argument;
    /// closed; forked.
    Result<Event> try_next_event(std::chrono::milliseconds timeout = forever) const
    {
        ha_event *event = nullptr;
        const auto read = detail::call(
            raw_.get(), [&](ha_error **) { return ha_observer_next(raw_.get(), timeout.count(), &event); });
        if (!read) {
            return read.error();
        }
        return Event(event);
    }

    /// The events, one after another, until request_stop() is called.
    Events<const Observer *> events() const noexcept { return Events<const Observer *>(this); }

    /// A descriptor for poll, epoll and event loops: readable while an event waits, and for ever once it has ended, with
    /// a new edge at each arrival. Then call try_next_event() with a limit of zero until it says timeout. The observer's:
    /// never close it. -1: there is none (closed, a child of `fork`, no descriptor to be had).
    int event_fd() const noexcept { return ha_observer_event_fd(raw_.get()); }

    /// Counts one event that was taken and that nobody will look at, in the metric coordha_observer_events_missed_total: for
    /// a queue of your own that drops one for a newer. Does nothing where the observer was closed, or in a child of `fork`.
    void count_missed() const noexcept { (void)ha_observer_count_missed(raw_.get()); }

    /// Ends it: whoever waits is woken, and no event is given out any more. Returns at once; twice is harmless. From any
    /// thread and from a signal handler.
    void request_stop() const noexcept { (void)ha_observer_request_stop(raw_.get()); }

    /// Ends it and frees it; waits for nothing that the store does. Events that it gave stay yours. Twice is harmless.
    void close() noexcept { raw_.reset(); }

    /// The handle of the C header, lent; NULL where it was closed.
    ha_observer *raw() const noexcept { return raw_.get(); }

#if COORDHA_EXCEPTIONS
    /// try_start(), throwing.
    explicit Observer(const Config &config) : Observer(try_start(config).value()) {}
    /// try_current(), throwing.
    Event current() const { return try_current().value(); }
    /// try_next_event(), throwing. Empty: the limit passed.
    std::optional<Event> next_event(std::chrono::milliseconds timeout = forever) const
    {
        auto next = try_next_event(timeout);
        return next.code() == Errc::timeout ? std::nullopt : std::optional<Event>(std::move(next).value());
    }
#endif

private:
    explicit Observer(ha_observer *raw) noexcept : raw_(raw) {}

    detail::Owned<ha_observer, ha_observer_free> raw_;
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
