//go:build cgo

package coordha_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"coordha.test/coordha"
)

// active starts a session and waits until it is active.
func active(t *testing.T, config coordha.Config) *coordha.Session {
	t.Helper()
	session := start(t, config)
	result := run(session, serve)
	t.Cleanup(func() {
		_ = session.Stop(within(t))
		receive(t, "the end", result)
	})
	ok(t, session.Wait(within(t), coordha.UntilActive))
	return session
}

func TestATransactionWritesAndReads(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		s := active(t, config)
		ctx, token, odd := within(t), s.FencingToken(), "o\x00dd\xff"
		wrote, err := s.Txn(token).IfRevision("t/a", 0).Put("t/a", "1").Put(odd, odd).PutLeased("t/b", "").Commit(ctx)
		ok(t, err)
		if wrote.Revision == 0 || len(wrote.KVs) != 0 {
			t.Errorf("%+v", wrote)
		}
		read, err := s.Txn(token).IfValue("t/b", "").IfValue(odd, odd).Get("absent").Get(odd).GetPrefix("t/", 0).Commit(ctx)
		ok(t, err)
		wanted := []coordha.KV{{odd, odd, wrote.Revision}, {"t/a", "1", wrote.Revision}, {"t/b", "", wrote.Revision}}
		if len(read.KVs) != 3 || read.KVs[0] != wanted[0] || read.KVs[1] != wanted[1] || read.KVs[2] != wanted[2] {
			t.Errorf("%+v", read)
		}
		read, err = s.Txn(token).GetPrefix("t/", 1).Commit(ctx)
		if err != nil || len(read.KVs) != 1 || read.KVs[0].Key != "t/a" {
			t.Errorf("%+v %v", read, err)
		}
		_, err = s.Txn(token).Delete(odd).DeletePrefix("t/").Commit(ctx)
		ok(t, err)
		read, err = s.Txn(token).Get(odd).GetPrefix("t/", 0).Commit(ctx)
		if err != nil || len(read.KVs) != 0 {
			t.Errorf("%+v %v", read, err)
		}
	})
}

func TestAFailedCompareWritesNothingAndShowsWhatIsThere(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		s := active(t, config)
		ctx, token := within(t), s.FencingToken()
		wrote, err := s.Txn(token).Put("a", "1").Commit(ctx)
		ok(t, err)
		found, err := s.Txn(token).IfRevision("a", wrote.Revision-1).Put("a", "2").Commit(ctx)
		is(t, err, coordha.ErrCompareFailed)
		if len(found.KVs) != 1 || found.KVs[0] != (coordha.KV{Key: "a", Value: "1", ModRevision: wrote.Revision}) {
			t.Errorf("%+v", found)
		}
	})
}

func TestATransactionOfAnotherTermIsFenced(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		s := active(t, config)
		ctx, token := within(t), s.FencingToken()
		for _, other := range []int64{0, token - 1, token + 1} {
			_, err := s.Txn(other).Put("another term", "1").Commit(ctx)
			is(t, err, coordha.ErrFenced)
		}
		nextTerm(t, s)
		_, err := s.Txn(token).Put("another term", "1").Commit(ctx)
		is(t, err, coordha.ErrFenced)
		read, err := s.Txn(s.FencingToken()).Get("another term").Commit(ctx)
		if err != nil || len(read.KVs) != 0 {
			t.Errorf("%+v %v", read, err)
		}
	})
}

func TestAWrongTransactionIsRefused(t *testing.T) {
	s := active(t, onLocal(t))
	token := s.FencingToken()
	for name, test := range map[string]struct {
		txn  *coordha.Txn
		code coordha.Code
	}{
		"an empty key":      {s.Txn(token).Put("", "x"), coordha.ErrInvalidArgument},
		"a long key":        {s.Txn(token).Put(strings.Repeat("k", 4097), "x"), coordha.ErrTooLarge},
		"a key of ours":     {s.Txn(token).Put("by-dev/meta/ha/x", "x"), coordha.ErrInvalidArgument},
		"a key twice":       {s.Txn(token).Put("a", "x").Put("a", "y"), coordha.ErrInvalidArgument},
		"a negative limit":  {s.Txn(token).GetPrefix("a", -1), coordha.ErrInvalidArgument},
		"a large value":     {s.Txn(token).Put("a", strings.Repeat("v", 1<<20)), coordha.ErrTooLarge},
		"many operations":   {many(s.Txn(token)), coordha.ErrTooLarge},
		"the first of them": {s.Txn(token).Put("", "x").Put("a", strings.Repeat("v", 1<<20)), coordha.ErrInvalidArgument},
	} {
		if _, err := test.txn.Commit(within(t)); !errors.Is(err, test.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	once := s.Txn(token).Get("a")
	_, err := once.Commit(within(t))
	ok(t, err)
	_, err = once.Commit(within(t))
	is(t, err, coordha.ErrState)
}

func many(txn *coordha.Txn) *coordha.Txn {
	for range 101 {
		txn.Get("a")
	}
	return txn
}

func TestACommitWhoseContextHasEndedSendsNothing(t *testing.T) {
	s := active(t, onLocal(t))
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	_, err := s.Txn(s.FencingToken()).Put("a", "1").Commit(ctx)
	is(t, err, coordha.ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	read, err := s.Txn(s.FencingToken()).Get("a").Commit(within(t))
	if err != nil || len(read.KVs) != 0 {
		t.Errorf("%+v %v", read, err)
	}
}

func TestCommitsWaitWithoutThreads(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		// The disk may be slow.
		config.HoldTime, config.LeaseTTL = time.Minute, 2*time.Minute
		s := active(t, config)
		token, before := s.FencingToken(), threads(t)
		const count = 500
		results := make(chan error, count)
		for i := range count {
			go func() {
				_, err := s.Txn(token).Put(fmt.Sprint("many/", i), "x").Commit(context.Background())
				results <- err
			}()
		}
		for range count {
			ok(t, receive(t, "a commit", results))
		}
		if now := threads(t); now > before+20 {
			t.Errorf("%d threads before, %d after %d commits at once", before, now, count)
		}
		read, err := s.Txn(token).GetPrefix("many/", 0).Commit(within(t))
		if err != nil || len(read.KVs) != count {
			t.Error(len(read.KVs), err)
		}
	})
}

func TestTooManyCommitsAtOnceWaitForTheirTurn(t *testing.T) {
	config := onEtcd(t)
	config.Settings = map[string]string{coordha.KeyTxnInflight: "1"}
	s := active(t, config)
	token, results := s.FencingToken(), make(chan error)
	for range 3 { // which takes no place for good
		_, err := s.Txn(token).Put("", "x").Commit(within(t))
		is(t, err, coordha.ErrInvalidArgument)
	}
	for range 50 {
		go func() {
			_, err := s.Txn(token).Get("x").Commit(context.Background())
			results <- err
		}()
	}
	for range 50 {
		ok(t, receive(t, "a commit", results))
	}
}

// ownEtcd is an etcd that a test may stop, and a session on it that is active for as long as the test lasts.
func ownEtcd(t *testing.T, settings map[string]string) (*server, *coordha.Session) {
	server, err := startEtcd(etcdProgram)
	ok(t, err)
	if server == nil {
		t.Skip("there is no etcd")
	}
	t.Cleanup(server.stop)
	config := baseConfig(server.url, "by-dev/meta")
	config.HoldTime, config.LeaseTTL, config.Settings = time.Minute, 2*time.Minute, settings
	return server, active(t, config)
}

// suspend stops the server in the middle of what it does, until the test resumes it, or ends.
func (s *server) suspend(t *testing.T) {
	ok(t, s.command.Process.Signal(syscall.SIGSTOP))
	_, err := syscall.Wait4(s.command.Process.Pid, nil, syscall.WUNTRACED, nil) // until it has stopped
	ok(t, err)
	t.Cleanup(func() { _ = s.command.Process.Signal(syscall.SIGCONT) })
}

func TestACommitThatWasNeverSentMayBeSentAgain(t *testing.T) {
	server, s := ownEtcd(t, map[string]string{coordha.KeyTxnInflight: "1", coordha.KeyStoreRequestTimeoutMS: "60000"})
	server.suspend(t)
	token := s.FencingToken()
	// Nobody waits for this one any more, but the library does.
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Second, cancel) // by then it was sent, on a busy machine too
	_, err := s.Txn(token).Put("x", "y").Commit(ctx)
	is(t, err, coordha.ErrUnknownOutcome)
	second := s.Txn(token).Put("z", "z")
	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = second.Commit(ctx)
	is(t, err, coordha.ErrTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ok(t, server.command.Process.Signal(syscall.SIGCONT))
	_, err = second.Commit(within(t))
	ok(t, err)
	_, err = second.Commit(within(t))
	is(t, err, coordha.ErrState)
}

func TestACommitThatCannotBeSentMayBeSentAgain(t *testing.T) {
	server, s := ownEtcd(t, nil)
	server.stop()
	token := s.FencingToken()
	for {
		txn := s.Txn(token).Put("x", "y")
		// Unknown are those that a broken connection took.
		if _, err := txn.Commit(within(t)); !errors.Is(err, coordha.ErrUnknownOutcome) {
			is(t, err, coordha.ErrUnavailable)
			_, err = txn.Commit(within(t))
			is(t, err, coordha.ErrUnavailable)
			return
		}
	}
}

func TestBytesAreWrittenAsTheyWere(t *testing.T) {
	s := active(t, onLocal(t))
	ctx, token, value := within(t), s.FencingToken(), []byte("o\x00dd\xff")
	txn := s.Txn(token).PutBytes("a", value).PutLeasedBytes("b", value)
	value[0] = 'x'
	_, err := txn.Commit(ctx)
	ok(t, err)
	value[0] = 'o'
	read, err := s.Txn(token).IfValueBytes("a", value).Get("a").Get("b").Commit(ctx)
	if err != nil || len(read.KVs) != 2 || read.KVs[0].Value != string(value) || read.KVs[1].Value != string(value) {
		t.Errorf("%+v %v", read, err)
	}
}

func TestACommitWhoseContextEndsHasAnUnknownOutcome(t *testing.T) {
	server, s := ownEtcd(t, nil)
	token := s.FencingToken()
	server.suspend(t)
	// Long enough for a busy machine to send it.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := s.Txn(token).Put("x", "y").Commit(ctx)
	is(t, err, coordha.ErrUnknownOutcome)
	// It may have been done or not. What comes after it is done.
	ok(t, server.command.Process.Signal(syscall.SIGCONT))
	read, err := s.Txn(token).Put("z", "z").Get("x").Commit(within(t))
	if err != nil || len(read.KVs) > 1 {
		t.Errorf("%+v %v", read, err)
	}
}
