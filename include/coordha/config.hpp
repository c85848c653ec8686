/// @file
/// Configuration. Part of coordha.hpp.

#ifndef COORDHA_CONFIG_HPP
#define COORDHA_CONFIG_HPP

#include <coordha/error.hpp>

#include <initializer_list>
#include <type_traits>

namespace coordha {
inline namespace COORDHA_FORM {

/// The value of a key, as the program has it: text, a truth value, a whole number, or a time, which goes in as ms.
/// A time finer than ms, a floating number or a character does not compile.
class Value {
public:
    /// Text. NULL (as from std::getenv) is refused when it is set.
    Value(const char *text) : text_(text != nullptr ? text : ""), is_null_(text == nullptr) {}
    /// Text, copied.
    Value(std::string_view text) : text_(text) {}
    /// Text.
    Value(std::string text) : text_(std::move(text)) {}
    /// true or false.
    template <class T, std::enable_if_t<std::is_same_v<T, bool>, int> = 0> Value(T yes) : text_(yes ? "true" : "false") {}
    /// A whole number.
    template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool> && (sizeof(T) > 1), int> = 0>
    Value(T number) : text_(std::to_string(number))
    {
    }
    /// A time.
    template <
        class Rep, class Period,
        std::enable_if_t<std::is_convertible_v<std::chrono::duration<Rep, Period>, std::chrono::milliseconds>, int> = 0>
    Value(std::chrono::duration<Rep, Period> time) : text_(std::to_string(std::chrono::milliseconds(time).count()))
    {
    }

    /// As the library takes it.
    const std::string &text() const noexcept { return text_; }
    /// Whether it was made from NULL.
    bool is_null() const noexcept { return is_null_; }

private:
    std::string text_;
    bool is_null_ = false;
};

/// A key and its value: `{HA_KEY_LEASE_TTL_MS, 20s}`, or `{"lease.ttl_ms", "20000"}`.
struct Setting {
    std::string_view key; ///< HA_KEY_*; lent
    Value value;          ///< what it is set to
};

/// Whose names a file and the environment are read by; HA_DIALECT_* of coordha.h.
enum class Dialect : std::int32_t {
    native = HA_DIALECT_NATIVE, ///< ours: the map `coordha:`, variables COORDHA_*
    milvus = HA_DIALECT_MILVUS, ///< Milvus's too: milvus.yaml, variables such as ROOT_COORD_PORT
};

/// How Config::dump() writes; HA_DUMP_* of coordha.h.
enum class DumpFormat : std::int32_t {
    text = HA_DUMP_TEXT, ///< a line a key
    json = HA_DUMP_JSON, ///< an array of objects with `key`, `value`, `source` and `place`
};

/// The settings of a session, by key: docs/CONFIGURATION.md lists them. Every key has a default but HA_KEY_ROLE and
/// HA_KEY_ADDRESS. The highest source counts, whatever the order of calls: set(), environment, file, set_default(). A
/// session copies it, so it may be changed, used again, or destroyed.
///
/// Moved, not copied. One thread at a time; `const` functions from many at once.
class Config {
public:
    /// Every key has its default.
    Config() noexcept : raw_(ha_config_new()) {}

    /// The settings, in order. Fails as try_set() does.
    static Result<Config> try_make(std::initializer_list<Setting> settings)
    {
        Config config;
        for (const Setting &setting : settings) {
            if (auto set = config.try_set(setting.key, setting.value); !set) {
                return set.error();
            }
        }
        return config;
    }

    /// Sets a key; where that fails nothing changes. Errors: config_key (no such key), config_value (details "key",
    /// "value", "allowed"), invalid_argument (a key that is no UTF-8, or a NUL inside), null, closed.
    Result<void> try_set(std::string_view key, const Value &value) { return put(ha_config_set, key, value); }

    /// Proposes a value, which file and environment may overrule. Errors as of try_set().
    Result<void> try_set_default(std::string_view key, const Value &value)
    {
        return put(ha_config_set_default, key, value);
    }

    /// Loads a YAML file of at most 1 MiB; of several, the one loaded last counts, key by key. Errors, which name file and
    /// line: config_file (it cannot be read, is no YAML of one document, or has no map `coordha:`), config_key,
    /// config_value, config_conflict (a key stands in it twice), unsupported (a build without the feature "yaml"),
    /// invalid_argument (no UTF-8, or a NUL inside), closed.
    Result<void> try_load_yaml(std::string_view path, Dialect dialect = Dialect::native)
    {
        const detail::Text file(path);
        if (raw_ && !file.is_whole()) {
            return Error(Errc::invalid_argument, std::string(file.c_str()) + ": there is a NUL inside");
        }
        return detail::call(raw_.get(), [&](ha_error **err) {
            return ha_config_load_yaml(raw_.get(), file.c_str(), static_cast<std::int32_t>(dialect), err);
        });
    }

    /// Loads milvus.yaml, and default.yaml and user.yaml where they are there, from where Milvus looks: the folder that the
    /// variable MILVUSCONF names, else `configs`. Errors as of try_load_yaml().
    Result<void> try_load_milvus()
    {
        return detail::call(raw_.get(), [&](ha_error **err) {
            return ha_config_load_yaml(raw_.get(), nullptr, HA_DIALECT_MILVUS, err);
        });
    }

    /// Loads the environment as it is now, in place of what was loaded from it before; no other thread may change it
    /// meanwhile. Errors, which name the variable: config_key, config_value, closed.
    Result<void> try_load_env(Dialect dialect = Dialect::native)
    {
        return detail::call(raw_.get(), [&](ha_error **err) {
            return ha_config_load_env(raw_.get(), static_cast<std::int32_t>(dialect), err);
        });
    }

    /// Checks all values together, without starting anything. Errors: config_missing, config_conflict (detail "key");
    /// several problems come in one error, whose code and details are those of the first. closed.
    Result<void> try_check() const
    {
        return detail::call(raw_.get(), [&](ha_error **err) { return ha_config_check(raw_.get(), err); });
    }

    /// The value that a key has now, from the highest of its sources or by default; secrets in plain text. Empty where
    /// there is no such key, or where it is required and not set.
    std::optional<std::string> get(std::string_view key) const
    {
        const detail::Text name(key);
        const char *value = name.is_whole() ? ha_config_get(raw_.get(), name.c_str()) : nullptr;
        return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
    }

    /// All keys, each with the value that counts and where that comes from, as ha_config_dump() has it: a line a key, or a
    /// JSON array. Secrets are hidden. Empty after it was moved away.
    std::string dump(DumpFormat format = DumpFormat::text) const
    {
        const detail::Owned<char, ha_string_free> text(ha_config_dump(raw_.get(), static_cast<std::int32_t>(format)));
        return text ? std::string(text.get()) : std::string();
    }

    /// The handle of the C header, lent; NULL where it was moved away.
    const ha_config *raw() const noexcept { return raw_.get(); }

#if COORDHA_EXCEPTIONS
    /// try_make(), throwing. Not explicit: where a configuration is wanted, `{{key, value}, ...}` is one.
    Config(std::initializer_list<Setting> settings) : Config(try_make(settings).value()) {}
    /// try_set(), throwing.
    Config &set(std::string_view key, const Value &value)
    {
        try_set(key, value).value();
        return *this;
    }
    /// try_set_default(), throwing.
    Config &set_default(std::string_view key, const Value &value)
    {
        try_set_default(key, value).value();
        return *this;
    }
    /// try_load_yaml(), throwing.
    Config &load_yaml(std::string_view path, Dialect dialect = Dialect::native)
    {
        try_load_yaml(path, dialect).value();
        return *this;
    }
    /// try_load_milvus(), throwing.
    Config &load_milvus()
    {
        try_load_milvus().value();
        return *this;
    }
    /// try_load_env(), throwing.
    Config &load_env(Dialect dialect = Dialect::native)
    {
        try_load_env(dialect).value();
        return *this;
    }
    /// try_check(), throwing.
    void check() const { try_check().value(); }
#endif

private:
    template <class Function> Result<void> put(Function function, std::string_view key, const Value &value)
    {
        const detail::Text name(key), text(value.text());
        if (raw_ && value.is_null()) {
            return Error(Errc::null, std::string(key) + ": the value is NULL");
        }
        if (raw_ && (!name.is_whole() || !text.is_whole())) {
            return Error(Errc::invalid_argument, std::string(name.c_str()) + ": there is a NUL inside");
        }
        return detail::call(raw_.get(),
                            [&](ha_error **err) { return function(raw_.get(), name.c_str(), text.c_str(), err); });
    }

    detail::Owned<ha_config, ha_config_free> raw_;
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
