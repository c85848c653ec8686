/// @file
/// The term body: code that runs once a term. Part of coordha.hpp.

#ifndef COORDHA_TERM_HPP
#define COORDHA_TERM_HPP

#include <coordha/session.hpp>

#include <algorithm>

namespace coordha {
inline namespace COORDHA_FORM {

/// @cond
namespace detail {

/// Reads the events of a session for Session::run(): one at a time, told to on_event once.
class Loop {
public:
    Loop(const Session &session, const RunHooks &hooks) noexcept : session_(session), hooks_(hooks) {}

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
    // Itself, not what it holds now: the body may close it.
    const Session &session_;
    const RunHooks &hooks_;
    std::optional<Event> put_back_;
};

} // namespace detail
/// @endcond

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
/// of the body. Once the body has closed the session (it may; destroy it it must not), its calls say `closed`.
class Term {
public:
    /// Made by Session::run().
    Term(detail::Loop &loop, std::int64_t token) noexcept : loop_(loop), token_(token) {}
    Term(const Term &) = delete;
    Term &operator=(const Term &) = delete;

    /// The session.
    SessionRef session() const noexcept { return loop_.session(); }
    /// The fencing token: it goes with all that the term writes.
    std::int64_t token() const noexcept { return token_; }
    /// Whether the work of this term should wind up: from a request to stop or resign on, and once it is lost.
    bool ending() const noexcept { return session().is_ending(token_); }
    /// Whether a step of this term's work may still act: true while the role is held, also while draining.
    bool held() const noexcept { return session().holds(token_); }
    /// Why the term ends; Reason::none until wait_ending() was true.
    Reason reason() const noexcept { return reason_; }

    /// Says "ready": SessionRef::is_active() is true when it has returned. Errors: fenced (too late: the term is over, or
    /// was asked to end), state (it was said already), ended, closed, forked.
    Result<void> try_ready()
    {
        auto said = session().try_activation_done(token_);
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
    /// should return then. Code and words as in SessionRef::try_activation_failed(); where no event will tell them, they
    /// are reported as of an exception.
    void fail(Errc code, std::string_view why)
    {
        const detail::Outcome outcome{true, code, std::string(why)};
        const bool is_late = code == Errc::fenced && ending();
        if (!end(outcome) && !is_late) {
            detail::report(loop_.hooks().on_exception, where, outcome);
        }
    }

    /// Begins a transaction of this term. Errors: closed, forked.
    Result<Txn> try_txn() const { return session().try_txn(token_); }

#if COORDHA_EXCEPTIONS
    /// try_ready(), throwing.
    void ready() { try_ready().value(); }
    /// try_txn(), throwing.
    Txn txn() const { return try_txn().value(); }
#endif

    /// Calls the body, and comes back when its end has been said to the library. For Session::run().
    void live(const std::function<void(Term &)> &body)
    {
        detail::Outcome outcome = detail::guard(
            loop_.hooks().on_exception, where, [&] { body(*this); }, [&] { return ending(); });
        if (!outcome.is_failure) {
            outcome = {true, Errc::activation_failed, "the term's body returned before it was ready"};
        }
        (void)end(outcome);
        wait_ending();
        // Refused where the session has ended: there is nothing left to say.
        (void)session().try_deactivation_done(token_);
    }

private:
    static constexpr const char *where = "the term's body";

    /// The body has returned, thrown or failed: that is why its activation failed, or it resigns. True: an event will
    /// tell why.
    bool end(const detail::Outcome &why)
    {
        if (is_over_ || is_told_ || ending()) {
            return false;
        }
        is_over_ = true;
        if (!is_ready_ && detail::say_failed(session(), token_, why)) {
            return true;
        }
        // Not where it was asked to end just now, which may be with a pause of its own.
        if (!ending()) {
            detail::resign_if_held(session());
        }
        return false;
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
    std::int64_t token_;
    Reason reason_ = Reason::none;
    bool is_ready_ = false;
    bool is_over_ = false;
    bool is_told_ = false;
};

inline Result<void> Session::try_run(const std::function<void(Term &)> &body, RunHooks hooks)
{
    if (raw() != nullptr && is_auto_) {
        return Error(Errc::state, "with activation.auto the library answers by itself");
    }
    detail::Loop loop(*this, hooks);
    for (;;) {
        auto event = loop.next(forever);
        if (!event) {
            return event.error();
        }
        if (event->kind() == EventKind::activate && raw() != nullptr) {
            Term(loop, event->token()).live(body);
        } else if (event->kind() == EventKind::deactivate) {
            // Of a term that began before run() was called.
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
