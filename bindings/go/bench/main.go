//go:build cgo

// The program of `make bench-bindings` for Go. What it is told and what it says stands at the head of
// benches/bindings/main.rs.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"coordha.test/coordha"
	"coordha.test/coordha/internal/empty"
)

const (
	calls         = 20000
	clockBoottime = 7
)

var (
	store, name string
	sessions    []*coordha.Session
)

// say says one line. Its fields come in the order of their names.
func say(fields map[string]any) {
	line, err := json.Marshal(fields)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}

// body is a coordinator that does nothing.
func body(term *coordha.Term) error {
	if err := term.Ready(); err != nil {
		return err
	}
	<-term.Context().Done()
	return nil
}

func start(count int) error {
	first := len(sessions)
	for n := first; n < count; n++ {
		session, err := coordha.Start(context.Background(), coordha.Config{
			StoreURL: store, Role: fmt.Sprintf("%s_%d", name, n), Address: fmt.Sprintf("127.0.0.1:%d", n+1), ActiveStandby: true,
		})
		if err != nil {
			return err
		}
		sessions = append(sessions, session)
		go func() { _ = session.Run(body) }()
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, session := range sessions[first:] {
		if err := session.Wait(limit, coordha.UntilActive); err != nil {
			return err
		}
	}
	say(map[string]any{"sessions": len(sessions), "goroutines": runtime.NumGoroutine()})
	return nil
}

// nsOf is the time of one question in ns.
func nsOf(from time.Time) float64 { return float64(time.Since(from).Nanoseconds()) / calls }

// ask measures the questions, beside the cheapest call from Go to C that there is.
func ask() {
	session := sessions[0]
	token := session.FencingToken()
	yes := 0
	from := time.Now()
	for range calls {
		empty.Call()
	}
	nothing := nsOf(from)
	from = time.Now()
	for range calls {
		if session.IsActive() {
			yes++
		}
	}
	isActive := nsOf(from)
	from = time.Now()
	for range calls {
		if session.Holds(token) {
			yes++
		}
	}
	holds := nsOf(from)
	if yes != 2*calls {
		log.Fatal("the session was not active all the time")
	}
	say(map[string]any{"is_active": isActive, "beside": nothing, "holds": holds, "beside_holds": nothing})
}

// now is CLOCK_BOOTTIME in ns, which package time cannot tell.
func now() int64 {
	var at syscall.Timespec
	if _, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&at)), 0); failed != 0 {
		log.Fatal(failed)
	}
	return at.Nano()
}

func watch() error {
	observer, err := coordha.StartObserver(context.Background(), coordha.Config{StoreURL: store, Role: name})
	if err != nil {
		return err
	}
	go func() {
		for holder := range observer.Holders() {
			at := now()
			say(map[string]any{"token": holder.Token, "at": at})
		}
	}()
	return nil
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("bench <store> <name>")
	}
	store, name = os.Args[1], os.Args[2]
	say(map[string]any{"made_by": runtime.Version()})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var err error
		what, number, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "start":
			var count int
			if count, err = strconv.Atoi(number); err == nil {
				err = start(count)
			}
		case "calls":
			ask()
		case "watch":
			err = watch()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	for _, session := range sessions {
		session.RequestStop()
	}
	for _, session := range sessions {
		_ = session.Close()
	}
}
