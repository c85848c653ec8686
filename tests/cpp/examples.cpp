// The C++ examples do what they say.
#include "support.hpp"

#include <httplib.h>

#include <csignal>
#include <fstream>

namespace fs = std::filesystem;

/// An example at work. Killed where the test has not ended it.
class Program {
public:
    Program(const char *name, std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), std::string(COORDHA_TEST_PROGRAMS) + "/" + name);
        process_ = start(arguments, folder_.path() / "out", folder_.path() / "err");
    }
    Program(const Program &) = delete;
    ~Program()
    {
        if (process_ != 0) {
            kill(process_, SIGKILL);
            wait_for_end(process_);
        }
    }

    std::string out() const { return text_of(folder_.path() / "out"); }
    std::string err() const { return text_of(folder_.path() / "err"); }
    void says(const std::string &words) const
    {
        INFO(out(), err());
        until(words.c_str(), [&] { return out().find(words) != std::string::npos; });
    }
    int terminate()
    {
        kill(process_, SIGTERM);
        return end();
    }
    int end() { return wait_for_end(std::exchange(process_, 0)); }

private:
    Folder folder_;
    int process_ = 0;
};

static Program coordinator(const Place &place, int port, const std::string &host = "127.0.0.1")
{
    return {"coordinator",
            {"store.url=" + place.store, "root=" + place.root, "role=rootcoord",
             "address=" + host + ":" + std::to_string(port)}};
}

static std::string text_of(const httplib::Result &response)
{
    REQUIRE(response);
    return std::to_string(response->status) + " " + response->body;
}

static std::string get(int port, const char *path)
{
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(patience);
    return text_of(client.Get(path));
}

TEST_CASE("the coordinator hands out IDs, and its standby goes on with them")
{
    const Place place;
    const int first = free_port(), second = free_port();
    auto active = coordinator(place, first);
    active.says("kind=ACTIVE ");
    auto standby = coordinator(place, second);
    standby.says("kind=STANDBY ");
    CHECK(get(first, "/next") == "200 1\n");
    CHECK(get(first, "/next") == "200 2\n");
    CHECK(get(second, "/next") == "503 127.0.0.1:" + std::to_string(first) + "\n");
    CHECK(get(first, "/status").find(" active=true token=") != std::string::npos);
    CHECK(get(second, "/status").find(" active=false token=0 server_id=") != std::string::npos);
    CHECK(get(first, "/elsewhere").rfind("404", 0) == 0);
    CHECK(active.terminate() == 0);
    CHECK(active.out().find("kind=ENDED ") != std::string::npos);
    standby.says("kind=ACTIVE ");
    CHECK(get(second, "/next") == "200 3\n");
    auto again = coordinator(place, first);
    again.says("kind=STANDBY ");
    CHECK(standby.terminate() == 0);
    again.says("kind=ACTIVE ");
    CHECK(get(first, "/next") == "200 4\n");
    CHECK(again.terminate() == 0);
    CHECK(again.err().empty());
}

TEST_CASE("the coordinator takes no ID for what does not ask for one, also at an address of IPv6")
{
    if (httplib::Server().bind_to_any_port("::1") <= 0) {
        MESSAGE("skipped: there is no IPv6 here");
        return;
    }
    const Place place = Place::local();
    const int port = free_port();
    auto active = coordinator(place, port, "[::1]");
    active.says("kind=ACTIVE ");
    httplib::Client client("::1", port);
    client.set_read_timeout(patience);
    CHECK(text_of(client.Head("/next")) == "405 ");
    CHECK(text_of(client.Post("/next", "x", "text/plain")) == "405 \n");
    CHECK(text_of(client.Delete("/status")) == "405 \n");
    CHECK(text_of(client.Get("/favicon.ico")) == "404 \n");
    CHECK(text_of(client.Get("/next")) == "200 1\n");
    CHECK(active.terminate() == 0);
}

TEST_CASE("the coordinator says what is wrong")
{
    Program flag("coordinator", {"port"});
    CHECK(flag.end() == 1);
    CHECK(flag.err() == "coordinator: port: no KEY=VALUE\n");
    Program value("coordinator", {"store.url=redis://x"});
    CHECK(value.end() == 1);
    CHECK(value.err().find("redis://x") != std::string::npos);
}

TEST_CASE("the smallest example becomes active and leaves in order")
{
    const Place place = Place::local();
    Program smallest("minimal", {place.store, "127.0.0.1:1001"});
    smallest.says("active, with fencing token ");
    CHECK(smallest.terminate() == 0);
    CHECK(smallest.out().find("leaving: finish what runs\n") != std::string::npos);
    Program wrong("minimal", {});
    CHECK(wrong.end() == 1);
    CHECK(wrong.err() == "minimal <store> <host:port>\n");
}
