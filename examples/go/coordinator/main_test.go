package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const limit = 60 * time.Second

var client = http.Client{Timeout: limit}

func TestMain(m *testing.M) {
	if os.Getenv("COORDINATOR") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type coordinator struct {
	*testing.T
	command *exec.Cmd
	address string
	lines   chan string
}

// coordinate is the command that runs this program as the coordinator.
func coordinate(arguments ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), "COORDINATOR=1")
	return command
}

func launch(t *testing.T, store string) *coordinator {
	return launchAt(t, store, "127.0.0.1:0")
}

func launchAt(t *testing.T, store, at string) *coordinator {
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	command := coordinate("role=rootcoord", "address="+address, "store.url="+store)
	c := &coordinator{t, command, address, make(chan string, 100)}
	c.command.Stderr = os.Stderr
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.command.Process.Kill() })
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	return c
}

func (c *coordinator) sees(kind string) {
	c.Helper()
	for late := time.After(limit); ; {
		select {
		case line, more := <-c.lines:
			if strings.Contains(line, " kind="+kind+" ") {
				return
			}
			if !more {
				c.Fatal("it ended before", kind)
			}
		case <-late:
			c.Fatal("it does not see", kind)
		}
	}
}

func (c *coordinator) answers(code int, body string) {
	c.Helper()
	c.says(http.MethodGet, "/next", code, body+"\n")
}

func (c *coordinator) says(method, path string, code int, body string) {
	c.Helper()
	request, err := http.NewRequest(method, "http://"+c.address+path, nil)
	if err != nil {
		c.Fatal(err)
	}
	reply, err := client.Do(request)
	if err != nil {
		c.Fatal(err)
	}
	defer reply.Body.Close()
	text, _ := io.ReadAll(reply.Body)
	if reply.StatusCode != code || (code < 400 || code >= 500) && string(text) != body {
		c.Fatalf("%s %s: %d %q, not %d %q", method, path, reply.StatusCode, text, code, body)
	}
}

func TestAStandbyGoesOnWithTheIDsOfOneThatLeaves(t *testing.T) {
	store := "local:" + t.TempDir()
	first := launch(t, store)
	first.sees("ACTIVE")
	second := launch(t, store)
	second.sees("STANDBY")
	for id := 1; id <= 3; id++ {
		first.answers(http.StatusOK, fmt.Sprint(id))
	}
	second.answers(http.StatusServiceUnavailable, first.address)
	if err := first.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	second.sees("ACTIVE")
	second.answers(http.StatusOK, "4")
	first.sees("ENDED")
	if err := first.command.Wait(); err != nil {
		t.Error("it did not end well:", err)
	}
}

func TestOnlyAGetOfNextTakesAnID(t *testing.T) {
	at := "127.0.0.1:0"
	// Where this host has IPv6.
	if listener, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = listener.Close()
		at = "[::1]:0"
	}
	c := launchAt(t, "local:"+t.TempDir(), at)
	c.sees("ACTIVE")
	c.answers(http.StatusOK, "1")
	for _, path := range []string{"/favicon.ico", "/", "/next/", "/next/1"} {
		c.says(http.MethodGet, path, http.StatusNotFound, "")
	}
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		c.says(method, "/next", http.StatusMethodNotAllowed, "")
		c.says(method, "/status", http.StatusMethodNotAllowed, "")
	}
	c.answers(http.StatusOK, "2")
}

func TestAWrongConfigurationEndsItAtOnce(t *testing.T) {
	for argument, said := range map[string]string{
		"role":            "role: no KEY=VALUE",
		"store.url=there": "store.url",
	} {
		command := coordinate("address=127.0.0.1:53100", argument)
		text, err := command.CombinedOutput()
		if command.ProcessState.ExitCode() != 1 || !strings.Contains(string(text), said) {
			t.Error(err, string(text))
		}
	}
}
