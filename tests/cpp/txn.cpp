// Guarded transactions, on both stores.
#include "support.hpp"

using coordha::EventKind;
using coordha::Session;

TEST_CASE("what is written is read back")
{
    const Place place;
    Session session(place.config());
    const auto token = become_active(session);
    const std::string a = place.root + "/a", b = place.root + std::string("/b\0c", 4), bytes("\0\xff\n", 3);
    const auto revision = session.txn(token).put(a, "1").put(b, bytes).commit();
    CHECK(revision > token);

    auto txn = session.txn(token);
    txn.get(b).get(a).get(place.root + "/none");
    txn.commit();
    CHECK(txn.size() == 2);
    CHECK(txn[0].key == b);
    CHECK(txn[0].value == bytes);
    CHECK(txn[1].mod_revision == revision);
    CHECK(txn[2].key.empty());
    CHECK(txn.find(a)->value == "1");
    CHECK(!txn.find("nothing"));
    std::size_t count = 0;
    for (const coordha::KeyValue &found : txn) {
        CHECK(found.mod_revision == revision);
        ++count;
    }
    CHECK(count == 2);
    auto place_of = txn.begin();
    CHECK(place_of++->key == b);
    CHECK(place_of->key == a);
    CHECK(++place_of == txn.end());

    auto prefix = session.txn(token);
    prefix.get_prefix(place.root + "/", 1);
    prefix.commit();
    CHECK(prefix.size() == 1);
    session.txn(token).erase(a).commit();
    session.txn(token).erase_prefix(place.root + "/b").commit();
    auto after = session.txn(token);
    after.get(a).get(b);
    after.commit();
    CHECK(after.empty());
}

TEST_CASE("a compare that fails writes nothing and shows what is there")
{
    const Place place;
    Session session(place.config());
    const auto token = become_active(session);
    const std::string key = place.root + "/ids";
    const auto first = session.txn(token).if_revision(key, 0).put(key, "1").commit();
    auto again = session.txn(token);
    again.if_revision(key, 0).put(key, "2");
    const auto done = again.try_commit();
    CHECK(done.code() == Errc::compare_failed);
    REQUIRE(again.size() == 1);
    CHECK(again[0].value == "1");
    CHECK(again[0].mod_revision == first);
    CHECK_THROWS_AS(session.txn(token).if_value(key, "7").put(key, "8").commit(), coordha::Error);
    CHECK(session.txn(token).if_value(key, "1").put(key, "2").commit() > first);
}

TEST_CASE("nothing is written after the term")
{
    const Place place;
    Session session(place.config());
    const auto token = become_active(session);
    session.resign(1h);
    next_of(session, EventKind::deactivate);
    session.txn(token).put(place.root + "/x", "draining").commit();
    session.deactivation_done(token);
    next_of(session, EventKind::term_ended);
    const auto late = session.txn(token).put(place.root + "/x", "late").try_commit();
    CHECK(late.code() == Errc::fenced);
    CHECK(!late.error().is_retriable());
}

TEST_CASE("what goes with the lease goes with the session")
{
    const Place place;
    const std::string key = place.root + "/member";
    {
        Session session(place.config("127.0.0.1:1001"));
        const auto token = become_active(session);
        session.txn(token).put_leased(key, "here").commit();
        session.request_stop();
        next_of(session, EventKind::deactivate);
        session.deactivation_done(token);
        CHECK(session.stop(patience));
    }
    Session session(place.config("127.0.0.1:1002"));
    auto txn = session.txn(become_active(session));
    txn.get(key);
    txn.commit();
    CHECK(txn.empty());
}

TEST_CASE("what is wrong with a transaction is said by its commit")
{
    const Place place = Place::local();
    Session session(place.config());
    const auto token = become_active(session);
    CHECK(session.txn(token).put("", "x").try_commit().code() == Errc::invalid_argument);
    CHECK(session.txn(token).put("k", "1").put("k", "2").try_commit().code() == Errc::invalid_argument);
    CHECK(session.txn(token).put(place.root + "/ha/x", "1").try_commit().code() == Errc::invalid_argument);
    CHECK(session.txn(token).put("k", std::string(2 << 20, 'x')).try_commit().code() == Errc::too_large);
    CHECK(session.txn(token).put("k", "1").try_commit(0ms).code() == Errc::timeout);
    auto txn = session.txn(token);
    txn.put("k", "1").commit();
    CHECK(txn.try_commit().code() == Errc::state);
    auto other = std::move(txn);
    CHECK(other.revision() > 0);
    CHECK(txn.put("k", "1").try_commit().code() == Errc::closed);
    CHECK(txn.empty());
    other = session.txn(token);
    CHECK(other.revision() == 0);
}

TEST_CASE("a transaction may outlive its session, and is fenced then")
{
    const Place place = Place::local();
    Session session(place.config());
    auto txn = session.txn(become_active(session));
    txn.put("k", "1");
    session.close();
    CHECK(txn.try_commit().code() == Errc::fenced);
}

TEST_CASE("a transaction that is submitted is answered by an event")
{
    const Place place;
    Session session(place.config());
    const auto token = become_active(session);
    const std::string key = place.root + "/ids";
    auto txn = session.txn(token);
    txn.if_revision(key, 0).put(key, "1");
    txn.submit(71);
    CHECK(txn.raw() == nullptr);
    CHECK(txn.try_submit(72).code() == Errc::closed);
    CHECK(txn.try_commit().code() == Errc::closed);
    const auto written = next_of(session, EventKind::txn_done);
    CHECK(written.tag() == 71);
    CHECK(!written.error());
    CHECK(written.results().revision() > token);

    auto again = session.txn(token);
    again.if_revision(key, 0).put(key, "2");
    again.submit(73, 30s);
    const auto refused = next_of(session, EventKind::txn_done);
    CHECK(refused.tag() == 73);
    CHECK(refused.error()->code() == Errc::compare_failed);
    CHECK(refused.results().find(key)->value == "1");
    CHECK(refused.results().find(key)->mod_revision == written.results().revision());

    auto wrong = session.txn(token);
    wrong.put("", "x");
    CHECK_THROWS_AS(wrong.submit(74), coordha::Error);
    CHECK(wrong.raw() != nullptr);
}

TEST_CASE("a body that waits for the end of its term is told of its transactions")
{
    const Place place = Place::local();
    Session session(place.config());
    std::uint64_t tag = 0;
    session.run(
        [&](coordha::Term &term) {
            term.ready();
            auto txn = term.txn();
            txn.put("k", "1");
            txn.submit(5);
            term.wait_ending();
        },
        {[&](coordha::EventRef event) {
             if (event.kind() == EventKind::txn_done) {
                 tag = event.tag();
                 session.request_stop();
             }
         },
         {}});
    CHECK(tag == 5);
}
