// Built into the examples: sees that no signal can ask a session to stop once closing it has begun.
#include <coordha.h>

#include <csignal>
#include <cstdio>
#include <dlfcn.h>
#include <initializer_list>
#include <unistd.h>

extern "C" void ha_session_free(ha_session *session)
{
    for (const int number : {SIGTERM, SIGINT}) {
        struct sigaction action = {};
        sigaction(number, nullptr, &action);
        if (session != nullptr && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
            std::fprintf(stderr, "a session is closed that signal %d may ask to stop\n", number);
            _exit(3);
        }
    }
    reinterpret_cast<void (*)(ha_session *)>(dlsym(RTLD_NEXT, "ha_session_free"))(session);
}
