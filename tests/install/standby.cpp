#include "standby.hpp"

coordha::Result<coordha::Session> start_without_an_address()
{
    coordha::Callbacks callbacks;
    callbacks.on_activate = [](coordha::Activation &activation) { activation.later(); };
    auto config = coordha::Config::try_make({{HA_KEY_ROLE, "rootcoord"}, {HA_KEY_ACTIVE_STANDBY_ENABLED, true}});
    return config ? coordha::Session::try_start(*config, std::move(callbacks)) : config.error();
}
