// Metrics, on both stores.
#include "support.hpp"

using coordha::Session;

/// Whether the text has this line.
static bool has_line(const std::string &text, const std::string &line)
{
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("the metrics show who is active, and for how long a session was there")
{
    const Place place;
    const std::string labels = "{role=\"rootcoord\",root=\"" + place.root + "\"} ";
    {
        Session session(place.config("127.0.0.1:1001"));
        const auto token = become_active(session);
        const auto text = coordha::metrics_text();
        CHECK(has_line(text, "coordha_session_active" + labels + "1"));
        CHECK(has_line(text, "coordha_session_fencing_token" + labels + std::to_string(token)));
        CHECK(has_line(text, "# TYPE coordha_renewal_duration_seconds histogram"));
    }
    const auto text = coordha::metrics_text();
    CHECK(text.find("coordha_session_active" + labels) == std::string::npos);
    CHECK(has_line(text, "coordha_terms_begun_total" + labels + "1"));
}

TEST_CASE("what a queue of one's own has dropped of an observer is counted")
{
    const Place place;
    coordha::Observer observer(place.config("127.0.0.1:1001"));
    const std::string labels = "{role=\"rootcoord\",root=\"" + place.root + "\"} ";
    observer.count_missed();
    CHECK(has_line(coordha::metrics_text(), "coordha_observer_events_missed_total" + labels + "1"));
    observer.close();
    observer.count_missed();
    CHECK(has_line(coordha::metrics_text(), "coordha_observer_events_missed_total" + labels + "1"));
}
