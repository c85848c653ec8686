//go:build cgo

package coordha

import "sync"

// slack is how many events that are never dropped may wait beside events.queue others. Whoever answers a term by its
// events leaves no more than a few unread before the next term begins.
const slack = 64

// outbox holds the events that nobody has read yet: in the channel once somebody has asked for it, so that none of them
// needs a goroutine to hand it over.
type outbox struct {
	auto     bool
	capacity int

	mu      sync.Mutex
	waiting []Event // before there is a channel
	channel chan Event
	token   int64 // of the last term
	ended   bool  // nothing comes any more
}

// push adds an event; where more wait than may, the oldest that may be dropped goes. With answered, nobody needs the
// events of a term.
func (o *outbox) push(event Event, answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	if event.Kind == EventActivate {
		o.token = event.Token
	}
	if o.channel != nil && len(o.channel) < o.capacity {
		o.channel <- event // nobody else sends: there is room
	} else {
		o.fill(o.trim(append(o.takeBack(), event), answered))
	}
	if event.Kind == EventEnded {
		o.end()
	}
}

// trim drops what may not wait any more, and says so in the event behind it.
func (o *outbox) trim(events []Event, answered bool) []Event {
	mayDrop := func(e Event) bool {
		return e.Kind != EventEnded && (o.auto || answered || !e.Kind.isKept())
	}
	droppable := 0
	for _, event := range events {
		if mayDrop(event) {
			droppable++
		}
	}
	// The newest stays.
	for at := 0; at < len(events)-1; {
		e := events[at]
		isPast := e.Kind.isKept() && e.Kind != EventEnded && e.Token != o.token
		switch {
		case mayDrop(e) && droppable > o.capacity:
			droppable--
		case isPast && len(events) > o.capacity+slack:
		default:
			at++
			continue
		}
		events[at+1].Missed += 1 + e.Missed
		events = append(events[:at], events[at+1:]...)
	}
	return events
}

// takeBack takes out all that waits, in order.
func (o *outbox) takeBack() []Event {
	events := o.waiting
	o.waiting = nil
	for {
		select {
		case event, more := <-o.channel: // never where it is nil
			if !more {
				return events
			}
			events = append(events, event)
		default:
			return events
		}
	}
}

func (o *outbox) fill(events []Event) {
	if o.channel == nil {
		o.waiting = events
		return
	}
	for _, event := range events {
		o.channel <- event
	}
}

// end closes the channel, behind what waits in it.
func (o *outbox) end() {
	if !o.ended && o.channel != nil {
		close(o.channel)
	}
	o.ended = true
}

// finish is called when nothing more will come.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end()
}

// discard is called when nobody may read any more.
func (o *outbox) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.takeBack()
	o.end()
}

// isRead: somebody has asked for the channel.
func (o *outbox) isRead() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.channel != nil
}

// Events is the channel of the session's events, always the same one; it is closed after ENDED. With [Session.Run] it
// only tells; without, you answer ACTIVATE by [Session.ActivationDone] and DEACTIVATE by [Session.DeactivationDone].
//
// A slow reader holds nothing up, and who stops reading leaves nothing behind but memory. ACTIVATE, ACTIVE, DEACTIVATE,
// TERM_ENDED and ENDED are never dropped; but with Run, or with activation.auto, they may be, save ENDED, and so may
// those of past terms where you answer by tokens and leave many unread. Of the others at most events.queue wait; then
// the oldest goes, and the next event says in Missed how many went.
func (s *Session) Events() <-chan Event {
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.channel == nil {
		waiting := o.takeBack()
		o.channel = make(chan Event, o.capacity+slack)
		o.fill(waiting)
		if o.ended {
			close(o.channel)
		}
	}
	return o.channel
}
