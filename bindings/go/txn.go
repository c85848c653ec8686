//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"context"
	"unsafe"
)

// A Txn is a transaction on the store that commits while one term lasts, and never after: the library adds the compare
// that fences it. Build it, then [Txn.Commit] it, which sends it once.
//
//	result, err := term.Txn().IfRevision(key, read).Put(key, value).Commit(ctx)
//
// Keys are absolute, any bytes, 1 to 4096 of them; at most 100 operations and compares and 1 MiB in all. Keys of the
// library's own, under <root>/session/ and <root>/ha/, are refused, and so is a key that is written twice. The first
// error of a builder call sticks, and Commit gives it. For one goroutine at a time.
type Txn struct {
	session *Session
	token   int64
	steps   []func(*C.ha_txn)
	sent    bool
}

// A KV is a key in the store, and its value: any bytes; []byte(kv.Value) gives them as such.
type KV struct {
	Key, Value string
	// ModRevision is the revision at which it was last written: what [Txn.IfRevision] takes.
	ModRevision int64
}

// A TxnResult is what a transaction has found.
type TxnResult struct {
	// Revision is the store's at which it was applied, and so the new ModRevision of every key that it wrote; after
	// [ErrCompareFailed] that at which it was looked at. 0: there was no answer.
	Revision int64
	// KVs are the keys that were read, in the order of the reads; after [ErrCompareFailed] those that were compared, as
	// they are now. A key that is absent is not among them.
	KVs []KV
}

// Txn begins a transaction of the term with this token: that of its ACTIVATE, or [Session.FencingToken] read when the
// work began, not when it writes, or work begun in an old term writes with the right of a new one. A token whose term
// is over is no error here: Commit says [ErrFenced].
func (s *Session) Txn(token int64) *Txn { return &Txn{session: s, token: token} }

func (t *Txn) step(step func(*C.ha_txn)) *Txn {
	t.steps = append(t.steps, step)
	return t
}

// IfRevision: only if the key was last written at this revision; 0: only if it is absent.
func (t *Txn) IfRevision(key string, revision int64) *Txn {
	return t.step(func(c *C.ha_txn) {
		C.ha_txn_if_revision(c, bytesOf(key), C.size_t(len(key)), C.int64_t(revision))
	})
}

// IfValue: only if the key has this value. An absent key has none, not even the empty one.
func (t *Txn) IfValue(key, value string) *Txn {
	return t.step(func(c *C.ha_txn) {
		C.ha_txn_if_value(c, bytesOf(key), C.size_t(len(key)), bytesOf(value), C.size_t(len(value)))
	})
}

// IfValueBytes is [Txn.IfValue] for bytes, which are copied.
func (t *Txn) IfValueBytes(key string, value []byte) *Txn { return t.IfValue(key, string(value)) }

// Put writes a value that stays.
func (t *Txn) Put(key, value string) *Txn {
	return t.step(func(c *C.ha_txn) {
		C.ha_txn_put(c, bytesOf(key), C.size_t(len(key)), bytesOf(value), C.size_t(len(value)))
	})
}

// PutBytes is [Txn.Put] for bytes, which are copied.
func (t *Txn) PutBytes(key string, value []byte) *Txn { return t.Put(key, string(value)) }

// PutLeased writes a value that goes away with the session's lease, which outlives the term.
func (t *Txn) PutLeased(key, value string) *Txn {
	return t.step(func(c *C.ha_txn) {
		C.ha_txn_put_leased(c, bytesOf(key), C.size_t(len(key)), bytesOf(value), C.size_t(len(value)))
	})
}

// PutLeasedBytes is [Txn.PutLeased] for bytes, which are copied.
func (t *Txn) PutLeasedBytes(key string, value []byte) *Txn { return t.PutLeased(key, string(value)) }

// Delete deletes a key. One that is absent is no error.
func (t *Txn) Delete(key string) *Txn {
	return t.step(func(c *C.ha_txn) { C.ha_txn_delete(c, bytesOf(key), C.size_t(len(key))) })
}

// DeletePrefix deletes all keys that begin with a prefix.
func (t *Txn) DeletePrefix(prefix string) *Txn {
	return t.step(func(c *C.ha_txn) { C.ha_txn_delete_prefix(c, bytesOf(prefix), C.size_t(len(prefix))) })
}

// Get reads a key into the result.
func (t *Txn) Get(key string) *Txn {
	return t.step(func(c *C.ha_txn) { C.ha_txn_get(c, bytesOf(key), C.size_t(len(key))) })
}

// GetPrefix reads all keys that begin with a prefix into the result, in order of the key: at most limit of them, or all
// where that is 0.
func (t *Txn) GetPrefix(prefix string, limit int) *Txn {
	return t.step(func(c *C.ha_txn) {
		C.ha_txn_get_prefix(c, bytesOf(prefix), C.size_t(len(prefix)), C.int64_t(limit))
	})
}

// bytesOf lends a string's bytes to a C call, which copies them.
func bytesOf(text string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(text)) }

// Commit sends the transaction and waits for the answer, until ctx ends and never longer than store.request_timeout_ms.
// Where txn.inflight others wait for their answers, it first waits for its turn, until ctx ends.
//
//   - nil: committed; what was read is in the result.
//   - [ErrFenced]: the term is over; nothing was written.
//   - [ErrCompareFailed]: a compare of yours failed; nothing was written; the result has the present values.
//   - [ErrUnavailable], [ErrTimeout]: never sent; nothing was written, and the same Txn may be committed again.
//   - [ErrUnknownOutcome]: sent, and no answer, or ctx ended: it may be committed, or commit even later, but never
//     after the term.
//   - [ErrTooLarge], [ErrInvalidArgument]: a builder call was wrong. [ErrState]: it was sent before. [ErrAuth],
//     [ErrPermission], [ErrTLS], [ErrNoSpace], [ErrCorrupt], [ErrRegressed]: the store refused it. [ErrClosed].
//
// After ErrUnknownOutcome do not guess. Let a transaction compare a key that it also writes, and send the same again:
// if the second commits, the first never will; if its compare fails, read what is there: an operation ID in the value
// says whether the first did it. A write without a compare may be repeated only where doing it twice does no harm.
//
// A transaction that only reads proves its state at some instant of the call, not now.
func (t *Txn) Commit(ctx context.Context) (TxnResult, error) {
	if t.sent {
		return TxnResult{}, own(ErrState, "the transaction was sent before", nil)
	}
	if ctx.Err() != nil {
		return TxnResult{}, contextEnded(context.Cause(ctx))
	}
	return t.session.commit(ctx, t)
}
