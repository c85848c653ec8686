// Peer is the same job done with etcd's own Go election recipe, to be measured beside coordha: it campaigns, says when its
// state changes, and leaves on SIGTERM. It serves nothing and writes nothing but its election key.
//
// Each change is one line on standard output: the name, the state, and CLOCK_BOOTTIME in nanoseconds. The states are
//
//	standby   the session's lease is granted, the campaign begins
//	active    the campaign was won
//	leaving   SIGTERM or SIGINT came
//	left      the election key is deleted
//	lost      the lease ended (the program then exits with 1)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sys/unix"
)

var (
	endpoints = flag.String("endpoints", "127.0.0.1:2379", "etcd's `addresses`, separated by commas")
	prefix    = flag.String("election", "/peer/election", "the election's key `prefix`")
	name      = flag.String("name", "peer", "the `name` of this candidate")
	ttl       = flag.Int("ttl", 60, "time to live of the session's lease, in `seconds`")
)

var errLost = errors.New("the lease ended")

func main() {
	log.SetFlags(0)
	log.SetPrefix("peer: ")
	flag.Parse()
	leave, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(leave); err != nil {
		log.Fatal(err)
	}
}

// run stands in the election until leave is done, then resigns.
func run(leave context.Context) error {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   strings.Split(*endpoints, ","),
		DialTimeout: 5 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("etcd at %s: %w", *endpoints, err)
	}
	defer client.Close()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(*ttl))
	if err != nil {
		return fmt.Errorf("a session of %d s: %w", *ttl, err)
	}
	defer session.Close()
	say("standby")

	election := concurrency.NewElection(session, *prefix)
	if err := election.Campaign(leave, *name); err != nil {
		if leave.Err() != nil {
			say("leaving")
			return nil
		}
		return fmt.Errorf("campaign: %w", err)
	}
	say("active")

	select {
	case <-session.Done():
		say("lost")
		return errLost
	case <-leave.Done():
	}
	say("leaving")
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := election.Resign(limit); err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	say("left")
	return nil
}

// say prints a state with the time at which it began.
func say(state string) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, *name, state, now.Nano())
}
