// An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.
//
// coordinator KEY=VALUE...    keys of the configuration: role=rootcoord address=127.0.0.1:53100 store.url=local:/ids
//
//   - GET /next: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not it.
//   - GET /status: at_ms=... active=... token=... server_id=...; at_ms (CLOCK_BOOTTIME) is read first.
//   - Each event is a line on stdout: event at_ms=... kind=... token=... server_id=... text=...
//   - SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"coordha.test/coordha"
)

type allocator struct {
	session *coordha.Session
	key     string     // its value is the last ID
	mu      sync.Mutex // held while an ID is taken
}

// try reads the last ID, and writes the next one if nobody has written it in between; both in the term of this token only.
func (a *allocator) try(token int64) (int64, error) {
	ctx := context.Background() // no client that goes away makes an outcome unknown
	found, err := a.session.Txn(token).Get(a.key).Commit(ctx)
	if err != nil {
		return 0, err
	}
	last := append(found.KVs, coordha.KV{Value: "0"})[0]
	id, err := strconv.ParseInt(last.Value, 10, 64)
	if err != nil {
		return 0, err
	}
	next := strconv.FormatInt(id+1, 10)
	_, err = a.session.Txn(token).IfRevision(a.key, last.ModRevision).Put(a.key, next).Commit(ctx)
	return id + 1, err
}

// take takes the next ID; ErrFenced: this one is not active. An ID whose write was not confirmed is never handed out: it
// reads again, and should that write be done even later, the next compare fails.
func (a *allocator) take() (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for token := a.session.FencingToken(); a.session.IsActive(); {
		id, err := a.try(token)
		if !errors.Is(err, coordha.ErrUnknownOutcome) && !errors.Is(err, coordha.ErrCompareFailed) {
			return id, err
		}
	}
	return 0, coordha.ErrFenced
}

func (a *allocator) next(w http.ResponseWriter, _ *http.Request) {
	id, err := a.take()
	switch {
	case err == nil:
		fmt.Fprintln(w, id)
	case errors.Is(err, coordha.ErrFenced):
		holder := a.session.Holder()
		if holder.ServerID == a.session.ServerID() {
			holder.Address = ""
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, holder.Address)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (a *allocator) status(w http.ResponseWriter, _ *http.Request) {
	at, s := coordha.Now().Milliseconds(), a.session
	active, token := s.IsActive(), s.FencingToken()
	fmt.Fprintf(w, "at_ms=%d active=%t token=%d server_id=%d\n", at, active, token, s.ServerID())
}

// serve is the body of a term: there is nothing to load, as the store knows the last ID.
func (a *allocator) serve(term *coordha.Term) error {
	if err := term.Ready(); err != nil {
		return err
	}
	<-term.Context().Done()
	a.mu.Lock() // until the ID that is being taken has been taken
	defer a.mu.Unlock()
	return nil
}

func main() {
	config := coordha.Config{ActiveStandby: true, Settings: map[string]string{}}
	for _, argument := range os.Args[1:] {
		key, value, found := strings.Cut(argument, "=")
		if !found {
			log.Fatal("coordinator: ", argument, ": no KEY=VALUE")
		}
		config.Settings[key] = value
	}
	check(config.Check())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root, _ := config.Value(coordha.KeyRoot)
	listener, err := net.Listen("tcp", config.Settings[coordha.KeyAddress]) // before anybody is told of it
	check(err)
	session, err := coordha.Start(ctx, config)
	check(err)
	a := &allocator{session: session, key: root + "/ids/" + config.Settings[coordha.KeyRole]}
	for path, answer := range map[string]http.HandlerFunc{"/next": a.next, "/status": a.status} {
		http.HandleFunc("GET "+path, answer)
		// Else it is answered as GET is, and takes an ID.
		http.HandleFunc("HEAD "+path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	}
	var server http.Server
	go func() { check(server.Serve(listener)) }()
	ended := make(chan error, 1)
	go func() { ended <- session.Run(a.serve) }()
	for e := range session.Events() {
		at := e.At.Milliseconds()
		fmt.Printf("event at_ms=%d kind=%s token=%d server_id=%d text=%s\n", at, e.Kind, e.Token, e.ServerID, e)
	}
	_ = server.Shutdown(context.Background())
	check(<-ended)
}

func check(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Fatal("coordinator: ", err)
	}
}
