// The program of `make bench-bindings` for C++. What it is told and what it says stands at the head of benches/bindings/main.rs.
#include <coordha.hpp>

#include <ctime>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int count_of_calls = 20000;

struct Bench {
    std::string store, name;
    std::vector<coordha::Session> sessions;

    void start(std::size_t count)
    {
        const std::size_t first = sessions.size();
        while (sessions.size() < count) {
            const std::size_t n = sessions.size();
            coordha::Callbacks callbacks;
            callbacks.on_activate = [](coordha::Activation &) {};
            callbacks.on_deactivate = [](coordha::Deactivation &) {};
            sessions.emplace_back(
                coordha::Config{{"store.url", store},
                                {"role", name + "_" + std::to_string(n)},
                                {"address", "127.0.0.1:" + std::to_string(n + 1)},
                                {"active_standby.enabled", true}},
                std::move(callbacks));
        }
        for (std::size_t n = first; n < count; ++n) {
            if (!sessions[n].wait(coordha::Until::active, std::chrono::minutes(1))) {
                throw std::runtime_error("a session is not active after a minute");
            }
        }
        std::cout << "{\"sessions\":" << count << "}" << std::endl;
    }

    // The time of one call in ns. Counts each "yes", so that no call can be left out and none answers "no" unseen.
    template <class Ask> static double time_of(Ask ask)
    {
        int yes = 0;
        const auto from = std::chrono::steady_clock::now();
        for (int i = 0; i < count_of_calls; i++) {
            yes += ask();
        }
        const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - from;
        if (yes != count_of_calls) {
            throw std::runtime_error("the session was not active all the time");
        }
        return time.count() / count_of_calls;
    }

    // Beside each: the same through the C header.
    void calls() const
    {
        const coordha::Session &session = sessions[0];
        ha_session *const raw = session.raw();
        const auto token = session.fencing_token();
        std::cout << "{\"is_active\":" << time_of([&] { return session.is_active(); })
                  << ",\"beside\":" << time_of([=] { return ha_session_is_active(raw); })
                  << ",\"holds\":" << time_of([&] { return session.holds(token); })
                  << ",\"beside_holds\":" << time_of([=] { return ha_session_holds(raw, token); }) << "}" << std::endl;
    }
};

void follow(const coordha::Observer &observer)
{
    for (const coordha::Event &event : observer.events()) {
        timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        const std::int64_t at = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
        std::cout << "{\"token\":" << event.token() << ",\"at\":" << at << "}" << std::endl;
    }
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 3) {
        return 2;
    }
    Bench bench{argv[1], argv[2], {}};
    std::optional<coordha::Observer> observer;
    std::thread watcher;
    std::cout << "{\"made_by\":\"g++ " __VERSION__ "\"}" << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        if (line.rfind("start ", 0) == 0) {
            bench.start(std::stoul(line.substr(6)));
        } else if (line == "calls") {
            bench.calls();
        } else if (line == "watch") {
            observer.emplace(coordha::Config{{"store.url", bench.store}, {"role", bench.name}});
            watcher = std::thread(follow, std::cref(*observer));
        }
    }
    if (observer) {
        observer->request_stop();
        watcher.join();
    }
    for (const auto &session : bench.sessions) {
        session.request_stop();
    }
} catch (const std::exception &error) {
    std::cerr << error.what() << std::endl;
    // At once: a thread may still read.
    std::_Exit(1);
}
