#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "support.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace fs = std::filesystem;

Folder::Folder()
{
    std::string name = fs::temp_directory_path() / "coordha-cpp-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
}

Folder::~Folder()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

/// Whether a socket can do this, connect or bind, at a port of 127.0.0.1.
static bool can(int (*act)(int, const sockaddr *, socklen_t), int port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool done = act(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
    close(fd);
    return done;
}

int free_port()
{
    static std::atomic<int> turn{static_cast<int>(getpid()) * 31};
    for (;;) {
        const int port = 12000 + turn++ % 20000;
        if (can(bind, port)) {
            return port;
        }
    }
}

int start(const std::vector<std::string> &command, const fs::path &out, const fs::path &err)
{
    std::vector<char *> arguments;
    for (const std::string &argument : command) {
        arguments.push_back(const_cast<char *>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const int outs[] = {open(out.c_str(), flags, 0600), open(err.c_str(), flags, 0600)};
    const int process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(outs[0], 1);
        dup2(outs[1], 2);
        execv(arguments[0], arguments.data());
        _exit(127);
    }
    close(outs[0]);
    close(outs[1]);
    REQUIRE(process > 0);
    return process;
}

int wait_for_end(int process)
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    int status = 0, ended = 0;
    while ((ended = waitpid(process, &status, WNOHANG)) == 0) {
        if (std::chrono::steady_clock::now() >= deadline) {
            FAIL_CHECK("a process does not end: it is killed");
            kill(process, SIGKILL);
            ended = waitpid(process, &status, 0);
            break;
        }
        poll(nullptr, 0, 5);
    }
    REQUIRE(ended == process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void run_program(const std::vector<std::string> &command)
{
    Folder folder;
    const int code = wait_for_end(start(command, folder.path() / "out", folder.path() / "err"));
    INFO(command[0], ": ", text_of(folder.path() / "out"), text_of(folder.path() / "err"));
    REQUIRE(code == 0);
}

std::string text_of(const fs::path &file)
{
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

void until(const char *what, const std::function<bool()> &is_so)
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
        INFO("waits for ", what);
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        poll(nullptr, 0, 5);
    }
}

namespace {

std::string tool(const char *name)
{
    return std::string(COORDHA_TEST_ETCD) + "/" + name;
}

/// Killed with this process, whatever way that ends; killed and awaited where it ends well.
class Etcd {
public:
    Etcd()
    {
        for (;;) {
            address = "127.0.0.1:" + std::to_string(port_ = free_port());
            const std::string client = "http://" + address;
            const std::string peer = "http://127.0.0.1:" + std::to_string(free_port());
            const fs::path log = folder_.path() / "etcd.log";
            const std::string data = "--data-dir=" + (folder_.path() / address).string();
            process_ = start({tool("etcd"), data, "--name=e", "--initial-cluster=e=" + peer, "--logger=zap",
                              "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
                              "--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
                              "--unsafe-no-fsync", "--heartbeat-interval=10", "--election-timeout=100"},
                             log, log);
            bool ended = false;
            until("etcd", [&] {
                ended = waitpid(process_, nullptr, WNOHANG) == process_;
                return ended || can(connect, port_);
            });
            if (!ended) {
                return;
            }
            INFO(text_of(log));
            // Somebody was quicker at the port.
            REQUIRE(text_of(log).find("address already in use") != std::string::npos);
        }
    }
    ~Etcd()
    {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }

    std::string address;

private:
    Folder folder_;
    int port_ = 0, process_ = 0;
};

} // namespace

std::string etcd_address()
{
    static const Etcd etcd;
    return etcd.address;
}

void etcdctl(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), {tool("etcdctl"), "--endpoints=" + etcd_address()});
    run_program(arguments);
}

Place::Place(bool)
{
    static std::atomic<int> number{0};
    store = "local:" + folder.path().string();
    root = "test/" + std::to_string(++number);
}

Place::Place() : Place(true)
{
    SUBCASE("local") {}
    SUBCASE("etcd")
    {
        store = "etcd://" + etcd_address();
    }
}

Place Place::local()
{
    return Place(true);
}

coordha::Config Place::config(const std::string &address) const
{
    return {{HA_KEY_STORE_URL, store},
            {HA_KEY_ROOT, root},
            {HA_KEY_ROLE, "rootcoord"},
            {HA_KEY_ADDRESS, address},
            {HA_KEY_ACTIVE_STANDBY_ENABLED, true},
            {HA_KEY_ACTIVATION_BACKOFF_MS, 50ms},
            {HA_KEY_RELEASE_TIMEOUT_MS, 20s}};
}

void Record::add(std::string line)
{
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
}

std::string Record::wait(const std::string &begins)
{
    std::unique_lock lock(mutex_);
    std::string found;
    const bool in_time = changed_.wait_for(lock, patience, [&] {
        while (next_ < lines_.size()) {
            found = lines_[next_++];
            if (found.rfind(begins, 0) == 0) {
                return true;
            }
        }
        return false;
    });
    INFO("waits for ", begins);
    REQUIRE(in_time);
    return found;
}

std::size_t Record::count(const std::string &begins) const
{
    std::size_t count = 0;
    for (const std::string &line : lines()) {
        count += line.rfind(begins, 0) == 0;
    }
    return count;
}

std::vector<std::string> Record::lines() const
{
    const std::lock_guard lock(mutex_);
    return lines_;
}

coordha::ExceptionHandler exceptions_to(Record &record)
{
    return [&record](const char *where, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &error) {
            record.add(std::string("exception in ") + where + ": " + error.what());
        } catch (...) {
            record.add(std::string("exception in ") + where);
        }
    };
}

std::string line_of(coordha::EventRef event)
{
    std::string line(event.kind_name());
    if (event.reason() != coordha::Reason::none) {
        line += " " + std::to_string(static_cast<int>(event.reason()));
    }
    if (const auto error = event.error()) {
        line += ": " + std::string(error->message());
    }
    return line;
}

coordha::Event next_of(coordha::SessionRef session, coordha::EventKind kind)
{
    for (;;) {
        auto event = session.next_event(patience);
        REQUIRE(event);
        if (event->kind() == kind) {
            return *std::move(event);
        }
    }
}

std::int64_t become_active(coordha::SessionRef session)
{
    const auto token = next_of(session, coordha::EventKind::activate).token();
    session.activation_done(token);
    return token;
}

Stderr::Stderr() : saved_(dup(2))
{
    const int fd = open((folder_.path() / "stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 2);
    close(fd);
}

Stderr::~Stderr()
{
    dup2(saved_, 2);
    close(saved_);
}

std::size_t Stderr::count(const std::string &words) const
{
    const std::string all = text();
    std::size_t count = 0;
    for (auto at = all.find(words); at != std::string::npos; at = all.find(words, at + 1)) {
        ++count;
    }
    return count;
}
