//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
)

// An Observer follows who is active in a role, for those who stand in no election: clients, proxies, dashboards. It
// registers nothing in the store.
//
// It says what the store says, a moment ago. An active one that is cut off from the store is named until another one
// has taken over, so let servers refuse a request with a token lower than the highest they have seen. A store that
// cannot be reached is tried again for ever.
//
// Everything here may be called from many goroutines at once, also after [Observer.Close].
type Observer struct {
	handle  *C.ha_observer
	gate    *gate
	events  *os.File
	watched func() bool
	holders chan Holder
	close   sync.Once
	closed  atomic.Bool
	over    chan struct{}
	end     error // set before over
}

// StartObserver starts an observer: it checks the configuration, of which it uses the role, the root, the store and
// election.reread_ms, and returns without waiting for the network. When ctx ends, so does the observer.
//
// Errors: as of [Start].
func StartObserver(ctx context.Context, config Config) (*Observer, error) {
	built, err := config.buildUnder(ctx)
	if err != nil {
		return nil, err
	}
	defer C.ha_config_free(built)
	var handle *C.ha_observer
	var given *C.ha_error
	if err := failure(C.ha_observer_start(built, &handle, &given), given); err != nil {
		return nil, err
	}
	events, err := duplicate(int(C.ha_observer_event_fd(handle)))
	if err != nil {
		C.ha_observer_free(handle)
		return nil, err
	}
	o := &Observer{
		handle:  handle,
		gate:    newGate(func() { C.ha_observer_free(handle) }),
		events:  events,
		holders: make(chan Holder, 1),
		over:    make(chan struct{}),
	}
	o.watched = context.AfterFunc(ctx, o.requestStop)
	go o.read()
	return o, nil
}

func (o *Observer) requestStop() {
	if o.gate.enter() {
		C.ha_observer_request_stop(o.handle)
		o.gate.leave()
	}
}

// Current is who is active, as far as is known now; ServerID 0: nobody is. It takes nothing from [Observer.Holders].
//
// Errors: where the store has not answered yet, why: [ErrUnavailable], [ErrAuth], [ErrPermission], [ErrTLS];
// [ErrRegressed], [ErrCorrupt]: the store was restored from a backup, or is damaged; [ErrEnded]; [ErrClosed].
func (o *Observer) Current() (Holder, error) {
	if !o.gate.enter() {
		if o.closed.Load() {
			return Holder{}, closed()
		}
		<-o.over
		return Holder{}, o.end
	}
	defer o.gate.leave()
	return o.current()
}

func (o *Observer) current() (Holder, error) {
	var event *C.ha_event
	var given *C.ha_error
	if err := failure(C.ha_observer_current(o.handle, &event, &given), given); err != nil {
		return Holder{}, err
	}
	return takeHolder(event), nil
}

func takeHolder(event *C.ha_event) Holder {
	defer C.ha_event_free(event)
	read, _ := readEvent(event)
	return Holder{ServerID: read.ServerID, Address: read.Address, Token: read.Token, Missed: read.Missed}
}

// Holders is the channel of the changes of who is active, always the same one: first who is at all, once the store has
// answered, then each change; ServerID 0: nobody is. Those that name a holder come by growing token. Only the newest
// waits to be read, and says in Missed how many it has replaced, so a slow reader misses what is past, never what is.
//
// It is closed when the observer is over, and nothing is left in it once [Observer.Close] has returned, or, where ctx
// ended it, [Observer.Err].
func (o *Observer) Holders() <-chan Holder { return o.holders }

// Err waits until the observer is over, and says why: nil where ctx ended it or [Observer.Close] did; [ErrRegressed] or
// [ErrCorrupt]: the store was restored from a backup, or is damaged, and it is for you to start a new one.
func (o *Observer) Err() error {
	<-o.over
	if codeOf(o.end) == ErrEnded {
		return nil
	}
	return o.end
}

// Close ends the observer. Twice is harmless; it never fails.
func (o *Observer) Close() error {
	o.close.Do(func() {
		o.closed.Store(true)
		o.requestStop()
		<-o.over
		// It may have ended by itself before, and have left one.
		o.drop()
	})
	return nil
}

// read takes the observer's events. It is the one goroutine that does.
func (o *Observer) read() {
	poll(o.events, o.takeAll)
	_, o.end = o.current()
	o.watched()
	o.gate.shut()
	if codeOf(o.end) == ErrEnded {
		o.drop()
	}
	close(o.holders)
	close(o.over)
}

// takeAll takes all that waits, and says whether there will be more.
func (o *Observer) takeAll() bool {
	for {
		var event *C.ha_event
		switch C.ha_observer_next(o.handle, 0, &event) {
		case C.HA_OK:
			o.tell(takeHolder(event))
		case C.HA_ERR_TIMEOUT:
			return false
		default:
			return true
		}
	}
}

// tell puts the newest in the place of one that was not read. Nobody else sends.
func (o *Observer) tell(holder Holder) {
	if unread, found := o.drop(); found {
		holder.Missed += unread.Missed + 1
		C.ha_observer_count_missed(o.handle)
	}
	o.holders <- holder
}

// drop takes out what nobody has read, if there is anything.
func (o *Observer) drop() (unread Holder, found bool) {
	select {
	case unread, found = <-o.holders:
	default:
	}
	return unread, found
}
