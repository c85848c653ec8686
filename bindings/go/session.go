//go:build cgo

package coordha

// #cgo noescape ha_session_is_active
// #cgo nocallback ha_session_is_active
// #cgo noescape ha_session_holds
// #cgo nocallback ha_session_holds
// #cgo noescape ha_session_is_ending
// #cgo nocallback ha_session_is_ending
// #cgo noescape ha_session_fencing_token
// #cgo nocallback ha_session_fencing_token
// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// A Session is one stand in the election of one role, under one address. It is started once and ends once; in between
// it may hold the role many times, each time in a term of its own with a larger fencing token.
//
// Everything here may be called from many goroutines at once, also after [Session.Close]: then methods that can fail
// say [ErrClosed], and the others say no, 0, or empty.
type Session struct {
	handle    *C.ha_session
	gate      *gate
	activeKey string
	// Values of the context that Start was given, without its end.
	values  context.Context
	watched func() bool

	events   *os.File
	taking   sync.Mutex // events are taken in order
	outbox   outbox
	progress progress
	commits  commits
	changed  bell
	serverID atomic.Int64
	running  atomic.Bool
	hasRun   bool // Run has returned the end; only for the one that is running
	warned   atomic.Bool
	close    sync.Once
	closed   atomic.Bool
	// over: nothing is read any more, and the handle is free.
	over chan struct{}
}

// Start starts a session: it checks the configuration and returns without waiting for the network. A store that cannot
// be reached is an event (DEGRADED) and is tried again.
//
// It does not become active by itself: say ready in a body for [Session.Run], or read and answer [Session.Events], or
// let the library do it ([Config].AutoActivate).
//
// When ctx ends the session is asked to stop, as by [Session.RequestStop], and no more: go on with [Session.Run], or
// with reading and answering [Session.Events], until that is over. A ctx that has ended already is [ErrTimeout].
//
// Errors: [ErrConfigKey], [ErrConfigValue], [ErrConfigMissing], [ErrConfigConflict]; [ErrAlreadyStarted]: this process
// has a session with this role and address; [ErrCorrupt], [ErrStoreVersion], [ErrNoSpace], [ErrUnavailable]: what lies in
// the directory of a local store is damaged or of another version, its disk is full, or it stayed locked;
// [ErrUnsupported]: the library has no such store, or is older than the header that this program was built with;
// [ErrResources].
func Start(ctx context.Context, config Config) (*Session, error) {
	built, err := config.buildUnder(ctx)
	if err != nil {
		return nil, err
	}
	defer C.ha_config_free(built)
	var handle *C.ha_session
	var given *C.ha_error
	if err := failure(C.ha_session_start(built, nil, &handle, &given), given); err != nil {
		return nil, err
	}
	events, err := duplicate(int(C.ha_session_event_fd(handle)))
	if err != nil {
		C.ha_session_free(handle)
		return nil, err
	}
	auto, _ := get(built, KeyActivationAuto)
	capacity, _ := get(built, KeyEventsQueue)
	inflight, _ := get(built, KeyTxnInflight)
	s := &Session{
		handle:    handle,
		gate:      newGate(func() { C.ha_session_free(handle) }),
		activeKey: C.GoString(C.ha_session_active_key(handle)),
		values:    context.WithoutCancel(ctx),
		events:    events,
		over:      make(chan struct{}),
	}
	s.outbox.auto = auto == "true"
	s.outbox.capacity, _ = strconv.Atoi(capacity)
	places, _ := strconv.Atoi(inflight)
	s.commits.places = make(chan struct{}, places)
	s.watched = context.AfterFunc(ctx, s.RequestStop)
	go s.read()
	return s, nil
}

// gone is why the handle cannot be used.
func (s *Session) gone() error {
	if s.closed.Load() {
		return closed()
	}
	return ended()
}

// IsActive: may new work be taken? True from "ready" to the end of the term, while its deadline lies ahead. It takes no
// lock and asks nobody.
func (s *Session) IsActive() bool {
	if !s.gate.enter() {
		return false
	}
	active := bool(C.ha_session_is_active(s.handle))
	s.gate.leave()
	return active
}

// Holds: may a step of work that was begun in this term still act? True while the role is held in that very term, also
// while getting ready and while draining. It takes no lock and asks nobody.
func (s *Session) Holds(token int64) bool {
	if !s.gate.enter() {
		return false
	}
	holds := bool(C.ha_session_holds(s.handle, C.int64_t(token)))
	s.gate.leave()
	return holds
}

// IsEnding: should the work of this term wind up? True from a request to stop or resign on, and for every term that is
// not the current one.
func (s *Session) IsEnding(token int64) bool {
	if !s.gate.enter() {
		return true
	}
	ending := bool(C.ha_session_is_ending(s.handle, C.int64_t(token)))
	s.gate.leave()
	return ending
}

// FencingToken is the token of the term that is held; 0: none is. It grows from term to term, over all sessions of the
// role. Take it when the work begins, and let it go with everything that the work writes.
func (s *Session) FencingToken() int64 {
	if !s.gate.enter() {
		return 0
	}
	token := int64(C.ha_session_fencing_token(s.handle))
	s.gate.leave()
	return token
}

// Remaining is the time until the held term is over if nothing renews it; 0: no term is held. It is renewed all the
// time: this is for logs and for limits of single steps, not for planning.
func (s *Session) Remaining() time.Duration {
	if !s.gate.enter() {
		return 0
	}
	defer s.gate.leave()
	return millis(C.ha_session_remaining_ms(s.handle))
}

// Role is the state of the session, for logs and status pages. To decide, ask [Session.IsActive], [Session.Holds] and
// [Session.IsEnding].
func (s *Session) Role() Role {
	if !s.gate.enter() {
		return RoleEnded
	}
	defer s.gate.leave()
	return Role(C.ha_session_role(s.handle))
}

// ServerID is a number that no other session under this root has; 0 before it is known (REGISTERED), then the same for
// ever.
func (s *Session) ServerID() int64 {
	if !s.gate.enter() {
		return s.serverID.Load()
	}
	defer s.gate.leave()
	return int64(C.ha_session_server_id(s.handle))
}

// ActiveKey is the key in the store that the active one owns. With a client of your own for the store, compare its mod
// revision with the fencing token in your transactions, and they are fenced like the library's.
func (s *Session) ActiveKey() string { return s.activeKey }

// Holder is who is active, as far as this session knows: what a standby tells its clients. Its ServerID is 0 where
// nobody is known, and once the session has ended.
func (s *Session) Holder() Holder {
	if !s.gate.enter() {
		return Holder{}
	}
	defer s.gate.leave()
	var event *C.ha_event
	if C.ha_session_holder(s.handle, &event, nil) != C.HA_OK {
		return Holder{}
	}
	defer C.ha_event_free(event)
	read, _ := readEvent(event)
	return Holder{ServerID: read.ServerID, Address: read.Address, Token: read.Token}
}

// RequestStop asks the session to leave for ever: drain, release the role, end the lease, ENDED. It returns at once,
// and [Session.IsActive] is false when it has returned. Twice, or too late, is harmless. The end of Start's ctx does
// the same.
func (s *Session) RequestStop() {
	if s.gate.enter() {
		C.ha_session_request_stop(s.handle)
		s.gate.leave()
	}
}

// Resign steps down and stays standby: drain, release the role, and contend again after the pause; 0 stands for
// activation.backoff_ms. It returns at once. Where no role is held, only the pause counts.
//
// Errors: [ErrEnded]; [ErrInvalidArgument]: the pause is negative; [ErrClosed].
func (s *Session) Resign(pause time.Duration) error {
	if pause < 0 {
		return own(ErrInvalidArgument, "the pause is negative", nil)
	}
	return s.call(func(err **C.ha_error) C.int32_t {
		return C.ha_session_resign(s.handle, C.int64_t(toMillis(pause)))
	})
}

// Pause: the session does not contend for the role any more, until [Session.Resume]; a role that is held is kept. It
// returns at once.
//
// Errors: [ErrEnded]; [ErrClosed].
func (s *Session) Pause() error {
	return s.call(func(err **C.ha_error) C.int32_t { return C.ha_session_pause(s.handle) })
}

// Resume: the session contends again, after [Session.Pause] or where it was started with [Config].Paused. It returns at
// once.
//
// Errors: [ErrEnded]; [ErrClosed].
func (s *Session) Resume() error {
	return s.call(func(err **C.ha_error) C.int32_t { return C.ha_session_resume(s.handle) })
}

// SetPriority gives the session another priority, in place of the configured one: of several standbys, the one with the
// highest is tried first. Its record in the store is written anew, which takes a moment. It returns at once; a held
// role is kept.
//
// Errors: [ErrInvalidArgument]: not from -1000 to 1000; [ErrEnded]; [ErrClosed].
func (s *Session) SetPriority(priority int) error {
	// What does not fit is out of range as well.
	fitting := min(max(priority, math.MinInt32), math.MaxInt32)
	return s.call(func(err **C.ha_error) C.int32_t {
		return C.ha_session_set_priority(s.handle, C.int32_t(fitting))
	})
}

// ActivationDone says how the activation of a term went: nil for "ready", else why it failed, and then the term is
// given up and, after a pause, contended for again. It answers ACTIVATE where you read [Session.Events]; with
// [Session.Run] the term does it.
//
// Errors: [ErrFenced]: too late, the term is over or was asked to end, or of another term; [ErrState]: it is active
// already; [ErrEnded]; [ErrClosed].
func (s *Session) ActivationDone(token int64, result error) error {
	status, why := C.int32_t(C.HA_OK), (*C.char)(nil)
	if result != nil {
		status = C.int32_t(applicationCode(result))
		// A NUL would cut the words off.
		why = C.CString(strings.ReplaceAll(strings.ToValidUTF8(result.Error(), "\uFFFD"), "\x00", "\uFFFD"))
		defer C.free(unsafe.Pointer(why))
	}
	return s.call(func(err **C.ha_error) C.int32_t {
		return C.ha_session_activation_done(s.handle, C.int64_t(token), status, why, err)
	})
}

// DeactivationDone says that nothing of a term runs any more. It answers DEACTIVATE where you read [Session.Events];
// with [Session.Run] the term's body does it by returning. Until it is said this session does not contend again.
//
// Errors: [ErrFenced]: it was said already, or of another term; [ErrState]: the term was not asked to end; [ErrEnded];
// [ErrClosed].
func (s *Session) DeactivationDone(token int64) error {
	return s.call(func(err **C.ha_error) C.int32_t {
		return C.ha_session_deactivation_done(s.handle, C.int64_t(token), err)
	})
}

// call makes a call that can fail and does not wait.
func (s *Session) call(function func(err **C.ha_error) C.int32_t) error {
	if !s.gate.enter() {
		return s.gone()
	}
	defer s.gate.leave()
	var given *C.ha_error
	return failure(function(&given), given)
}

// Stop is [Session.RequestStop], then waits until all is over. [Session.Run], or a goroutine that reads and answers
// [Session.Events], must be going on meanwhile; not to be called by these.
//
// Errors: [ErrUnavailable]: over, but the store did not confirm the release, so others wait for the hold time;
// [ErrTimeout]: ctx ended first, and it goes on behind; [ErrClosed].
func (s *Session) Stop(ctx context.Context) error {
	s.RequestStop()
	select {
	case <-s.over:
		if s.closed.Load() {
			return closed()
		}
		return s.progress.released()
	case <-ctx.Done():
		return contextEnded(context.Cause(ctx))
	}
}

// Close gives the session up, and what it uses. It is only needed for a session that has not ended: one that has is
// gone already, apart from its unread events. Twice is harmless; it never fails.
//
// While [Session.Run] is running, it is a [Session.Stop] that lasts as long as the body drains, at most
// deactivation.timeout_ms and release.timeout_ms: not to be called in the body, which just returns. Without Run nobody
// is left to answer, so the role is given up without a drain.
func (s *Session) Close() error {
	s.close.Do(func() {
		if s.running.Load() {
			s.RequestStop()
			<-s.over
		}
		s.closed.Store(true)
		s.gate.shut()
		// Ends the reader, where it still waits.
		_ = s.events.Close()
		<-s.over
		s.outbox.discard()
		s.changed.ring()
	})
	return nil
}
