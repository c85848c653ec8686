// What the C++ tests share: stores of their own, a record of what happened that can be waited for, stderr in a file.
#pragma once

#include <coordha.hpp>
#include <doctest/doctest.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using coordha::Errc;

/// For what must happen at some time.
inline constexpr std::chrono::milliseconds patience = 60s;

/// A folder that goes with it.
class Folder {
public:
    Folder();
    Folder(const Folder &) = delete;
    ~Folder();
    const std::filesystem::path &path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A free port of 127.0.0.1, below those that the kernel gives to outgoing connections.
int free_port();
/// Starts a program that dies with this thread; returns its process. Its output goes to files.
int start(const std::vector<std::string> &command, const std::filesystem::path &out, const std::filesystem::path &err);
/// Waits for its end, with patience, else kills it; returns its exit code, or 128 and the signal.
int wait_for_end(int process);
/// Runs a program to its end; it must succeed.
void run_program(const std::vector<std::string> &command);
/// The text of a file.
std::string text_of(const std::filesystem::path &file);
/// Asks now and then until it is so: for what gives no notice, such as another process.
void until(const char *what, const std::function<bool()> &is_so);

/// The etcd that all cases share, started when the first of them wants it; ended with this process.
std::string etcd_address();
/// Runs etcdctl against it.
void etcdctl(std::vector<std::string> arguments);

/// Runs the case once for each store; a store, or a root in it, of the case's own.
struct Place {
    Place();
    /// The settings of one session, with a short pause after a failed activation.
    coordha::Config config(const std::string &address = "127.0.0.1:1001") const;
    /// The same, on the embedded store alone.
    static Place local();

    Folder folder;
    std::string store, root;

private:
    explicit Place(bool);
};

/// What happened, told from any thread, waited for by the test.
class Record {
public:
    void add(std::string line);
    /// Waits until a line begins with these words, at or after the last one that was waited for; gives it.
    std::string wait(const std::string &begins);
    /// How many lines begin so.
    std::size_t count(const std::string &begins) const;
    std::vector<std::string> lines() const;

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
    std::size_t next_ = 0;
};

/// Puts down what is thrown, a line each.
coordha::ExceptionHandler exceptions_to(Record &record);
/// An event in one line of a record: its kind, its reason where it has one.
std::string line_of(coordha::EventRef event);

/// Reads events until one of this kind; the others are dropped.
coordha::Event next_of(coordha::SessionRef session, coordha::EventKind kind);
/// Pulls up to the first term and says "ready"; gives the token.
std::int64_t become_active(coordha::SessionRef session);

/// What this process writes to stderr while it lives.
class Stderr {
public:
    Stderr();
    ~Stderr();
    std::string text() const { return text_of(folder_.path() / "stderr"); }
    /// How often these words were written.
    std::size_t count(const std::string &words) const;

private:
    Folder folder_;
    int saved_;
};

/// Sees that what holds it is destroyed exactly once.
class Owned {
public:
    std::shared_ptr<int> share() { return std::exchange(share_, nullptr); }
    bool is_gone() const { return weak_.expired(); }

private:
    std::shared_ptr<int> share_ = std::make_shared<int>(0);
    std::weak_ptr<int> weak_ = share_;
};
