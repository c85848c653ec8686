// Observers, on both stores.
#include "support.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using coordha::EventKind;
using coordha::Observer;
using coordha::Session;

static coordha::Config looks_at(const Place &place)
{
    return {{HA_KEY_STORE_URL, place.store}, {HA_KEY_ROOT, place.root}, {HA_KEY_ROLE, "rootcoord"}};
}

/// Waits until this one is named.
static coordha::Event names(const Observer &observer, const std::string &address)
{
    for (;;) {
        auto event = observer.next_event(patience);
        REQUIRE(event);
        CHECK(event->kind() == EventKind::holder);
        if (event->address() == address) {
            return *std::move(event);
        }
    }
}

TEST_CASE("an observer follows who is active, by growing token")
{
    const Place place;
    const Observer observer(looks_at(place));
    CHECK(names(observer, "").server_id() == 0);
    CHECK(observer.current().server_id() == 0);
    CHECK(observer.next_event(0ms) == std::nullopt);
    Session first(place.config("127.0.0.1:1001"));
    const auto token = become_active(first);
    CHECK(names(observer, "127.0.0.1:1001").token() == token);
    CHECK(observer.current().server_id() == first.server_id());
    Session second(place.config("127.0.0.1:1002"));
    next_of(second, EventKind::standby);
    first.resign(1h);
    next_of(first, EventKind::deactivate);
    first.deactivation_done(token);
    const auto later = become_active(second);
    CHECK(names(observer, "127.0.0.1:1002").token() == later);
    CHECK(later > token);
}

TEST_CASE("an observer is stopped from another thread, and its loop ends")
{
    const Place place = Place::local();
    Observer observer(looks_at(place));
    std::promise<void> begun;
    auto loop = std::async(std::launch::async, [&] {
        int count = 0;
        for (const coordha::Event &event : observer.events()) {
            CHECK(event.kind() == EventKind::holder);
            if (++count == 1) {
                begun.set_value();
            }
        }
        return count;
    });
    begun.get_future().get();
    observer.request_stop();
    CHECK(loop.get() == 1);
    CHECK(observer.try_next_event().code() == Errc::ended);
    CHECK(observer.try_current().code() == Errc::ended);
}

TEST_CASE("an observer has a descriptor for event loops")
{
    const Place place;
    const Observer observer(looks_at(place));
    pollfd wait = {observer.event_fd(), POLLIN, 0};
    REQUIRE(wait.fd >= 0);
    REQUIRE(poll(&wait, 1, static_cast<int>(patience.count())) == 1);
    CHECK(observer.try_next_event(0ms));
    CHECK(poll(&wait, 1, 0) == 0);
    CHECK(observer.try_next_event(-7ms).code() == Errc::invalid_argument);
}

TEST_CASE("an observer that is wrong, closed or inherited says so")
{
    CHECK(Observer::try_start(coordha::Config()).code() == Errc::config_missing);
    CHECK_THROWS_WITH_AS(Observer({{"role", "Bad Role"}}), doctest::Contains("Bad Role"), coordha::Error);
    const Place place = Place::local();
    Observer observer(looks_at(place));
    names(observer, "");
    const int child = fork();
    if (child == 0) {
        _exit(observer.try_current().code() == Errc::forked ? 0 : 1);
    }
    CHECK(wait_for_end(child) == 0);
    Observer other = std::move(observer);
    CHECK(observer.try_current().code() == Errc::closed);
    CHECK(other.try_current());
    other.close();
    other.close();
    CHECK(other.raw() == nullptr);
    CHECK(other.event_fd() == -1);
    other.request_stop();
    CHECK(other.try_next_event().code() == Errc::closed);
    CHECK_THROWS_AS(other.events().begin(), coordha::Error);
    coordha::Config config, moved = std::move(config);
    CHECK(Observer::try_start(config).code() == Errc::closed);
}
