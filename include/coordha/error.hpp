/// @file
/// Errors, and the two forms in which C++ meets them. Part of coordha.hpp.

#ifndef COORDHA_ERROR_HPP
#define COORDHA_ERROR_HPP

#include <coordha.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "coordha.hpp needs C++17"
#endif

#if defined(__cpp_exceptions)
/// Whether there are the functions that throw: exceptions are on where this is compiled.
#define COORDHA_EXCEPTIONS 1
/// What is compiled without exceptions has other functions under other names: a program may hold both.
#define COORDHA_FORM with_exceptions
#else
/// Whether there are the functions that throw: exceptions are on where this is compiled.
#define COORDHA_EXCEPTIONS 0
/// What is compiled without exceptions has other functions under other names: a program may hold both.
#define COORDHA_FORM without_exceptions
#endif

namespace coordha {
inline namespace COORDHA_FORM {

/// A time limit that never passes. Zero means: do not wait. Other negative limits are refused.
inline constexpr std::chrono::milliseconds forever{HA_FOREVER};

/// Why something failed: the HA_ERR_* of coordha.h, where each is explained. Numbers from `application` up are the
/// program's own: `throw coordha::Error(coordha::Errc(10001), "cannot load")` in an activation keeps its number.
enum class Errc : std::int32_t {
    ok = HA_OK,
    null = HA_ERR_NULL,
    invalid_argument = HA_ERR_INVALID_ARGUMENT,
    state = HA_ERR_STATE,
    closed = HA_ERR_CLOSED,
    timeout = HA_ERR_TIMEOUT,
    in_callback = HA_ERR_IN_CALLBACK,
    forked = HA_ERR_FORKED,
    unsupported = HA_ERR_UNSUPPORTED,
    busy = HA_ERR_BUSY,
    ended = HA_ERR_ENDED,
    already_started = HA_ERR_ALREADY_STARTED,
    config_key = HA_ERR_CONFIG_KEY,
    config_value = HA_ERR_CONFIG_VALUE,
    config_missing = HA_ERR_CONFIG_MISSING,
    config_conflict = HA_ERR_CONFIG_CONFLICT,
    config_file = HA_ERR_CONFIG_FILE,
    fenced = HA_ERR_FENCED,
    role_held = HA_ERR_ROLE_HELD,
    activation_failed = HA_ERR_ACTIVATION_FAILED,
    no_target = HA_ERR_NO_TARGET,
    compare_failed = HA_ERR_COMPARE_FAILED,
    unknown_outcome = HA_ERR_UNKNOWN_OUTCOME,
    too_large = HA_ERR_TOO_LARGE,
    unavailable = HA_ERR_UNAVAILABLE,
    auth = HA_ERR_AUTH,
    permission = HA_ERR_PERMISSION,
    tls = HA_ERR_TLS,
    no_space = HA_ERR_NO_SPACE,
    regressed = HA_ERR_REGRESSED,
    corrupt = HA_ERR_CORRUPT,
    store_version = HA_ERR_STORE_VERSION,
    internal = HA_ERR_INTERNAL,
    resources = HA_ERR_RESOURCES,
    application = HA_ERR_APPLICATION,
};

/// The category of Errc, named "coordha". Valid for ever; any thread.
inline const std::error_category &error_category() noexcept
{
    struct Category final : std::error_category {
        const char *name() const noexcept override { return "coordha"; }
        std::string message(int code) const override { return ha_status_name(code); }
    };
    static const Category category;
    return category;
}

/// Makes Errc a std::error_code; found by the standard library, so `std::error_code ec = coordha::Errc::fenced` works.
inline std::error_code make_error_code(Errc code) noexcept
{
    return {static_cast<int>(code), error_category()};
}

/// What went wrong: a code, words, and details. Plain data: it belongs to no session and no thread, and copying it
/// never throws. Thrown by the functions without `try_`, returned in a Result by those with it.
class Error : public std::exception {
public:
    /// An error of the program's own, or for tests.
    Error(Errc code, std::string message) : data_(std::make_shared<Data>())
    {
        data_->code = code;
        data_->message = std::move(message);
    }

    /// Copies. Moved, it is copied, too: what() of an error is never of nothing.
    Error(const Error &) noexcept = default;
    /// Copies.
    Error &operator=(const Error &) noexcept = default;

    /// Takes what a C function gave: its status and its error, which may be NULL and is freed here.
    static Error take(std::int32_t status, ha_error *raw)
    {
        const std::unique_ptr<ha_error, void (*)(ha_error *)> owned(raw, ha_error_free);
        return raw != nullptr ? copy(raw) : Error(Errc(status), ha_status_name(status));
    }

    /// Copies an error that an event lends. Not NULL.
    static Error copy(const ha_error *raw)
    {
        Error error(Errc(ha_error_code(raw)), ha_error_message(raw));
        for (const char *name : {"key", "value", "allowed", "holder_address", "holder_server_id", "endpoint", "code"}) {
            if (const char *value = ha_error_detail(raw, name)) {
                error.data_->details.emplace_back(name, value);
            }
        }
        error.data_->is_retriable = ha_error_is_retriable(raw);
        error.data_->is_fatal = ha_error_is_fatal(raw);
        return error;
    }

    /// message(), NUL-terminated. Lives as long as any copy of the error.
    const char *what() const noexcept override { return data_->message.c_str(); }

    /// What to decide by.
    Errc code() const noexcept { return data_->code; }

    /// The name of the code, such as "FENCED". Static.
    std::string_view name() const noexcept { return ha_status_name(static_cast<std::int32_t>(data_->code)); }

    /// What happened, in words for a person; the wording may change. Lives as long as any copy of the error.
    std::string_view message() const noexcept { return data_->message; }

    /// A detail for a program to read: "key", "value", "allowed" (configuration, corrupt keys), "holder_address",
    /// "holder_server_id" (role_held), "endpoint" (the store), "code" (activation_failed: the number that you gave).
    /// Empty where there is none. Lives as long as any copy of the error.
    std::optional<std::string_view> detail(std::string_view name) const noexcept
    {
        for (const auto &[known, value] : data_->details) {
            if (known == name) {
                return value;
            }
        }
        return std::nullopt;
    }

    /// Whether the same call may succeed later with nothing changed but the time.
    bool is_retriable() const noexcept { return data_->is_retriable; }

    /// Whether a session that meets it ends. What foreign and degraded events carry ends none.
    bool is_fatal() const noexcept { return data_->is_fatal; }

private:
    struct Data {
        Errc code = Errc::ok;
        std::string message;
        std::vector<std::pair<std::string, std::string>> details;
        bool is_retriable = false;
        bool is_fatal = false;
    };

    std::shared_ptr<Data> data_;
};

/// What a function with `try_` returns: a value, or an Error. Ask it (`if (result)`) before you take either; taking
/// what is not there is the standard library's std::bad_variant_access.
template <class T> class [[nodiscard]] Result {
public:
    /// A success.
    Result(T value) : either_(std::in_place_index<0>, std::move(value)) {}
    /// A failure.
    Result(Error error) : either_(std::in_place_index<1>, std::move(error)) {}

    /// Whether it holds a value.
    explicit operator bool() const noexcept { return either_.index() == 0; }
    /// The value.
    T &operator*() & { return std::get<0>(either_); }
    /// The value.
    const T &operator*() const & { return std::get<0>(either_); }
    /// The value, to be moved from.
    T &&operator*() && { return std::get<0>(std::move(either_)); }
    /// The value's members.
    T *operator->() { return &std::get<0>(either_); }
    /// The value's members.
    const T *operator->() const { return &std::get<0>(either_); }
    /// The error.
    const Error &error() const { return std::get<1>(either_); }
    /// The error's code; Errc::ok where it holds a value.
    Errc code() const noexcept { return *this ? Errc::ok : std::get_if<1>(&either_)->code(); }

#if COORDHA_EXCEPTIONS
    /// The value, moved out of a temporary; throws the error where there is none.
    T value() &&
    {
        if (!*this) {
            throw error();
        }
        return std::get<0>(std::move(either_));
    }
#endif

private:
    std::variant<T, Error> either_;
};

/// What a function with `try_` returns that has nothing to give but success.
template <> class [[nodiscard]] Result<void> {
public:
    /// A success.
    Result() noexcept = default;
    /// A failure.
    Result(Error error) : error_(std::move(error)) {}

    /// Whether it is a success.
    explicit operator bool() const noexcept { return !error_; }
    /// The error.
    const Error &error() const { return error_.value(); }
    /// The error's code; Errc::ok for a success.
    Errc code() const noexcept { return error_ ? error_->code() : Errc::ok; }

#if COORDHA_EXCEPTIONS
    /// Throws the error where there is one.
    void value() const
    {
        if (error_) {
            throw *error_;
        }
    }
#endif

private:
    std::optional<Error> error_;
};

/// The version of the library that runs, such as "0.1.0"; HA_VERSION_NUMBER is the header's. Static.
inline std::string_view version() noexcept { return ha_version_string(); }

/// Whether this build of the library has a feature: "etcd", "local", "tls" and so on, as in ha_has_feature().
inline bool has_feature(const char *name) noexcept { return ha_has_feature(name); }

/// A clock that counts suspend (CLOCK_BOOTTIME) and that all processes of a host share: the one of the events.
struct BootClock {
    using duration = std::chrono::milliseconds;            ///< a time by it
    using rep = duration::rep;                             ///< what counts its ticks
    using period = duration::period;                       ///< its tick: 1 ms
    using time_point = std::chrono::time_point<BootClock>; ///< a moment by it
    static constexpr bool is_steady = true;                ///< it never goes back

    /// The time now.
    static time_point now() noexcept
    {
        timespec now{};
        clock_gettime(CLOCK_BOOTTIME, &now);
        return time_point(duration(static_cast<rep>(now.tv_sec) * 1000 + now.tv_nsec / 1000000));
    }
};

/// How the header does what it does; nothing for programs.
namespace detail {
/// @cond

inline Error closed() { return {Errc::closed, "it was closed, or moved away"}; }

/// Calls a C function with an `ha_error **` on a handle that may have been closed.
template <class Call> Result<void> call(const void *handle, Call function)
{
    if (handle == nullptr) {
        return closed();
    }
    ha_error *raw = nullptr;
    const std::int32_t status = function(&raw);
    if (status == HA_OK) {
        return {};
    }
    return Error::take(status, raw);
}

inline Result<void> status(const void *handle, std::int32_t code)
{
    return call(handle, [code](ha_error **) { return code; });
}

/// A view as C takes it: NUL-terminated.
class Text {
public:
    explicit Text(std::string_view text) : copy_(text) {}
    /// A NUL inside would cut it short without a word.
    bool is_whole() const noexcept { return copy_.find('\0') == std::string::npos; }
    const char *c_str() const noexcept { return copy_.c_str(); }

private:
    std::string copy_;
};

inline std::string_view view(const char *text) noexcept { return text != nullptr ? text : std::string_view(); }

/// Owns a C handle and frees it.
template <class Handle, void (*Free)(Handle *)> struct Freer {
    void operator()(Handle *handle) const noexcept { Free(handle); }
};
template <class Handle, void (*Free)(Handle *)> using Owned = std::unique_ptr<Handle, Freer<Handle, Free>>;

/// @endcond

/// What a View shows, as one's own. Moved, not copied; moved away, it shows nothing.
template <class View, class Handle, void (*Free)(Handle *)> class Own : public View {
public:
    /// Takes a handle of the C header, which it frees.
    explicit Own(Handle *raw) noexcept : View(raw), owned_(raw) {}
    /// Moves.
    Own(Own &&other) noexcept : View(std::exchange(other.raw_, nullptr)), owned_(std::move(other.owned_)) {}
    /// Moves; what was here is freed.
    Own &operator=(Own &&other) noexcept
    {
        owned_ = std::move(other.owned_);
        this->raw_ = std::exchange(other.raw_, nullptr);
        return *this;
    }

protected:
    Owned<Handle, Free> owned_; ///< frees it
};

} // namespace detail
} // namespace COORDHA_FORM
} // namespace coordha

/// @cond
// Errc is an error code of the standard library's kind.
template <> struct std::is_error_code_enum<coordha::Errc> : std::true_type {};
/// @endcond

#endif
