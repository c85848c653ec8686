// An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//
// coordinator KEY=VALUE...    keys of the configuration: role=rootcoord address=127.0.0.1:53100 store.url=local:/tmp/ids
//
// - GET /next: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not it.
// - GET /status: at_ms=... active=... token=... server_id=...; at_ms (CLOCK_BOOTTIME) is read before "active" is asked.
// - Each event is a line on stdout: event at_ms=... kind=... token=... server_id=... text=...
// - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
//
// c++ -std=c++17 coordinator.cpp $(pkg-config --cflags --libs coordha cpp-httplib) -o coordinator
#include <coordha.hpp>
#include <httplib.h>

#include <csignal>
#include <future>
#include <iostream>
#include <mutex>

static coordha::SessionRef session;
static std::string key;   // its value is the last ID
static std::mutex taking; // held while an ID is taken

// Reads the last ID, and writes the next one if nobody has written it in between; both in the term of this token only.
static long long try_next(std::int64_t token)
{
    auto read = session.txn(token);
    read.get(key).commit();
    const auto last = read.find(key);
    const auto id = (last ? std::stoll(std::string(last->value)) : 0) + 1;
    session.txn(token).if_revision(key, last ? last->mod_revision : 0).put(key, std::to_string(id)).commit();
    return id;
}

// Takes the next ID; none where this one is not active. An ID whose write was not confirmed is never handed out: it reads
// again, and should that write be done even later, the next compare fails.
static std::optional<long long> take_id()
{
    const std::lock_guard lock(taking);
    const auto token = session.fencing_token();
    while (session.is_active()) {
        try {
            return try_next(token);
        } catch (const coordha::Error &error) {
            if (error.code() == coordha::Errc::fenced) {
                break;
            }
            if (error.code() != coordha::Errc::unknown_outcome && error.code() != coordha::Errc::compare_failed) {
                throw;
            }
        }
    }
    return std::nullopt;
}

static void next(const httplib::Request &, httplib::Response &response)
try {
    if (const auto id = take_id()) {
        return response.set_content(std::to_string(*id) + "\n", "text/plain");
    }
    const auto active = session.holder();
    const bool is_other = active.server_id() != session.server_id();
    response.status = 503;
    response.set_content((is_other ? std::string(active.address()) : "") + "\n", "text/plain");
} catch (const std::exception &error) {
    response.status = 500;
    response.set_content(error.what() + std::string("\n"), "text/plain");
}

static void status(const httplib::Request &, httplib::Response &response)
{
    auto body = "at_ms=" + std::to_string(coordha::BootClock::now().time_since_epoch().count());
    body += session.is_active() ? " active=true" : " active=false";
    body += " token=" + std::to_string(session.fencing_token());
    body += " server_id=" + std::to_string(session.server_id()) + "\n";
    response.set_content(body, "text/plain");
}

static void on_event(coordha::EventRef event)
{
    std::cout << "event at_ms=" << event.at().time_since_epoch().count() << " kind=" << event.kind_name() << " token="
              << event.token() << " server_id=" << event.server_id() << " text=" << event.text() << std::endl;
}

static coordha::Config configuration(char **arguments)
{
    coordha::Config config({{HA_KEY_ACTIVE_STANDBY_ENABLED, true}});
    for (; *arguments != nullptr; ++arguments) {
        const std::string_view argument = *arguments;
        const auto equals = argument.find('=');
        if (equals == argument.npos) {
            throw std::invalid_argument(std::string(argument) + ": no KEY=VALUE");
        }
        config.set(argument.substr(0, equals), argument.substr(equals + 1));
    }
    config.check();
    return config;
}

int main(int, char **argv)
try {
    const auto config = configuration(argv + 1);
    const auto address = *config.get(HA_KEY_ADDRESS);
    const auto colon = address.rfind(':');
    key = *config.get(HA_KEY_ROOT) + "/ids/" + *config.get(HA_KEY_ROLE);
    httplib::Server http;
    http.set_socket_options([](int fd) { // a port may be taken again at once, but not by two
        const int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    http.Get("/next", next).Get("/status", status).set_keep_alive_timeout(1);
    if (!http.bind_to_port(address.substr(0, colon), std::stoi(address.substr(colon + 1)))) {
        throw std::runtime_error("nobody can listen at " + address);
    }
    coordha::Session own(config);
    session = own;
    std::signal(SIGTERM, [](int) { session.request_stop(); });
    std::signal(SIGINT, [](int) { session.request_stop(); });
    auto served = std::async(std::launch::async, [&] { return http.listen_after_bind(); });
    while (!http.is_running() && served.wait_for(std::chrono::milliseconds(1)) == std::future_status::timeout) {
    }
    const auto ended = own.try_run(
        [](coordha::Term &term) {
            term.ready(); // nothing to load: the store knows the last ID
            term.wait_ending();
            const std::lock_guard lock(taking); // until the ID that is being taken has been taken
        },
        {on_event, {}});
    http.stop();
    served.wait();
    ended.value();
} catch (const std::exception &error) {
    std::cerr << "coordinator: " << error.what() << std::endl;
    return 1;
}
