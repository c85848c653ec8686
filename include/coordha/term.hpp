/// @file
/// The term body: code that runs once a term. Part of coordha.hpp.

#ifndef COORDHA_TERM_HPP
#define COORDHA_TERM_HPP

#include <coordha/session.hpp>

#include <algorithm>

namespace coordha {
inline namespace COORDHA_FORM {

namespace detail {

/// Reads the events of a session for Session::run(): one at a time, told to on_event once.
class Loop {
public:
    Loop(SessionRef session, const RunHooks &hooks) noexcept : session_(session), hooks_(hooks) {}

    SessionRef session() const noexcept { return session_; }
    const RunHooks &hooks() const noexcept { return hooks_; }

    /// The next event, one that was put back before the others.
    Result<Event> next(std::chrono::milliseconds timeout)
    {
        if (put_back_) {
            Event event = *std::exchange(put_back_, std::nullopt);
            return event;
        }
        auto event = session_.try_next_event(timeout);
        if (event && hooks_.on_event) {
            const Outcome outcome = guard(
                hooks_.on_exception, "on_event", [&] { hooks_.on_event(*event); }, [] { return false; });
            if (outcome.is_failure) {
                resign_if_held(session_);
            }
        }
        return event;
    }

    /// For an event that is not the reader's.
    void put_back(Event event) { put_back_ = std::move(event); }

private:
    SessionRef session_;
    const RunHooks &hooks_;
    std::optional<Event> put_back_;
};

} // namespace detail

/// One time of holding the role, given to the body of Session::run() for the call.
///
///     session.run([&](coordha::Term &term) {
///         load([&] { return term.ending(); });     // an exception here is a failed activation
///         term.ready();                            // is_active() is true from here on
///         term.wait_ending();                      // serve until the term is asked to end, or is lost
///         drain([&] { return term.held(); });      // the role is still held after a stop or a resignation
///     });                                          // the return says: nothing of this term runs any more
///
/// session(), token(), ending(), held() and txn() may be called from any thread during the call, the rest on the thread
/// of the body.
class Term {
public:
    /// Made by Session::run().
    Term(detail::Loop &loop, std::int64_t token) noexcept : loop_(loop), session_(loop.session()), token_(token) {}
    Term(const Term &) = delete;
    Term &operator=(const Term &) = delete;

    /// The session.
    SessionRef session() const noexcept { return session_; }
    /// The fencing token: it goes with all that the term writes.
    std::int64_t token() const noexcept { return token_; }
    /// Whether the work of this term should wind up: from a request to stop or resign on, and once it is lost.
    bool ending() const noexcept { return session_.is_ending(token_); }
    /// Whether a step of this term's work may still act: true while the role is held, also while draining.
    bool held() const noexcept { return session_.holds(token_); }
    /// Why the term ends; Reason::none until wait_ending() was true.
    Reason reason() const noexcept { return reason_; }

    /// Says "ready": SessionRef::is_active() is true when it has returned. Errors: fenced (too late: the term is over, or
    /// was asked to end), ended, forked.
    Result<void> try_ready()
    {
        auto said = session_.try_activation_done(token_);
        // With activation.auto the library has said it already.
        if (said.code() == Errc::state) {
            said = {};
        }
        is_ready_ = is_ready_ || said;
        return said;
    }

    /// Waits until the term is asked to end, or is lost, and meanwhile tells events to RunHooks::on_event. False: the
    /// limit passed; at once where it is zero or less.
    bool wait_ending(std::chrono::milliseconds timeout = forever)
    {
        using std::chrono::milliseconds, std::chrono::steady_clock;
        // What is longer than any process lives has no deadline on the clock.
        const bool is_limited = timeout != forever && timeout < std::chrono::hours(1000000);
        const auto deadline = steady_clock::now() + (is_limited ? timeout : milliseconds::zero());
        while (!is_told_) {
            const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
            auto event = loop_.next(is_limited ? std::max(left, milliseconds::zero()) : forever);
            if (!event) {
                return event.code() != Errc::timeout;
            }
            take(*std::move(event));
        }
        return true;
    }

    /// Says that the activation failed, or, once ready, that the session resigns; for those who do not throw. The body
    /// should return then. Code and words as in SessionRef::try_activation_failed().
    void fail(Errc code, std::string_view why) { end({true, code, std::string(why)}); }

    /// Begins a transaction of this term. Errors: forked.
    Result<Txn> try_txn() const { return session_.try_txn(token_); }

#if COORDHA_EXCEPTIONS
    /// try_ready(), throwing.
    void ready() { try_ready().value(); }
    /// try_txn(), throwing.
    Txn txn() const { return try_txn().value(); }
#endif

    /// Calls the body, and comes back when its end has been said to the library. For Session::run().
    void live(const std::function<void(Term &)> &body)
    {
        end(detail::guard(
            loop_.hooks().on_exception, "the term's body", [&] { body(*this); }, [&] { return ending(); }));
        wait_ending();
        // Refused where activation.auto has said it, and where the session has ended: there is nothing left to say.
        (void)session_.try_deactivation_done(token_);
    }

private:
    /// The body has returned, or thrown.
    void end(const detail::Outcome &outcome)
    {
        if (is_told_ || ending()) {
            return;
        }
        if (outcome.is_failure && !is_ready_) {
            detail::say_failed(session_, token_, outcome);
        } else {
            detail::resign_if_held(session_);
        }
    }

    /// An event of this term is dealt with, one of the next term or of the session's end is left to the loop.
    void take(Event event)
    {
        const bool is_mine = event.token() == token_;
        if (event.kind() == EventKind::deactivate && is_mine) {
            is_told_ = true;
            reason_ = event.reason();
        } else if (event.kind() == EventKind::ended || (event.kind() == EventKind::activate && !is_mine)) {
            is_told_ = true;
            loop_.put_back(std::move(event));
        }
    }

    detail::Loop &loop_;
    SessionRef session_;
    std::int64_t token_;
    Reason reason_ = Reason::none;
    bool is_ready_ = false;
    bool is_told_ = false;
};

inline Result<void> Session::try_run(const std::function<void(Term &)> &body, RunHooks hooks)
{
    detail::Loop loop(*this, hooks);
    for (;;) {
        auto event = loop.next(forever);
        if (!event) {
            return event.error();
        }
        if (event->kind() == EventKind::activate) {
            Term(loop, event->token()).live(body);
        } else if (event->kind() == EventKind::deactivate) {
            // Of a term that began before run() was called, or that activation.auto has ended.
            (void)try_deactivation_done(event->token());
        } else if (event->kind() == EventKind::ended) {
            auto error = event->error();
            return error ? Result<void>(*std::move(error)) : Result<void>();
        }
    }
}

} // namespace COORDHA_FORM
} // namespace coordha

#endif
