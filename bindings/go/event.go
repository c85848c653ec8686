//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"strconv"
	"time"
)

// An EventKind says what has happened.
type EventKind int32

// The kinds. Those marked * are never dropped unread.
const (
	EventRegistered EventKind = 1  // a server ID and a lease were taken: ServerID, TTL
	EventStandby    EventKind = 2  // standing by: the holder, if known
	EventActivate   EventKind = 10 // * the term is won, get ready: Token, Remaining
	EventActive     EventKind = 11 // * you said ready: Token, Remaining
	EventJeopardy   EventKind = 12 // half the hold time went by without a renewal: Token, Remaining
	EventSafe       EventKind = 13 // renewed again after that: Token, Remaining
	EventDeactivate EventKind = 14 // * leave, drain where Held, else clean up: Token, Reason, Err if any
	EventTermEnded  EventKind = 15 // * the role is gone: Token, Reason, Err if any
	EventHolder     EventKind = 20 // who is active now: ServerID (0: nobody), Address, Token
	EventDegraded   EventKind = 21 // the store fails or refuses: Err
	EventRecovered  EventKind = 22 // it answers again
	EventBlocked    EventKind = 23 // contending is held back: Reason, the holder if known
	EventForeign    EventKind = 24 // a key in the store cannot be read: Key, Err
	EventEnded      EventKind = 99 // * the session is over, the last event: Err, none after an orderly stop

	// Finishes a Commit; never on the channel.
	eventTxnDone EventKind = 30
)

var kindNames = map[EventKind]string{
	EventRegistered: "REGISTERED", EventStandby: "STANDBY", EventActivate: "ACTIVATE", EventActive: "ACTIVE",
	EventJeopardy: "JEOPARDY", EventSafe: "SAFE", EventDeactivate: "DEACTIVATE", EventTermEnded: "TERM_ENDED",
	EventHolder: "HOLDER", EventDegraded: "DEGRADED", EventRecovered: "RECOVERED", EventBlocked: "BLOCKED",
	EventForeign: "FOREIGN", EventEnded: "ENDED", eventTxnDone: "TXN_DONE",
}

// String is the kind's name as the C header has it, such as "TERM_ENDED"; the number for one that is not known.
func (k EventKind) String() string { return nameOf(kindNames, k) }

// isKept: never dropped unread.
func (k EventKind) isKept() bool {
	switch k {
	case EventActivate, EventActive, EventDeactivate, EventTermEnded, EventEnded:
		return true
	}
	return false
}

// A Reason says why a term ends or has ended, or why contending is held back.
type Reason int32

// The reasons. Up to ReasonResign the role is still held while you drain; then those of a lost term, those of a failed
// activation, and those of [EventBlocked].
const (
	ReasonStop              Reason = 1  // the session was stopped
	ReasonResign            Reason = 2  // it resigned
	ReasonExpired           Reason = 10 // the deadline passed without a renewal
	ReasonSuperseded        Reason = 11 // another session owns the role
	ReasonKeyDeleted        Reason = 12 // somebody deleted the active key
	ReasonLeaseLost         Reason = 13 // the lease is gone
	ReasonRegressed         Reason = 14 // the store's revision went back
	ReasonInternal          Reason = 15 // a defect of the library, caught
	ReasonActivationFailed  Reason = 20 // your activation failed
	ReasonActivationTimeout Reason = 21 // your activation took too long
	ReasonPaused            Reason = 40 // contending is paused
	ReasonCallbackBusy      Reason = 41 // the last term's body has not returned yet
	ReasonBackoff           Reason = 42 // a pause after a failed activation or a resignation
	ReasonMilvusHolder      Reason = 43 // a Milvus process may still act for the role: Key names what stands in the way
)

var reasonNames = map[Reason]string{
	0: "NONE", ReasonStop: "STOP", ReasonResign: "RESIGN", ReasonExpired: "EXPIRED", ReasonSuperseded: "SUPERSEDED",
	ReasonKeyDeleted: "KEY_DELETED", ReasonLeaseLost: "LEASE_LOST", ReasonRegressed: "REGRESSED",
	ReasonInternal: "INTERNAL", ReasonActivationFailed: "ACTIVATION_FAILED", ReasonActivationTimeout: "ACTIVATION_TIMEOUT",
	ReasonPaused: "PAUSED", ReasonCallbackBusy: "CALLBACK_BUSY", ReasonBackoff: "BACKOFF",
	ReasonMilvusHolder: "MILVUS_HOLDER",
}

// String is the reason's name as the C header has it, such as "KEY_DELETED"; the number for one that is not known.
func (r Reason) String() string { return nameOf(reasonNames, r) }

// A Role is the state of a session.
type Role int32

// The states.
const (
	RoleStarting     Role = 1 // not registered yet; an exclusive session waits here for the holder to go
	RoleStandby      Role = 2 // registered and contending
	RoleActivating   Role = 3 // the role is held, and you are getting ready
	RoleActive       Role = 4 // the role is held, and you said ready
	RoleDeactivating Role = 5 // the term ends or has ended, and you have not left yet
	RoleEnded        Role = 6 // over for ever
)

var roleNames = map[Role]string{
	RoleStarting: "STARTING", RoleStandby: "STANDBY", RoleActivating: "ACTIVATING", RoleActive: "ACTIVE",
	RoleDeactivating: "DEACTIVATING", RoleEnded: "ENDED",
}

// String is the state's name as the C header has it, such as "STANDBY"; the number for one that is not known.
func (r Role) String() string { return nameOf(roleNames, r) }

func nameOf[K interface {
	comparable
	~int32
}](names map[K]string, number K) string {
	if name, known := names[number]; known {
		return name
	}
	return strconv.Itoa(int(number))
}

// An Event is something that happened to a session. What its kind does not carry is zero.
type Event struct {
	// Kind is what happened.
	Kind EventKind
	// RoleName is the name of the role, such as "rootcoord".
	RoleName string
	// Token is the term's fencing token; for STANDBY, HOLDER and BLOCKED the holder's.
	Token int64
	// Reason is why the term ends or has ended, or why contending is held back.
	Reason Reason
	// Held: the role is still held, and renewed, until you have left: drain. Else it is gone: only clean up.
	Held bool
	// Remaining is the time from the event to the term's deadline as it was then.
	Remaining time.Duration
	// TTL is the time to live that the store granted the lease; it may be more than was asked for.
	TTL time.Duration
	// At is when it happened, on the clock that counts suspend (CLOCK_BOOTTIME), which all processes of a host share.
	At time.Duration
	// ServerID is the session's own (REGISTERED), or that of the holder that is named.
	ServerID int64
	// Address is where clients reach the holder that is named.
	Address string
	// Key is the key that cannot be read (FOREIGN) or that of a Milvus process in the way (BLOCKED); bytes that are no text are escaped.
	Key string
	// Err is what went wrong, an [*Error]; nil where nothing did.
	Err error
	// Missed is how many events were dropped unread just before this one.
	Missed uint64

	text string
}

// String is the event in one line of plain words, without its time. The wording may change.
func (e Event) String() string { return e.text }

// Now is the time on the clock of [Event.At].
func Now() time.Duration { return time.Duration(C.shim_now()) }

// A Holder is who is active: what a standby tells its clients.
type Holder struct {
	// ServerID is the active session's; 0: nobody is active, or nobody is known.
	ServerID int64
	// Address is where clients reach it.
	Address string
	// Token is the fencing token of its term.
	Token int64
	// Missed is how many changes came just before this one and were replaced unread ([Observer.Holders]); elsewhere 0.
	Missed uint64
}

func millis(ms C.int64_t) time.Duration { return time.Duration(ms) * time.Millisecond }

// toMillis rounds up, so that no wait ends early and no setting becomes 0.
func toMillis(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d > 0 && d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// readEvent copies an event; what it lends beside the copy lives as long as the event.
func readEvent(from *C.ha_event) (Event, C.shim_event) {
	var read C.shim_event
	C.shim_read_event(from, &read)
	event := Event{
		Kind:      EventKind(read.kind),
		RoleName:  C.GoString(read.role),
		Token:     int64(read.token),
		Reason:    Reason(read.reason),
		Held:      bool(read.held),
		Remaining: millis(read.remaining_ms),
		TTL:       millis(read.ttl_ms),
		At:        millis(read.at_ms),
		ServerID:  int64(read.server_id),
		Address:   C.GoString(read.address),
		Key:       C.GoString(read.key),
		Missed:    uint64(read.missed),
		text:      C.GoString(read.text),
	}
	if err := readError(read.error); err != nil {
		event.Err = err
	}
	return event, read
}
