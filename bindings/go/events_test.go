//go:build cgo

package coordha_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"coordha.test/coordha"
)

func TestEventsTellTheLifeOfASessionAndAreAnsweredByToken(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		session, err := coordha.Start(ctx, config)
		ok(t, err)
		defer session.Close()
		var kinds []coordha.EventKind
		var token int64
		var at time.Duration
		for event := range session.Events() {
			if event.At < at || event.RoleName != "rootcoord" || event.String() == "" || event.Missed != 0 {
				t.Errorf("%+v", event)
			}
			at = event.At
			switch event.Kind {
			case coordha.EventRegistered:
				if event.ServerID != session.ServerID() || event.TTL < config.LeaseTTL {
					t.Errorf("%+v", event)
				}
			case coordha.EventActivate:
				token = event.Token
				if event.Remaining <= 0 || token == 0 {
					t.Errorf("%+v", event)
				}
				is(t, session.DeactivationDone(token), coordha.ErrState)
				is(t, session.ActivationDone(token-1, nil), coordha.ErrFenced)
				ok(t, session.ActivationDone(token, nil))
				is(t, session.ActivationDone(token, nil), coordha.ErrState)
			case coordha.EventActive:
				cancel()
			case coordha.EventDeactivate:
				if !event.Held || event.Reason != coordha.ReasonStop || event.Err != nil || event.Token != token {
					t.Errorf("%+v", event)
				}
				is(t, session.ActivationDone(token, nil), coordha.ErrFenced)
				ok(t, session.DeactivationDone(token))
			case coordha.EventEnded:
				if event.Err != nil {
					t.Error(event.Err)
				}
			// These come or not, as the machine is slow or quick.
			case coordha.EventHolder, coordha.EventDegraded, coordha.EventRecovered, coordha.EventJeopardy,
				coordha.EventSafe:
				continue
			}
			kinds = append(kinds, event.Kind)
		}
		wanted := []coordha.EventKind{coordha.EventRegistered, coordha.EventStandby, coordha.EventActivate,
			coordha.EventActive, coordha.EventDeactivate, coordha.EventTermEnded, coordha.EventEnded}
		if !slices.Equal(kinds, wanted) {
			t.Error(kinds)
		}
		ok(t, session.Stop(within(t)))
	})
}

func TestASlowReaderLosesTheOldestAndIsToldHowMany(t *testing.T) {
	config := onLocal(t)
	config.Settings = map[string]string{coordha.KeyEventsQueue: "16"}
	watcher := start(t, config)
	ok(t, watcher.Wait(within(t), coordha.UntilRegistered))
	token := next(t, watcher, coordha.EventActivate).Token
	ok(t, watcher.ActivationDone(token, nil))
	ok(t, watcher.Wait(within(t), coordha.UntilActive))

	// Nobody reads now. Each pair of terms of others that this one sees is two HOLDERs and more.
	ok(t, watcher.Resign(time.Hour))
	next(t, watcher, coordha.EventDeactivate)
	ok(t, watcher.DeactivationDone(token))
	config.Address = "127.0.0.1:53101"
	config.HoldTime = time.Second // so that terms follow one another quickly
	config.Settings = nil
	other := start(t, config)
	run(other, serve)
	ok(t, other.Wait(within(t), coordha.UntilActive))
	for range 20 {
		nextTerm(t, other)
	}
	ok(t, other.Stop(within(t)))

	watcher.RequestStop()
	ok(t, watcher.Wait(within(t), coordha.UntilEnded))
	var missed uint64
	var read int
	var kinds []coordha.EventKind
	for event := range watcher.Events() {
		missed += event.Missed
		read++
		kinds = append(kinds, event.Kind)
	}
	if missed == 0 || read > 16+4 {
		t.Errorf("%d missed, %d read: %v", missed, read, kinds)
	}
	if !slices.Contains(kinds, coordha.EventTermEnded) || kinds[len(kinds)-1] != coordha.EventEnded {
		t.Error("what may not be dropped is gone:", kinds)
	}
}

func TestWithABodyNobodyNeedsToReadEvents(t *testing.T) {
	config := onLocal(t)
	config.HoldTime = time.Second // so that terms follow one another quickly
	config.Settings = map[string]string{coordha.KeyEventsQueue: "16"}
	session := start(t, config)
	result := run(session, serve)
	ok(t, session.Wait(within(t), coordha.UntilActive))
	for range 20 {
		nextTerm(t, session)
	}
	ok(t, session.Stop(within(t)))
	ok(t, receive(t, "the end", result))
	var missed uint64
	read := 0
	for event := range session.Events() {
		missed += event.Missed
		read++
	}
	if read > 17 || missed == 0 {
		t.Error(read, "read,", missed, "missed")
	}
}

func TestAnEventChannelThatNobodyReadsEndsWithClose(t *testing.T) {
	session := start(t, onLocal(t))
	events := session.Events()
	ok(t, session.Wait(within(t), coordha.UntilRegistered))
	ok(t, session.Close())
	for range events {
		// At most the one that was being handed over.
	}
}
