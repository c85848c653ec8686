//go:build cgo

package coordha_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"testing"
	"time"

	"coordha.test/coordha"
)

func threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	ok(t, err)
	return len(tasks)
}

// many starts sessions, each with a role of its own, a body and a reader of events.
func manySessions(t *testing.T, config coordha.Config, count int) []*coordha.Session {
	sessions := make([]*coordha.Session, count)
	for i := range sessions {
		config.Role = fmt.Sprintf("role%d", i)
		session, err := coordha.Start(context.Background(), config)
		ok(t, err)
		sessions[i] = session
		run(session, serve)
		go func() {
			for range session.Events() {
			}
		}()
	}
	return sessions
}

func TestAThousandWaitingSessionsCostGoroutinesNotThreads(t *testing.T) {
	onEachStore(t, func(t *testing.T, config coordha.Config) {
		before := threads(t)
		config.Shared = true
		config.HoldTime, config.LeaseTTL = 60*time.Second, 120*time.Second
		sessions := manySessions(t, config, 1000)
		for _, session := range sessions {
			ok(t, session.Wait(within(t), coordha.UntilActive))
		}
		during := threads(t)
		t.Logf("%d threads before, %d with 1000 active sessions, %d goroutines", before, during, runtime.NumGoroutine())
		if during > before+20 {
			t.Errorf("%d threads before, %d with 1000 active sessions", before, during)
		}
		for _, session := range sessions {
			session.RequestStop()
		}
		for _, session := range sessions {
			ok(t, session.Wait(within(t), coordha.UntilEnded))
		}
		// Go ends no thread that it once needed: these are the most that there ever were.
		after := threads(t)
		t.Logf("%d threads after 1000 sessions have ended at once", after)
		if after > before+20 {
			t.Errorf("%d threads before, %d after 1000 sessions have ended at once", before, after)
		}
	})
}

func TestAThousandStartsAndStopsLeaveNothingBehind(t *testing.T) {
	config := onLocal(t)
	once := func() {
		session, err := coordha.Start(context.Background(), config)
		ok(t, err)
		session.RequestStop()
		ok(t, session.Run(serve))
	}
	// One session stays, so that the runtime of the library does.
	kept := config
	kept.Role = "datacoord"
	start(t, kept)
	once()
	goroutines, descriptors := runtime.NumGoroutine(), open(t)
	for range 1000 {
		once()
	}
	// The last ones may still be about to end.
	for wait := within(t); runtime.NumGoroutine() > goroutines+2 || open(t) > descriptors+2; runtime.Gosched() {
		if wait.Err() != nil {
			t.Fatalf("%d goroutines, %d before; %d descriptors, %d before", runtime.NumGoroutine(), goroutines, open(t),
				descriptors)
		}
	}
}

// As where a program leaves the range over the events early.
func TestASessionThatEndedWithEventsUnreadLeavesNoGoroutine(t *testing.T) {
	config := onLocal(t)
	kept := config
	kept.Role = "datacoord"
	start(t, kept)
	const count = 20
	goroutines := runtime.NumGoroutine()
	ended := make([]*coordha.Session, count)
	for i := range ended {
		session, err := coordha.Start(context.Background(), config)
		ok(t, err)
		for range session.Events() {
			break
		}
		session.RequestStop()
		ok(t, session.Run(serve))
		ended[i] = session
	}
	for wait := within(t); runtime.NumGoroutine() > goroutines+2; runtime.Gosched() {
		if wait.Err() != nil {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
	for _, session := range ended {
		next(t, session, coordha.EventEnded)
		ok(t, session.Close())
	}
}

func open(t testing.TB) int {
	t.Helper()
	descriptors, err := os.ReadDir("/proc/self/fd")
	ok(t, err)
	return len(descriptors)
}

// The profiler's signal hits the library's threads as well. They must not block it, nor die of it.
func TestAProfileOfAProcessWithSessionsIsTaken(t *testing.T) {
	var profile bytes.Buffer
	ok(t, pprof.StartCPUProfile(&profile))
	sessions := manySessions(t, onLocal(t), 10)
	for _, session := range sessions {
		ok(t, session.Wait(within(t), coordha.UntilActive))
	}
	// Spends the time that a profile is made of.
	for end := cpuTime(t) + 300*time.Millisecond; cpuTime(t) < end; {
		for _, session := range sessions {
			if !session.IsActive() {
				t.Fatal("it is not active")
			}
		}
	}
	for _, session := range sessions {
		ok(t, session.Stop(within(t)))
	}
	pprof.StopCPUProfile()
	if profile.Len() == 0 {
		t.Error("the profile is empty")
	}
}

func cpuTime(t testing.TB) time.Duration {
	var usage syscall.Rusage
	ok(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano())
}
