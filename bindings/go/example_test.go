//go:build cgo

package coordha_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"coordha.test/coordha"
)

// store is a directory that an example holds its election in; the program ends with it.
func store() (url string, remove func()) {
	folder, err := os.MkdirTemp("", "coordha-example-")
	if err != nil {
		log.Fatal(err)
	}
	return "local:" + folder, func() { _ = os.RemoveAll(folder) }
}

// A coordinator: it stands by until it is chosen, serves, and leaves in order when its context ends.
func Example() {
	url, remove := store() // with etcd: "etcd://10.0.0.1,10.0.0.2,10.0.0.3"
	defer remove()

	ctx, stop := context.WithCancel(context.Background()) // or signal.NotifyContext(..., syscall.SIGTERM)
	defer stop()
	session, err := coordha.Start(ctx, coordha.Config{
		Role: "rootcoord", Address: "10.0.0.5:53100", StoreURL: url, ActiveStandby: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	err = session.Run(func(term *coordha.Term) error {
		fmt.Println("loading") // under term.Context()
		if err := term.Ready(); err != nil {
			return err
		}
		fmt.Println("active:", session.IsActive())
		stop() // what SIGTERM does

		<-term.Context().Done()
		fmt.Println("draining, the role is held:", term.Held())
		return nil
	})
	fmt.Println("over:", err)
	// Output:
	// loading
	// active: true
	// draining, the role is held: true
	// over: <nil>
}

// Reading events, instead of a body for each term.
func ExampleSession_Events() {
	url, remove := store()
	defer remove()
	session, err := coordha.Start(context.Background(), coordha.Config{
		Role: "rootcoord", Address: "10.0.0.5:53100", StoreURL: url, ActiveStandby: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	for event := range session.Events() {
		switch event.Kind {
		case coordha.EventActivate:
			fmt.Println("get ready")
			_ = session.ActivationDone(event.Token, nil) // refused where it is too late: the next event says why
		case coordha.EventActive:
			fmt.Println("serve")
			session.RequestStop()
		case coordha.EventDeactivate:
			fmt.Println("leave:", event.Reason)
			_ = session.DeactivationDone(event.Token)
		case coordha.EventEnded:
			fmt.Println("over:", event.Err)
		}
	}
	// Output:
	// get ready
	// serve
	// leave: STOP
	// over: <nil>
}

// A counter that no late writer can set back.
func ExampleTerm_Txn() {
	url, remove := store()
	defer remove()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	session, err := coordha.Start(ctx, coordha.Config{Role: "rootcoord", Address: "10.0.0.5:53100", StoreURL: url})
	if err != nil {
		log.Fatal(err)
	}
	err = session.Run(func(term *coordha.Term) error {
		first, err := term.Txn().IfRevision("ids/last", 0).Put("ids/last", "1").Commit(ctx)
		if err != nil {
			return err
		}
		_, err = term.Txn().IfRevision("ids/last", first.Revision).Put("ids/last", "2").Commit(ctx)
		fmt.Println("written:", err == nil)
		found, err := term.Txn().IfRevision("ids/last", first.Revision).Put("ids/last", "3").Commit(ctx)
		fmt.Println("refused:", errors.Is(err, coordha.ErrCompareFailed), "as it is", found.KVs[0].Value)
		if err := term.Ready(); err != nil {
			return err
		}
		stop()
		<-term.Context().Done()
		return nil
	})
	fmt.Println("over:", err)
	// Output:
	// written: true
	// refused: true as it is 2
	// over: <nil>
}

// What is wrong with a configuration, for a program and for a person.
func ExampleError() {
	_, err := coordha.Start(context.Background(), coordha.Config{
		Role: "rootcoord", Address: "10.0.0.5:53100", HoldTime: time.Hour,
	})
	if wrong := (*coordha.Error)(nil); errors.Is(err, coordha.ErrConfigValue) && errors.As(err, &wrong) {
		fmt.Println(wrong.Key, "cannot be", wrong.Value)
		fmt.Println("allowed:", wrong.Allowed)
	}
	// Output:
	// election.hold_ms cannot be 3600000
	// allowed: a whole number of ms from 200 to 60000
}

// Following who is active, without standing in the election.
func ExampleStartObserver() {
	url, remove := store()
	defer remove()
	config := coordha.Config{Role: "rootcoord", Address: "10.0.0.5:53100", StoreURL: url, AutoActivate: true}
	observer, err := coordha.StartObserver(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	defer observer.Close()
	fmt.Println("at first:", (<-observer.Holders()).ServerID != 0)

	session, err := coordha.Start(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println("then:", (<-observer.Holders()).Address)
	// Output:
	// at first: false
	// then: 10.0.0.5:53100
}

// The smallest program: the library says ready and left by itself, and the program only asks.
func ExampleSession_Wait() {
	url, remove := store()
	defer remove()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := coordha.Start(ctx, coordha.Config{
		Role: "rootcoord", Address: "10.0.0.5:53100", StoreURL: url, ActiveStandby: true, AutoActivate: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := session.Wait(ctx, coordha.UntilActive); err != nil {
		log.Fatal(err)
	}
	fmt.Println("active:", session.IsActive())
	fmt.Println("left:", session.Stop(ctx))
	// Output:
	// active: true
	// left: <nil>
}

// What the library has to say, in the program's own log.
func ExampleSetLogHandler() {
	handler := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})
	if err := coordha.SetLogHandler(handler); err != nil {
		log.Fatal(err)
	}
	defer coordha.SetLogHandler(nil)
}
