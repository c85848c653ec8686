/// @file
/// Guarded transactions. Part of coordha.hpp.

#ifndef COORDHA_TXN_HPP
#define COORDHA_TXN_HPP

#include <coordha/error.hpp>

#include <cstddef>
#include <iterator>

namespace coordha {
inline namespace COORDHA_FORM {

/// A key of a transaction's results. Lent: it lives as long as the transaction, or the event that lends it.
struct KeyValue {
    std::string_view key;           ///< bytes
    std::string_view value;         ///< bytes
    std::int64_t mod_revision = 0;  ///< the revision at which it was last written: what Txn::if_revision() takes
};

/// What a transaction found: the keys that were read, in the order of the reads; after compare_failed those that were
/// compared, as they are now. A key that is absent is not among them. One thread at a time.
class Results {
public:
    /// Goes through the results by number.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; ///< once through
        using value_type = KeyValue;                       ///< what it reads
        using difference_type = std::ptrdiff_t;            ///< that of all iterators
        using reference = KeyValue;                        ///< lent
        /// A key on loan, for its members.
        struct pointer {
            KeyValue found; ///< the key
            /// Its members.
            const KeyValue *operator->() const noexcept { return &found; }
        };

        /// Nowhere.
        Iterator() noexcept = default;
        /// Made by Results.
        Iterator(const ha_txn *txn, std::size_t index) noexcept : txn_(txn), index_(index) {}
        /// The key, its value, its revision.
        KeyValue operator*() const noexcept { return Results(txn_)[index_]; }
        /// Its members.
        pointer operator->() const noexcept { return {**this}; }
        /// Goes on.
        Iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        /// Goes on; gives the place before.
        Iterator operator++(int) noexcept { return {txn_, index_++}; }
        /// Whether both are at the same key.
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return a.index_ == b.index_; }
        /// Whether they are not.
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return a.index_ != b.index_; }

    private:
        const ha_txn *txn_ = nullptr;
        std::size_t index_ = 0;
    };

    /// Looks at a transaction of the C header.
    explicit Results(const ha_txn *raw) noexcept : raw_(raw) {}

    /// The store's revision at which it was applied: the new mod_revision of every key that it wrote. 0: it was not
    /// applied, as far as is known.
    std::int64_t revision() const noexcept { return ha_txn_revision(raw_); }
    /// How many keys there are.
    std::size_t size() const noexcept { return ha_txn_count(raw_); }
    /// Whether there is none.
    bool empty() const noexcept { return size() == 0; }
    /// One of them; beyond the last one an empty one.
    KeyValue operator[](std::size_t index) const noexcept
    {
        std::size_t key_length = 0, value_length = 0;
        const char *key = ha_txn_key(raw_, index, &key_length);
        const char *value = ha_txn_value(raw_, index, &value_length);
        return {{key, key_length}, {value, value_length}, ha_txn_mod_revision(raw_, index)};
    }
    /// The one of this key; empty: it was not read, or is absent.
    std::optional<KeyValue> find(std::string_view key) const noexcept
    {
        for (const KeyValue &found : *this) {
            if (found.key == key) {
                return found;
            }
        }
        return std::nullopt;
    }
    /// The first.
    Iterator begin() const noexcept { return {raw_, 0}; }
    /// Behind the last.
    Iterator end() const noexcept { return {raw_, size()}; }

    /// The handle of the C header, lent.
    const ha_txn *raw() const noexcept { return raw_; }

protected:
    const ha_txn *raw_; ///< NULL: everything is 0 or empty
};

/// A transaction on the store that commits while one term lasts, and never after. Made by SessionRef::txn() or
/// Term::txn(), committed once.
///
///     auto txn = term.txn();
///     txn.if_revision(key, revision_when_read).put(key, value);
///     txn.commit();
///
/// Keys are absolute bytes, 1 to 4096 of them, NUL allowed; at most 100 operations and compares and 1 MiB in all. Keys
/// of the library's own are refused, and so is a key that is written twice. The first error of a builder sticks, and
/// the commit gives it. The section on transactions in coordha.h says what each outcome means, and how to fence what is
/// not in this store.
///
/// Moved, not copied. One thread at a time; allowed in callbacks. Committing one that was moved away is `closed`.
class Txn : public detail::Own<Results, ha_txn, ha_txn_free> {
public:
    using Own::Own;

    /// Only if the key was last written at this revision; 0: only if it is absent.
    Txn &if_revision(std::string_view key, std::int64_t revision) noexcept
    {
        ha_txn_if_revision(owned_.get(), key.data(), key.size(), revision);
        return *this;
    }
    /// Only if the key has this value. An absent key has none, not even the empty one.
    Txn &if_value(std::string_view key, std::string_view value) noexcept
    {
        ha_txn_if_value(owned_.get(), key.data(), key.size(), value.data(), value.size());
        return *this;
    }
    /// Writes a value that stays.
    Txn &put(std::string_view key, std::string_view value) noexcept
    {
        ha_txn_put(owned_.get(), key.data(), key.size(), value.data(), value.size());
        return *this;
    }
    /// Writes a value that goes away with the session's lease, which outlives the term.
    Txn &put_leased(std::string_view key, std::string_view value) noexcept
    {
        ha_txn_put_leased(owned_.get(), key.data(), key.size(), value.data(), value.size());
        return *this;
    }
    /// Deletes a key. One that is absent is no error.
    Txn &erase(std::string_view key) noexcept
    {
        ha_txn_delete(owned_.get(), key.data(), key.size());
        return *this;
    }
    /// Deletes all keys that begin with a prefix.
    Txn &erase_prefix(std::string_view prefix) noexcept
    {
        ha_txn_delete_prefix(owned_.get(), prefix.data(), prefix.size());
        return *this;
    }
    /// Reads a key into the results.
    Txn &get(std::string_view key) noexcept
    {
        ha_txn_get(owned_.get(), key.data(), key.size());
        return *this;
    }
    /// Reads all keys that begin with a prefix into the results, in order of the key; at most `limit`, 0: all.
    Txn &get_prefix(std::string_view prefix, std::int64_t limit = 0) noexcept
    {
        ha_txn_get_prefix(owned_.get(), prefix.data(), prefix.size(), limit);
        return *this;
    }

    /// Sends it and waits for the answer, never longer than store.request_timeout_ms. Gives revision().
    ///
    /// Errors: fenced (the term is over, nothing was written), compare_failed (a compare of yours failed, nothing was
    /// written; the results have the present values), unavailable (never sent), unknown_outcome (sent, no answer: it may
    /// be committed, or commit even later, but never after the term), too_large, invalid_argument (a builder was called
    /// wrongly), timeout (the limit was 0; it is used up all the same), state (it was used up before), auth, permission,
    /// tls, no_space, corrupt, regressed (the store refused it, or is damaged or restored: nothing was written), internal
    /// (whether it was written is unknown), closed, forked.
    Result<std::int64_t> try_commit(std::chrono::milliseconds timeout = forever)
    {
        const auto done = detail::call(
            owned_.get(), [&](ha_error **err) { return ha_txn_commit(owned_.get(), timeout.count(), err); });
        if (!done) {
            return done.error();
        }
        return revision();
    }

    /// Sends it and returns at once; for sessions that are pulled. Its end is an event of the kind txn_done, exactly one,
    /// before `ended`, never dropped, with this tag (EventRef::tag()), the results (EventRef::results()), and as its
    /// error what try_commit() would have said. The transaction is the library's then, and this one as moved away.
    ///
    /// Errors, where nothing was sent, no event follows, and it stays as it was: busy (txn.inflight were submitted and
    /// their events not read; read some, and submit again), state (the session has callbacks, or it was sent before),
    /// fenced (the term is over already), ended, too_large, invalid_argument, timeout (the limit was 0), closed, forked.
    Result<void> try_submit(std::uint64_t tag, std::chrono::milliseconds timeout = forever)
    {
        auto sent = detail::call(
            owned_.get(), [&](ha_error **err) { return ha_txn_submit(owned_.get(), tag, timeout.count(), err); });
        if (sent) {
            (void)owned_.release();
            raw_ = nullptr;
        }
        return sent;
    }

#if COORDHA_EXCEPTIONS
    /// try_commit(), throwing.
    std::int64_t commit(std::chrono::milliseconds timeout = forever) { return try_commit(timeout).value(); }
    /// try_submit(), throwing.
    void submit(std::uint64_t tag, std::chrono::milliseconds timeout = forever) { try_submit(tag, timeout).value(); }
#endif
};

} // namespace COORDHA_FORM
} // namespace coordha

#endif
