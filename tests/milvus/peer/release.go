package main

import (
	"fmt"
	"strings"
	"time"
)

// version is a release of Milvus; what stands behind the numbers plays no part in comparing.
type version struct {
	major, minor, patch int
	text                string
}

func parseVersion(text string) (version, error) {
	v := version{text: text}
	numbers, _, _ := strings.Cut(text, "-")
	numbers, _, _ = strings.Cut(numbers, "+")
	var rest string
	n, _ := fmt.Sscanf(numbers, "%d.%d.%d%s", &v.major, &v.minor, &v.patch, &rest)
	if n != 3 {
		return v, fmt.Errorf("%q is no release such as 2.5.4", text)
	}
	return v, nil
}

// parseRelease takes what this program knows.
func parseRelease(text string) (version, error) {
	v, err := parseVersion(text)
	if err == nil && v.number() < (version{major: 2, minor: 2, patch: 3}).number() {
		err = fmt.Errorf("nothing is known of releases before 2.2.3, such as %s", text)
	}
	return v, err
}

func (v version) number() int { return v.major*1_000_000 + v.minor*1_000 + v.patch }

// keepAliveEnd is what a session does when its keepalive channel is closed: its client has had no answer for a TTL, or the lease
// is gone.
type keepAliveEnd int

const (
	// endsAtOnce: the lease counts as lost.
	endsAtOnce keepAliveEnd = iota
	// asksOnce: KeepAliveOnce, three times, 10 s each.
	asksOnce
	// asksTimeToLive: TimeToLive, again and again for one more TTL.
	asksTimeToLive
)

// campaignError is what a standby does when a try fails for another reason than that the key is taken.
type campaignError int

const (
	// triesForEver: again, every 100 ms.
	triesForEver campaignError = iota
	// panics: exit code 2.
	panics
	// exits: with the code of a lost lease, where that is why; else as above.
	exits
)

// facts are what one release does. The numbers were read in the source of Milvus, release by release.
type facts struct {
	release version
	// ttl is what the shipped configuration says, in seconds.
	ttl int64
	// recordVersion is the field Version of its records.
	recordVersion string

	triggerKill              bool
	leaseID                  bool
	hostName                 bool
	indexEngineVersion       bool
	scalarIndexEngineVersion bool
	// serverLabels: the environment's labels are in a coordinator's record; before, only in those of query nodes.
	serverLabels bool

	// oneID: all sessions of a process share one server ID.
	oneID bool
	// healthGet: a Get of the key "health" comes first.
	healthGet bool
	// standbyAlways: the switch is not asked.
	standbyAlways bool
	// handleRestart: an exclusive session deletes what an earlier one of its address has left.
	handleRestart bool
	// subprocess: a parent can delete the keys of its dead child. cleansMixcoord: those of a mixed coordinator, not of the
	// older ones, whose datacoord leaves indexcoord as well. cleansAtOnce: in one transaction, else one by one.
	subprocess     bool
	cleansMixcoord bool
	cleansAtOnce   bool
	// indexSession: a datacoord has a second session, as indexcoord; forceActive: which it makes active by force.
	indexSession bool
	forceActive  bool
	// oldSessions: a campaign first looks for the coordinators of older releases; oldSessionPanics: and dies of them.
	oldSessions      bool
	oldSessionPanics bool
	// fourKeys: the active one puts its record under the old roles' keys too, and session/version.
	fourKeys      bool
	campaignError campaignError

	keepAliveEnd keepAliveEnd
	// armedEarly: the loss of the lease is noticed from registration on; else only once the session is active.
	armedEarly bool
	// watchesActiveKey: it ends when its active key is deleted. watchErrorEnds: and when that watch fails; else the
	// keepalives end, and the process goes on.
	watchesActiveKey bool
	watchErrorEnds   bool
	// signalsItself: lost, it stops and sends itself SIGINT, which ends in exit code 0; else it exits with lostCode.
	signalsItself bool
	lostCode      int
	// revokesWhenLost: Stop revokes also after the session was found lost.
	revokesWhenLost bool
	// failedActivationStays: when the activation fails, the process stays and keeps its key.
	failedActivationStays bool
	// standbySignals is how many signals a standby needs.
	standbySignals int

	// verbose: DEBUG lines are shown by default. standbyInfo: the line of every 10 s and that of the watch are INFO.
	verbose     bool
	standbyInfo bool
	// quitSaysID: the line that ends the standby mode names the server ID.
	quitSaysID bool

	dialKeepAliveTime    time.Duration
	dialKeepAliveTimeout time.Duration
}

// factsOf is the table: what each release does, from the first one to before the last.
func factsOf(v version) facts {
	in := func(from, before string) bool {
		at := func(text string) int {
			bound, err := parseVersion(text)
			if err != nil {
				panic(err)
			}
			return bound.number()
		}
		return (from == "" || v.number() >= at(from)) && (before == "" || v.number() < at(before))
	}
	f := facts{
		release:       v,
		recordVersion: v.text,

		triggerKill:              in("", "3.0.0"),
		leaseID:                  in("2.3.1", ""),
		hostName:                 in("2.3.2", ""),
		indexEngineVersion:       in("2.3.2", ""),
		scalarIndexEngineVersion: in("2.5.4", ""),
		serverLabels:             in("2.6.7", ""),

		oneID:            in("2.3.0", ""),
		healthGet:        in("", "2.6.7"),
		standbyAlways:    in("2.6.8", ""),
		handleRestart:    in("2.3.3", "2.6.8"),
		subprocess:       in("2.3.2", ""),
		cleansMixcoord:   in("2.6.0", ""),
		cleansAtOnce:     in("3.0.0", ""),
		indexSession:     in("2.3.0", "2.6.0"),
		forceActive:      in("2.3.1", "2.6.0"),
		oldSessions:      in("2.6.0", ""),
		oldSessionPanics: in("2.6.1", "2.6.2"),
		fourKeys:         in("2.6.8", ""),

		armedEarly:            in("2.6.7", ""),
		watchesActiveKey:      in("2.2.4", "2.6.7"),
		watchErrorEnds:        in("2.3.2", "2.6.7"),
		signalsItself:         in("", "2.3.8"),
		revokesWhenLost:       in("", "2.2.4"),
		failedActivationStays: in("", "2.2.12"),
		standbySignals:        pick(in("", "2.3.14"), 2, 1),

		verbose:     in("", "2.3.0"),
		standbyInfo: in("", "2.3.0"),
		quitSaysID:  in("2.3.2", ""),
	}
	switch {
	case in("", "2.2.4"), in("2.3.0", "2.3.3"):
		f.ttl = 60
	case in("", "2.3.0"):
		f.ttl = 20
	case in("", "2.6.0"), in("2.6.6", "2.6.7"):
		f.ttl = 30
	case in("", "2.6.6"):
		f.ttl = 10
	default:
		f.ttl = 15
	}
	switch {
	case in("", "2.6.1"):
		f.campaignError = triesForEver
	case in("", "2.6.7"):
		f.campaignError = panics
	default:
		f.campaignError = exits
	}
	switch {
	case in("", "2.2.10"):
		f.keepAliveEnd = endsAtOnce
	case in("", "2.6.7"):
		f.keepAliveEnd = asksOnce
	default:
		f.keepAliveEnd = asksTimeToLive
	}
	f.lostCode = pick(in("3.0.0", ""), 80, 1)
	if in("2.6.7", "") {
		f.dialKeepAliveTime, f.dialKeepAliveTimeout = 3*time.Second, 2*time.Second
	}
	if v.text == "2.2.3" {
		// The branch was never told that it had been released.
		f.recordVersion = "2.2.3-pre+dev"
	}
	return f
}

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
