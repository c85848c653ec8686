//go:build cgo

package coordha_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coordha.test/coordha"
)

func TestTheEndOfTheContextLeavesTheRoleInOrder(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		session, err := coordha.Start(ctx, config)
		ok(t, err)
		drained := make(chan bool, 1)
		result := run(session, func(term *coordha.Term) error {
			if err := term.Ready(); err != nil {
				return err
			}
			<-term.Context().Done()
			drained <- term.Held()
			return nil
		})
		ok(t, session.Wait(within(t), coordha.UntilActive))
		cancel()
		if !receive(t, "the drain", drained) {
			t.Error("the role is not held while draining")
		}
		ok(t, receive(t, "the end", result))
		ok(t, session.Stop(within(t)))
		if session.Role() != coordha.RoleEnded || session.IsActive() {
			t.Error("it is not over:", session.Role())
		}
	})
}

func TestAStandbyTakesOverWithAGreaterTokenAndKnowsTheHolder(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		first := start(t, config)
		firstEnd := run(first, serve)
		ok(t, first.Wait(within(t), coordha.UntilActive))
		token := first.FencingToken()
		if !first.Holds(token) || first.IsEnding(token) || first.Remaining() <= 0 || first.Role() != coordha.RoleActive {
			t.Error("the active one does not know itself")
		}

		config.Address = "127.0.0.1:53101"
		second := start(t, config)
		secondEnd := run(second, serve)
		standby := next(t, second, coordha.EventStandby)
		if holder := second.Holder(); holder.Address != "127.0.0.1:53100" || holder.ServerID != first.ServerID() ||
			holder.Token != token || standby.Address != holder.Address {
			t.Errorf("the standby knows %+v", holder)
		}
		if first.ActiveKey() != second.ActiveKey() || second.IsActive() || second.FencingToken() != 0 {
			t.Error("the standby is not standing by")
		}

		ok(t, first.Stop(within(t)))
		ok(t, receive(t, "the first one's end", firstEnd))
		ok(t, second.Wait(within(t), coordha.UntilActive))
		if second.FencingToken() <= token {
			t.Error("the token has not grown")
		}
		if first.ServerID() == 0 || first.ServerID() == second.ServerID() {
			t.Error("server IDs:", first.ServerID(), second.ServerID())
		}
		ok(t, second.Stop(within(t)))
		ok(t, receive(t, "the second one's end", secondEnd))
	})
}

func TestAnExclusiveSessionEndsWhereTheRoleIsHeld(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		config.ActiveStandby = false
		config.Settings = map[string]string{coordha.KeyExclusiveWaitMS: "0"}
		first := start(t, config)
		run(first, serve)
		ok(t, first.Wait(within(t), coordha.UntilActive))
		config.Address = "127.0.0.1:53101"
		second := start(t, config)
		err := second.Run(serve)
		is(t, err, coordha.ErrRoleHeld)
		var held *coordha.Error
		if !errors.As(err, &held) || held.HolderAddress != "127.0.0.1:53100" || held.HolderServerID != first.ServerID() ||
			!held.Fatal || held.Retriable {
			t.Errorf("%+v", held)
		}
		is(t, second.Wait(within(t), coordha.UntilActive), coordha.ErrRoleHeld)
		is(t, second.Wait(within(t), coordha.UntilEnded), coordha.ErrRoleHeld)
		if event := next(t, second, coordha.EventEnded); !errors.Is(event.Err, coordha.ErrRoleHeld) {
			t.Error(event, event.Err)
		}
	})
}

func TestTheStandbyWithTheHighestPriorityIsNext(t *testing.T) {
	config := onLocal(t)
	first := active(t, config)
	token := first.FencingToken()
	config.Settings = map[string]string{coordha.KeyElectionRankStepMS: "5000"}
	config.Address = "127.0.0.1:53101"
	second := start(t, config)
	run(second, serve)
	ok(t, second.Wait(within(t), coordha.UntilRegistered))
	config.Address = "127.0.0.1:53102"
	third := start(t, config)
	run(third, serve)
	ok(t, third.Wait(within(t), coordha.UntilRegistered))
	is(t, third.SetPriority(1001), coordha.ErrInvalidArgument)
	is(t, third.SetPriority(math.MinInt), coordha.ErrInvalidArgument)
	ok(t, third.SetPriority(10))
	// It counts once it is written.
	member := fmt.Sprintf("%s-%d", third.ActiveKey(), third.ServerID())
	written := func(kv coordha.KV) bool { return kv.Key == member && strings.Contains(kv.Value, `"Priority":10`) }
	for ctx := within(t); ; {
		read, err := first.Txn(token).GetPrefix(config.Root, 0).Commit(ctx)
		ok(t, err)
		if slices.ContainsFunc(read.KVs, written) {
			break
		}
	}
	ok(t, first.Stop(within(t)))
	ok(t, third.Wait(within(t), coordha.UntilActive))
	ok(t, second.Stop(within(t)))
	ok(t, third.Stop(within(t)))
}

func TestAPausedSessionContendsOnceItIsResumed(t *testing.T) {
	config := onLocal(t)
	config.Paused = true
	session := start(t, config)
	if event := next(t, session, coordha.EventBlocked); event.Reason != coordha.ReasonPaused {
		t.Error(event)
	}
	ok(t, session.Resume())
	token := next(t, session, coordha.EventActivate).Token
	ok(t, session.ActivationDone(token, nil))
	ok(t, session.Pause())
	if !session.IsActive() {
		t.Error("the role that is held is not kept")
	}
	ok(t, session.Close())
}

func TestTheSameRoleAndAddressIsRefusedTwice(t *testing.T) {
	config := onLocal(t)
	start(t, config)
	_, err := coordha.Start(context.Background(), config)
	is(t, err, coordha.ErrAlreadyStarted)
}

func TestAContextThatHasEndedStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := coordha.Start(ctx, onLocal(t))
	is(t, err, coordha.ErrTimeout)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAStoreThatCannotBeReachedIsAnEvent(t *testing.T) {
	session := start(t, baseConfig("etcd://127.0.0.1:1", "by-dev/meta"))
	event := next(t, session, coordha.EventDegraded)
	is(t, event.Err, coordha.ErrUnavailable)
	var down *coordha.Error
	if !errors.As(event.Err, &down) || !down.Retriable || down.Endpoint == "" {
		t.Errorf("%+v", down)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := session.Wait(ctx, coordha.UntilRegistered)
	is(t, err, coordha.ErrTimeout)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWaitingEndsWithTheSession(t *testing.T) {
	session := start(t, baseConfig("etcd://127.0.0.1:1", "by-dev/meta"))
	waiting := make(chan error, 1)
	go func() { waiting <- session.Wait(context.Background(), coordha.UntilActive) }()
	session.RequestStop()
	is(t, receive(t, "the end of the wait", waiting), coordha.ErrEnded)
	ok(t, session.Wait(within(t), coordha.UntilEnded))
	ok(t, session.Wait(within(t), coordha.UntilTermEnding))
	is(t, session.Wait(within(t), 0), coordha.ErrInvalidArgument)
}

func TestAWaitForATermThatNobodyAnswersIsWarnedOf(t *testing.T) {
	lines := make(chan string, 10)
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(slog.NewTextHandler(writer(func(line []byte) (int, error) {
		lines <- string(line)
		return len(line), nil
	}), nil)))
	session := start(t, onLocal(t))
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan error, 1)
	go func() { waiting <- session.Wait(ctx, coordha.UntilActive) }()
	if line := receive(t, "the warning", lines); !strings.Contains(line, "level=WARN") ||
		!strings.Contains(line, "nobody says ready") {
		t.Error(line)
	}
	cancel()
	is(t, receive(t, "the end of the wait", waiting), coordha.ErrTimeout)
	result := run(session, serve)
	ok(t, session.Wait(within(t), coordha.UntilActive))
	ok(t, session.Stop(within(t)))
	ok(t, receive(t, "the end", result))
	if len(lines) != 0 {
		t.Error("and more:", <-lines)
	}
}

// afterClose makes every call on a session that was closed.
func afterClose(t *testing.T, s *coordha.Session) {
	t.Helper()
	ctx := within(t)
	_, commit := s.Txn(7).Put("a", "b").Commit(ctx)
	for name, err := range map[string]error{
		"Stop": s.Stop(ctx), "Wait": s.Wait(ctx, coordha.UntilEnded), "Run": s.Run(serve), "Resign": s.Resign(0),
		"SetPriority":    s.SetPriority(1),
		"ActivationDone": s.ActivationDone(7, nil), "DeactivationDone": s.DeactivationDone(7), "Commit": commit,
	} {
		if !errors.Is(err, coordha.ErrClosed) {
			t.Errorf("%s says %v", name, err)
		}
	}
	s.RequestStop()
	if s.IsActive() || s.Holds(7) || !s.IsEnding(7) || s.FencingToken() != 0 || s.Remaining() != 0 ||
		s.Role() != coordha.RoleEnded || s.Holder() != (coordha.Holder{}) {
		t.Error("a closed session answers as if it lived")
	}
	for range s.Events() {
		t.Error("a closed session has events")
	}
	if err := s.Close(); err != nil {
		t.Error("closed twice:", err)
	}
}

func TestUseAfterCloseIsAnError(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		session := start(t, config)
		ok(t, session.Wait(within(t), coordha.UntilRegistered))
		ok(t, session.Close())
		afterClose(t, session)
	})
}

func TestUseAfterTheEndSaysSo(t *testing.T) {
	session := start(t, onLocal(t))
	session.RequestStop()
	ok(t, session.Run(serve))
	is(t, session.Run(serve), coordha.ErrEnded)
	ok(t, session.Stop(within(t)))
	is(t, session.Resign(0), coordha.ErrEnded)
	is(t, session.ActivationDone(7, nil), coordha.ErrEnded)
	is(t, session.DeactivationDone(7), coordha.ErrEnded)
	_, err := session.Txn(7).Put("a", "b").Commit(within(t))
	is(t, err, coordha.ErrFenced)
	next(t, session, coordha.EventEnded)
	if _, more := <-session.Events(); more {
		t.Error("events after ENDED")
	}
}

func TestCloseMayComeWhileOthersUseTheSession(t *testing.T) {
	session := start(t, onLocal(t))
	var users sync.WaitGroup
	closed := make(chan struct{})
	in := func(use func()) {
		users.Add(1)
		go func() {
			defer users.Done()
			use()
		}()
	}
	for range 8 {
		in(func() {
			for {
				session.IsActive()
				session.Holder()
				_, err := session.Txn(session.FencingToken()).Get("x").Commit(context.Background())
				if errors.Is(err, coordha.ErrClosed) {
					return
				}
			}
		})
		in(func() {
			_ = session.Wait(context.Background(), coordha.UntilActive)
			for range session.Events() {
			}
		})
	}
	ok(t, session.Wait(within(t), coordha.UntilRegistered))
	go func() {
		_ = session.Close()
		close(closed)
	}()
	ok(t, session.Close())
	receive(t, "the other close", closed)
	users.Wait()
	afterClose(t, session)
}

func TestCloseWithoutABodyGivesTheRoleUpAtOnce(t *testing.T) {
	config := onLocal(t)
	config.DeactivationTimeout = time.Hour
	first := start(t, config)
	token := next(t, first, coordha.EventActivate).Token
	ok(t, first.ActivationDone(token, nil))
	ok(t, first.Close())
	config.Address = "127.0.0.1:53101"
	second := start(t, config)
	if next(t, second, coordha.EventActivate).Token <= token {
		t.Error("the token has not grown")
	}
	ok(t, second.Close())
}

func TestCloseWithABodyLetsItDrain(t *testing.T) {
	session := start(t, onLocal(t))
	held := false
	result := run(session, func(term *coordha.Term) error {
		if err := serve(term); err != nil {
			return err
		}
		_, err := term.Txn().Put("drained", "yes").Commit(context.Background())
		held = err == nil
		return err
	})
	ok(t, session.Wait(within(t), coordha.UntilActive))
	ok(t, session.Close())
	if !held {
		t.Error("the role was not held while draining")
	}
	receive(t, "the end", result)
	afterClose(t, session)
}
