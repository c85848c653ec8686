// A user's project of two files in C++, built against an installed coordha.
#include "standby.hpp"

#include <iostream>

int main()
{
    const auto started = start_without_an_address();
    if (started.code() != coordha::Errc::config_missing || started.error().detail("key") != "address") {
        std::cerr << "a session without an address was not refused\n";
        return 1;
    }
    try {
        coordha::Session({{HA_KEY_ROLE, "rootcoord"}});
    } catch (const coordha::Error &error) {
        std::cout << coordha::version() << '\n';
        return error.code() == started.code() ? 0 : 1;
    }
}
