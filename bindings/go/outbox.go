//go:build cgo

package coordha

import "sync"

// outbox holds the events that the channel has not taken yet.
type outbox struct {
	auto     bool
	capacity int

	mu      sync.Mutex
	waiting []Event
	missed  uint64
	channel chan Event
	filled  bell
}

// push adds an event; where more wait than may, the oldest that may be dropped goes. With answered, nobody needs the
// events of a term.
func (o *outbox) push(event Event, answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	mayDrop := func(e Event) bool {
		return e.Kind != EventEnded && (o.auto || answered || !e.Kind.isKept())
	}
	if mayDrop(event) && len(o.waiting) >= o.capacity {
		oldest, droppable := -1, 0
		for i := len(o.waiting) - 1; i >= 0; i-- {
			if mayDrop(o.waiting[i]) {
				oldest = i
				droppable++
			}
		}
		if droppable >= o.capacity {
			o.missed += 1 + o.waiting[oldest].Missed
			o.waiting = append(o.waiting[:oldest], o.waiting[oldest+1:]...)
		}
	}
	o.waiting = append(o.waiting, event)
	o.filled.ring()
}

func (o *outbox) pop() (Event, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return Event{}, false
	}
	event := o.waiting[0]
	o.waiting = o.waiting[1:]
	event.Missed += o.missed
	o.missed = 0
	return event, true
}

// Events is the channel of the session's events, always the same one; it is closed after ENDED. With [Session.Run] it
// only tells; without, you answer ACTIVATE by [Session.ActivationDone] and DEACTIVATE by [Session.DeactivationDone].
//
// A slow reader holds nothing up. ACTIVATE, ACTIVE, DEACTIVATE, TERM_ENDED and ENDED are never dropped (with Run, or
// with activation.auto, they may be, save ENDED). Of the others at most events.queue wait; then the oldest goes, and
// the next event says in Missed how many went.
func (s *Session) Events() <-chan Event {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if s.outbox.channel == nil {
		s.outbox.channel = make(chan Event)
		go s.feed(s.outbox.channel)
	}
	return s.outbox.channel
}

// feed hands the events over, one by one, until the last was taken or the session is closed.
func (s *Session) feed(channel chan<- Event) {
	defer close(channel)
	for {
		filled, changed := s.outbox.filled.listen(), s.changed.listen()
		if s.closed.Load() {
			return
		}
		event, found := s.outbox.pop()
		if !found {
			if s.isOver() {
				return
			}
			select {
			case <-filled:
			case <-changed:
			}
			continue
		}
		if !s.hand(channel, event) || event.Kind == EventEnded {
			return
		}
	}
}

// hand hands an event over; false: the session was closed first.
func (s *Session) hand(channel chan<- Event, event Event) bool {
	for {
		changed := s.changed.listen()
		if s.closed.Load() {
			return false
		}
		select {
		case channel <- event:
			return true
		case <-changed:
		}
	}
}

func (s *Session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}
