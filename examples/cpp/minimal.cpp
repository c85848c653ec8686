// A coordinator that stands by until it is chosen: minimal <store> <host:port>
#include <coordha.hpp>
#include <csignal>
#include <iostream>

static coordha::SessionRef stopped;

int main(int argc, char **argv) try {
    if (argc != 3) {
        throw std::invalid_argument("minimal <store> <host:port>");
    }
    coordha::Session session(
        {{"store.url", argv[1]}, {"address", argv[2]}, {"role", "rootcoord"}, {"active_standby.enabled", true}});
    stopped = session;
    std::signal(SIGTERM, [](int) { stopped.request_stop(); });
    const auto ended = session.try_run([](coordha::Term &term) {
        // Load what you need; ask term.ending() now and then. An exception here is a failed activation.
        term.ready(); // from now on session.is_active() is true
        std::cout << "active, with fencing token " << term.token() << std::endl;
        term.wait_ending();
        std::cout << "leaving: " << (term.held() ? "finish what runs" : "the role is lost") << std::endl;
    }); // the return says: nothing of this term runs any more
    std::signal(SIGTERM, SIG_IGN); // a session that is being closed must not be asked to stop
    ended.value();                 // throws what ended it, if it was not asked to stop
} catch (const std::exception &error) {
    std::cerr << error.what() << std::endl;
    return 1;
}
