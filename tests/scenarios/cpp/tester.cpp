// The tester of the scenarios for C++: does what it is told on stdin and says what happens on stdout. The protocol stands at the
// head of tests/scenarios/scenarios.toml.
#include <algorithm>
#include <coordha.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using coordha::Result;
using std::string;
using std::string_view;
using Words = std::vector<string>;

namespace {

std::mutex out, lock;

// A session and who reads its events.
struct Named {
    coordha::Session session;
    std::thread reader;

    ~Named()
    {
        session.request_stop();
        if (reader.joinable()) {
            reader.join();
        }
    }
};

std::map<string, std::shared_ptr<Named>> sessions;
std::map<string, std::pair<std::unique_ptr<coordha::Observer>, std::thread>> observers;

void say(const string &line)
{
    const std::lock_guard<std::mutex> one_at_a_time(out);
    std::cout << line << std::endl;
}

string text(bool yes) { return yes ? "true" : "false"; }

void say_event(const string &name, coordha::EventRef event)
{
    std::ostringstream line;
    line << "! " << name << ' ' << event.kind_name();
    if (event.token() != 0) line << " token=" << event.token();
    if (static_cast<int>(event.reason()) != 0) line << " reason=" << static_cast<int>(event.reason());
    if (event.kind() == coordha::EventKind::deactivate) line << " held=" << text(event.held());
    if (event.server_id() != 0) line << " server_id=" << event.server_id();
    if (!event.address().empty()) line << " address=" << event.address();
    if (!event.key().empty()) line << " key=" << event.key();
    if (const auto error = event.error()) {
        line << " error=" << error->name();
        if (const auto code = error->detail("code")) line << " code=" << *code;
    }
    if (event.missed() != 0) line << " missed=" << event.missed();
    say(line.str());
}

string failed(const coordha::Error &error)
{
    string line = "error " + string(error.name());
    for (const char *name : {"key", "value", "allowed", "holder_address", "holder_server_id", "code"}) {
        if (const auto detail = error.detail(name)) {
            line += string(" ") + name + "=";
            for (const char byte : string(*detail)) {
                line += byte == ' ' ? '_' : byte;
            }
        }
    }
    return line;
}

template <class T> string answer(const Result<T> &result) { return result ? "ok" : failed(result.error()); }

coordha::Config configuration(const Words &words, std::size_t from)
{
    coordha::Config config;
    for (std::size_t i = from; i < words.size(); ++i) {
        const auto equals = words[i].find('=');
        if (words[i][0] != '@' && equals != string::npos) {
            config.set(words[i].substr(0, equals), words[i].substr(equals + 1));
        }
    }
    return config;
}

bool wishes(const Words &words, const string &wish)
{
    for (const auto &word : words) {
        if (word == "@" + wish) {
            return true;
        }
    }
    return false;
}

string wish(const Words &words, const string &name)
{
    for (const auto &word : words) {
        if (word.rfind("@" + name + "=", 0) == 0) {
            return word.substr(name.size() + 2);
        }
    }
    return "";
}

std::shared_ptr<Named> take(const string &name)
{
    const std::lock_guard<std::mutex> guard(lock);
    const auto found = sessions.find(name);
    if (found == sessions.end()) {
        return nullptr;
    }
    auto session = found->second;
    sessions.erase(found);
    return session;
}

coordha::Callbacks application(const string &name, const Words &words)
{
    coordha::Callbacks callbacks;
    callbacks.on_activate = [name, words](coordha::Activation &activation) {
        say_event(name, activation.event());
        if (wishes(words, "activate=pending")) activation.later();
        if (wishes(words, "activate=fail")) activation.fail(coordha::Errc{10001}, "no disk");
        if (wishes(words, "activate=throw")) throw std::runtime_error("boom");
        if (wishes(words, "activate=stop")) activation.session().request_stop();
        if (wishes(words, "activate=free")) take(name)->session.close();
        while (wishes(words, "activate=hang") && !activation.ending()) std::this_thread::sleep_for(1ms);
    };
    callbacks.on_deactivate = [name, words](coordha::Deactivation &deactivation) {
        say_event(name, deactivation.event());
        if (wishes(words, "deactivate=pending")) deactivation.later();
    };
    callbacks.on_event = [name](coordha::SessionRef, coordha::EventRef event) { say_event(name, event); };
    callbacks.on_exception = [](const char *, std::exception_ptr) {};
    return callbacks;
}

// A body of a term, by its name.
void live(coordha::Term &term, const string &what)
{
    if (what == "early") return;
    if (what == "throw") throw std::runtime_error("boom");
    term.ready();
    if (what == "return") return;
    if (what == "late") throw std::runtime_error("boom");
    term.wait_ending();
    if (what == "drain") throw std::runtime_error("boom");
    while (what == "hang" && term.held()) std::this_thread::sleep_for(1ms);
}

// Goes through the events, up to the last one: by terms that have a body, or by hand.
void read_events(coordha::Session &session, const string &name, const string &body)
{
    const auto say_this = [&](coordha::EventRef event) { say_event(name, event); };
    if (!body.empty()) {
        (void)session.try_run([&](coordha::Term &term) { live(term, body); }, {say_this, [](auto...) {}});
        return;
    }
    while (const auto event = session.try_next_event()) {
        say_this(*event);
    }
}

string start(const Words &words)
{
    const string &name = words[1];
    const string body = wish(words, "body");
    const bool pull = wishes(words, "pull") || !body.empty();
    const auto config = configuration(words, 2);
    // A callback may come before the start has returned.
    const std::lock_guard<std::mutex> guard(lock);
    auto session = pull ? coordha::Session(config) : coordha::Session(config, application(name, words));
    auto named = std::shared_ptr<Named>(new Named{std::move(session), {}});
    if (pull && !wishes(words, "unread")) {
        named->reader = std::thread([name, body, &source = named->session] { read_events(source, name, body); });
    }
    sessions[name] = std::move(named);
    return "ok";
}

string cycle(const Words &words)
{
    const auto config = configuration(words, 2);
    for (int left = std::stoi(words[1]); left > 0; --left) {
        coordha::Session(config).stop(20s);
    }
    return "ok";
}

string observe(const Words &words)
{
    const string &name = words[1];
    auto observer = std::make_unique<coordha::Observer>(configuration(words, 2));
    const auto *source = observer.get();
    std::thread reader([name, source] {
        while (const auto event = source->try_next_event()) {
            say_event(name, *event);
        }
    });
    observers[name] = {std::move(observer), std::move(reader)};
    return "ok";
}

string unobserve(const string &name)
{
    auto &[observer, reader] = observers.at(name);
    observer->request_stop();
    reader.join();
    observers.erase(name);
    return "ok";
}

string state(coordha::SessionRef session, std::int64_t token)
{
    std::ostringstream line;
    line << "ok role=" << static_cast<int>(session.role()) << " is_active=" << text(session.is_active())
         << " holds=" << text(session.holds(token)) << " is_ending=" << text(session.is_ending(token))
         << " remaining=" << text(session.remaining() > 0ms) << " token=" << session.fencing_token()
         << " server_id=" << session.server_id();
    return line.str();
}

string transact(coordha::SessionRef session, const Words &words)
{
    auto txn = session.txn(std::stoll(words[2]));
    for (std::size_t i = 3; i < words.size(); ++i) {
        const auto first = words[i].find(':'), second = words[i].find(':', first + 1);
        const string what = words[i].substr(0, first), key = words[i].substr(first + 1, second - first - 1);
        const string value = second == string::npos ? "" : words[i].substr(second + 1);
        if (what == "if") txn.if_revision(key, std::stoll(value));
        else if (what == "ifv") txn.if_value(key, value);
        else if (what == "put") txn.put(key, value);
        else if (what == "leased") txn.put_leased(key, value);
        else if (what == "del") txn.erase(key);
        else txn.get(key);
    }
    txn.commit(5s);
    std::ostringstream line;
    line << "ok revision=" << txn.revision() << " count=" << txn.size();
    for (const auto &found : txn) {
        line << ' ' << found.key << '=' << found.value;
    }
    return line.str();
}

string in_child(coordha::SessionRef session, std::int64_t token)
{
    // No other thread may be saying something: its lock would stay locked in the child.
    std::unique_lock<std::mutex> silence(out);
    const pid_t child = fork();
    silence.unlock();
    if (child == 0) {
        const auto stop = session.try_stop(0ms);
        say("= ok is_active=" + text(session.is_active()) + " holds=" + text(session.holds(token)) +
            " stop=" + (stop ? "OK" : string(stop.error().name())));
        _exit(0);
    }
    waitpid(child, nullptr, 0);
    return "";
}

string holder(coordha::SessionRef session)
{
    const auto event = session.holder();
    if (event.address().empty()) {
        return "ok";
    }
    return "ok address=" + string(event.address()) + " server_id=" + std::to_string(event.server_id());
}

// The names of the metrics, and those of their lines that begin so.
string metrics(const string &prefix)
{
    const string text = coordha::metrics_text(), type = "# TYPE ";
    string names = "ok", lines;
    std::istringstream stream(text);
    for (string line; std::getline(stream, line);) {
        if (line.rfind(type, 0) == 0) {
            names += " " + line.substr(type.size(), line.find(' ', type.size()) - type.size());
        }
        if (line.rfind(prefix, 0) == 0) {
            std::replace(line.begin(), line.end(), ' ', '_');
            lines += " " + line;
        }
    }
    return names + lines;
}

coordha::Until until(const string &word)
{
    if (word == "registered") return coordha::Until::registered;
    if (word == "active") return coordha::Until::active;
    return word == "term_ending" ? coordha::Until::term_ending : coordha::Until::ended;
}

// A command to a session.
string command(const Words &words)
{
    std::shared_ptr<Named> named;
    {
        const std::lock_guard<std::mutex> guard(lock);
        const auto found = sessions.find(words[1]);
        if (found == sessions.end()) {
            return "error CLOSED";
        }
        named = found->second;
    }
    const coordha::SessionRef session = named->session;
    const string &what = words[0];
    const std::int64_t first = words.size() > 2 && what != "wait" ? std::stoll(words[2]) : 0;
    const std::chrono::milliseconds limit(first);
    if (what == "state") return state(session, first);
    if (what == "holder") return holder(session);
    if (what == "txn") return transact(session, words);
    if (what == "fork") return in_child(session, first);
    if (what == "next") {
        const auto event = session.try_next_event(limit);
        if (event) say_event(words[1], *event);
        return answer(event);
    }
    if (what == "free") {
        take(words[1]);
        return "ok";
    }
    if (what == "request_stop") return session.request_stop(), "ok";
    if (what == "ready") return answer(session.try_activation_done(first));
    if (what == "fail") return answer(session.try_activation_failed(first, coordha::Errc(std::stoi(words[3])), "no disk"));
    if (what == "left") return answer(session.try_deactivation_done(first));
    if (what == "stop") return answer(session.try_stop(limit));
    if (what == "resign") return answer(session.try_resign(limit));
    if (what == "pause") return answer(session.try_pause());
    if (what == "resume") return answer(session.try_resume());
    if (what == "wait") return answer(session.try_wait(until(words[2]), std::chrono::milliseconds(std::stoll(words[3]))));
    return "error UNSUPPORTED";
}

string said(const Words &words)
{
    const string &what = words[0];
    if (what == "start") return start(words);
    if (what == "check") return answer(configuration(words, 1).try_check());
    if (what == "cycle") return cycle(words);
    if (what == "observe") return observe(words);
    if (what == "metrics") return metrics(words[1]);
    if (what == "unobserve") return unobserve(words[1]);
    return command(words);
}

} // namespace

int main()
{
    for (string line; std::getline(std::cin, line);) {
        std::istringstream stream(line);
        Words words;
        for (string word; stream >> word;) {
            words.push_back(word);
        }
        if (words.empty() || words[0] == "quit") {
            break;
        }
        string line_said;
        try {
            line_said = said(words);
        } catch (const coordha::Error &error) {
            line_said = failed(error);
        }
        if (!line_said.empty()) {
            say("= " + line_said);
        }
    }
    while (!observers.empty()) {
        unobserve(observers.begin()->first);
    }
    sessions.clear();
}
