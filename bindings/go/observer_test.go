//go:build cgo

package coordha_test

import (
	"context"
	"errors"
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
	for range observer.Holders() {
		// At most the first look.
	}
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
