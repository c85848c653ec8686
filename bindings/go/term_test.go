//go:build cgo

package coordha_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"coordha.test/coordha"
)

// first runs a body for the first term, and serves the later ones.
func first(body func(*coordha.Term) error) func(*coordha.Term) error {
	served := false
	return func(term *coordha.Term) error {
		if served {
			return serve(term)
		}
		served = true
		return body(term)
	}
}

// captureLog gives what is logged by slog.Default while the test runs.
func captureLog(t *testing.T) func() string {
	var mu sync.Mutex
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writer(func(line []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(line)
	}), nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(line []byte) (int, error) { return w(line) }

func TestAFailedActivationGivesTheTermUpAndContendsAgain(t *testing.T) {
	config := onLocal(t)
	for name, fail := range map[string]func(*coordha.Term) error{
		"an error":  func(*coordha.Term) error { return fmt.Errorf("no disk: %w", coordha.ErrApplication+5) },
		"a return":  func(*coordha.Term) error { return nil },
		"a panic":   func(*coordha.Term) error { panic("boom") },
		"a Goexit":  func(*coordha.Term) error { runtime.Goexit(); return nil },
		"a NUL":     func(*coordha.Term) error { return errors.New("a\x00b") },
		"no UTF-8":  func(*coordha.Term) error { return errors.New("a\xffb") },
		"a timeout": func(term *coordha.Term) error { <-term.Context().Done(); return term.Ready() },
	} {
		t.Run(name, func(t *testing.T) {
			logged := captureLog(t)
			config.ActivationTimeout = 60 * time.Second
			reason := coordha.ReasonActivationFailed
			if name == "a timeout" {
				config.ActivationTimeout, reason = 100*time.Millisecond, coordha.ReasonActivationTimeout
			}
			session := start(t, config)
			result := run(session, first(fail))
			failed := next(t, session, coordha.EventTermEnded)
			if failed.Reason != reason || !errors.Is(failed.Err, coordha.ErrActivationFailed) {
				t.Error(failed, failed.Err)
			}
			var err *coordha.Error
			if name == "an error" && (!errors.As(failed.Err, &err) || !strings.Contains(err.Message, "no disk") ||
				err.Application != 10005 || !errors.Is(err, coordha.ErrApplication+5)) {
				t.Errorf("%+v", failed.Err)
			}
			if name == "a return" && (!errors.As(failed.Err, &err) || err.Application != coordha.ErrActivationFailed ||
				!strings.Contains(err.Message, "returned before it was ready")) {
				t.Errorf("%+v", failed.Err)
			}
			ok(t, session.Wait(within(t), coordha.UntilActive))
			if session.FencingToken() <= failed.Token {
				t.Error("the token has not grown")
			}
			if panicked := strings.Count(logged(), "panicked"); panicked != strings.Count(name, "panic") {
				t.Error(panicked, "panics in the log:", logged())
			}
			ok(t, session.Stop(within(t)))
			ok(t, receive(t, "the end", result))
		})
	}
}

func TestABodyThatStopsServingResigns(t *testing.T) {
	config := onLocal(t)
	for name, stop := range map[string]func() error{
		"by returning": func() error { return nil },
		"by an error":  func() error { return errors.New("out of memory") },
		"by a panic":   func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			logged := captureLog(t)
			session := start(t, config)
			result := run(session, first(func(term *coordha.Term) error {
				if err := term.Ready(); err != nil {
					return err
				}
				return stop()
			}))
			left := next(t, session, coordha.EventDeactivate)
			if left.Reason != coordha.ReasonResign || !left.Held {
				t.Error(left)
			}
			next(t, session, coordha.EventActive)
			lines := strings.Count(logged(), "level=ERROR")
			if stack := strings.Contains(logged(), "term_test.go"); lines > 1 || (name == "by returning") != (lines == 0) ||
				(name == "by a panic") != stack {
				t.Errorf("%d lines in the log: %s", lines, logged())
			}
			ok(t, session.Stop(within(t)))
			ok(t, receive(t, "the end", result))
		})
	}
}

func TestABodyThatEndsWithItsTermLogsNothingButWhatWentWrong(t *testing.T) {
	config := onLocal(t)
	config.DeactivationTimeout = 50 * time.Millisecond
	for name, test := range map[string]struct {
		end    func(*coordha.Term) error
		logged int
	}{
		"the context's error": {func(term *coordha.Term) error { return term.Context().Err() }, 0},
		"its cause":           {func(term *coordha.Term) error { return context.Cause(term.Context()) }, 0},
		"a wrapped cause": {func(term *coordha.Term) error {
			return fmt.Errorf("no more: %w", context.Cause(term.Context()))
		}, 0},
		"a late write": {func(term *coordha.Term) error {
			<-term.HeldContext().Done()
			_, err := term.Txn().Put("late", "x").Commit(context.Background())
			return err
		}, 0},
		"something else": {func(*coordha.Term) error { return errors.New("out of memory") }, 1},
		"a panic":        {func(*coordha.Term) error { panic("boom") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			logged := captureLog(t)
			session := start(t, config)
			result := run(session, func(term *coordha.Term) error {
				if err := serve(term); err != nil {
					return err
				}
				return test.end(term)
			})
			ok(t, session.Wait(within(t), coordha.UntilActive))
			_ = session.Stop(within(t))
			ok(t, receive(t, "the end", result))
			if lines := strings.Count(logged(), "level="); lines != test.logged {
				t.Errorf("%d lines in the log: %s", lines, logged())
			}
		})
	}
}

func TestABodyThatEndsBeforeItIsToldToButWasAskedLogsNothing(t *testing.T) {
	logged := captureLog(t)
	session := start(t, onLocal(t))
	ok(t, session.Run(func(term *coordha.Term) error {
		if err := term.Ready(); err != nil {
			return err
		}
		session.RequestStop()
		return coordha.ErrFenced
	}))
	if logged() != "" {
		t.Error(logged())
	}
}

func TestReadyComesTooLateWhereTheTermWasAskedToEnd(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		session := start(t, config)
		late := make(chan error, 1)
		result := run(session, func(term *coordha.Term) error {
			session.RequestStop()
			<-term.Context().Done()
			late <- term.Ready()
			return nil
		})
		is(t, receive(t, "the refusal", late), coordha.ErrFenced)
		ok(t, receive(t, "the end", result))
	})
}

func TestReadyTwiceIsAnError(t *testing.T) {
	session := start(t, onLocal(t))
	twice := make(chan error, 1)
	result := run(session, func(term *coordha.Term) error {
		if err := term.Ready(); err != nil {
			return err
		}
		twice <- term.Ready()
		return serve(term)
	})
	is(t, receive(t, "the refusal", twice), coordha.ErrState)
	is(t, session.Run(serve), coordha.ErrState)
	_ = session.Stop(within(t))
	ok(t, receive(t, "the end", result))
}

func TestALostTermEndsItsContextsAndFencesItsWrites(t *testing.T) {
	config := onEtcd(t)
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "value")
	session, err := coordha.Start(ctx, config)
	ok(t, err)
	defer session.Close()
	var lost error
	fenced := make(chan error, 1)
	result := run(session, first(func(term *coordha.Term) error {
		if err := term.Ready(); err != nil {
			return err
		}
		<-term.Context().Done()
		lost = context.Cause(term.Context())
		if term.HeldContext().Err() == nil || term.Held() || term.Context().Value(key{}) != "value" {
			t.Error("the term does not know that it is lost")
		}
		_, err := term.Txn().Put("x", "y").Commit(context.Background())
		fenced <- err
		return nil
	}))
	ok(t, session.Wait(within(t), coordha.UntilActive))
	token := session.FencingToken()
	etcdctl := filepath.Join(filepath.Dir(etcd.program), "etcdctl")
	said, err := exec.Command(etcdctl, "--endpoints", strings.TrimPrefix(etcd.url, "etcd://"), "del",
		session.ActiveKey()).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(said))
	}
	is(t, receive(t, "the refusal", fenced), coordha.ErrFenced)
	is(t, lost, coordha.ErrFenced)
	var end *coordha.TermEnd
	if !errors.As(lost, &end) || end.Reason != coordha.ReasonKeyDeleted || end.Held {
		t.Error(lost)
	}
	ok(t, session.Wait(within(t), coordha.UntilActive))
	if session.FencingToken() <= token {
		t.Error("the token has not grown")
	}
	ok(t, session.Stop(within(t)))
	ok(t, receive(t, "the end", result))
}

func TestADrainThatHangsIsCutOff(t *testing.T) {
	config := onLocal(t)
	config.DeactivationTimeout = 50 * time.Millisecond
	session := start(t, config)
	gone := make(chan error, 1)
	result := run(session, func(term *coordha.Term) error {
		if err := term.Ready(); err != nil {
			return err
		}
		<-term.HeldContext().Done()
		gone <- context.Cause(term.HeldContext())
		return nil
	})
	ok(t, session.Wait(within(t), coordha.UntilActive))
	ok(t, session.Stop(within(t)))
	var end *coordha.TermEnd
	if err := receive(t, "the loss", gone); !errors.As(err, &end) || end.Held {
		t.Error(err)
	}
	ok(t, receive(t, "the end", result))
}

func TestWithAutomaticActivationThereIsNothingToAnswer(t *testing.T) {
	config := onLocal(t)
	config.AutoActivate = true
	session := start(t, config)
	is(t, session.Run(serve), coordha.ErrState)
	ok(t, session.Wait(within(t), coordha.UntilActive))
	ok(t, session.Stop(within(t)))
}
