// Callbacks, and what becomes of an exception out of one.
#include "support.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>

using coordha::Activation;
using coordha::Callbacks;
using coordha::Deactivation;
using coordha::EventKind;
using coordha::EventRef;
using coordha::Session;
using coordha::SessionRef;
using coordha::Until;

/// Callbacks that put down what happens, exceptions too; a case replaces those that it is about.
struct Called {
    const Place place = Place::local();
    Record record{};
    Callbacks callbacks{[this](Activation &activation) { record.add(line_of(activation.event())); },
                        [this](Deactivation &deactivation) { record.add(line_of(deactivation.event())); },
                        [this](SessionRef, EventRef event) { record.add(line_of(event)); }, exceptions_to(record)};

    /// The first activation does this, the others nothing.
    void at_first(std::function<void(Activation &)> what)
    {
        callbacks.on_activate = [what, times = 0](Activation &activation) mutable {
            if (times++ == 0) {
                what(activation);
            }
        };
    }
    Session start() { return Session(place.config(), std::move(callbacks)); }
};

/// The same on both stores.
struct CalledOnBoth : Called {
    CalledOnBoth() : Called{Place()} {}
};

TEST_CASE_FIXTURE(CalledOnBoth, "a term comes and goes by callbacks")
{
    std::atomic<bool> held{false};
    callbacks.on_activate = [&](Activation &activation) {
        record.add(line_of(activation.event()));
        CHECK(!activation.ending());
        CHECK(activation.session().holds(activation.token()));
        activation.session().txn(activation.token()).put(place.root + "/x", "1").commit();
    };
    callbacks.on_deactivate = [&](Deactivation &deactivation) {
        held = deactivation.held();
        record.add(line_of(deactivation.event()));
        CHECK(deactivation.session().try_stop().code() == Errc::in_callback);
    };
    Session session = start();
    CHECK(session.wait(Until::active, patience));
    CHECK(session.is_active());
    CHECK(session.try_next_event(0ms).code() == Errc::state);
    CHECK(session.try_run([](coordha::Term &) {}).code() == Errc::state);
    CHECK(session.event_fd() == -1);
    CHECK(session.stop(patience));
    CHECK(held);
    CHECK(record.lines().back() == "ENDED");
    CHECK(record.count("ACTIVATE") == 1);
    CHECK(record.count("DEACTIVATE") == 1);
    CHECK(record.count("TERM_ENDED") == 1);
}

TEST_CASE_FIXTURE(CalledOnBoth, "an exception out of an activation is reported once, and ends the term in order")
{
    at_first([](Activation &) { throw std::runtime_error("no disk"); });
    const Stderr said;
    Session session = start();
    record.wait("exception in on_activate: no disk");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 20: no disk");
    record.wait("ACTIVE");
    CHECK(session.is_active());
    session.stop();
    CHECK(record.count("exception") == 1);
    CHECK(said.count("exception") == 0);
    CHECK(record.count("TERM_ENDED") == 2);
}

TEST_CASE_FIXTURE(Called, "what is thrown may be anything")
{
    std::optional<std::string> code;
    callbacks.on_deactivate = [&](Deactivation &deactivation) {
        if (const auto error = deactivation.event().error()) {
            record.add("failed " + std::string(*error->detail("code")) + ": " + std::string(error->message()));
        }
    };
    callbacks.on_activate = [&, times = 0](Activation &) mutable {
        switch (times++) {
        case 0: throw coordha::Error(Errc(10042), "a number of my own");
        case 1: throw 7;
        case 2: throw std::runtime_error("caf\xe9");
        default: break;
        }
    };
    Session session = start();
    CHECK(record.wait("failed") == "failed 10042: a number of my own");
    CHECK(record.wait("failed") == "failed 303: an exception that is no std::exception");
    CHECK(record.wait("failed") == "failed 303: caf?");
    record.wait("ACTIVE");
}

TEST_CASE_FIXTURE(CalledOnBoth, "an exception out of an event resigns, out of a deactivation it is left")
{
    callbacks.on_event = [&, times = 0](SessionRef, EventRef event) mutable {
        record.add(line_of(event));
        if (event.kind() == EventKind::active && times++ == 0) {
            throw std::logic_error("bad event");
        }
    };
    callbacks.on_deactivate = [&](Deactivation &deactivation) {
        record.add(line_of(deactivation.event()));
        throw std::runtime_error("cannot drain");
    };
    Session session = start();
    record.wait("exception in on_event: bad event");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 2");
    record.wait("exception in on_deactivate: cannot drain");
    record.wait("ACTIVE");
    session.stop();
    CHECK(record.count("exception in on_event") == 1);
    CHECK(record.count("exception in on_deactivate") == 2);
}

TEST_CASE_FIXTURE(Called, "without a handler an exception is one line on stderr, also where the handler throws")
{
    bool handled = false;
    callbacks.on_exception = nullptr;
    SUBCASE("none") {}
    SUBCASE("one that throws")
    {
        callbacks.on_exception = [&](const char *, std::exception_ptr) {
            handled = true;
            throw 1;
        };
    }
    const bool has_handler = bool(callbacks.on_exception);
    at_first([](Activation &) { throw std::runtime_error("no disk"); });
    const Stderr said;
    {
        Session session = start();
        record.wait("ACTIVE");
    }
    CHECK(handled == has_handler);
    CHECK(said.count("coordha: exception in on_activate: no disk\n") == 1);
    CHECK(said.count("no disk") == 1);
}

TEST_CASE_FIXTURE(Called, "late work that is fenced is no failure to report")
{
    callbacks.on_activate = [&](Activation &activation) {
        activation.session().request_stop();
        CHECK(activation.ending());
        throw coordha::Error(Errc::fenced, "too late");
    };
    Session session = start();
    CHECK_NOTHROW(session.wait(Until::ended, patience));
    CHECK(record.count("exception") == 0);
    CHECK(record.count("DEACTIVATE 1") == 1);
}

TEST_CASE_FIXTURE(CalledOnBoth, "an answer may come later, from another thread")
{
    std::promise<std::int64_t> begun, leaving;
    callbacks.on_activate = [&](Activation &activation) {
        activation.later();
        begun.set_value(activation.token());
    };
    callbacks.on_deactivate = [&](Deactivation &deactivation) {
        deactivation.later();
        leaving.set_value(deactivation.token());
    };
    Session session = start();
    const auto token = begun.get_future().get();
    CHECK(!session.is_active());
    session.activation_done(token);
    CHECK(session.is_active());
    session.request_stop();
    CHECK(leaving.get_future().get() == token);
    CHECK(session.holds(token));
    session.deactivation_done(token);
    CHECK(session.wait(Until::ended, patience));
}

TEST_CASE_FIXTURE(Called, "an activation may fail without throwing")
{
    at_first([](Activation &activation) { activation.fail(Errc(10001), "not now"); });
    Session session = start();
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 20: not now");
    record.wait("ACTIVE");
    CHECK(record.count("exception") == 0);
}

TEST_CASE("a session may be closed in any of its callbacks")
{
    const Place place = Place::local();
    std::string where;
    SUBCASE("activation") { where = "ACTIVATE"; }
    SUBCASE("deactivation") { where = "DEACTIVATE"; }
    SUBCASE("event") { where = "ACTIVE"; }
    Owned owned;
    std::mutex mutex;
    std::optional<Session> session;
    std::function<void(EventRef)> close_at = [&, share = owned.share()](EventRef event) {
        if (event.kind_name() == where) {
            const std::lock_guard lock(mutex);
            session->close();
            CHECK(!session->is_active());
        }
    };
    Callbacks callbacks;
    callbacks.on_activate = [close_at](Activation &activation) { close_at(activation.event()); };
    callbacks.on_deactivate = [close_at](Deactivation &deactivation) { close_at(deactivation.event()); };
    callbacks.on_event = [close_at](SessionRef self, EventRef event) {
        close_at(event);
        if (event.kind() == EventKind::active) {
            self.request_stop();
        }
    };
    close_at = nullptr;
    {
        const std::lock_guard lock(mutex);
        session.emplace(place.config(), std::move(callbacks));
    }
    until("the end of the callbacks", [&] { return owned.is_gone(); });
}

TEST_CASE("callbacks are destroyed once, also where the start fails")
{
    const Place place = Place::local();
    Owned failed, closed;
    Callbacks callbacks;
    callbacks.on_event = [share = failed.share()](SessionRef, EventRef) {};
    CHECK(Session::try_start(place.config(), std::move(callbacks)).code() == Errc::invalid_argument);
    CHECK(failed.is_gone());
    callbacks = {};
    callbacks.on_activate = [share = closed.share()](Activation &) {};
    Session session(place.config(), std::move(callbacks));
    CHECK(session.wait(Until::active, patience));
    CHECK(!closed.is_gone());
    session.close();
    CHECK(closed.is_gone());
}
