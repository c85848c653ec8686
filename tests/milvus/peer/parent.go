package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// The flag of a parent, and that which makes another one of the same flags its child.
const (
	subprocessFlag = "run-with-subprocess"
	serverInfoFlag = "server-info"
)

// runParent has a child do all the work, passes signals on to it, and when it is dead deletes its keys. It ends in code 0, whatever
// the child ended in.
func runParent(f facts, arguments []string) {
	if !f.subprocess {
		log.Fatalf("no release %s has -%s", f.release.text, subprocessFlag)
	}
	info, err := os.CreateTemp("", "milvuspeer-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(info.Name())
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	child := exec.Command(program, append(arguments, "-"+serverInfoFlag, info.Name())...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals)
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	say("subprocess pid=%d", child.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case signal := <-signals:
			// Of its child's end it hears by waiting, and SIGURG is Go's own.
			if signal != syscall.SIGCHLD && signal != syscall.SIGURG {
				_ = child.Process.Signal(signal)
			}
		case err := <-ended:
			if cleanErr := cleanSession(f, info.Name()); cleanErr != nil {
				log.Println("clean session failed", cleanErr)
			}
			log.Println("subprocess exit, ", err)
			return
		}
	}
}

// saveServerInfo leaves word for a parent: one that serves has keys to be deleted, a standby has none.
func (p *process) saveServerInfo() {
	if *serverInfo == "" {
		return
	}
	file, err := os.OpenFile(*serverInfo, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintf(file, "%s-%d\n", p.session.role, p.session.id)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		p.log.warn("write server info file fail", field{"error", err})
	}
}

// cleanSession deletes what a dead child has left, with no compare, and all in five seconds.
func cleanSession(f facts, info string) error {
	text, err := os.ReadFile(info)
	if err != nil {
		return err
	}
	members := strings.Fields(string(text))
	if len(members) == 0 {
		log.Println("not found session info , skip to clean sessions")
		return nil
	}
	client, err := connect(f, &leaseLine{})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// As in Milvus the order is that of a map: any.
	var deletes []clientv3.Op
	for name := range cleanedNames(ctx, f, client, members) {
		deletes = append(deletes, clientv3.OpDelete(path.Join(*root, "session", name)))
	}
	if f.cleansAtOnce {
		_, _ = client.Txn(ctx).Then(deletes...).Commit()
	} else {
		for _, one := range deletes {
			_, _ = client.Do(ctx, one)
		}
	}
	for _, one := range deletes {
		say("cleaned key=%s", one.KeyBytes())
	}
	return nil
}

// cleanedNames are the members, and the active keys that hold their IDs. The copies under the old roles' keys are not among them.
func cleanedNames(ctx context.Context, f facts, client *clientv3.Client, members []string) map[string]bool {
	roles := pick(f.cleansMixcoord, []string{"mixcoord", "querycoord", "datacoord"},
		[]string{"rootcoord", "querycoord", "datacoord", "indexcoord"})
	names := make(map[string]bool)
	for _, member := range members {
		names[member] = true
		role, text, _ := strings.Cut(member, "-")
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || !slices.Contains(roles, role) {
			continue
		}
		found, err := client.Get(ctx, path.Join(*root, "session", role))
		if err != nil || len(found.Kvs) == 0 {
			continue
		}
		var active record
		if json.Unmarshal(found.Kvs[0].Value, &active) != nil {
			continue
		}
		if active.ServerID == id {
			names[role] = true
		}
		if role == "datacoord" && !f.cleansMixcoord {
			// Whosever it is.
			names["indexcoord"] = true
		}
	}
	return names
}
