//go:build cgo

package coordha_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coordha.test/coordha"
)

// wrong has a value for each key that is not allowed.
var wrong = map[string]string{
	coordha.KeyRole: "Root Coord", coordha.KeyAddress: "nowhere", coordha.KeyStoreURL: "ftp://x", coordha.KeyRoot: " ",
	coordha.KeyActiveStandbyEnabled: "yes", coordha.KeyPriority: "1001", coordha.KeyRecordVersion: "two",
	coordha.KeyActivationAuto: "1", coordha.KeySessionShared: "on", coordha.KeyActivationTimeoutMS: "99",
	coordha.KeyActivationBackoffMS: "-1", coordha.KeyDeactivationTimeoutMS: "-1", coordha.KeyReleaseTimeoutMS: "99",
	coordha.KeyLeaseTTLMS: "1999", coordha.KeyElectionHoldMS: "199", coordha.KeyElectionRereadMS: "1s",
	coordha.KeyElectionRankStepMS: "9", coordha.KeyElectionPaused: "no", coordha.KeyElectionSameHostProof: "",
	coordha.KeyExclusiveWaitMS: "-2", coordha.KeyEventsQueue: "15", coordha.KeyStoreRequestTimeoutMS: "49",
	coordha.KeyStoreEtcdConnectTimeoutMS: "49", coordha.KeyStoreEtcdKeepaliveMS: "99",
	coordha.KeyStoreEtcdKeepaliveTimeoutMS: "99", coordha.KeyStoreEtcdUser: " x", coordha.KeyStoreEtcdPassword: "a\nb",
	coordha.KeyStoreEtcdTLSEnabled: "yes", coordha.KeyStoreEtcdTLSCA: "a\nb", coordha.KeyStoreEtcdTLSCert: "a\nb",
	coordha.KeyStoreEtcdTLSKey: "a\nb", coordha.KeyStoreEtcdTLSServerName: "a b", coordha.KeyStoreEtcdTLSMinVersion: "1.1",
	coordha.KeyLogFormat: "json", coordha.KeyLogStandbyMS: "-1", coordha.KeyTxnInflight: "0",
	coordha.KeyElectionMilvusTakeoverDelayMS: "120001",
}

func TestAWrongValueOfAnyKeyIsNamedWithWhatIsAllowed(t *testing.T) {
	for _, key := range headerKeys(t) {
		value, known := wrong[key]
		if !known {
			t.Errorf("no wrong value is known for %s", key)
			continue
		}
		config := onLocal(t)
		config.Settings = map[string]string{key: value}
		_, err := coordha.Start(context.Background(), config)
		var bad *coordha.Error
		if !errors.As(err, &bad) || bad.Code != coordha.ErrConfigValue || bad.Key != key || bad.Allowed == "" {
			t.Errorf("%s = %q: %+v", key, value, err)
			continue
		}
		if shown := bad.Value == strings.ReplaceAll(value, "\n", `\n`); shown == (key == coordha.KeyStoreEtcdPassword) {
			t.Errorf("%s: the error has the value %q", key, bad.Value)
		}
		if said, found := bad.Detail("value"); !found || said != bad.Value {
			t.Errorf("%s: the detail is %q", key, said)
		}
		if _, found := bad.Detail("holder_address"); found {
			t.Errorf("%s: a holder", key)
		}
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%q does not name %s", err, key)
		}
	}
}

func TestWhatIsMissingUnknownOrContradictsIsNamed(t *testing.T) {
	for _, test := range []struct {
		change func(*coordha.Config)
		code   coordha.Code
		key    string
	}{
		{func(c *coordha.Config) { c.Role = "" }, coordha.ErrConfigMissing, coordha.KeyRole},
		{func(c *coordha.Config) { c.Address = "" }, coordha.ErrConfigMissing, coordha.KeyAddress},
		{func(c *coordha.Config) { c.LeaseTTL = 2 * time.Second; c.HoldTime = 2 * time.Second },
			coordha.ErrConfigConflict, coordha.KeyLeaseTTLMS},
		{func(c *coordha.Config) { c.Username = "x" }, coordha.ErrConfigConflict, ""},
		{func(c *coordha.Config) { c.TLS = &coordha.TLS{} }, coordha.ErrConfigMissing, coordha.KeyStoreEtcdTLSCA},
		{func(c *coordha.Config) { c.HoldTime = -time.Second }, coordha.ErrConfigValue, coordha.KeyElectionHoldMS},
		{func(c *coordha.Config) { c.Settings = map[string]string{"lease.ttl": "1"} }, coordha.ErrConfigKey, "lease.ttl"},
		{func(c *coordha.Config) { c.Settings = map[string]string{"": ""} }, coordha.ErrConfigKey, ""},
		{func(c *coordha.Config) { c.Role = "root\x00coord" }, coordha.ErrInvalidArgument, coordha.KeyRole},
		{func(c *coordha.Config) { c.Role = "root\xff" }, coordha.ErrConfigValue, coordha.KeyRole},
	} {
		config := onLocal(t)
		test.change(&config)
		session, err := coordha.Start(context.Background(), config)
		is(t, err, test.code)
		is(t, config.Check(), test.code)
		var bad *coordha.Error
		if session != nil || !errors.As(err, &bad) || test.key != "" && bad.Key != test.key {
			t.Errorf("%+v", err)
		}
	}
}

func TestEachFieldSetsItsKey(t *testing.T) {
	config := coordha.Config{
		Role: "datacoord", Address: "10.0.0.5:1", StoreURL: "etcd://10.0.0.1:2379", Root: "r", ActiveStandby: true, Priority: -3,
		Paused: true, AutoActivate: true, Shared: true, NoSameHostProof: true, HoldTime: 900 * time.Millisecond,
		LeaseTTL: 8 * time.Second, ActivationTimeout: 1234567 * time.Microsecond, ActivationBackoff: time.Second + 1,
		DeactivationTimeout: time.Minute, ReleaseTimeout: time.Second, RequestTimeout: 2 * time.Second,
		Username: "u", Password: "p",
		TLS:      &coordha.TLS{CA: "/ca", Cert: "/cert", Key: "/key", ServerName: "etcd.example", MinVersion: "1.3"},
		Settings: map[string]string{coordha.KeyPriority: "7", coordha.KeyExclusiveWaitMS: "0"},
	}
	ok(t, config.Check())
	for key, wanted := range map[string]string{
		coordha.KeyRole: "datacoord", coordha.KeyAddress: "10.0.0.5:1", coordha.KeyStoreURL: "etcd://10.0.0.1:2379",
		coordha.KeyRoot: "r", coordha.KeyActiveStandbyEnabled: "true", coordha.KeyPriority: "7",
		coordha.KeyElectionPaused: "true", coordha.KeyActivationAuto: "true", coordha.KeySessionShared: "true",
		coordha.KeyElectionSameHostProof: "false", coordha.KeyElectionHoldMS: "900", coordha.KeyLeaseTTLMS: "8000",
		coordha.KeyActivationTimeoutMS: "1235", coordha.KeyActivationBackoffMS: "1001",
		coordha.KeyDeactivationTimeoutMS: "60000", coordha.KeyReleaseTimeoutMS: "1000",
		coordha.KeyStoreRequestTimeoutMS: "2000", coordha.KeyStoreEtcdUser: "u", coordha.KeyStoreEtcdPassword: "p",
		coordha.KeyStoreEtcdTLSEnabled: "true", coordha.KeyStoreEtcdTLSCA: "/ca", coordha.KeyStoreEtcdTLSCert: "/cert",
		coordha.KeyStoreEtcdTLSKey: "/key", coordha.KeyStoreEtcdTLSServerName: "etcd.example",
		coordha.KeyStoreEtcdTLSMinVersion: "1.3", coordha.KeyExclusiveWaitMS: "0",
	} {
		if value, err := config.Value(key); err != nil || value != wanted {
			t.Errorf("%s is %q, not %q (%v)", key, value, wanted, err)
		}
	}
	for _, key := range headerKeys(t) {
		if _, err := (coordha.Config{}).Value(key); err != nil {
			t.Error(err)
		}
	}
	_, err := coordha.Config{}.Value("lease.ttl")
	is(t, err, coordha.ErrConfigKey)
}

func yaml(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coordha.yaml")
	ok(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestEachSourceHasItsRank(t *testing.T) {
	t.Setenv("COORDHA_PRIORITY", "2")
	t.Setenv("COORDHA_LEASE_TTL_MS", "30000")
	config := coordha.Config{
		Priority: 1, Environment: true,
		Files: []string{
			yaml(t, "coordha:\n  root: first\n  election:\n    hold_ms: 700\n"),
			yaml(t, "other: 1\ncoordha:\n  lease.ttl_ms: 40000\n  root: last\n"),
		},
		Defaults: map[string]string{coordha.KeyRole: "datacoord", coordha.KeyRoot: "default", coordha.KeyPriority: "4"},
	}
	for key, wanted := range map[string]string{
		coordha.KeyPriority: "1", coordha.KeyLeaseTTLMS: "30000", coordha.KeyRoot: "last", coordha.KeyElectionHoldMS: "700",
		coordha.KeyRole: "datacoord", coordha.KeyEventsQueue: "256",
	} {
		if value, err := config.Value(key); err != nil || value != wanted {
			t.Errorf("%s is %q, not %q (%v)", key, value, wanted, err)
		}
	}
	config.Environment = false
	if value, err := config.Value(coordha.KeyLeaseTTLMS); err != nil || value != "40000" {
		t.Error(value, err)
	}
}

func TestAWrongSourceIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		config coordha.Config
		code   coordha.Code
		word   string
	}{
		"no file":         {coordha.Config{Files: []string{"/nowhere.yaml"}}, coordha.ErrConfigFile, "/nowhere.yaml"},
		"no YAML":         {coordha.Config{Files: []string{yaml(t, "a: [")}}, coordha.ErrConfigFile, "coordha.yaml"},
		"an unknown key":  {coordha.Config{Files: []string{yaml(t, "coordha:\n  ttl: 1\n")}}, coordha.ErrConfigKey, "ttl"},
		"a wrong value":   {coordha.Config{Files: []string{yaml(t, "coordha:\n  priority: x\n")}}, coordha.ErrConfigValue, "x"},
		"a NUL":           {coordha.Config{Files: []string{"a\x00b"}}, coordha.ErrInvalidArgument, "NUL"},
		"a wrong default": {coordha.Config{Defaults: map[string]string{"ttl": "1"}}, coordha.ErrConfigKey, "ttl"},
		"a variable":      {coordha.Config{Environment: true}, coordha.ErrConfigValue, "COORDHA_EVENTS_QUEUE"},
	} {
		if name == "a variable" {
			t.Setenv("COORDHA_EVENTS_QUEUE", "many")
		}
		if err := test.config.Check(); !errors.Is(err, test.code) || !strings.Contains(err.Error(), test.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLibrarySaysWhatItIs(t *testing.T) {
	if !coordha.HasFeature("etcd") || coordha.HasFeature("tee") || coordha.Version() == "" {
		t.Error(coordha.Version())
	}
}

func TestAConfigurationIsShownWithoutItsPassword(t *testing.T) {
	const secret = "geheim"
	config := coordha.Config{
		Role: "rootcoord", Username: "me", Password: secret,
		Settings: map[string]string{coordha.KeyStoreEtcdPassword: secret},
		Defaults: map[string]string{coordha.KeyStoreEtcdPassword: secret, coordha.KeyPriority: "7"},
	}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&shown, verb, config)
		fmt.Fprintf(&shown, verb, &config)
		fmt.Fprintf(&shown, verb, struct{ Config coordha.Config }{config})
	}
	fmt.Fprintln(&shown, config)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("starting", "config", config, "pointer", &config)
	}
	if text := shown.String(); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) ||
		!strings.Contains(text, "Role:rootcoord") || !strings.Contains(text, `Password:"***"`) {
		t.Error(text)
	}
	if config.Password != secret || config.Settings[coordha.KeyStoreEtcdPassword] != secret ||
		config.Defaults[coordha.KeyStoreEtcdPassword] != secret {
		t.Error("showing it has changed it")
	}
	value, err := config.Value(coordha.KeyStoreEtcdPassword)
	if err != nil || value != secret {
		t.Error(value, err)
	}
}

func TestMilvusNamesCountTooAndADumpTellsWhereEachValueComesFrom(t *testing.T) {
	folder := t.TempDir()
	text := "rootCoord: {port: 53100, enableActiveStandby: true}\netcd: {rootPath: mine, auth: {enabled: true, userName: u, password: geheim}}\n"
	ok(t, os.WriteFile(filepath.Join(folder, "milvus.yaml"), []byte(text), 0o600))
	t.Setenv("MILVUSCONF", folder)
	t.Setenv("ETCD_META_SUB_PATH", "there")
	config := coordha.Config{Role: "rootcoord", Milvus: true, MilvusFiles: true, Environment: true}
	ok(t, config.Check())
	for key, want := range map[string]string{
		coordha.KeyAddress: ":53100", coordha.KeyRoot: "mine/there", coordha.KeyActiveStandbyEnabled: "true",
	} {
		if got, err := config.Value(key); err != nil || got != want {
			t.Errorf("%s is %q (%v), not %q", key, got, err, want)
		}
	}
	dump, err := config.Dump()
	ok(t, err)
	data, err := config.DumpJSON()
	ok(t, err)
	var lines []struct{ Key, Value, Source, Place string }
	ok(t, json.Unmarshal(data, &lines))
	for _, line := range lines {
		if line.Key == coordha.KeyRoot && (line.Source != "environment" || !strings.Contains(line.Place, "ETCD_META_SUB_PATH")) {
			t.Errorf("%+v", line)
		}
	}
	if !strings.Contains(dump, "ETCD_META_SUB_PATH") || strings.Contains(dump+string(data), "geheim") {
		t.Error(dump)
	}
	config.Files = []string{filepath.Join(folder, "milvus.yaml")}
	config.MilvusFiles = false
	ok(t, config.Check())
	t.Setenv("ROOT_COORD_ENABLE_ACTIVE_STANDBY", "yes")
	if err := config.Check(); !errors.Is(err, coordha.ErrConfigValue) {
		t.Error(err)
	}
}
