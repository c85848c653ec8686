//go:build cgo

package coordha

import (
	"slices"
	"testing"
)

func kindsOf(events []Event) (kinds []EventKind) {
	for _, event := range events {
		kinds = append(kinds, event.Kind)
	}
	return kinds
}

func TestTheOldestEventGoesWhereTooManyWait(t *testing.T) {
	for name, channel := range map[string]chan Event{"before there is a channel": nil, "in the channel": make(chan Event, 4+slack)} {
		t.Run(name, func(t *testing.T) {
			o := outbox{capacity: 4, channel: channel}
			o.push(Event{Kind: EventActivate, Token: 1}, false)
			for i := range 10 {
				o.push(Event{Kind: EventHolder, Token: int64(i)}, false)
			}
			o.push(Event{Kind: EventEnded}, false)
			o.push(Event{Kind: EventHolder}, false)
			events := o.takeBack()
			wanted := []EventKind{EventActivate, EventHolder, EventHolder, EventHolder, EventHolder, EventEnded}
			if !slices.Equal(kindsOf(events), wanted) || events[1].Token != 6 || events[1].Missed != 6 {
				t.Errorf("%+v", events)
			}
		})
	}
}

func TestWhoAnswersByTokensAndReadsNothingKeepsTheLastTerm(t *testing.T) {
	o := outbox{capacity: 4, channel: make(chan Event, 4+slack)}
	const terms = 1000
	for token := int64(1); token <= terms; token++ {
		for _, kind := range []EventKind{EventActivate, EventActive, EventDeactivate, EventTermEnded} {
			o.push(Event{Kind: kind, Token: token}, false)
		}
	}
	for range 10 {
		o.push(Event{Kind: EventDegraded}, false)
	}
	o.push(Event{Kind: EventEnded}, false)
	events := o.takeBack()
	missed := 0
	for _, event := range events {
		missed += int(event.Missed)
	}
	if len(events) > 4+slack || missed+len(events) != 4*terms+11 {
		t.Error(len(events), "read,", missed, "missed")
	}
	wanted := []EventKind{EventActivate, EventActive, EventDeactivate, EventTermEnded, EventDegraded, EventDegraded,
		EventDegraded, EventDegraded, EventEnded}
	if last := kindsOf(events)[max(len(events)-len(wanted), 0):]; !slices.Equal(last, wanted) {
		t.Error(last)
	}
}

func TestWithABodyEventsOfTermsAreDroppedAsWell(t *testing.T) {
	o := outbox{capacity: 4}
	for token := range int64(10) {
		o.push(Event{Kind: EventActive, Token: token}, true)
	}
	if events := o.takeBack(); len(events) != 4 || events[0].Missed != 6 || events[3].Token != 9 {
		t.Errorf("%+v", events)
	}
}
