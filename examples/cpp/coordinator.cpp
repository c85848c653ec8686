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
static coordha::Result<long long> try_next(std::int64_t token)
{
    auto read = session.txn(token);
    if (const auto done = read.get(key).try_commit(); !done) {
        return done.error();
    }
    const auto last = read.find(key);
    const auto id = (last ? std::stoll(std::string(last->value)) : 0) + 1;
    auto write = session.txn(token);
    const auto done = write.if_revision(key, last ? last->mod_revision : 0).put(key, std::to_string(id)).try_commit();
    return done ? coordha::Result(id) : done.error();
}

// Takes the next ID; Errc::fenced where this one is not active. An ID whose write was not confirmed is never handed out:
// it reads again, and should that write be done even later, the next compare fails.
static coordha::Result<long long> take_id()
{
    const std::lock_guard lock(taking);
    const auto token = session.is_active() ? session.fencing_token() : 0;
    auto id = try_next(token);
    while (id.code() == coordha::Errc::unknown_outcome || id.code() == coordha::Errc::compare_failed) {
        id = try_next(token);
    }
    return id;
}

// An HTTP status and a line of text.
using Answer = std::pair<int, std::string>;

static Answer next()
{
    const auto id = take_id();
    if (id || id.code() != coordha::Errc::fenced) {
        return id ? Answer(200, std::to_string(*id)) : Answer(500, id.error().what());
    }
    const auto active = session.holder();
    return {503, active.server_id() != session.server_id() ? std::string(active.address()) : ""};
}

static Answer status()
{
    const auto at_ms = std::to_string(coordha::BootClock::now().time_since_epoch().count());
    const std::string active = session.is_active() ? "true" : "false";
    return {200, "at_ms=" + at_ms + " active=" + active + " token=" + std::to_string(session.fencing_token()) +
                     " server_id=" + std::to_string(session.server_id())};
}

static httplib::Server::HandlerResponse answer(const httplib::Request &request, httplib::Response &response)
{
    const bool is_next = request.path == "/next", is_get = request.method == "GET";
    const bool is_known = is_next || request.path == "/status";
    const auto [code, line] = !is_known ? Answer(404, "") : !is_get ? Answer(405, "") : is_next ? next() : status();
    response.status = code;
    response.set_content(line + "\n", "text/plain");
    return httplib::Server::HandlerResponse::Handled;
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
    key = *config.get(HA_KEY_ROOT) + "/ids/" + *config.get(HA_KEY_ROLE);
    const auto address = *config.get(HA_KEY_ADDRESS);
    const auto colon = address.rfind(':');
    const std::size_t bracket = address[0] == '['; // those of [::1] are not the resolver's
    httplib::Server http;
    http.set_keep_alive_timeout(1).set_tcp_nodelay(true).set_pre_routing_handler(answer);
    http.set_socket_options([](int fd) {
        const int on = 1; // a port may be taken again at once, but not by two
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    if (!http.bind_to_port(address.substr(bracket, colon - 2 * bracket), std::stoi(address.substr(colon + 1)))) {
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
    std::signal(SIGTERM, SIG_IGN); // a session that is being closed must not be asked to stop
    std::signal(SIGINT, SIG_IGN);
    http.stop();
    served.wait();
    ended.value();
} catch (const std::exception &error) {
    std::cerr << "coordinator: " << error.what() << std::endl;
    return 1;
}
