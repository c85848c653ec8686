//go:build cgo

package coordha

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
)

// A Term is one time of holding the role, from ACTIVATE until the body that [Session.Run] was given has returned.
type Term struct {
	session *Session
	token   int64
	ready   atomic.Bool

	asked   context.Context // ends when the term was asked to end, or is lost
	ask     context.CancelCauseFunc
	held    context.Context // ends when the role is gone
	gone    context.CancelCauseFunc
	claimed atomic.Bool
	ended   chan struct{} // DEACTIVATE has come
}

// A TermEnd is why a term ends: what [context.Cause] says of its contexts.
type TermEnd struct {
	// Reason says why.
	Reason Reason
	// Held: the role is still held while you drain.
	Held bool
	// Err is what went wrong, if anything did.
	Err error
}

// Error says why, in words.
func (e *TermEnd) Error() string {
	text := "coordha: the term was lost: "
	if e.Held {
		text = "coordha: the term was asked to end: "
	}
	text += e.Reason.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives what went wrong, or ErrFenced for a term that is lost.
func (e *TermEnd) Unwrap() error {
	if e.Err == nil && !e.Held {
		return ErrFenced
	}
	return e.Err
}

func newTerm(s *Session, token int64) *Term {
	t := &Term{session: s, token: token, ended: make(chan struct{})}
	t.held, t.gone = context.WithCancelCause(s.values)
	t.asked, t.ask = context.WithCancelCause(t.held)
	return t
}

func (t *Term) end(why TermEnd) {
	if why.Held {
		t.ask(&why)
	} else {
		t.gone(&why)
	}
	select {
	case <-t.ended:
	default:
		close(t.ended)
	}
}

func (t *Term) lose(why TermEnd) { t.gone(&why) }

// Token is the term's fencing token. Let it go with everything that the work of the term writes.
func (t *Term) Token() int64 { return t.token }

// Context ends when the term was asked to end, or is lost: what new work runs under. [context.Cause] says why, by a
// [*TermEnd]. It has the values of the ctx that [Start] was given.
func (t *Term) Context() context.Context { return t.asked }

// HeldContext ends when the role is gone: what a drain runs under, once Context has ended.
func (t *Term) HeldContext() context.Context { return t.held }

// Held: the role is held in this term, also while draining. It takes no lock and asks nobody, as [Session.Holds].
func (t *Term) Held() bool { return t.session.Holds(t.token) }

// Ready says that the activation is done. [Session.IsActive] is true when it has returned.
//
// Errors: [ErrFenced]: too late, the term is over or was asked to end; [ErrState]: it was said already; [ErrEnded];
// [ErrClosed].
func (t *Term) Ready() error {
	err := t.session.ActivationDone(t.token, nil)
	if err == nil {
		t.ready.Store(true)
	}
	return err
}

// Txn begins a transaction of this term.
func (t *Term) Txn() *Txn { return t.session.Txn(t.token) }

// Run calls body once for each term, with one term after another, and returns once the session has ended: nil after an
// orderly stop, else the error that ended it.
//
// The body gets ready, says so by [Term.Ready], works until [Term.Context] is done, drains while [Term.Held], and
// returns. That it returns means that nothing of the term runs any more: until then this session does not contend
// again.
//
//   - An error, or a return, before Ready is a failed activation: the term is given up and, after a pause, contended
//     for again. EventTermEnded has the error's words.
//   - A return, or an error, after Ready and before it was asked resigns.
//   - An error after Ready is logged once, by [slog.Default]: no event tells it. Not logged, once the term was asked to
//     end or is lost, is what says just that: an error that is [context.Canceled], [ErrFenced] or a [*TermEnd].
//   - A panic is an error, and always logged, once, with its stack.
//
// Errors: [ErrState]: it is running already, or activation.auto leaves nothing to answer; [ErrEnded]: it has returned
// the end of this session before; [ErrClosed].
func (s *Session) Run(body func(*Term) error) error {
	if s.outbox.auto {
		return own(ErrState, "with activation.auto the library answers by itself", nil)
	}
	if s.running.Swap(true) {
		return own(ErrState, "the session has a body already", nil)
	}
	defer s.running.Store(false)
	if s.closed.Load() {
		return closed()
	}
	if s.hasRun {
		return ended()
	}
	for {
		term, err := s.nextTerm()
		if term == nil {
			s.hasRun = true
			return err
		}
		s.serve(term, body)
	}
}

// nextTerm waits for a term that nobody has served. None: the session is over.
func (s *Session) nextTerm() (*Term, error) {
	p := &s.progress
	for {
		changed := s.changed.listen()
		p.mu.Lock()
		term, end := p.term, p.end
		p.mu.Unlock()
		if s.isOver() {
			return nil, end
		}
		if term != nil && !term.claimed.Swap(true) {
			return term, nil
		}
		select {
		case <-changed:
		case <-s.over:
		}
	}
}

// serve runs the body for a term, and gives the library the answers that its end means.
func (s *Session) serve(term *Term, body func(*Term) error) {
	err := guarded(term, body)
	switch {
	case !term.ready.Load():
		if err == nil {
			err = errors.New("the term's body returned before it was ready")
		}
		// Refused where the term was asked to end meanwhile: then that is the reason. Or somebody else has said ready.
		if errors.Is(s.ActivationDone(term.token, err), ErrState) {
			report(term, err)
			_ = s.Resign(0)
		}
	// Which is known before the event has come.
	case term.asked.Err() != nil || s.IsEnding(term.token):
		if !saysTheEnd(err) {
			report(term, err)
		}
	default:
		report(term, err)
		_ = s.Resign(0)
	}
	select {
	case <-term.ended:
		_ = s.DeactivationDone(term.token)
	case <-s.over:
	}
}

// errPanicked is what a panic is turned into. It has been logged.
type errPanicked struct{ value any }

func (e errPanicked) Error() string { return fmt.Sprintf("the term's body panicked: %v", e.value) }

// guarded runs the body on a goroutine of its own, so that it may panic, or call runtime.Goexit as a failed test does.
func guarded(term *Term, body func(*Term) error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("the term's body ended its goroutine")
		defer func() { result <- err }()
		defer func() {
			if value := recover(); value != nil {
				err = errPanicked{value}
				stack := string(debug.Stack())
				slog.Error("coordha: the body of a term panicked", "token", term.token, "panic", value, "stack", stack)
			}
		}()
		err = body(term)
	}()
	return <-result
}

// report logs an error that no event will tell: one after ready.
func report(term *Term, err error) {
	if _, logged := err.(errPanicked); err != nil && !logged {
		slog.Error("coordha: the body of a term failed after it was ready", "token", term.token, "error", err)
	}
}

// saysTheEnd: the error says no more than that the term was asked to end, or is lost.
func saysTheEnd(err error) bool {
	var end *TermEnd
	return errors.Is(err, context.Canceled) || errors.Is(err, ErrFenced) || errors.As(err, &end)
}

// applicationCode is the number that a failed activation carries.
func applicationCode(err error) Code {
	var code Code
	if errors.As(err, &code) && code >= ErrApplication {
		return code
	}
	return ErrActivationFailed
}
