/// @file
/// Sessions. Part of coordha.hpp.

#ifndef COORDHA_SESSION_HPP
#define COORDHA_SESSION_HPP

#include <coordha/callbacks.hpp>
#include <coordha/session_ref.hpp>

namespace coordha {
inline namespace COORDHA_FORM {

class Term;

/// What Session::run() tells beside the term.
struct RunHooks {
    /// Every event, ACTIVATE and DEACTIVATE too, on the thread of run(), between the terms and while the body waits in
    /// Term::wait_ending(). Lent for the call.
    std::function<void(EventRef)> on_event;
    /// An exception that the body or on_event let out, and what Term::fail() said after "ready"; see ExceptionHandler.
    ExceptionHandler on_exception;
};

/// A stand in an election: one role, one address. Started once, ended once; in between it may hold the role many
/// times, each time in a term of its own with a larger fencing token.
///
/// There are two ways to be told what to do. **Pulling** (without Callbacks): run() with a body that is called once a
/// term, or events() and the `_done` calls. **Callbacks**: std::functions that the library calls, see Callbacks.
///
/// Moved, not copied; it is a SessionRef, so all that a session can do is there. Everything may be called from many
/// threads at once; moving, closing and destroying need it for themselves, as with any object (request_stop() makes
/// those calls return that wait). After close() or moved away, every call says `closed`, every question false, 0 or
/// empty.
class Session : public SessionRef {
public:
    /// Starts a session that is pulled. Checks and copies the configuration, and does not wait for the network: a store
    /// that cannot be reached is an event.
    ///
    /// Errors: config_missing, config_conflict, config_value (a file or directory that is named cannot be used),
    /// already_started (this process has one with this role and address), corrupt, store_version, no_space and
    /// unavailable (what lies in the local store's directory is damaged or of another version, its disk is full, or it
    /// stayed locked), unsupported (the store's kind is not in this build), resources, forked, closed (the configuration
    /// was moved away). Nothing is started then.
    static Result<Session> try_start(const Config &config) { return start(config, nullptr); }

    /// Starts a session that calls. Callbacks may run before this has returned: use the session that they are given.
    /// Errors as above, and invalid_argument: there is no on_activate, and activation.auto is false.
    static Result<Session> try_start(const Config &config, Callbacks callbacks)
    {
        ha_callbacks raw = HA_CALLBACKS_INIT;
        raw.on_activate = callbacks.on_activate ? detail::Trampoline::activate : nullptr;
        raw.on_deactivate = callbacks.on_deactivate ? detail::Trampoline::deactivate : nullptr;
        raw.on_event = callbacks.on_event ? detail::Trampoline::event : nullptr;
        raw.user_data = new Callbacks(std::move(callbacks));
        raw.destroy = detail::Trampoline::destroy;
        return start(config, &raw);
    }

    /// Moves.
    Session(Session &&other) noexcept : SessionRef(std::exchange(other.raw_, nullptr)), is_auto_(other.is_auto_) {}
    /// Moves; the session that was here is closed.
    Session &operator=(Session &&other) noexcept
    {
        if (this != &other) {
            close();
            raw_ = std::exchange(other.raw_, nullptr);
            is_auto_ = other.is_auto_;
        }
        return *this;
    }
    /// Closes it.
    ~Session() { close(); }

    /// Ends it and frees it. After `ended`, or after a stop() that did not time out, it does not wait. Before, it is a
    /// stop() of at most deactivation.timeout_ms + release.timeout_ms; past that limit, and in a callback, it gives the
    /// role up and returns, and what is left is done behind. Where events are pulled nobody is left to answer them: the
    /// role is given up without a drain. Twice is harmless. Nobody may call request_stop() any more, so ignore the
    /// signals whose handlers do, first.
    void close() noexcept { ha_session_free(std::exchange(raw_, nullptr)); }

    /// Calls the body once a term, on this thread, and returns when the session has ended; see Term for what the body
    /// does. For sessions that are pulled; nobody else may read its events meanwhile.
    ///
    /// - A return after Term::wait_ending(), or once Term::ending(), says "left": nothing of the term runs any more.
    /// - A return or an exception before Term::ready() is a failed activation: others are tried, then this session
    ///   contends again.
    /// - A return or an exception after it, of a term that was not asked to end, resigns: the same, in order.
    /// - An exception is reported once (RunHooks::on_exception, else a line on stderr). Only Errc::fenced in a term that
    ///   is ending is no failure, and not reported: it is what late work meets.
    ///
    /// Errors: what ended the session, such as role_held, none after an orderly stop; state (it has callbacks, or
    /// activation.auto is true, where there is nothing to answer); ended (it had been read to its end); closed (also by
    /// the body); forked.
    Result<void> try_run(const std::function<void(Term &)> &body, RunHooks hooks = {});

#if COORDHA_EXCEPTIONS
    /// try_start(), throwing.
    explicit Session(const Config &config) : Session(try_start(config).value()) {}
    /// try_start(), throwing.
    Session(const Config &config, Callbacks callbacks) : Session(try_start(config, std::move(callbacks)).value()) {}
    /// try_run(), throwing what ended the session.
    void run(const std::function<void(Term &)> &body, RunHooks hooks = {}) { try_run(body, std::move(hooks)).value(); }
#endif

private:
    Session(ha_session *raw, bool is_auto) noexcept : SessionRef(raw), is_auto_(is_auto) {}

    static Result<Session> start(const Config &config, const ha_callbacks *callbacks)
    {
        if (config.raw() == nullptr && callbacks != nullptr) {
            callbacks->destroy(callbacks->user_data);
        }
        ha_session *raw = nullptr;
        const auto started = detail::call(
            config.raw(), [&](ha_error **err) { return ha_session_start(config.raw(), callbacks, &raw, err); });
        if (!started) {
            return started.error();
        }
        return Session(raw, config.get(HA_KEY_ACTIVATION_AUTO) == "true");
    }

    bool is_auto_ = false; ///< the library answers by itself: there is nothing to run
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
