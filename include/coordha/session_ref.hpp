/// @file
/// What can be done with a session. Part of coordha.hpp.

#ifndef COORDHA_SESSION_REF_HPP
#define COORDHA_SESSION_REF_HPP

#include <coordha/config.hpp>
#include <coordha/event.hpp>

namespace coordha {
inline namespace COORDHA_FORM {

/// The state of a session; HA_ROLE_* of coordha.h. For logs and status pages.
enum class Role : std::int32_t {
    none = 0, ///< closed, or a child of `fork`
    starting = HA_ROLE_STARTING,
    standby = HA_ROLE_STANDBY,
    activating = HA_ROLE_ACTIVATING,
    active = HA_ROLE_ACTIVE,
    deactivating = HA_ROLE_DEACTIVATING,
    ended = HA_ROLE_ENDED,
};

/// What SessionRef::wait() waits for; HA_UNTIL_* of coordha.h.
enum class Until : std::int32_t {
    registered = HA_UNTIL_REGISTERED,   ///< there is a server ID and a lease
    active = HA_UNTIL_ACTIVE,           ///< is_active() is true, or has been since the call
    term_ending = HA_UNTIL_TERM_ENDING, ///< the term held at the call was asked to end, or is over
    ended = HA_UNTIL_ENDED,             ///< the session is over
};

/// A session that somebody else owns: what callbacks and terms are given. A pointer in size, copied freely. It lives
/// until its Session is closed or destroyed, and in a callback for the call at least.
///
/// Any thread, many at once. In a child of `fork` every call is `forked`, and every question answered false, 0 or
/// empty, is_ending() true.
class SessionRef {
public:
    /// None: every call says `closed`.
    SessionRef() noexcept = default;
    /// Looks at a session of the C header.
    explicit SessionRef(ha_session *raw) noexcept : raw_(raw) {}

    /// May new work be taken? True from "ready" to the end of the term, while its deadline lies ahead. Reads the clock;
    /// no lock, no thread has to run in time. Also in a signal handler.
    bool is_active() const noexcept { return ha_session_is_active(raw_); }
    /// May a step of work that was begun in this term still act? True while the role is held in that very term, also
    /// while getting ready and draining. Also in a signal handler.
    bool holds(std::int64_t token) const noexcept { return ha_session_holds(raw_, token); }
    /// Should the work of this term wind up? True from a request to stop or resign on, and for every term that is not
    /// the current one. Also in a signal handler.
    bool is_ending(std::int64_t token) const noexcept { return ha_session_is_ending(raw_, token); }
    /// The fencing token of the term that is held; 0: none is. It grows from term to term, over all sessions of the
    /// role. Take it when the work begins, and let it go with all that the work writes.
    std::int64_t fencing_token() const noexcept { return ha_session_fencing_token(raw_); }
    /// Time until the held term is over if nothing renews it; zero: none is held.
    std::chrono::milliseconds remaining() const noexcept
    {
        return std::chrono::milliseconds(ha_session_remaining_ms(raw_));
    }
    /// The state; to decide, ask the questions above.
    Role role() const noexcept { return Role(ha_session_role(raw_)); }
    /// A number that no other session under this root has, save those that share it by session.shared; 0 before it is
    /// known, then the same for ever.
    std::int64_t server_id() const noexcept { return ha_session_server_id(raw_); }
    /// The key in the store that the active one owns: with a client of your own, compare `mod_revision(this key) ==
    /// token`, and your transactions are fenced too. Lives as long as the session.
    std::string_view active_key() const noexcept { return detail::view(ha_session_active_key(raw_)); }

    /// Who is active as far as this session knows: what a standby tells its clients. An event of the kind holder;
    /// server_id() 0: nobody is known. Errors: closed, forked.
    Result<Event> try_holder() const
    {
        ha_event *event = nullptr;
        const auto known =
            detail::call(raw_, [&](ha_error **err) { return ha_session_holder(raw_, &event, err); });
        if (!known) {
            return known.error();
        }
        return Event(event);
    }

    /// Asks the session to leave for ever: drain, release the role, end the lease, `ended`. Returns at once, and
    /// is_active() is false when it has returned. From any thread, any callback, and a signal handler, but not once
    /// closing it has begun: ignore the signal first. Twice is harmless.
    void request_stop() const noexcept { ha_session_request_stop(raw_); }

    /// request_stop(), then waits until all is over: the role is released, and no callback runs or will. Where events
    /// are pulled, another thread must go on reading and answering them.
    ///
    /// Errors: unavailable (over, but the store did not confirm the release, so others wait for the hold time), timeout
    /// (it goes on behind, call again), in_callback (nothing was done), closed, forked.
    Result<void> try_stop(std::chrono::milliseconds timeout = forever) const
    {
        return detail::call(raw_, [&](ha_error **err) { return ha_session_stop(raw_, timeout.count(), err); });
    }

    /// Waits until the session is so far. Errors: timeout; what ended the session, such as role_held; ended (it ended in
    /// order, and something else was waited for); in_callback; closed; forked.
    Result<void> try_wait(Until until, std::chrono::milliseconds timeout = forever) const
    {
        const auto what = static_cast<std::int32_t>(until);
        return detail::call(raw_, [&](ha_error **err) { return ha_session_wait(raw_, what, timeout.count(), err); });
    }

    /// Steps down and stays standby: drain, release the role, contend again after a pause; zero: activation.backoff_ms.
    /// Returns at once. Where no role is held, only the pause counts. Errors: ended, invalid_argument (it is negative),
    /// closed, forked.
    Result<void> try_resign(std::chrono::milliseconds pause = {}) const
    {
        return detail::status(raw_, ha_session_resign(raw_, pause.count()));
    }

    /// Does not contend any more, until try_resume(); a role that is held is kept. Returns at once. Twice is harmless.
    /// Errors: ended, closed, forked.
    Result<void> try_pause() const { return detail::status(raw_, ha_session_pause(raw_)); }

    /// Contends again, after try_pause() or where it was started with HA_KEY_ELECTION_PAUSED. Harmless where it is not
    /// paused. Errors: ended, closed, forked.
    Result<void> try_resume() const { return detail::status(raw_, ha_session_resume(raw_)); }

    /// Another priority, -1000 to 1000, in place of HA_KEY_PRIORITY: of several standbys, the one with the highest is
    /// tried first. Returns at once; a role that is held is kept. Errors: invalid_argument (outside that range), ended,
    /// closed, forked.
    Result<void> try_set_priority(std::int32_t priority) const
    {
        return detail::status(raw_, ha_session_set_priority(raw_, priority));
    }

    /// Says "ready" for a term: answers `activate`, and an Activation that was left for later. is_active() is true when
    /// it has returned. Errors: fenced (too late: the term is over or was asked to end, or is another), state (it is
    /// active already), ended, closed, forked.
    Result<void> try_activation_done(std::int64_t token) const
    {
        return detail::call(
            raw_, [&](ha_error **err) { return ha_session_activation_done(raw_, token, HA_OK, nullptr, err); });
    }

    /// Says that the activation of a term failed: the term is given up and, after a pause, contended for again. The code
    /// is yours from Errc::application up; `why`, in words, is for logs and events. Errors as above.
    Result<void> try_activation_failed(std::int64_t token, Errc code, std::string_view why) const
    {
        // A success is not a failure, and the number of "later" is no code of an error.
        const auto number = static_cast<std::int32_t>(code);
        const std::int32_t status = number == HA_OK || number == HA_PENDING ? HA_ERR_ACTIVATION_FAILED : number;
        const detail::Text text(why);
        return detail::call(
            raw_, [&](ha_error **err) { return ha_session_activation_done(raw_, token, status, text.c_str(), err); });
    }

    /// Says "left" for a term: nothing of it runs any more. Answers `deactivate`, and a Deactivation that was left for
    /// later. Until it is said the session does not contend. Errors: fenced (said already, or another term), state (the
    /// term was not asked to end), ended, closed, forked.
    Result<void> try_deactivation_done(std::int64_t token) const
    {
        return detail::call(raw_, [&](ha_error **err) { return ha_session_deactivation_done(raw_, token, err); });
    }

    /// The next event; for sessions that are pulled. From any threads; each event goes to one of them. Errors: timeout,
    /// ended (for ever once the event `ended` was read), state (the session has callbacks), closed, forked.
    Result<Event> try_next_event(std::chrono::milliseconds timeout = forever) const
    {
        ha_event *event = nullptr;
        const auto read =
            detail::call(raw_, [&](ha_error **) { return ha_session_next_event(raw_, timeout.count(), &event); });
        if (!read) {
            return read.error();
        }
        return Event(event);
    }

    /// The events, one after another, up to `ended`.
    Events<SessionRef> events() const noexcept { return Events<SessionRef>(*this); }

    /// A descriptor for poll, epoll and event loops: readable while an event waits, and for ever after `ended`, with a
    /// new edge at each arrival. Then call try_next_event() with a limit of zero until it says timeout. The session's:
    /// never close it. -1: there is none (callbacks, closed, a child of `fork`, no descriptor to be had).
    int event_fd() const noexcept { return ha_session_event_fd(raw_); }

    /// Begins a transaction of one term: the token of its event or Term, or fencing_token() read when the work began. A
    /// term that is over is no error here: the commit says fenced. Errors: closed, forked.
    Result<Txn> try_txn(std::int64_t token) const
    {
        ha_txn *txn = nullptr;
        const auto begun = detail::call(raw_, [&](ha_error **err) { return ha_txn_new(raw_, token, &txn, err); });
        if (!begun) {
            return begun.error();
        }
        return Txn(txn);
    }

    /// Whether both are the same session.
    friend bool operator==(const SessionRef &a, const SessionRef &b) noexcept { return a.raw_ == b.raw_; }
    /// Whether they are two.
    friend bool operator!=(const SessionRef &a, const SessionRef &b) noexcept { return a.raw_ != b.raw_; }

    /// The handle of the C header, lent; NULL where it was closed.
    ha_session *raw() const noexcept { return raw_; }

#if COORDHA_EXCEPTIONS
    /// try_holder(), throwing.
    Event holder() const { return try_holder().value(); }
    /// try_stop(), throwing. False: the limit passed.
    bool stop(std::chrono::milliseconds timeout = forever) const { return in_time(try_stop(timeout)); }
    /// try_wait(), throwing. False: the limit passed.
    bool wait(Until until, std::chrono::milliseconds timeout = forever) const { return in_time(try_wait(until, timeout)); }
    /// try_resign(), throwing.
    void resign(std::chrono::milliseconds pause = {}) const { try_resign(pause).value(); }
    /// try_pause(), throwing.
    void pause() const { try_pause().value(); }
    /// try_resume(), throwing.
    void resume() const { try_resume().value(); }
    /// try_set_priority(), throwing.
    void set_priority(std::int32_t priority) const { try_set_priority(priority).value(); }
    /// try_activation_done(), throwing.
    void activation_done(std::int64_t token) const { try_activation_done(token).value(); }
    /// try_activation_failed(), throwing.
    void activation_failed(std::int64_t token, Errc code, std::string_view why) const
    {
        try_activation_failed(token, code, why).value();
    }
    /// try_deactivation_done(), throwing.
    void deactivation_done(std::int64_t token) const { try_deactivation_done(token).value(); }
    /// try_next_event(), throwing. Empty: the limit passed.
    std::optional<Event> next_event(std::chrono::milliseconds timeout = forever) const
    {
        auto next = try_next_event(timeout);
        return next.code() == Errc::timeout ? std::nullopt : std::optional<Event>(std::move(next).value());
    }
    /// try_txn(), throwing.
    Txn txn(std::int64_t token) const { return try_txn(token).value(); }
#endif

protected:
    ha_session *raw_ = nullptr; ///< NULL: closed

private:
#if COORDHA_EXCEPTIONS
    static bool in_time(const Result<void> &result)
    {
        if (result.code() != Errc::timeout) {
            result.value();
        }
        return bool(result);
    }
#endif
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
