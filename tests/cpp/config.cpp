// Configuration, errors and results.
#include "support.hpp"

#include <cstdlib>
#include <fstream>

using coordha::Config;

TEST_CASE("a value is text, a truth value, a whole number or a time")
{
    Config config;
    const std::string role = "rootcoord";
    config.set(HA_KEY_ROLE, role).set(HA_KEY_ADDRESS, std::string_view("127.0.0.1:1")).set(HA_KEY_STORE_URL, "local:/x");
    config.set(HA_KEY_ACTIVE_STANDBY_ENABLED, true).set(HA_KEY_PRIORITY, -7).set(HA_KEY_EVENTS_QUEUE, 300ul);
    config.set(HA_KEY_LEASE_TTL_MS, 20s).set(HA_KEY_ELECTION_HOLD_MS, 700ms);
    CHECK(config.get(HA_KEY_ROLE) == "rootcoord");
    CHECK(config.get(HA_KEY_ACTIVE_STANDBY_ENABLED) == "true");
    CHECK(config.get(HA_KEY_PRIORITY) == "-7");
    CHECK(config.get(HA_KEY_EVENTS_QUEUE) == "300");
    CHECK(config.get(HA_KEY_LEASE_TTL_MS) == "20000");
    CHECK(config.get(HA_KEY_ELECTION_HOLD_MS) == "700");
    CHECK(config.get(HA_KEY_ROOT) == "by-dev/meta");
    config.check();
}

TEST_CASE("what cannot be a value does not compile")
{
    using coordha::Value;
    CHECK(std::is_constructible_v<Value, std::chrono::minutes>);
    CHECK(!std::is_constructible_v<Value, std::chrono::microseconds>);
    CHECK(!std::is_constructible_v<Value, double>);
    CHECK(!std::is_constructible_v<Value, char>);
    CHECK(!std::is_constructible_v<Value, Config>);
}

TEST_CASE("a wrong value names key, value and what is allowed, in both forms")
{
    Config config;
    const auto set = config.try_set(HA_KEY_LEASE_TTL_MS, 1ms);
    REQUIRE(!set);
    CHECK(set.code() == Errc::config_value);
    CHECK(set.error().detail("key") == "lease.ttl_ms");
    CHECK(set.error().detail("value") == "1");
    CHECK(set.error().detail("allowed")->find("2000 to 300000") != std::string_view::npos);
    CHECK(!set.error().detail("endpoint"));
    CHECK(set.error().message().find("lease.ttl_ms") != std::string_view::npos);
    CHECK(config.get(HA_KEY_LEASE_TTL_MS) == "60000");
    try {
        config.set(HA_KEY_LEASE_TTL_MS, 1ms);
        FAIL("it was set");
    } catch (const std::exception &error) {
        CHECK(set.error().what() == std::string(error.what()));
    }
}

TEST_CASE("each bad setting is refused with its code")
{
    Config config;
    CHECK(config.try_set("lease.ttl", 1s).code() == Errc::config_key);
    CHECK(config.try_set(HA_KEY_ROLE, "Root Coord").code() == Errc::config_value);
    CHECK(config.try_set(HA_KEY_ROLE, "\xff").code() == Errc::config_value);
    CHECK(config.try_set(HA_KEY_ROLE, std::string("root\0coord", 10)).code() == Errc::invalid_argument);
    CHECK(config.try_set(std::string("role\0", 5), "x").code() == Errc::invalid_argument);
    CHECK(config.try_set(HA_KEY_ROLE, static_cast<const char *>(nullptr)).code() == Errc::null);
    CHECK(config.try_check().code() == Errc::config_missing);
    CHECK(config.try_check().error().detail("key") == "role");
    CHECK(!config.get("no.such"));
    CHECK(!config.get(HA_KEY_ROLE));
    CHECK_THROWS_AS(Config({{HA_KEY_ROLE, "rootcoord"}, {"rolle", "x"}}), coordha::Error);
    CHECK(Config::try_make({{"rolle", "x"}}).code() == Errc::config_key);
}

TEST_CASE("file and environment overrule what the program proposes, not what it insists on")
{
    const Folder folder;
    const std::string file = folder.path() / "coordha.yaml";
    std::ofstream(file) << "coordha:\n  role: datacoord\n  lease.ttl_ms: 30000\n  priority: 3\n";
    setenv("COORDHA_LEASE_TTL_MS", "40000", 1);
    Config config;
    config.load_env().set(HA_KEY_PRIORITY, 4).set_default(HA_KEY_ROLE, "rootcoord").set_default(HA_KEY_ROOT, "x");
    config.load_yaml(file);
    unsetenv("COORDHA_LEASE_TTL_MS");
    CHECK(config.get(HA_KEY_ROLE) == "datacoord");
    CHECK(config.get(HA_KEY_LEASE_TTL_MS) == "40000");
    CHECK(config.get(HA_KEY_PRIORITY) == "4");
    CHECK(config.get(HA_KEY_ROOT) == "x");
}

TEST_CASE("a wrong file or variable is named")
{
    const Folder folder;
    const std::string file = folder.path() / "coordha.yaml";
    std::ofstream(file) << "coordha:\n  lease.ttl_ms: 1\n";
    Config config;
    const auto loaded = config.try_load_yaml(file);
    CHECK(loaded.code() == Errc::config_value);
    CHECK(loaded.error().detail("key") == "lease.ttl_ms");
    CHECK(loaded.error().message().find("coordha.yaml") != std::string_view::npos);
    CHECK(config.try_load_yaml(folder.path().string() + "/none.yaml").code() == Errc::config_file);
    CHECK(config.try_load_yaml(std::string("a\0b", 3)).code() == Errc::invalid_argument);
    CHECK(config.try_load_yaml(file, coordha::Dialect(7)).code() == Errc::invalid_argument);
    setenv("COORDHA_PRIORITY", "high", 1);
    CHECK_THROWS_WITH_AS(config.load_env(), doctest::Contains("COORDHA_PRIORITY"), coordha::Error);
    unsetenv("COORDHA_PRIORITY");
    CHECK(config.try_set_default(HA_KEY_PRIORITY, 9999).code() == Errc::config_value);
    Config moved = std::move(config);
    CHECK(config.try_load_yaml(file).code() == Errc::closed);
    CHECK(config.try_load_env().code() == Errc::closed);
    CHECK(config.try_set_default(HA_KEY_PRIORITY, 1).code() == Errc::closed);
}

TEST_CASE("Milvus's names count too, and a dump tells where each value comes from")
{
    const Folder folder;
    std::ofstream(folder.path() / "milvus.yaml") << "rootCoord: {port: 53100, enableActiveStandby: true}\netcd: {rootPath: mine}\n";
    setenv("MILVUSCONF", folder.path().c_str(), 1);
    setenv("ETCD_META_SUB_PATH", "there", 1);
    Config config({{HA_KEY_ROLE, "rootcoord"}});
    config.load_milvus().load_env(coordha::Dialect::milvus);
    unsetenv("MILVUSCONF");
    unsetenv("ETCD_META_SUB_PATH");
    CHECK(config.get(HA_KEY_ADDRESS) == ":53100");
    CHECK(config.get(HA_KEY_ROOT) == "mine/there");
    CHECK(config.dump().find("ETCD_META_SUB_PATH") != std::string::npos);
    CHECK(config.dump(coordha::DumpFormat::json).front() == '[');
    CHECK_THROWS_WITH_AS(Config().load_milvus(), doctest::Contains("configs/milvus.yaml"), coordha::Error);
    const Config moved = std::move(config);
    CHECK(config.dump().empty());
    CHECK(!moved.dump().empty());
}

TEST_CASE("a configuration that was moved away is closed")
{
    Config config;
    const Config other = std::move(config);
    CHECK(config.try_set(HA_KEY_ROLE, "rootcoord").code() == Errc::closed);
    CHECK(config.try_check().code() == Errc::closed);
    CHECK(!config.get(HA_KEY_ROOT));
    CHECK(coordha::Session::try_start(config).code() == Errc::closed);
    Owned owned;
    coordha::Callbacks callbacks;
    callbacks.on_event = [share = owned.share()](coordha::SessionRef, coordha::EventRef) {};
    CHECK(coordha::Session::try_start(config, std::move(callbacks)).code() == Errc::closed);
    CHECK(owned.is_gone());
    CHECK(other.get(HA_KEY_ROOT) == "by-dev/meta");
}

TEST_CASE("an error is plain data, and an error code of the standard library's kind")
{
    CHECK(std::is_nothrow_copy_constructible_v<coordha::Error>);
    coordha::Error error(Errc(10001), "cannot load");
    const coordha::Error moved = std::move(error);
    CHECK(error.what() == std::string("cannot load"));
    CHECK(moved.name() == "APPLICATION");
    CHECK(!moved.is_fatal());
    const std::error_code code = Errc::fenced;
    CHECK(code == Errc::fenced);
    CHECK(code != Errc::unavailable);
    CHECK(code.category().name() == std::string("coordha"));
    CHECK(code.message() == "FENCED");
}

TEST_CASE("a result holds a value or an error, and says which")
{
    coordha::Result<std::string> good(std::string("yes")), bad(coordha::Error(Errc::busy, "no"));
    CHECK(good->size() == 3);
    CHECK(*good == "yes");
    CHECK(good.code() == Errc::ok);
    CHECK(std::move(good).value() == "yes");
    CHECK(!bad);
    CHECK_THROWS_AS((void)*bad, std::bad_variant_access);
    CHECK_THROWS_AS(std::move(bad).value(), coordha::Error);
    CHECK_THROWS_AS((void)coordha::Result<void>().error(), std::bad_optional_access);
}

TEST_CASE("version, features and clock are told")
{
    CHECK(coordha::version() == std::to_string(HA_VERSION_MAJOR) + "." + std::to_string(HA_VERSION_MINOR) + "." +
                                     std::to_string(HA_VERSION_PATCH));
    CHECK(coordha::has_feature("local"));
    CHECK(coordha::has_feature("metrics"));
    CHECK(!coordha::has_feature("teleport"));
    CHECK(coordha::BootClock::now() <= coordha::BootClock::now());
}
