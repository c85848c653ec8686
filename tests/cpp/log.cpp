// Logging.
#include "support.hpp"

#include <poll.h>

#include <algorithm>
#include <stdexcept>

using coordha::LogLevel;
using coordha::LogRecordRef;

TEST_CASE("a receiver is told what happens, and destroyed when it is taken away")
{
    const Place place = Place::local();
    Record record;
    Owned owned;
    coordha::set_log(LogLevel::info, [&, share = owned.share()](LogRecordRef said) {
        CHECK(said.level() <= LogLevel::info);
        CHECK(said.level() >= LogLevel::error);
        CHECK(said.target().rfind("coordha", 0) == 0);
        CHECK(said.fields_json().front() == '{');
        CHECK(said.at() > std::chrono::system_clock::time_point());
        record.add(std::string(said.message()));
    });
    {
        coordha::Session session(place.config());
        become_active(session);
    }
    coordha::reset_log();
    CHECK(owned.is_gone());
    const auto lines = record.lines();
    const auto is_told = [&](const std::string &line) { return line.find("rootcoord is ACTIVE") != std::string::npos; };
    CHECK(std::count_if(lines.begin(), lines.end(), is_told) == 1);
}

TEST_CASE("an exception out of a receiver is told, and the next record follows")
{
    const Place place = Place::local();
    Record record;
    const Stderr said;
    coordha::set_log(LogLevel::info, [&, times = 0](LogRecordRef) mutable {
        record.add("record");
        if (times++ == 0) {
            throw std::runtime_error("no space");
        }
    });
    {
        coordha::Session session(place.config());
        become_active(session);
        record.wait("record");
        record.wait("record");
    }
    coordha::reset_log();
    CHECK(said.count("coordha: exception in the log receiver: no space\n") == 1);
}

TEST_CASE("a level that is none is refused, and the receiver destroyed")
{
    Owned owned;
    CHECK(coordha::try_set_log(LogLevel(9), [share = owned.share()](LogRecordRef) {}).code() ==
          Errc::invalid_argument);
    CHECK(owned.is_gone());
    CHECK_THROWS_AS(coordha::set_log(LogLevel(-1), [](LogRecordRef) {}), coordha::Error);
    coordha::set_log(LogLevel::warn, nullptr);
}

TEST_CASE("a program may fetch the records by itself")
{
    const Place place = Place::local();
    const Stderr said;
    const int fd = coordha::log_event_fd();
    REQUIRE(fd >= 0);
    coordha::set_log(LogLevel::info, nullptr);
    {
        coordha::Session session(place.config());
        become_active(session);
    }
    pollfd wait = {fd, POLLIN, 0};
    bool is_told = false;
    while (!is_told) {
        REQUIRE(poll(&wait, 1, static_cast<int>(patience.count())) == 1);
        while (auto record = coordha::next_log(0ms)) {
            CHECK(record->target().rfind("coordha", 0) == 0);
            is_told = is_told || record->message().find("rootcoord is ACTIVE") != std::string_view::npos;
            const coordha::LogRecord moved = *std::move(record);
            CHECK(moved.level() <= LogLevel::info);
            CHECK(record->message().empty());
        }
    }
    CHECK(coordha::try_next_log(-5ms).code() == Errc::invalid_argument);
    coordha::set_log(LogLevel::error, [](LogRecordRef) {});
    CHECK(coordha::try_next_log(0ms).code() == Errc::state);
    CHECK(coordha::log_event_fd() == -1);
    coordha::reset_log();
    CHECK(said.text().empty());
}
