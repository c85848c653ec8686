//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"os"
	"sync"
	"syscall"
)

// duplicate makes a file for the runtime's poller of a descriptor that the library owns: a goroutine that waits for it
// holds no thread.
func duplicate(fd int) (*os.File, error) {
	if fd < 0 {
		return nil, own(ErrResources, "the system gave no event descriptor", nil)
	}
	copied, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, own(ErrResources, "the event descriptor could not be duplicated", errno)
	}
	return os.NewFile(copied, "coordha"), nil
}

// poll calls drain each time that the file becomes readable, until drain says that it is done or the file is closed.
func poll(file *os.File, drain func() bool) {
	raw, err := file.SyscallConn()
	if err == nil {
		// Closed meanwhile: an end like any other.
		_ = raw.Read(func(uintptr) bool { return drain() })
	}
	_ = file.Close()
}

// read takes the session's events, from the start to the end.
func (s *Session) read() {
	poll(s.events, s.takeAll)
	s.askRelease()
	s.gate.shut()
	s.watched()
	s.progress.finish(s.gone())
	s.outbox.finish()
	close(s.over)
	s.changed.ring()
}

// takeAll takes all events that wait, and says whether the last one was among them. The reader calls it, and whoever must
// know of all that has happened so far.
func (s *Session) takeAll() bool {
	s.taking.Lock()
	defer s.taking.Unlock()
	for {
		if !s.gate.enter() {
			return true
		}
		var event *C.ha_event
		status := C.ha_session_next_event(s.handle, 0, &event)
		s.gate.leave()
		if status != C.HA_OK {
			// Nothing waits; or nothing will ever come.
			return status != C.HA_ERR_TIMEOUT
		}
		last := s.take(event)
		C.ha_event_free(event)
		if last {
			return true
		}
	}
}

func (s *Session) take(from *C.ha_event) bool {
	event, read := readEvent(from)
	if event.Kind == eventTxnDone {
		s.commits.done(uint64(read.tag), outcome{readResult(read.txn), event.Err})
		return false
	}
	if event.Kind == EventRegistered {
		s.serverID.Store(event.ServerID)
	}
	s.progress.see(s, event)
	s.outbox.push(event, s.running.Load())
	s.changed.ring()
	return event.Kind == EventEnded
}

// askRelease asks, once the session has ended, whether the store has confirmed the release.
func (s *Session) askRelease() {
	result := s.call(func(err **C.ha_error) C.int32_t { return C.ha_session_stop(s.handle, 0, err) })
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	s.progress.release = result
}

// progress is how far the session has come, as its events tell.
type progress struct {
	mu          sync.Mutex
	registered  bool
	activations uint64
	term        *Term // the one whose ACTIVATE came last
	ended       bool
	end         error // why it ended; nil: in order
	release     error
}

func (p *progress) see(s *Session, event Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event.Kind {
	case EventRegistered:
		p.registered = true
	case EventActivate:
		p.term = newTerm(s, event.Token)
	case EventActive:
		p.activations++
	case EventDeactivate:
		if p.isOf(event) {
			p.term.end(TermEnd{Reason: event.Reason, Held: event.Held, Err: event.Err})
		}
	case EventTermEnded:
		if p.isOf(event) {
			p.term.lose(TermEnd{Reason: event.Reason, Err: event.Err})
		}
	case EventEnded:
		p.ended, p.end = true, event.Err
	}
}

// isOf: with activation.auto the library may drop an ACTIVATE that nobody reads.
func (p *progress) isOf(event Event) bool { return p.term != nil && p.term.token == event.Token }

// finish is called when nothing more will be read; why says why, where that is not the end of the session.
func (p *progress) finish(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended, p.end, p.release = true, why, why
	if p.term != nil {
		p.term.lose(TermEnd{Err: why})
	}
}

func (p *progress) released() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.release
}
