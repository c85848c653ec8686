//go:build cgo

package coordha

import (
	"context"
	"log/slog"
	"time"
)

// An Until is how far a session must have come for [Session.Wait] to return.
type Until int32

const (
	UntilRegistered Until = 1 // the session has a server ID and a lease
	UntilActive     Until = 2 // IsActive is true, or has been since the call
	UntilTermEnding Until = 3 // the term held at the call was asked to end, or is over; at once where none is held
	UntilEnded      Until = 4 // the session is over
)

// Wait waits until the session is so far. It costs a goroutine, no thread.
//
// It answers nothing: a session only becomes active where [Session.Run] is running, where you read and answer
// [Session.Events], or with activation.auto. Without any of them UntilActive waits in vain, which is logged once, as a
// warning, by [slog.Default].
//
// Errors: [ErrTimeout]: ctx ended first; the error that ended the session, such as [ErrRoleHeld], or [ErrEnded] where
// it ended in order and something else was waited for; [ErrInvalidArgument]; [ErrClosed].
func (s *Session) Wait(ctx context.Context, until Until) error {
	if until < UntilRegistered || until > UntilEnded {
		return own(ErrInvalidArgument, "there is no such thing to wait for", nil)
	}
	// A term that became active before the call must not count.
	s.takeAll()
	token, activations := s.FencingToken(), s.progress.activated()
	var unanswered <-chan time.Time
	for {
		changed := s.changed.listen()
		if done, err := s.isSoFar(until, token, activations); done {
			return err
		}
		if until == UntilActive && unanswered == nil && s.isUnanswered() {
			unanswered = time.After(patience)
		}
		select {
		case <-changed:
		case <-unanswered:
			if s.isUnanswered() && !s.warned.Swap(true) {
				slog.Warn("coordha: a term was won, and nobody says ready: there is neither a Run, nor a reader of Events, "+
					"nor activation.auto", "token", s.FencingToken())
			}
			unanswered = nil
		case <-ctx.Done():
			return contextEnded(context.Cause(ctx))
		}
	}
}

// patience is how long a Run, or a reader of events, may come after the term before a wait for it is told to be in vain.
const patience = time.Second

// isUnanswered: a term was won, and nobody is there who could say ready.
func (s *Session) isUnanswered() bool {
	return s.Role() == RoleActivating && !s.outbox.auto && !s.running.Load() && !s.outbox.isRead()
}

func (p *progress) activated() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.activations
}

func (s *Session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

func (s *Session) isSoFar(until Until, token int64, activations uint64) (bool, error) {
	if s.closed.Load() {
		return true, closed()
	}
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	switch until {
	case UntilRegistered:
		if p.registered {
			return true, nil
		}
	case UntilActive:
		if p.activations > activations || s.IsActive() {
			return true, nil
		}
	case UntilTermEnding:
		if token == 0 || s.IsEnding(token) {
			return true, nil
		}
	case UntilEnded:
		// Only once all is given back.
		return s.isOver(), p.end
	}
	switch {
	case !p.ended:
		return false, nil
	case p.end == nil:
		return true, ended()
	}
	return true, p.end
}
