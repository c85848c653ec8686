/// @file
/// Callbacks. Part of coordha.hpp.

#ifndef COORDHA_CALLBACKS_HPP
#define COORDHA_CALLBACKS_HPP

#include <coordha/session_ref.hpp>

#include <cstdio>
#include <functional>

namespace coordha {
inline namespace COORDHA_FORM {

/// Told of an exception that a function of yours let out: where (such as "on_activate") and which. Called once for
/// each, on the thread that met it; std::rethrow_exception() in it shows the type. Without one, or where it throws
/// itself, a line goes to stderr; so it does without exceptions, for Term::fail() where no event can tell of it.
using ExceptionHandler = std::function<void(const char *where, std::exception_ptr exception)>;

/// @cond
namespace detail {

/// How a guarded function of the application ended.
struct Outcome {
    bool is_failure = false;
    Errc code = Errc::activation_failed;
    std::string why;
};

#if COORDHA_EXCEPTIONS
/// The words of an exception, and its code where it has one of ours.
inline Outcome describe(const std::exception_ptr &exception)
{
    try {
        std::rethrow_exception(exception);
    } catch (const Error &error) {
        return {true, error.code(), std::string(error.message())};
    } catch (const std::exception &error) {
        return {true, Errc::activation_failed, error.what()};
    } catch (...) {
        return {true, Errc::activation_failed, "an exception that is no std::exception"};
    }
}

inline void report(const ExceptionHandler &handler, const char *where, const std::exception_ptr &exception,
                   const std::string &why) noexcept
{
    try {
        if (handler) {
            handler(where, exception);
            return;
        }
    } catch (...) {
        // Then at least this one is told.
    }
    std::fprintf(stderr, "coordha: exception in %s: %s\n", where, why.c_str());
}

/// Reports a failure that was said, not thrown, as if it had been thrown.
inline void report(const ExceptionHandler &handler, const char *where, const Outcome &outcome)
{
    report(handler, where, std::make_exception_ptr(Error(outcome.code, outcome.why)), outcome.why);
}

/// Calls a function of the application; what it throws is reported, unless `is_late` says that it is only work that
/// met the end of its term.
template <class Function, class IsLate>
Outcome guard(const ExceptionHandler &handler, const char *where, Function function, IsLate is_late)
{
    try {
        function();
        return {};
    } catch (...) {
        const std::exception_ptr exception = std::current_exception();
        Outcome outcome = describe(exception);
        if (outcome.code != Errc::fenced || !is_late()) {
            report(handler, where, exception, outcome.why);
        }
        return outcome;
    }
}
#else
inline void report(const ExceptionHandler &, const char *where, const Outcome &outcome)
{
    std::fprintf(stderr, "coordha: failure in %s: %s\n", where, outcome.why.c_str());
}

template <class Function, class IsLate>
Outcome guard(const ExceptionHandler &, const char *, Function function, IsLate)
{
    function();
    return {};
}
#endif

/// Says that an activation failed, also where the words are no UTF-8, which the library refuses. False: refused, as the
/// term has ended meanwhile, or is active.
inline bool say_failed(SessionRef session, std::int64_t token, const Outcome &outcome)
{
    const auto said = session.try_activation_failed(token, outcome.code, outcome.why);
    if (said.code() != Errc::invalid_argument) {
        return bool(said);
    }
    std::string why = outcome.why;
    for (char &byte : why) {
        byte = (byte & 0x80) != 0 ? '?' : byte;
    }
    return bool(session.try_activation_failed(token, outcome.code, why));
}

/// An exception after "ready" ends the term in order.
inline void resign_if_held(SessionRef session) noexcept
{
    if (session.fencing_token() != 0) {
        ha_session_resign(session.raw(), 0);
    }
}

} // namespace detail
/// @endcond

/// A term to get ready for, given to Callbacks::on_activate for the call. The token is readable, and guarded
/// transactions work already.
///
/// Returning says "ready": is_active() is true from then on. An exception, or fail(), says that it failed: the term is
/// given up and, after a pause, contended for again. With later() the answer comes from another thread.
class Activation {
public:
    /// Made by the library.
    Activation(SessionRef session, EventRef event) noexcept : session_(session), event_(event) {}

    /// The session.
    SessionRef session() const noexcept { return session_; }
    /// The event `activate`.
    EventRef event() const noexcept { return event_; }
    /// The fencing token.
    std::int64_t token() const noexcept { return event_.token(); }
    /// Whether to give up: ask now and then in long work.
    bool ending() const noexcept { return session_.is_ending(token()); }

    /// Returning shall say nothing: SessionRef::activation_done() or activation_failed() will, with this token, from any
    /// thread.
    void later() noexcept { is_later_ = true; }
    /// It failed; for those who do not throw. Code and words as in SessionRef::try_activation_failed().
    void fail(Errc code, std::string why) { outcome_ = {true, code, std::move(why)}; }

    /// Whether later() was called.
    bool is_later() const noexcept { return is_later_; }
    /// What fail() said.
    const detail::Outcome &outcome() const noexcept { return outcome_; }

private:
    SessionRef session_;
    EventRef event_;
    bool is_later_ = false;
    detail::Outcome outcome_;
};

/// A term to leave, given to Callbacks::on_deactivate for the call. Returning, in whatever way, says "left": nothing of
/// the term runs any more. With later() that comes from another thread.
class Deactivation {
public:
    /// Made by the library.
    Deactivation(SessionRef session, EventRef event) noexcept : session_(session), event_(event) {}

    /// The session.
    SessionRef session() const noexcept { return session_; }
    /// The event `deactivate`: its reason, its error.
    EventRef event() const noexcept { return event_; }
    /// The fencing token.
    std::int64_t token() const noexcept { return event_.token(); }
    /// Whether the role is held at this moment: drain; else it is gone, only clean up.
    bool held() const noexcept { return session_.holds(token()); }

    /// Returning shall say nothing: SessionRef::deactivation_done() will, with this token, from any thread.
    void later() noexcept { is_later_ = true; }
    /// Whether later() was called.
    bool is_later() const noexcept { return is_later_; }

private:
    SessionRef session_;
    EventRef event_;
    bool is_later_ = false;
};

/// What a session calls: in order, never two at once, on a thread of the library's that carries no other work; not
/// always on the same one. Moved into the session, and destroyed after the last call: where the start fails, before it
/// returns; else in Session::close(), or later on a thread of the library where close() did not wait.
///
/// In a callback SessionRef::stop() and wait() on its own session are refused (in_callback); request_stop(),
/// transactions and even Session::close() are allowed.
///
/// An exception out of a callback is caught, reported once (on_exception), and ends the term in order: out of
/// on_activate it is a failed activation, with its words in the event `deactivate`; out of on_event the session resigns
/// where it holds the role; on_deactivate counts as left. Only Errc::fenced out of an activation that is ending is not
/// reported: it is what late work meets.
struct Callbacks {
    /// The term is won: get ready. May be empty only where activation.auto is true.
    std::function<void(Activation &)> on_activate;
    /// The term ends: drain where Deactivation::held(), else clean up. Once a term, after on_activate has returned, also
    /// where that failed. Empty: nothing has to be done.
    std::function<void(Deactivation &)> on_deactivate;
    /// Every other event; the last is `ended`. Lent for the call. Empty: they are ignored.
    std::function<void(SessionRef, EventRef)> on_event;
    /// Told of an exception out of the other three. Empty: a line on stderr.
    ExceptionHandler on_exception;
};

/// @cond
namespace detail {

/// What the library calls: it lets no exception through.
struct Trampoline {
    static std::int32_t activate(void *user_data, ha_session *raw, const ha_event *event) noexcept
    {
        const Callbacks &callbacks = *static_cast<Callbacks *>(user_data);
        Activation activation{SessionRef(raw), EventRef(event)};
        Outcome outcome = guard(
            callbacks.on_exception, "on_activate", [&] { callbacks.on_activate(activation); },
            [&] { return activation.ending(); });
        if (!outcome.is_failure) {
            outcome = activation.outcome();
        }
        if (outcome.is_failure) {
            (void)say_failed(SessionRef(raw), activation.token(), outcome);
            return HA_PENDING;
        }
        return activation.is_later() ? HA_PENDING : HA_OK;
    }

    static std::int32_t deactivate(void *user_data, ha_session *raw, const ha_event *event) noexcept
    {
        const Callbacks &callbacks = *static_cast<Callbacks *>(user_data);
        Deactivation deactivation{SessionRef(raw), EventRef(event)};
        const Outcome outcome = guard(
            callbacks.on_exception, "on_deactivate", [&] { callbacks.on_deactivate(deactivation); },
            [&] { return !deactivation.held(); });
        return deactivation.is_later() && !outcome.is_failure ? HA_PENDING : HA_OK;
    }

    static void event(void *user_data, ha_session *raw, const ha_event *event) noexcept
    {
        const Callbacks &callbacks = *static_cast<Callbacks *>(user_data);
        const Outcome outcome = guard(
            callbacks.on_exception, "on_event", [&] { callbacks.on_event(SessionRef(raw), EventRef(event)); },
            [] { return false; });
        if (outcome.is_failure) {
            resign_if_held(SessionRef(raw));
        }
    }

    static void destroy(void *user_data) noexcept { delete static_cast<Callbacks *>(user_data); }
};

} // namespace detail
/// @endcond
} // namespace COORDHA_FORM
} // namespace coordha

#endif
