//go:build cgo

// The tester of the scenarios for Go: does what it is told on stdin and says what happens on stdout. The protocol stands at
// the head of tests/scenarios/scenarios.toml.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"coordha.test/coordha"
)

// The test's sessions and observers by their names.
var (
	mu        sync.Mutex
	sessions  = map[string]*coordha.Session{}
	observers = map[string]*coordha.Observer{}
)

var errNone = &coordha.Error{Code: coordha.ErrClosed, Message: "no such session"}

func find(name string) *coordha.Session {
	mu.Lock()
	defer mu.Unlock()
	return sessions[name]
}

// forget takes a session out, so that it is not found any more.
func forget(name string) *coordha.Session {
	mu.Lock()
	defer mu.Unlock()
	session := sessions[name]
	delete(sessions, name)
	return session
}

func sayEvent(name string, event coordha.Event) {
	line := fmt.Sprintf("! %s %s", name, event.Kind)
	field := func(there bool, name string, value any) {
		if there {
			line += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	field(event.Token != 0, "token", event.Token)
	field(event.Reason != 0, "reason", int32(event.Reason))
	field(event.Kind == coordha.EventDeactivate, "held", event.Held)
	field(event.ServerID != 0, "server_id", event.ServerID)
	field(event.Address != "", "address", event.Address)
	field(event.Key != "", "key", event.Key)
	if said := (*coordha.Error)(nil); errors.As(event.Err, &said) {
		code, found := said.Detail("code")
		field(true, "error", said.Code.String())
		field(found, "code", code)
	}
	field(event.Missed != 0, "missed", event.Missed)
	fmt.Println(line)
}

func answer(err error) string {
	said := (*coordha.Error)(nil)
	if !errors.As(err, &said) {
		return "ok"
	}
	line := "error " + said.Code.String()
	for _, name := range []string{"key", "value", "allowed", "holder_address", "holder_server_id", "code"} {
		if detail, found := said.Detail(name); found {
			line += " " + name + "=" + strings.ReplaceAll(detail, " ", "_")
		}
	}
	return line
}

// configuration is that of the words KEY=VALUE; those that begin with @ are for the tester.
func configuration(words []string) coordha.Config {
	config := coordha.Config{Settings: map[string]string{}}
	for _, word := range words {
		if key, value, _ := strings.Cut(word, "="); !strings.HasPrefix(word, "@") {
			config.Settings[key] = value
		}
	}
	return config
}

func wish(words []string, name string) string {
	for _, word := range words {
		if value, found := strings.CutPrefix(word, "@"+name+"="); found {
			return value
		}
	}
	return ""
}

func number(words []string, at int) int64 {
	n, err := strconv.ParseInt(words[at], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func within(words []string, at int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(number(words, at))*time.Millisecond)
}

func start(name string, words []string) error {
	// A body may come before the start has returned.
	mu.Lock()
	defer mu.Unlock()
	session, err := coordha.Start(context.Background(), configuration(words))
	if err != nil {
		return err
	}
	sessions[name] = session
	activate, deactivate := wish(words, "activate"), wish(words, "deactivate")
	what := wish(words, "body")
	pull := slices.Contains(words, "@pull")
	// What is answered later is answered by hand, as where events are read.
	byHand := !pull && what == "" && (activate == "pending" || deactivate == "pending")
	if !pull || !slices.Contains(words, "@unread") {
		go func() {
			for event := range session.Events() {
				sayEvent(name, event)
				if byHand && event.Kind == coordha.EventActivate && activate != "pending" {
					_ = session.ActivationDone(event.Token, nil)
				}
				if byHand && event.Kind == coordha.EventDeactivate && deactivate != "pending" {
					_ = session.DeactivationDone(event.Token)
				}
			}
		}()
	}
	switch {
	case what != "":
		go func() { _ = session.Run(body(what)) }()
	case !pull && !byHand:
		go func() { _ = session.Run(callback(name, session, activate)) }()
	}
	return nil
}

// body is the term body that @body names.
func body(what string) func(*coordha.Term) error {
	return func(term *coordha.Term) error {
		switch what {
		case "early":
			return nil
		case "throw":
			panic("boom")
		}
		if err := term.Ready(); err != nil {
			return err
		}
		switch what {
		case "return":
			return nil
		case "late":
			panic("boom")
		}
		<-term.Context().Done()
		switch what {
		case "drain":
			panic("boom")
		case "hang":
			<-term.HeldContext().Done()
		}
		return nil
	}
}

// callback is a body that does what the other languages' callbacks do, as @activate names it.
func callback(name string, session *coordha.Session, activate string) func(*coordha.Term) error {
	return func(term *coordha.Term) error {
		switch activate {
		case "fail":
			return &coordha.Error{Code: 10001, Message: "no disk"}
		case "throw":
			panic("boom")
		case "stop":
			session.RequestStop()
		case "free":
			// A body cannot wait for itself: it returns.
			go func() { _ = forget(name).Close() }()
			return errors.New("it was freed")
		case "hang":
			<-term.Context().Done()
		}
		if err := term.Ready(); err != nil {
			return err
		}
		<-term.Context().Done()
		return nil
	}
}

func state(s *coordha.Session, token int64) string {
	return fmt.Sprintf("ok role=%d is_active=%t holds=%t is_ending=%t remaining=%t token=%d server_id=%d", int32(s.Role()),
		s.IsActive(), s.Holds(token), s.IsEnding(token), s.Remaining() > 0, s.FencingToken(), s.ServerID())
}

func transact(s *coordha.Session, words []string) string {
	txn := s.Txn(number(words, 2))
	for _, word := range words[3:] {
		what, rest, _ := strings.Cut(word, ":")
		key, value, _ := strings.Cut(rest, ":")
		switch what {
		case "if":
			revision, _ := strconv.ParseInt(value, 10, 64)
			txn.IfRevision(key, revision)
		case "ifv":
			txn.IfValue(key, value)
		case "put":
			txn.Put(key, value)
		case "leased":
			txn.PutLeased(key, value)
		case "del":
			txn.Delete(key)
		default:
			txn.Get(key)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	result, err := txn.Commit(ctx)
	if err != nil {
		return answer(err)
	}
	line := fmt.Sprintf("ok revision=%d count=%d", result.Revision, len(result.KVs))
	for _, kv := range result.KVs {
		line += " " + kv.Key + "=" + kv.Value
	}
	return line
}

func next(name string, s *coordha.Session, limit time.Duration) error {
	select {
	case event, more := <-s.Events():
		if !more {
			return &coordha.Error{Code: coordha.ErrEnded}
		}
		sayEvent(name, event)
		return nil
	case <-time.After(limit):
		return &coordha.Error{Code: coordha.ErrTimeout}
	}
}

func cycle(words []string) error {
	for range number(words, 1) {
		session, err := coordha.Start(context.Background(), configuration(words[2:]))
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err = session.Stop(ctx)
		cancel()
		_ = session.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func observe(name string, words []string) error {
	observer, err := coordha.StartObserver(context.Background(), configuration(words))
	if err != nil {
		return err
	}
	observers[name] = observer
	go func() {
		for h := range observer.Holders() {
			sayEvent(name, coordha.Event{
				Kind: coordha.EventHolder, Token: h.Token, ServerID: h.ServerID, Address: h.Address, Missed: h.Missed,
			})
		}
	}()
	return nil
}

// metrics is the names of the metrics, and those of their lines that begin so.
func metrics(prefix string) string {
	words := []string{"ok"}
	lines := strings.Split(coordha.MetricsText(), "\n")
	for _, line := range lines {
		if rest, is := strings.CutPrefix(line, "# TYPE "); is {
			name, _, _ := strings.Cut(rest, " ")
			words = append(words, name)
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			words = append(words, strings.ReplaceAll(line, " ", "_"))
		}
	}
	return strings.Join(words, " ")
}

var untils = map[string]coordha.Until{
	"registered": coordha.UntilRegistered, "active": coordha.UntilActive, "term_ending": coordha.UntilTermEnding,
	"ended": coordha.UntilEnded,
}

// command does a command to a session. There is no fork: Go code cannot run on in a child.
func command(s *coordha.Session, words []string) string {
	switch words[0] {
	case "state":
		return state(s, number(words, 2))
	case "holder":
		if holder := s.Holder(); holder.Address != "" {
			return fmt.Sprintf("ok address=%s server_id=%d", holder.Address, holder.ServerID)
		}
		return "ok"
	case "txn":
		return transact(s, words)
	case "next":
		return answer(next(words[1], s, time.Duration(number(words, 2))*time.Millisecond))
	case "free":
		return answer(forget(words[1]).Close())
	case "request_stop":
		s.RequestStop()
		return "ok"
	case "stop":
		ctx, cancel := within(words, 2)
		defer cancel()
		return answer(s.Stop(ctx))
	case "wait":
		ctx, cancel := within(words, 3)
		defer cancel()
		return answer(s.Wait(ctx, untils[words[2]]))
	case "resign":
		return answer(s.Resign(time.Duration(number(words, 2)) * time.Millisecond))
	case "pause":
		return answer(s.Pause())
	case "resume":
		return answer(s.Resume())
	case "ready":
		return answer(s.ActivationDone(number(words, 2), nil))
	case "fail":
		failed := &coordha.Error{Code: coordha.Code(number(words, 3)), Message: "no disk"}
		return answer(s.ActivationDone(number(words, 2), failed))
	case "left":
		return answer(s.DeactivationDone(number(words, 2)))
	}
	return "error UNSUPPORTED"
}

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		said := ""
		switch words[0] {
		case "quit":
			for name := range sessions {
				_ = forget(name).Close()
			}
			return
		case "start":
			said = answer(start(words[1], words[2:]))
		case "check":
			said = answer(configuration(words[1:]).Check())
		case "cycle":
			said = answer(cycle(words))
		case "observe":
			said = answer(observe(words[1], words[2:]))
		case "metrics":
			said = metrics(words[1])
		case "unobserve":
			said = answer(observers[words[1]].Close())
		default:
			if s := find(words[1]); s != nil {
				said = command(s, words)
			} else {
				said = answer(errNone)
			}
		}
		fmt.Println("= " + said)
	}
}
