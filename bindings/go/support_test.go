//go:build cgo

package coordha_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coordha.test/coordha"
)

// limit is how long a test waits for what must come: generous, as it only counts where something is wrong.
const limit = 60 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// onEachStore runs a test on the embedded store and on a real etcd.
func onEachStore(t *testing.T, test func(t *testing.T, base coordha.Config)) {
	t.Run("local", func(t *testing.T) { test(t, onLocal(t)) })
	t.Run("etcd", func(t *testing.T) { test(t, onEtcd(t)) })
}

func onLocal(t testing.TB) coordha.Config {
	return baseConfig("local:"+t.TempDir(), "by-dev/meta")
}

func onEtcd(t testing.TB) coordha.Config {
	if etcd == nil {
		t.Skip("there is no etcd: COORDHA_GO_TEST_ETCD names none")
	}
	return baseConfig(etcd.url, strings.ToLower(strings.NewReplacer("/", "-", "#", "-").Replace(t.Name())))
}

func baseConfig(url, root string) coordha.Config {
	return coordha.Config{
		Role: "rootcoord", Address: "127.0.0.1:53100", StoreURL: url, Root: root, ActiveStandby: true,
		HoldTime: 5 * time.Second, LeaseTTL: 10 * time.Second, ActivationBackoff: 20 * time.Millisecond,
		ReleaseTimeout: 20 * time.Second,
	}
}

func start(t testing.TB, config coordha.Config) *coordha.Session {
	t.Helper()
	session, err := coordha.Start(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// run runs a body in the background; the result comes on the channel.
func run(session *coordha.Session, body func(*coordha.Term) error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- session.Run(body) }()
	return result
}

// serve is a body that is ready at once and stays until it is asked to end.
func serve(term *coordha.Term) error {
	if err := term.Ready(); err != nil {
		return err
	}
	<-term.Context().Done()
	return nil
}

// nextTerm resigns, and waits until the session is active again.
func nextTerm(t testing.TB, session *coordha.Session) {
	t.Helper()
	token := session.FencingToken()
	ok(t, session.Resign(time.Millisecond))
	// It is asked to end at once, though not before Resign has returned.
	for !session.IsEnding(token) {
		runtime.Gosched()
	}
	ok(t, session.Wait(within(t), coordha.UntilActive))
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(limit):
		t.Fatalf("%s does not come", what)
		panic("unreachable")
	}
}

// next reads events up to one of a kind, which it returns.
func next(t testing.TB, session *coordha.Session, kind coordha.EventKind) coordha.Event {
	t.Helper()
	for {
		event := receive(t, kind.String(), session.Events())
		if event.Kind == kind {
			return event
		}
		if event.Kind == 0 {
			t.Fatalf("the events ended before %s", kind)
		}
	}
}

func is(t testing.TB, err error, code coordha.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("%v, where %v was expected", err, code)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A server is an etcd on loopback.
type server struct {
	url, program, folder string
	command              *exec.Cmd
}

// etcd is the server that all tests of a run share; nil: there is none.
var etcd *server

// etcdProgram is from the environment, where nothing of the library's may stand that is none of its keys.
var etcdProgram = os.Getenv("COORDHA_GO_TEST_ETCD")

func TestMain(m *testing.M) {
	_ = os.Unsetenv("COORDHA_GO_TEST_ETCD")
	var err error
	if etcd, err = startEtcd(etcdProgram); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
	code := m.Run()
	if etcd != nil {
		etcd.stop()
	}
	os.Exit(code)
}

// startEtcd starts an etcd on free ports. It ends with this process, however that ends.
func startEtcd(program string) (*server, error) {
	if program == "" {
		return nil, nil
	}
	for {
		s, err := tryEtcd(program)
		// Somebody was quicker at a port.
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			return s, err
		}
	}
}

func tryEtcd(program string) (*server, error) {
	folder, err := os.MkdirTemp("", "coordha-go-")
	if err != nil {
		return nil, err
	}
	// Port 0 is no choice: etcd tells nobody which one it got.
	client, peer := freeURL(), freeURL()
	command := exec.Command(program, "--data-dir", filepath.Join(folder, "data"), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &server{"etcd://" + strings.TrimPrefix(client, "http://"), program, folder, command}
	ready, gone := make(chan struct{}), make(chan string, 1)
	go func() {
		var once sync.Once
		var said strings.Builder
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if strings.Contains(lines.Text(), "ready to serve client requests") {
				once.Do(func() { close(ready) })
			}
			fmt.Fprintln(&said, lines.Text())
		}
		gone <- said.String()
	}()
	select {
	case <-ready:
		return s, nil
	case said := <-gone:
		s.stop()
		return nil, fmt.Errorf("it has ended: %s", said)
	case <-time.After(limit):
		s.stop()
		return nil, errors.New("it is not ready")
	}
}

func (s *server) stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	_ = os.RemoveAll(s.folder)
}

func freeURL() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}
