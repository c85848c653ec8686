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

func launch(t *testing.T, store string) *coordinator {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	command := exec.Command(os.Args[0], "role=rootcoord", "address="+address, "store.url="+store)
	c := &coordinator{t, command, address, make(chan string, 100)}
	c.command.Env = append(os.Environ(), "COORDINATOR=1")
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
	reply, err := http.Get("http://" + c.address + "/next")
	if err != nil {
		c.Fatal(err)
	}
	defer reply.Body.Close()
	text, _ := io.ReadAll(reply.Body)
	if reply.StatusCode != code || string(text) != body+"\n" {
		c.Fatalf("%d %q, not %d %q", reply.StatusCode, text, code, body)
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

func TestAWrongConfigurationEndsItAtOnce(t *testing.T) {
	c := launch(t, "nowhere")
	if err := c.command.Wait(); c.command.ProcessState.ExitCode() != 1 {
		t.Error(err)
	}
}
