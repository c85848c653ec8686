package main

import "testing"

func known(t *testing.T, release string) facts {
	t.Helper()
	v, err := parseVersion(release)
	if err != nil {
		t.Fatal(err)
	}
	return factsOf(v)
}

func TestEachReleaseWatchesAndEndsAsItsOwnSourceSays(t *testing.T) {
	for _, want := range []struct {
		release string
		ttl     int64
		end     keepAliveEnd
		watches bool
		signals bool
		code    int
	}{
		{"2.2.3", 60, endsAtOnce, false, true, 1},
		{"2.2.4", 20, endsAtOnce, true, true, 1},
		{"2.2.9", 20, endsAtOnce, true, true, 1},
		{"2.2.10", 20, asksOnce, true, true, 1},
		{"2.2.16", 20, asksOnce, true, true, 1},
		{"2.3.0", 60, asksOnce, true, true, 1},
		{"2.3.3", 30, asksOnce, true, true, 1},
		{"2.3.8", 30, asksOnce, true, false, 1},
		{"2.5.27", 30, asksOnce, true, false, 1},
		{"2.6.0", 10, asksOnce, true, false, 1},
		{"2.6.5", 10, asksOnce, true, false, 1},
		{"2.6.6", 30, asksOnce, true, false, 1},
		{"2.6.7", 15, asksTimeToLive, false, false, 1},
		{"2.6.15", 15, asksTimeToLive, false, false, 1},
		{"3.0.0-beta", 15, asksTimeToLive, false, false, 80},
	} {
		f := known(t, want.release)
		if f.ttl != want.ttl || f.keepAliveEnd != want.end || f.watchesActiveKey != want.watches ||
			f.signalsItself != want.signals || f.lostCode != want.code {
			t.Errorf("%s: %+v", want.release, f)
		}
	}
}

func TestAFeatureBeginsAndEndsWithItsRelease(t *testing.T) {
	has := func(release string, what func(facts) bool) bool { return what(known(t, release)) }
	for _, feature := range []struct {
		name         string
		what         func(facts) bool
		first, after string
	}{
		{"exclusive restart", func(f facts) bool { return f.handleRestart }, "2.3.3", "2.6.8"},
		{"force", func(f facts) bool { return f.forceActive }, "2.3.1", "2.6.0"},
		{"four keys", func(f facts) bool { return f.fourKeys }, "2.6.8", ""},
		{"old sessions", func(f facts) bool { return f.oldSessions }, "2.6.0", ""},
		{"a standby for ever at its lost lease", func(f facts) bool { return f.campaignError == triesForEver }, "2.2.3", "2.6.1"},
		{"a panic at it", func(f facts) bool { return f.campaignError == panics }, "2.6.1", "2.6.7"},
		{"TriggerKill", func(f facts) bool { return f.triggerKill }, "2.2.3", "3.0.0"},
		{"LeaseID", func(f facts) bool { return f.leaseID }, "2.3.1", ""},
		{"HostName", func(f facts) bool { return f.hostName }, "2.3.2", ""},
		{"ServerLabels", func(f facts) bool { return f.serverLabels }, "2.6.7", ""},
		{"a parent that cleans", func(f facts) bool { return f.subprocess }, "2.3.2", ""},
		{"ScalarIndexEngineVersion", func(f facts) bool { return f.scalarIndexEngineVersion }, "2.5.4", ""},
	} {
		if !has(feature.first, feature.what) || feature.after != "" && has(feature.after, feature.what) {
			t.Errorf("%s: not from %s to before %s", feature.name, feature.first, feature.after)
		}
		for _, before := range []string{"2.2.3", "2.2.16", "2.3.0", "2.5.3", "2.5.27", "2.6.7"} {
			v, first := known(t, before).release, known(t, feature.first).release
			if v.number() < first.number() && has(before, feature.what) {
				t.Errorf("%s: already in %s", feature.name, before)
			}
		}
	}
}

func TestWhatIsNoReleaseIsRefused(t *testing.T) {
	for _, text := range []string{"", "2.6", "v2.6.0", "2.6.x", "2.6.0.1", "2.2.2"} {
		if v, err := parseRelease(text); err == nil {
			t.Errorf("%q is %+v", text, v)
		}
	}
}
