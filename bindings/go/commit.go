//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"time"
	"unsafe"
)

// An outcome is what became of a transaction.
type outcome struct {
	result TxnResult
	err    error
}

// commits are the transactions that were sent and not answered, by the tags that they were sent with.
type commits struct {
	// Holds something for each of the txn.inflight that the library takes before it has told the end of one.
	places chan struct{}

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan outcome
}

func (c *commits) add() (uint64, chan outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[uint64]chan outcome{}
	}
	c.last++
	answer := make(chan outcome, 1)
	c.waiting[c.last] = answer
	return c.last, answer
}

func (c *commits) forget(tag uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, tag)
}

// done hands an answer to whoever waits for it, if anybody still does, and lets the next one in.
func (c *commits) done(tag uint64, answer outcome) {
	<-c.places
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting, found := c.waiting[tag]; found {
		waiting <- answer
		delete(c.waiting, tag)
	}
}

// commit sends a transaction, and waits without holding a thread: for its turn, then for the answer.
func (s *Session) commit(ctx context.Context, t *Txn) (TxnResult, error) {
	select {
	case s.commits.places <- struct{}{}:
	case <-ctx.Done():
		return TxnResult{}, contextEnded(context.Cause(ctx))
	case <-s.over:
		return TxnResult{}, fencedAtEnd(s.gone())
	}
	tag, answer := s.commits.add()
	defer s.commits.forget(tag)
	if err := s.submit(t, tag, limit(ctx)); err != nil {
		<-s.commits.places
		return TxnResult{}, err
	}
	t.sent = true
	select {
	case done := <-answer:
		t.sent = !isUnsent(done.err)
		return done.result, done.err
	case <-ctx.Done():
		return TxnResult{}, own(ErrUnknownOutcome, "it was sent, and the context ended before the answer", context.Cause(ctx))
	case <-s.over:
	}
	select {
	case done := <-answer:
		return done.result, done.err
	default:
		return TxnResult{}, own(ErrUnknownOutcome, "it was sent, and the session was closed before the answer", nil)
	}
}

// isUnsent: the library gave up before anything was sent, and so the same may be tried again.
func isUnsent(err error) bool {
	code := codeOf(err)
	return code == ErrUnavailable || code == ErrTimeout
}

func (s *Session) submit(t *Txn, tag uint64, timeout C.int64_t) error {
	if !s.gate.enter() {
		return fencedAtEnd(s.gone())
	}
	defer s.gate.leave()
	txn, err := t.build()
	if err != nil {
		return err
	}
	var given *C.ha_error
	err = failure(C.ha_txn_submit(txn, C.uint64_t(tag), timeout, &given), given)
	if err != nil {
		C.ha_txn_free(txn)
	}
	return fencedAtEnd(err)
}

// fencedAtEnd: a term that ended with its session has ended like any other.
func fencedAtEnd(err error) error {
	if errors.Is(err, ErrEnded) {
		return own(ErrFenced, "the session has ended, and so has the term", nil)
	}
	return err
}

// build makes the C transaction, which is the caller's to free. Only inside the gate.
func (t *Txn) build() (*C.ha_txn, error) {
	var txn *C.ha_txn
	var given *C.ha_error
	if err := failure(C.ha_txn_new(t.session.handle, C.int64_t(t.token), &txn, &given), given); err != nil {
		return nil, err
	}
	for _, step := range t.steps {
		step(txn)
	}
	return txn, nil
}

// limit is how long the library may wait for the answer.
func limit(ctx context.Context) C.int64_t {
	deadline, has := ctx.Deadline()
	if !has {
		return C.HA_FOREVER
	}
	return C.int64_t(max(toMillis(time.Until(deadline)), 1))
}

func readResult(txn *C.ha_txn) TxnResult {
	result := TxnResult{Revision: int64(C.ha_txn_revision(txn))}
	count := C.ha_txn_count(txn)
	for i := C.size_t(0); i < count; i++ {
		var keyLength, valueLength C.size_t
		key, value := C.ha_txn_key(txn, i, &keyLength), C.ha_txn_value(txn, i, &valueLength)
		result.KVs = append(result.KVs, KV{
			Key:         string(unsafe.Slice((*byte)(unsafe.Pointer(key)), keyLength)),
			Value:       string(unsafe.Slice((*byte)(unsafe.Pointer(value)), valueLength)),
			ModRevision: int64(C.ha_txn_mod_revision(txn, i)),
		})
	}
	return result
}
