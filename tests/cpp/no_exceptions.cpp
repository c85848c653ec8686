// The form without exceptions, compiled so: a whole life of two sessions, each way of being told what to do.
#include <coordha.hpp>

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#if COORDHA_EXCEPTIONS
#error "this must be compiled with -fno-exceptions"
#endif

using coordha::Errc;
using namespace std::chrono_literals;

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *what, int line)
{
    std::fprintf(stderr, "no_exceptions.cpp:%d: not true: %s\n", line, what);
    std::exit(1);
}

static coordha::Config config(const char *store, const char *address)
{
    auto config = coordha::Config::try_make({{HA_KEY_STORE_URL, store},
                                             {HA_KEY_ROLE, "rootcoord"},
                                             {HA_KEY_ADDRESS, address},
                                             {HA_KEY_ACTIVE_STANDBY_ENABLED, true},
                                             {HA_KEY_ACTIVATION_BACKOFF_MS, 50ms}});
    CHECK(config);
    CHECK(config->try_set(HA_KEY_LEASE_TTL_MS, 1ms).code() == Errc::config_value);
    return *std::move(config);
}

static void runs_a_body(const char *store)
{
    auto session = coordha::Session::try_start(config(store, "127.0.0.1:1001"));
    CHECK(session);
    int terms = 0, said[2];
    CHECK(pipe(said) == 0);
    const auto done = session->try_run([&](coordha::Term &term) {
        if (++terms == 1) {
            return term.fail(Errc(10001), "not now");
        }
        CHECK(term.try_ready());
        if (terms == 2) {
            const int err = dup(2);
            dup2(said[1], 2);
            term.fail(Errc(10001), "cannot serve");
            dup2(err, 2);
            close(err);
            return;
        }
        CHECK(session->is_active());
        auto txn = term.try_txn();
        CHECK(txn && txn->put("k", "1").try_commit());
        session->request_stop();
        CHECK(term.wait_ending());
    });
    CHECK(done && terms == 3);
    const std::string_view expected = "coordha: failure in the term's body: cannot serve\n";
    char line[100];
    close(said[1]); // or the read would wait where nothing was said
    CHECK(std::string_view(line, static_cast<std::size_t>(read(said[0], line, sizeof line))) == expected);
    close(said[0]);
}

static void is_called(const char *store)
{
    int activations = 0, events = 0;
    coordha::Callbacks callbacks;
    callbacks.on_activate = [&](coordha::Activation &activation) {
        if (++activations == 1) {
            activation.fail(Errc(10001), "not now");
        }
    };
    callbacks.on_event = [&](coordha::SessionRef, coordha::EventRef) { ++events; };
    auto session = coordha::Session::try_start(config(store, "127.0.0.1:1002"), std::move(callbacks));
    CHECK(session);
    CHECK(session->try_wait(coordha::Until::active, 60s));
    CHECK(session->try_stop(60s));
    CHECK(activations == 2 && events > 3);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    runs_a_body(argv[1]);
    is_called(argv[1]);
    std::puts("no_exceptions: ok");
}
