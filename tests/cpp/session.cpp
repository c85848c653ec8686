// Sessions that are pulled, on both stores.
#include "support.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

using coordha::EventKind;
using coordha::Reason;
using coordha::Role;
using coordha::Session;
using coordha::Until;

TEST_CASE("a session wins, is active, and leaves")
{
    const Place place;
    Session session(place.config());
    CHECK(!session.is_active());
    const auto activate = next_of(session, EventKind::activate);
    const auto token = activate.token();
    CHECK(token > 0);
    CHECK(activate.role_name() == "rootcoord");
    CHECK(activate.remaining() > 0ms);
    CHECK(activate.at() <= coordha::BootClock::now());
    CHECK(session.role() == Role::activating);
    CHECK(session.holds(token));
    CHECK(!session.is_active());
    session.activation_done(token);
    CHECK(session.is_active());
    CHECK(session.wait(Until::active));
    CHECK(session.role() == Role::active);
    CHECK(session.fencing_token() == token);
    CHECK(session.remaining() > 0ms);
    CHECK(session.server_id() > 0);
    CHECK(session.active_key().find("rootcoord") != std::string_view::npos);
    CHECK(session.holder().address() == "127.0.0.1:1001");
    CHECK(!session.is_ending(token));
    session.request_stop();
    CHECK(!session.is_active());
    CHECK(session.is_ending(token));
    CHECK(session.holds(token));
    const auto deactivate = next_of(session, EventKind::deactivate);
    CHECK(deactivate.reason() == Reason::stop);
    CHECK(deactivate.held());
    session.deactivation_done(token);
    CHECK(!next_of(session, EventKind::ended).error());
    CHECK(session.wait(Until::ended));
    CHECK(session.stop(0ms));
    CHECK(session.role() == Role::ended);
    CHECK(session.try_next_event(0ms).code() == Errc::ended);
    CHECK(session.try_wait(Until::active).code() == Errc::ended);
    CHECK(session.try_resign().code() == Errc::ended);
}

TEST_CASE("a standby knows the active one, and follows it")
{
    const Place place;
    Session first(place.config("127.0.0.1:1001"));
    const auto token = become_active(first);
    Session second(place.config("127.0.0.1:1002"));
    CHECK(second.wait(Until::registered, patience));
    CHECK(next_of(second, EventKind::standby).address() == "127.0.0.1:1001");
    CHECK(second.holder().server_id() == first.server_id());
    CHECK(second.holder().kind() == EventKind::holder);
    CHECK(!second.wait(Until::active, 0ms));
    CHECK(second.next_event(0ms) == std::nullopt);
    first.resign(1h);
    CHECK(next_of(first, EventKind::deactivate).reason() == Reason::resign);
    first.deactivation_done(token);
    CHECK(become_active(second) > token);
    CHECK(second.is_active());
    CHECK(!first.holds(token));
}

TEST_CASE("a paused session does not contend until it is resumed")
{
    const Place place;
    auto config = place.config("127.0.0.1:1001");
    Session paused(config.set(HA_KEY_ELECTION_PAUSED, true));
    next_of(paused, EventKind::standby);
    Session other(place.config("127.0.0.1:1002"));
    const auto token = become_active(other);
    other.pause();
    CHECK(other.is_active());
    other.resign();
    next_of(other, EventKind::deactivate);
    other.deactivation_done(token);
    paused.resume();
    CHECK(become_active(paused) > token);
    paused.request_stop();
    next_of(paused, EventKind::deactivate);
    paused.deactivation_done(paused.fencing_token());
    next_of(paused, EventKind::ended);
    CHECK(paused.try_pause().code() == Errc::ended);
    CHECK(paused.try_resume().code() == Errc::ended);
}

TEST_CASE("of two standbys the one with the higher priority is next")
{
    const Place place;
    Session first(place.config("127.0.0.1:1001"));
    const auto token = become_active(first);
    const auto standby = [&](const char *address) {
        auto config = place.config(address);
        // So long the second in rank waits for the first, which may be slow on a busy machine.
        config.set(HA_KEY_ELECTION_RANK_STEP_MS, 5s);
        return config;
    };
    Session second(standby("127.0.0.1:1002")), third(standby("127.0.0.1:1003"));
    next_of(second, EventKind::standby);
    next_of(third, EventKind::standby);
    third.set_priority(5);
    const std::string member = std::string(third.active_key()) + "-" + std::to_string(third.server_id());
    until("the record with the priority", [&] {
        auto txn = first.txn(token);
        txn.get_prefix(place.root).commit();
        const auto record = txn.find(member);
        return record && record->value.find("\"Priority\":5") != std::string_view::npos;
    });
    CHECK(third.try_set_priority(1001).code() == Errc::invalid_argument);
    first.resign(1h);
    next_of(first, EventKind::deactivate);
    first.deactivation_done(token);
    next_of(third, EventKind::activate);
}

TEST_CASE("an answer that comes late or twice is an error")
{
    const Place place = Place::local();
    Session session(place.config());
    const auto token = next_of(session, EventKind::activate).token();
    CHECK(session.try_deactivation_done(token).code() == Errc::state);
    CHECK(session.try_activation_done(token + 1).code() == Errc::fenced);
    session.activation_failed(token, Errc(10007), "cannot load");
    const auto deactivate = next_of(session, EventKind::deactivate);
    CHECK(deactivate.reason() == Reason::activation_failed);
    CHECK(deactivate.error()->code() == Errc::activation_failed);
    CHECK(deactivate.error()->message() == "cannot load");
    CHECK(deactivate.error()->detail("code") == "10007");
    CHECK_THROWS_AS(session.activation_done(token), coordha::Error);
    session.deactivation_done(token);
    CHECK(session.try_deactivation_done(token).code() == Errc::fenced);
    CHECK(become_active(session) > token);
}

TEST_CASE("a failure that is called a success is a failure")
{
    const Place place = Place::local();
    Session session(place.config());
    for (const Errc code : {Errc::ok, Errc(HA_PENDING)}) {
        const auto token = next_of(session, EventKind::activate).token();
        session.activation_failed(token, code, "no");
        CHECK(next_of(session, EventKind::deactivate).reason() == Reason::activation_failed);
        session.deactivation_done(token);
    }
}

TEST_CASE("an exclusive session names who is in the way")
{
    const Place place;
    Session first(place.config("127.0.0.1:1001"));
    become_active(first);
    auto config = place.config("127.0.0.1:1002");
    config.set(HA_KEY_ACTIVE_STANDBY_ENABLED, false).set(HA_KEY_EXCLUSIVE_WAIT_MS, 0);
    Session second(config);
    const auto ended = second.try_wait(Until::ended, patience);
    REQUIRE(ended.code() == Errc::role_held);
    CHECK(ended.error().is_fatal());
    CHECK(ended.error().detail("holder_address") == "127.0.0.1:1001");
    CHECK(ended.error().detail("holder_server_id") == std::to_string(first.server_id()));
    CHECK(next_of(second, EventKind::ended).error()->code() == Errc::role_held);
}

TEST_CASE("the same role and address twice is refused")
{
    const Place place = Place::local();
    Session first(place.config());
    CHECK(Session::try_start(place.config()).code() == Errc::already_started);
    CHECK_THROWS_AS(Session(place.config()), coordha::Error);
    first.close();
    Session second(place.config());
    CHECK_THROWS_WITH_AS(Session({{"role", "rootcoord"}, {"address", "nowhere"}}), doctest::Contains("nowhere"),
                         coordha::Error);
    CHECK_THROWS_WITH_AS(Session({{"role", "rootcoord"}}), doctest::Contains("address"), coordha::Error);
}

static void is_closed(coordha::SessionRef session)
{
    CHECK(session == coordha::SessionRef());
    CHECK(session.raw() == nullptr);
    CHECK(!session.is_active());
    CHECK(!session.holds(1));
    CHECK(session.is_ending(1));
    CHECK(session.fencing_token() == 0);
    CHECK(session.role() == Role::none);
    CHECK(session.server_id() == 0);
    CHECK(session.active_key().empty());
    CHECK(session.remaining() == 0ms);
    CHECK(session.event_fd() == -1);
    session.request_stop();
    CHECK(session.try_stop().code() == Errc::closed);
    CHECK(session.try_wait(Until::active).code() == Errc::closed);
    CHECK(session.try_resign().code() == Errc::closed);
    CHECK(session.try_pause().code() == Errc::closed);
    CHECK(session.try_resume().code() == Errc::closed);
    CHECK(session.try_set_priority(1).code() == Errc::closed);
    CHECK(session.try_activation_done(1).code() == Errc::closed);
    CHECK(session.try_activation_failed(1, Errc::application, "").code() == Errc::closed);
    CHECK(session.try_deactivation_done(1).code() == Errc::closed);
    CHECK(session.try_next_event().code() == Errc::closed);
    CHECK(session.try_holder().code() == Errc::closed);
    CHECK(session.try_txn(1).code() == Errc::closed);
    CHECK_THROWS_AS(session.holder(), coordha::Error);
    CHECK_THROWS_AS(session.events().begin(), coordha::Error);
}

TEST_CASE("a session that was closed or moved away says so")
{
    const Place place = Place::local();
    CHECK(!std::is_copy_constructible_v<Session>);
    Session first(place.config());
    become_active(first);
    Session second = std::move(first);
    is_closed(first);
    CHECK(first.try_run([](coordha::Term &) {}).code() == Errc::closed);
    CHECK(second.is_active());
    Session third(place.config("127.0.0.1:1002"));
    third = std::move(second);
    is_closed(second);
    CHECK(third.is_active());
    third.close();
    third.close();
    is_closed(third);
}

TEST_CASE("events are a range that ends with the last one, and outlive their session")
{
    const Place place;
    Session session(place.config());
    std::vector<coordha::Event> kept;
    std::vector<std::string> kinds;
    for (coordha::Event &event : session.events()) {
        kinds.emplace_back(event.kind_name());
        if (event.kind() == EventKind::activate) {
            session.activation_done(event.token());
        } else if (event.kind() == EventKind::active) {
            session.request_stop();
        } else if (event.kind() == EventKind::deactivate) {
            session.deactivation_done(event.token());
        }
        kept.push_back(std::move(event));
        CHECK(event.kind() == EventKind(0));
    }
    session.close();
    CHECK(kinds.front() == "REGISTERED");
    CHECK(kinds.back() == "ENDED");
    CHECK(kept.front().server_id() > 0);
    CHECK(kept.front().ttl() >= 2s);
    CHECK(!kept.back().text().empty());
    CHECK(kept.back().missed() == 0);
}

TEST_CASE("the iterator of events is one of the standard library's")
{
    const Place place = Place::local();
    Session session(place.config());
    auto event = session.events().begin();
    const auto first = event++;
    CHECK(first->kind() == EventKind::registered);
    CHECK(event->kind() != EventKind::registered);
    const auto is_activate = [](const coordha::Event &found) { return found.kind() == EventKind::activate; };
    const auto activate = std::find_if(event, session.events().end(), is_activate);
    CHECK(activate->token() == session.fencing_token());
}

TEST_CASE("an event loop waits for the descriptor")
{
    const Place place;
    Session session(place.config());
    const int fd = session.event_fd();
    REQUIRE(fd >= 0);
    CHECK(fd == session.event_fd());
    bool over = false;
    while (!over) {
        pollfd wait = {fd, POLLIN, 0};
        REQUIRE(poll(&wait, 1, static_cast<int>(patience.count())) == 1);
        while (auto event = session.next_event(0ms)) {
            if (event->kind() == EventKind::activate) {
                session.activation_done(event->token());
                session.request_stop();
            } else if (event->kind() == EventKind::deactivate) {
                session.deactivation_done(event->token());
            } else if (event->kind() == EventKind::ended) {
                over = true;
                break;
            }
        }
    }
}

TEST_CASE("limits of time of any length are kept to")
{
    const Place place = Place::local();
    Session session(place.config());
    become_active(session);
    CHECK(session.wait(Until::active, std::chrono::milliseconds::max()));
    CHECK(!session.wait(Until::term_ending, 1ms));
    CHECK(!session.wait(Until::ended, 0ms));
    CHECK(session.try_wait(Until::ended, 1ms).code() == Errc::timeout);
    CHECK(session.try_wait(Until::ended, 1ms).error().is_retriable());
    CHECK(session.try_wait(Until::ended, -5ms).code() == Errc::invalid_argument);
    CHECK(session.try_next_event(-5ms).code() == Errc::invalid_argument);
    CHECK(session.try_resign(-5ms).code() == Errc::invalid_argument);
    CHECK(!session.stop(0ms));
}

TEST_CASE("a wait that blocks returns when the session is asked to stop")
{
    const Place place = Place::local();
    Session session(place.config());
    become_active(session);
    auto waits = std::async(std::launch::async, [&] { return session.wait(Until::term_ending); });
    auto stops = std::async(std::launch::async, [&] { session.stop(); });
    CHECK(waits.get());
    session.deactivation_done(next_of(session, EventKind::deactivate).token());
    stops.get();
}

TEST_CASE("a child of fork has no part in it")
{
    const Place place = Place::local();
    Session session(place.config());
    const auto token = become_active(session);
    auto event = next_of(session, EventKind::active);
    const int child = fork();
    if (child == 0) {
        const bool is_apart = !session.is_active() && !session.holds(token) && session.is_ending(token) &&
                              session.try_txn(token).code() == Errc::forked &&
                              session.try_holder().code() == Errc::forked &&
                              session.try_next_event(0ms).code() == Errc::forked && event.token() == token;
        session.close();
        _exit(is_apart ? 0 : 1);
    }
    CHECK(wait_for_end(child) == 0);
    CHECK(session.is_active());
}
