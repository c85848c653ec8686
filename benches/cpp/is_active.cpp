// What a look at the role costs a C++ program, beside the same look through the C header.
//
//     is_active <store>
//
// Prints four lines, the name and the time of one call in ns: is_active and holds, in C and in C++, and a line with their
// ratio. All are measured in turns, so that what else goes on at the host meets them alike; each number is the median.
#include <coordha.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

constexpr int turns = 1000, calls = 20000;

/// The time of one call in ns. Counts each "yes", so that no call can be left out and none answers "no" unseen.
template <class Ask> static double time_of(Ask ask)
{
    int yes = 0;
    const auto from = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; i++) {
        yes += ask();
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - from;
    if (yes != calls) {
        throw coordha::Error(coordha::Errc::state, "the session was not active all the time");
    }
    return time.count() / calls;
}

int main(int argc, char **argv)
try {
    if (argc != 2) {
        throw std::invalid_argument("is_active <store>");
    }
    const coordha::Session session(
        {{"store.url", argv[1]}, {"role", "bench"}, {"address", "127.0.0.1:1"}, {"activation.auto", true}});
    session.wait(coordha::Until::active);
    ha_session *const raw = session.raw();
    const auto token = session.fencing_token();
    std::array<std::vector<double>, 4> times;
    for (int turn = 0; turn < turns; turn++) {
        times[0].push_back(time_of([=] { return ha_session_is_active(raw); }));
        times[1].push_back(time_of([&] { return session.is_active(); }));
        times[2].push_back(time_of([=] { return ha_session_holds(raw, token); }));
        times[3].push_back(time_of([&] { return session.holds(token); }));
    }
    std::array<double, 4> medians{};
    const char *const names[] = {"is_active_c", "is_active_cpp", "holds_c", "holds_cpp"};
    for (std::size_t i = 0; i < times.size(); i++) {
        std::nth_element(times[i].begin(), times[i].begin() + turns / 2, times[i].end());
        medians[i] = times[i][turns / 2];
        std::printf("%s %.2f\n", names[i], medians[i]);
    }
    std::printf("ratio is_active=%.3f holds=%.3f\n", medians[1] / medians[0], medians[3] / medians[2]);
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
