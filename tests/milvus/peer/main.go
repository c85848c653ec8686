// Milvuspeer is, towards etcd, a coordinator of Milvus: it does what a Milvus session of a given release does, and nothing else.
// It serves nothing. It was written from the facts of Milvus's source and is no part of it.
//
//	milvuspeer [flags]        stands in the election
//	milvuspeer list [flags]   lists the role's records as Milvus does: one line each, or exit code 1
//
// Milvus's log lines go to standard error, changes of state to standard output, one a line:
//
//	subprocess pid=             the parent has started it
//	registered role= id= lease= key=    the session's own key is there
//	standby role= id=                   it contends
//	active role= id= rev= campaigns=    it holds the active key
//	serving role= id=                   its activation has ended
//	keepalive-once role=                the keepalive channel was closed: how it asks for its lease
//	time-to-live role=                  the same, and before its first keepalive
//	lost role=                          the lease counts as lost
//	key-deleted, watch-failed           what the watch of its active key has shown
//	purged, drove, cleaned              whose keys it has deleted
//	exit code=                          the end
//
// It takes orders on standard input: stop-keepalive and resume-keepalive (all that it sends about its lease is lost from then on),
// hang and go-on (it does nothing, whatever comes, not even a signal; its lease is kept alive, unless that was stopped as well),
// going-stop, force-active-standby, count (answer: count campaigns= listings= watches=). SIGTERM and SIGINT: Stop.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

var (
	release       = flag.String("release", "2.2.3", "the `release` of Milvus")
	endpoints     = flag.String("endpoints", "127.0.0.1:2379", "etcd's `addresses`, separated by commas")
	root          = flag.String("root", "by-dev/meta", "`prefix` of all keys")
	role          = flag.String("role", "rootcoord", "the coordinator's `role`")
	address       = flag.String("address", "127.0.0.1:53100", "the `address` in its record")
	hostName      = flag.String("host-name", "", "the host's `name` in its record; empty: that of this host")
	activeStandby = flag.Bool("active-standby", false, "stand by while another one is active")
	ttl           = flag.Int64("ttl", 0, "time to live of the lease, in `seconds`; 0: the release's")
	retryTimes    = flag.Int("retry-times", 30, "how often it `tries` to register")
	activation    = flag.Duration("activation", 0, "how `long` activation takes")
	fails         = flag.Bool("activation-fails", false, "the activation fails")
	subprocess    = flag.Bool(subprocessFlag, false, "run in a process below this one, which deletes its keys when it is dead")
	serverInfo    = flag.String(serverInfoFlag, "", "the `file` that tells such a parent what there is to delete")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("milvuspeer: ")
	arguments := os.Args[1:]
	lists := len(arguments) > 0 && arguments[0] == "list"
	if lists {
		arguments = arguments[1:]
	}
	if err := flag.CommandLine.Parse(arguments); err != nil || flag.NArg() > 0 {
		log.Fatalf("unknown arguments: %v", flag.Args())
	}
	v, err := parseRelease(*release)
	if err != nil {
		log.Fatal(err)
	}
	f := factsOf(v)
	if *subprocess && *serverInfo == "" {
		runParent(f, arguments)
		return
	}
	line := &leaseLine{}
	client, err := connect(f, line)
	if err != nil {
		log.Fatal(err)
	}
	if lists {
		printList(client)
		return
	}
	p := &process{facts: f, log: logger{f.verbose}, client: client, line: line}
	p.run()
}

func connect(f facts, line *leaseLine) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            strings.Split(*endpoints, ","),
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    f.dialKeepAliveTime,
		DialKeepAliveTimeout: f.dialKeepAliveTimeout,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(line.unary),
			grpc.WithChainStreamInterceptor(line.stream),
		},
	})
}

func printList(client *clientv3.Client) {
	// No session: somebody waits for its end.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	records, err := list(ctx, client, path.Join(*root, "session", *role))
	cancel()
	if err != nil {
		log.Fatalf("the listing of %s fails as a whole: %v", *role, err)
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		fmt.Fprintln(os.Stdout, key, records[key].encode())
	}
}

// process is a coordinator's process. A datacoord of some releases has two sessions.
type process struct {
	facts
	log     logger
	client  *clientv3.Client
	line    *leaseLine
	gate    gate
	session *session
	index   *session
	// sessions are all of it, in the order in which they register.
	sessions []*session
}

func (p *process) newSession(role string) *session {
	name := *hostName
	if name == "" {
		name, _ = os.Hostname()
	}
	s := &session{
		facts: p.facts, log: p.log, client: p.client, root: *root, role: role, address: *address, hostName: name,
		labels: serverLabels(role, os.Environ()), ttl: *ttl, tries: *retryTimes, standby: *activeStandby || p.standbyAlways,
		gate: &p.gate,
	}
	if s.ttl == 0 {
		s.ttl = p.ttl
	}
	p.sessions = append(p.sessions, s)
	return s
}

func (p *process) run() {
	ctx, cancel := context.WithCancel(context.Background())
	if p.indexSession && *role == "datacoord" {
		p.index = p.newSession("indexcoord")
	}
	p.session = p.newSession(*role)
	// As many as Milvus keeps: none is lost while it is busy.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go p.stand(ctx)
	go p.orders(ctx)
	needed := 1
	for range signals {
		if p.session.standing.Load() && needed == 1 && p.standbySignals > 1 {
			// Its Register has not returned, so nobody hears the first one. That the second one ends in an orderly stop is a guess.
			needed = p.standbySignals
			say("signal ignored")
			continue
		}
		break
	}
	p.gate.pass()
	for _, s := range p.sessions {
		s.stop()
	}
	cancel()
	exit(0)
}

// stand registers, contends, activates, and is then on guard.
func (p *process) stand(ctx context.Context) {
	for n, s := range p.sessions {
		if err := s.connect(ctx); err != nil {
			p.die(err)
		}
		if n > 0 && s.oneID {
			s.id = p.sessions[0].id
		} else if err := s.takeID(ctx); err != nil {
			p.die(err)
		}
	}
	name := coordinators[p.session.role]
	if p.session.standby {
		p.log.info(name.title + " enter standby mode successfully")
	}
	for _, s := range p.sessions {
		if err := s.register(ctx); err != nil {
			p.die(err)
		}
	}
	// Where a standby needs a second signal, that is as its registration has not come back yet.
	blocks := p.standbySignals > 1
	if p.session.standby && !blocks {
		p.tellStarted(name)
	}
	if p.session.standby {
		if err := p.session.campaign(ctx); err != nil {
			p.fail(err)
		}
	}
	if !p.activate(ctx, name) {
		return
	}
	p.contendAsIndex(ctx)
	p.log.info(name.title + " Register Finished")
	if !p.session.standby || blocks {
		p.tellStarted(name)
	}
	p.session.guard(ctx, p.lost)
}

// contendAsIndex makes a datacoord's second session active after the first. Nobody guards that one.
func (p *process) contendAsIndex(ctx context.Context) {
	if p.index == nil || !p.index.standby {
		return
	}
	take := pick(p.forceActive, p.index.force, p.index.campaign)
	if err := take(ctx); err != nil {
		p.die(err)
	}
}

// activate ends the process where the activation fails, or leaves it with its key and without anybody on guard: false.
func (p *process) activate(ctx context.Context, name coordinator) bool {
	if p.session.standby {
		p.log.info(name.activating + " switch from standby to active, activating")
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(*activation):
	}
	p.gate.pass()
	if *fails {
		say("activation-failed role=%s id=%d", p.session.role, p.session.id)
		if !p.failedActivationStays {
			p.die(errors.New("activation failed"))
		}
		return false
	}
	if p.session.standby {
		p.log.info(name.activating+" startup success", field{"address", *address})
	}
	p.saveServerInfo()
	say("serving role=%s id=%d", p.session.role, p.session.id)
	return true
}

func (p *process) tellStarted(name coordinator) {
	p.log.info(name.title + " start done ...")
	p.log.debug(name.title + " successfully started")
}

// fail ends the process after a campaign that cannot go on.
func (p *process) fail(err error) {
	if p.campaignError == exits && errors.Is(err, rpctypes.ErrLeaseNotFound) {
		p.log.error("failed to activate standby server", field{"error", err})
		exit(p.lostCode)
	}
	p.die(err)
}

// die is a panic of Milvus's: the session stays as it is, its lease runs out.
func (p *process) die(err error) {
	if errors.Is(err, context.Canceled) {
		// SIGTERM came first; run says the last word.
		select {}
	}
	fmt.Fprintln(os.Stderr, "panic:", err)
	exit(2)
}

// lost is called when the session is lost while it was on guard.
func (p *process) lost() {
	p.log.error(coordinators[p.session.role].disconnected, field{"Server Id", p.session.id})
	if !p.signalsItself {
		exit(p.lostCode)
	}
	for _, s := range p.sessions {
		s.stop()
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		exit(2)
	}
}

func (p *process) orders(ctx context.Context) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		s := p.session
		var err error
		switch order := lines.Text(); order {
		case "stop-keepalive":
			p.line.cut.Store(true)
		case "resume-keepalive":
			p.line.cut.Store(false)
		case "hang", "go-on":
			p.gate.set(order == "hang")
		case "going-stop":
			err = s.goingStop(ctx)
		case "force-active-standby":
			err = fmt.Errorf("no release %s has it", p.release.text)
			if p.forceActive {
				err = s.force(ctx)
			}
		case "count":
			say("count campaigns=%d listings=%d watches=%d", s.campaigns.Load(), s.listings.Load(), s.watches.Load())
			continue
		default:
			err = fmt.Errorf("unknown order %q", order)
		}
		if err != nil {
			say("refused %v", err)
			continue
		}
		say("done %s", lines.Text())
	}
	if stdin, err := os.Stdin.Stat(); *serverInfo != "" && err == nil && stdin.Mode()&os.ModeNamedPipe != 0 {
		// The program that gave the orders is gone, and it knew of the parent alone.
		exit(2)
	}
}

var exiting sync.Once

// exit ends the process at once, and says with which code.
func exit(code int) {
	exiting.Do(func() {
		say("exit code=%d", code)
		os.Exit(code)
	})
	select {}
}
