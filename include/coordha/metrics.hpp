/// @file
/// What goes on in the process, for Prometheus.

#ifndef COORDHA_METRICS_HPP
#define COORDHA_METRICS_HPP

#include <coordha/error.hpp>

#include <string>

namespace coordha {

/// All metrics of this process, as Prometheus text, as in ha_metrics_text(): serve it at `/metrics` with the content type
/// `text/plain; version=0.0.4; charset=utf-8`. From any thread; it waits for no network. Empty in a build without metrics.
inline std::string metrics_text()
{
    const detail::Owned<char, ha_string_free> text{ha_metrics_text()};
    return text ? std::string(text.get()) : std::string();
}

} // namespace coordha

#endif
