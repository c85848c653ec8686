// The C++ headers have all that the C header has, and say what it is.
#include "support.hpp"

#include <fstream>
#include <regex>
#include <set>

namespace fs = std::filesystem;

static std::string cpp_headers()
{
    const fs::path include = COORDHA_TEST_INCLUDE;
    std::string all = text_of(include / "coordha.hpp");
    for (const auto &file : fs::directory_iterator(include / "coordha")) {
        all += text_of(file.path());
    }
    return all;
}

static std::set<std::string> names(const std::string &text, const std::regex &pattern)
{
    std::set<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
        found.insert((*it)[1]);
    }
    return found;
}

TEST_CASE("every function and every constant of the C header has its place in C++")
{
    // Handles free themselves, and text that is the program's own is copied; the version is a macro of the header.
    const std::set<std::string> beside = {"ha_error_free", "ha_error_name", "ha_event_kind", "ha_string_free",
                                          "ha_log_record_free", "ha_version_number", "ha_session_free"};
    const std::string c = text_of(fs::path(COORDHA_TEST_INCLUDE) / "coordha.h"), cpp = cpp_headers();
    const auto functions = names(c, std::regex("\n[a-z][a-z0-9_ ]*[ *](ha_[a-z_]+)\\("));
    CHECK(functions.size() > 60);
    const auto used = names(cpp, std::regex("\\b(ha_[a-z_]+)\\b"));
    for (const std::string &name : functions) {
        INFO(name);
        CHECK((used.count(name) == 1 || beside.count(name) == 1));
    }
    const auto constants = names(c, std::regex("\n#define (HA_(?:ERR|EVENT|REASON|ROLE|UNTIL|LOG|DIALECT)_[A-Z_]+) "));
    CHECK(constants.size() > 60);
    const auto named = names(cpp, std::regex("\\b(HA_[A-Z_]+)\\b"));
    for (const std::string &name : constants) {
        INFO(name);
        CHECK(named.count(name) == 1);
    }
}

TEST_CASE("every public function says what it does")
{
    const fs::path include = COORDHA_TEST_INCLUDE;
    const std::regex declares("^ {0,4}(?!return|throw|if|for|const auto|while|using|friend|private|detail)"
                              "[A-Za-z~][A-Za-z0-9_:<>&*, ]*[ ~&*][a-zA-Z_~]+\\(.*$");
    std::size_t count = 0;
    for (const auto &entry : fs::directory_iterator(include / "coordha")) {
        std::ifstream file(entry.path());
        std::string line, before;
        bool is_detail = false, is_private = false;
        for (int number = 1; std::getline(file, line); ++number) {
            is_detail = line == "namespace detail {" || (is_detail && line != "} // namespace detail");
            is_private = line == "private:" || (is_private && line != "};" && line != "public:");
            if (!is_detail && !is_private && std::regex_match(line, declares) && line.find(") = delete") == std::string::npos &&
                line.find("= default;") == std::string::npos && line.find("Term &)") == std::string::npos) {
                ++count;
                INFO(entry.path().filename().string(), ":", number, ": ", line);
                CHECK((before.find("///") != std::string::npos || before.find("template") != std::string::npos));
            }
            before = line;
        }
    }
    CHECK(count > 90);
}
