// The term body.
#include "support.hpp"

#include <stdexcept>

using coordha::EventKind;
using coordha::EventRef;
using coordha::Reason;
using coordha::RunHooks;
using coordha::Session;
using coordha::Term;
using coordha::Until;

/// A session, and what happens while its body runs.
struct Ran {
    const Place place = Place::local();
    Session session{place.config()};
    Record record{};
    RunHooks hooks{[this](EventRef event) { record.add(line_of(event)); }, exceptions_to(record)};
    std::size_t terms = 0;

    void run(const std::function<void(Term &)> &body)
    {
        session.run(
            [&](Term &term) {
                ++terms;
                body(term);
            },
            hooks);
    }
};

/// The same on both stores.
struct RanOnBoth : Ran {
    RanOnBoth() : Ran{Place()} {}
};

TEST_CASE_FIXTURE(RanOnBoth, "a body is a term: ready, serve, drain, left")
{
    run([&](Term &term) {
        CHECK(term.token() == session.fencing_token());
        CHECK(term.session() == session);
        CHECK(term.reason() == Reason::none);
        CHECK(!session.is_active());
        CHECK(term.held());
        term.txn().put(place.root + "/x", "1").commit();
        term.ready();
        CHECK(session.is_active());
        CHECK(term.try_ready().code() == Errc::state);
        CHECK(!term.wait_ending(0ms));
        CHECK(!term.wait_ending(1ms));
        CHECK(!term.ending());
        session.request_stop();
        CHECK(term.ending());
        CHECK(term.wait_ending());
        CHECK(term.wait_ending());
        CHECK(term.reason() == Reason::stop);
        CHECK(term.held());
        term.txn().put(place.root + "/x", "2").commit();
    });
    CHECK(terms == 1);
    CHECK(record.lines().front() == "REGISTERED");
    CHECK(record.lines().back() == "ENDED");
    CHECK(record.count("ACTIVATE") == 1);
    CHECK(record.count("ACTIVE") == 1);
    CHECK(record.count("TERM_ENDED") == 1);
    CHECK(session.try_run([](Term &) {}).code() == Errc::ended);
}

TEST_CASE_FIXTURE(RanOnBoth, "an end of the body before ready is a failed activation, after it the session resigns")
{
    run([&](Term &term) {
        switch (terms) {
        case 1: throw std::runtime_error("cannot load");
        case 2: term.ready(); throw std::runtime_error("cannot serve");
        case 3: return;
        case 4: term.ready(); return;
        default: session.request_stop();
        }
    });
    CHECK(terms == 5);
    CHECK(record.wait("exception") == "exception in the term's body: cannot load");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 20: cannot load");
    CHECK(record.wait("exception") == "exception in the term's body: cannot serve");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 2");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 20: the term's body returned before it was ready");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 2");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 1");
    CHECK(record.count("exception") == 2);
    CHECK(record.count("TERM_ENDED") == 5);
}

TEST_CASE_FIXTURE(Ran, "a body may fail without throwing")
{
    run([&](Term &term) {
        switch (terms) {
        case 1: return term.fail(Errc(10009), "caf\xe9");
        case 2: term.ready(); return term.fail(Errc(10009), "cannot serve");
        default:
            term.ready();
            session.request_stop();
            term.fail(Errc(10009), "cannot drain");
            term.fail(Errc::fenced, "too late");
        }
    });
    CHECK(terms == 3);
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 20: caf?");
    CHECK(record.wait("exception") == "exception in the term's body: cannot serve");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 2");
    CHECK(record.wait("exception") == "exception in the term's body: cannot drain");
    CHECK(record.count("exception") == 2);
}

TEST_CASE_FIXTURE(Ran, "a session may be closed while its body runs")
{
    std::size_t bodies = 1;
    const auto close = [&] {
        session.close();
        CHECK(!session.is_active());
    };
    std::function<void(Term &)> body = [&](Term &term) {
        close();
        CHECK(term.session() == coordha::SessionRef());
        CHECK(term.ending());
        CHECK(!term.held());
        CHECK(term.try_ready().code() == Errc::closed);
        CHECK(term.try_txn().code() == Errc::closed);
        CHECK(term.wait_ending());
    };
    SUBCASE("before ready") {}
    SUBCASE("after ready")
    {
        body = [body](Term &term) {
            term.ready();
            body(term);
        };
    }
    SUBCASE("by an event before it")
    {
        bodies = 0;
        hooks.on_event = [&](EventRef event) { event.kind() == EventKind::activate ? close() : void(); };
    }
    SUBCASE("by an event that it waits for")
    {
        body = [](Term &term) {
            term.ready();
            CHECK(term.wait_ending());
        };
        hooks.on_event = [&](EventRef event) { event.kind() == EventKind::active ? close() : void(); };
    }
    try {
        run(body);
        FAIL("it did not throw");
    } catch (const coordha::Error &error) {
        CHECK(error.code() == Errc::closed);
    }
    CHECK(terms == bodies);
    CHECK(record.count("exception") == 0);
}

TEST_CASE("an early return resigns, and the other one takes over")
{
    const Place place;
    auto config = place.config("127.0.0.1:1001");
    Session first(config.set(HA_KEY_ACTIVATION_BACKOFF_MS, 10min));
    std::promise<std::int64_t> left;
    auto runs = std::async(std::launch::async, [&] {
        first.run([&](Term &term) {
            term.ready();
            left.set_value(term.token());
        });
    });
    const auto token = left.get_future().get();
    Session second(place.config("127.0.0.1:1002"));
    CHECK(become_active(second) > token);
    first.request_stop();
    runs.get();
}

TEST_CASE_FIXTURE(Ran, "ready comes too late where the term is asked to end")
{
    bool refused = false;
    run([&](Term &term) {
        session.request_stop();
        refused = term.try_ready().code() == Errc::fenced;
        term.ready();
    });
    CHECK(refused);
    CHECK(record.count("exception") == 0);
    CHECK(record.count("ACTIVE") == 0);
}

TEST_CASE_FIXTURE(Ran, "another exception is reported even where the term is ending")
{
    run([&](Term &term) {
        term.ready();
        session.request_stop();
        term.wait_ending();
        throw std::runtime_error("cannot drain");
    });
    CHECK(record.count("exception in the term's body: cannot drain") == 1);
    CHECK(record.lines().back() == "ENDED");
}

TEST_CASE_FIXTURE(Ran, "an exception out of on_event resigns")
{
    hooks.on_event = [&, times = 0](EventRef event) mutable {
        record.add(line_of(event));
        if (event.kind() == EventKind::active && times++ == 0) {
            throw std::logic_error("bad event");
        }
    };
    run([&](Term &term) {
        term.ready();
        if (terms == 2) {
            session.request_stop();
        }
        term.wait_ending();
    });
    CHECK(terms == 2);
    CHECK(record.wait("exception") == "exception in on_event: bad event");
    CHECK(record.wait("DEACTIVATE") == "DEACTIVATE 2");
}

TEST_CASE("without hooks an exception is one line on stderr")
{
    const Place place = Place::local();
    const Stderr said;
    {
        Session session(place.config());
        int terms = 0;
        session.run([&](Term &) {
            if (++terms == 1) {
                throw std::runtime_error("cannot load");
            }
            session.request_stop();
        });
    }
    CHECK(said.text() == "coordha: exception in the term's body: cannot load\n");
}

TEST_CASE("with activation.auto there is nothing to run")
{
    const Place place = Place::local();
    auto config = place.config();
    Session first(config.set(HA_KEY_ACTIVATION_AUTO, true));
    const auto body = [](Term &term) { term.session().request_stop(); };
    CHECK(first.try_run(body).code() == Errc::state);
    Session second = std::move(first);
    CHECK(first.try_run(body).code() == Errc::closed);
    CHECK(second.try_run(body).code() == Errc::state);
    CHECK(second.wait(Until::active, patience));
}

TEST_CASE_FIXTURE(RanOnBoth, "a term that is lost under the body says so")
{
    if (place.store.rfind("etcd:", 0) != 0) {
        return; // nobody can delete a key of the embedded store by hand
    }
    run([&](Term &term) {
        if (terms == 2) {
            session.request_stop();
            return;
        }
        term.ready();
        etcdctl({"del", std::string(session.active_key())});
        CHECK(term.wait_ending(patience));
        CHECK(term.reason() == Reason::key_deleted);
        CHECK(!term.held());
        CHECK(term.txn().put(place.root + "/x", "late").try_commit().code() == Errc::fenced);
        term.txn().put(place.root + "/x", "late").commit(); // out of the body: it met the end of the term
    });
    CHECK(terms == 2);
    CHECK(record.count("exception") == 0);
}

TEST_CASE("run throws what ended the session")
{
    const Place place = Place::local();
    Session first(place.config("127.0.0.1:1001"));
    become_active(first);
    auto config = place.config("127.0.0.1:1002");
    config.set(HA_KEY_ACTIVE_STANDBY_ENABLED, false).set(HA_KEY_EXCLUSIVE_WAIT_MS, 0);
    Session second(config);
    try {
        second.run([](Term &) { FAIL("it has no term"); });
        FAIL("it did not throw");
    } catch (const coordha::Error &error) {
        CHECK(error.code() == Errc::role_held);
        CHECK(error.detail("holder_address") == "127.0.0.1:1001");
    }
}
