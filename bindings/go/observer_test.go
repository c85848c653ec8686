//go:build cgo

package coordha_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"coordha.test/coordha"
)

func observe(t *testing.T, config coordha.Config) *coordha.Observer {
	t.Helper()
	config.Address = ""
	observer, err := coordha.StartObserver(context.Background(), config)
	ok(t, err)
	t.Cleanup(func() { _ = observer.Close() })
	return observer
}

func TestAnObserverFollowsThreeTerms(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		observer := observe(t, config)
		if first := receive(t, "the first look", observer.Holders()); first != (coordha.Holder{}) {
			t.Errorf("%+v", first)
		}
		var token int64
		for _, address := range []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"} {
			config.Address = address
			session := start(t, config)
			result := run(session, serve)
			holder := receive(t, "a holder", observer.Holders())
			if holder.Address != address || holder.Token <= token || holder.ServerID != session.ServerID() {
				t.Errorf("%+v", holder)
			}
			token = holder.Token
			if now, err := observer.Current(); err != nil || now != holder {
				t.Errorf("%+v %v", now, err)
			}
			ok(t, session.Stop(within(t)))
			ok(t, receive(t, "the end", result))
			if nobody := receive(t, "nobody", observer.Holders()); nobody.ServerID != 0 || nobody.Address != "" {
				t.Errorf("%+v", nobody)
			}
		}
	})
}

func TestASlowObserverSeesTheNewest(t *testing.T) {
	config := onLocal(t)
	config.HoldTime = time.Second
	observer, slow := observe(t, config), observe(t, config)
	receive(t, "the first look", observer.Holders())
	session := active(t, config)
	for range 5 {
		nextTerm(t, session)
	}
	for holder := range observer.Holders() {
		if holder.Token == session.FencingToken() {
			break
		}
	}
	var token int64
	for reads := 0; token != session.FencingToken(); reads++ {
		holder := receive(t, "a holder", slow.Holders())
		if holder.Token != 0 && holder.Token < token || reads > 3 {
			t.Fatalf("read %d: %+v after %d", reads, holder, token)
		}
		token = holder.Token
	}
}

func TestWhatASlowObserverMissesIsToldAndCounted(t *testing.T) {
	config := onLocal(t)
	config.Role = "slowly"
	before := missedInAll(t, config.Role)
	slow := observe(t, config)
	untilToldOf(t, slow, 0)
	config.AutoActivate = true
	session := start(t, config)
	for range 3 {
		ok(t, session.Wait(within(t), coordha.UntilActive))
		untilToldOf(t, slow, session.FencingToken())
		nextTerm(t, session)
	}
	last := session.FencingToken()
	untilToldOf(t, slow, last)
	var told, missed uint64
	for token := int64(-1); token < last; told++ {
		holder := receive(t, "a holder", slow.Holders())
		token, missed = holder.Token, missed+holder.Missed
	}
	// Nobody and four terms at least, of which no more than three can have waited somewhere to be taken.
	if counted := missedInAll(t, config.Role) - before; told+missed < 5 || told > 3 || missed != counted {
		t.Errorf("%d told, %d missed, %d counted", told, missed, counted)
	}
}

// untilToldOf waits until the observer knows of this token or a later one, and takes nothing.
func untilToldOf(t *testing.T, observer *coordha.Observer, token int64) {
	t.Helper()
	for until := time.Now().Add(limit); ; runtime.Gosched() {
		if now, err := observer.Current(); err == nil && now.Token >= token {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("it is not told of %d", token)
		}
	}
}

// missedInAll is the metric of a role that has one root.
func missedInAll(t *testing.T, role string) (count uint64) {
	t.Helper()
	for line := range strings.Lines(coordha.MetricsText()) {
		if strings.HasPrefix(line, fmt.Sprintf("coordha_observer_events_missed_total{role=%q,", role)) {
			_, value, _ := strings.Cut(line, "} ")
			_, err := fmt.Sscan(value, &count)
			ok(t, err)
		}
	}
	return count
}

func TestNothingIsToldOnceAnObserverIsClosed(t *testing.T) {
	config := onLocal(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cancelled, err := coordha.StartObserver(ctx, config)
	ok(t, err)
	closed := observe(t, config)
	for _, observer := range []*coordha.Observer{cancelled, closed} {
		for until := time.Now().Add(limit); len(observer.Holders()) == 0; runtime.Gosched() {
			if time.Now().After(until) {
				t.Fatal("the first look does not come")
			}
		}
	}
	cancel()
	ok(t, cancelled.Err())
	ok(t, closed.Close())
	for _, observer := range []*coordha.Observer{cancelled, closed} {
		if holder, more := <-observer.Holders(); more {
			t.Errorf("%+v", holder)
		}
	}
}

func TestAnObserverEndsWithItsContextOrByClose(t *testing.T) {
	config := onLocal(t)
	ctx, cancel := context.WithCancel(context.Background())
	observer, err := coordha.StartObserver(ctx, config)
	ok(t, err)
	cancel()
	ok(t, observer.Err())
	_, err = observer.Current()
	is(t, err, coordha.ErrEnded)
	_, err = coordha.StartObserver(ctx, config)
	is(t, err, coordha.ErrTimeout)

	observer = observe(t, config)
	ok(t, observer.Close())
	ok(t, observer.Close())
	ok(t, observer.Err())
	_, err = observer.Current()
	is(t, err, coordha.ErrClosed)
}

func TestAnObserverSaysWhyItKnowsNothing(t *testing.T) {
	observer := observe(t, baseConfig("etcd://127.0.0.1:1", "by-dev/meta"))
	_, err := observer.Current()
	is(t, err, coordha.ErrUnavailable)
	config := onLocal(t)
	config.Role = ""
	_, err = coordha.StartObserver(context.Background(), config)
	var missing *coordha.Error
	if !errors.As(err, &missing) || missing.Code != coordha.ErrConfigMissing || missing.Key != coordha.KeyRole {
		t.Errorf("%+v", err)
	}
}
