//go:build cgo

package coordha

// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// A Config says which role, which address, which store. The zero value of a field says nothing: the default holds. A
// role and an address must be given. A wrong value is refused by [Start] or [Config.Check], which name the key, the
// value and what is allowed.
type Config struct {
	// Role is the name of the role, such as "rootcoord". All sessions with the same role, root and store stand in one
	// election.
	Role string
	// Address is where clients reach this process, host:port; it is written into its record. An empty host stands for the
	// first unicast IP address of this host.
	Address string
	// StoreURL is where the election is held: etcd://host:port[,host:port...], or local:<directory> for the processes of
	// one host, without a server. Default: etcd://localhost:2379.
	StoreURL string
	// Root is the root of all keys in the store. Default: by-dev/meta.
	Root string
	// ActiveStandby: the session stands by while another one holds the role. Else it is exclusive: it waits for a while
	// and then ends with [ErrRoleHeld].
	ActiveStandby bool
	// Priority: of several standbys, the one with the highest is tried first. From -1000 to 1000.
	Priority int
	// Paused: start without contending for the role, until [Session.Resume].
	Paused bool
	// AutoActivate: the library itself says ready and left, for programs that only ask whether they are active.
	AutoActivate bool
	// Shared: the sessions of this process with the same store, root and address that have it share one server ID and
	// one lease.
	Shared bool
	// NoSameHostProof: a dead holder's hold time is always waited for. Needed where child processes act for the role, as
	// they outlive it.
	NoSameHostProof bool

	// HoldTime is how long the active one may act after its last renewal. Default: 5 s.
	HoldTime time.Duration
	// LeaseTTL is the time to live of the session's lease, at least twice HoldTime. Default: 60 s.
	LeaseTTL time.Duration
	// ActivationTimeout is how long you may take to say ready. Default: 60 s.
	ActivationTimeout time.Duration
	// ActivationBackoff is the pause after a failed activation, doubling up to 30 s. Default: 1 s.
	ActivationBackoff time.Duration
	// DeactivationTimeout is how long you may drain in an orderly end, the role still held. Default: 8 s.
	DeactivationTimeout time.Duration
	// ReleaseTimeout is how long releasing the role may take at the end. Default: 2 s.
	ReleaseTimeout time.Duration
	// RequestTimeout is the limit of every request to the store. Default: 5 s.
	RequestTimeout time.Duration

	// Username and Password at etcd: both or neither. Where a Config is printed or logged, the password is ***.
	Username, Password string
	// TLS: etcd is reached by TLS.
	TLS *TLS

	// Settings are further settings by their names (Key constants), and have the last word over the fields: here a 0 can
	// be said that a field cannot say. An unknown name is an error.
	Settings map[string]string

	// What follows has the word where the fields above and Settings say nothing: Environment, then Files, then Defaults.

	// Environment: settings are taken from the environment, COORDHA_ and the name in capitals, with _ for each dot. An
	// unknown one is an error. No other goroutine may change the environment meanwhile.
	Environment bool
	// Files are YAML files, with the settings below a map "coordha:". The last one has the word.
	Files []string
	// Milvus: Files and the environment are read as Milvus reads them too, with its names for settings: milvus.yaml,
	// ROOT_COORD_PORT. What means nothing here is left alone.
	Milvus bool
	// MilvusFiles: before Files, those that Milvus would read are read: milvus.yaml, default.yaml and user.yaml in the folder
	// that the variable MILVUSCONF names, else in configs.
	MilvusFiles bool
	// Defaults are settings that the program only proposes.
	Defaults map[string]string
}

// TLS is how etcd is reached by TLS. Files are PEM.
type TLS struct {
	// CA is the file with the certificates of the authorities that etcd's certificate may come from. Required.
	CA string
	// Cert and Key are the files of the client's certificate and its private key, where etcd asks for one.
	Cert, Key string
	// ServerName is the name that etcd's certificate must be for. Default: the endpoint's host.
	ServerName string
	// MinVersion is the oldest version that is accepted, "1.2" or "1.3". Default: 1.2.
	MinVersion string
}

// What a password is shown as.
const hidden = "***"

// plainConfig is a Config that formats itself no more.
type plainConfig Config

// shown is the configuration without its secrets.
func (c Config) shown() plainConfig {
	if c.Password != "" {
		c.Password = hidden
	}
	for _, settings := range []*map[string]string{&c.Settings, &c.Defaults} {
		if (*settings)[KeyStoreEtcdPassword] != "" {
			*settings = maps.Clone(*settings)
			(*settings)[KeyStoreEtcdPassword] = hidden
		}
	}
	return plainConfig(c)
}

// Format prints the configuration by any verb of fmt, with the password as ***.
func (c Config) Format(state fmt.State, verb rune) {
	fmt.Fprintf(state, fmt.FormatString(state, verb), c.shown())
}

// LogValue is the configuration for log/slog, with the password as ***.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.shown()) }

// A setting is a key and its value.
type setting struct{ key, value string }

// settings are those that the fields give, without what says nothing, then those of Settings.
func (c Config) settings() []setting {
	var all []setting
	text := func(key, value string) {
		if value != "" {
			all = append(all, setting{key, value})
		}
	}
	flag := func(key string, given bool, value string) {
		if given {
			text(key, value)
		}
	}
	span := func(key string, value time.Duration) {
		flag(key, value != 0, strconv.FormatInt(toMillis(value), 10))
	}
	text(KeyRole, c.Role)
	text(KeyAddress, c.Address)
	text(KeyStoreURL, c.StoreURL)
	text(KeyRoot, c.Root)
	flag(KeyActiveStandbyEnabled, c.ActiveStandby, "true")
	flag(KeyPriority, c.Priority != 0, strconv.Itoa(c.Priority))
	flag(KeyElectionPaused, c.Paused, "true")
	flag(KeyActivationAuto, c.AutoActivate, "true")
	flag(KeySessionShared, c.Shared, "true")
	flag(KeyElectionSameHostProof, c.NoSameHostProof, "false")
	span(KeyElectionHoldMS, c.HoldTime)
	span(KeyLeaseTTLMS, c.LeaseTTL)
	span(KeyActivationTimeoutMS, c.ActivationTimeout)
	span(KeyActivationBackoffMS, c.ActivationBackoff)
	span(KeyDeactivationTimeoutMS, c.DeactivationTimeout)
	span(KeyReleaseTimeoutMS, c.ReleaseTimeout)
	span(KeyStoreRequestTimeoutMS, c.RequestTimeout)
	text(KeyStoreEtcdUser, c.Username)
	text(KeyStoreEtcdPassword, c.Password)
	if tls := c.TLS; tls != nil {
		text(KeyStoreEtcdTLSEnabled, "true")
		text(KeyStoreEtcdTLSCA, tls.CA)
		text(KeyStoreEtcdTLSCert, tls.Cert)
		text(KeyStoreEtcdTLSKey, tls.Key)
		text(KeyStoreEtcdTLSServerName, tls.ServerName)
		text(KeyStoreEtcdTLSMinVersion, tls.MinVersion)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		all = append(all, setting{key, c.Settings[key]})
	}
	return all
}

// build makes the C configuration. It is the caller's to free.
func (c Config) build() (*C.ha_config, error) {
	if C.ha_version_number() < C.HA_VERSION_NUMBER {
		return nil, own(ErrUnsupported, "the library is of version "+Version()+", older than the header that this program "+
			"was built with", nil)
	}
	config := C.ha_config_new()
	if config == nil {
		return nil, own(ErrInternal, "no configuration could be made", nil)
	}
	if err := c.fill(config); err != nil {
		C.ha_config_free(config)
		return nil, err
	}
	return config, nil
}

// buildUnder makes it for something that lives as long as ctx, and so not for one that has ended.
func (c Config) buildUnder(ctx context.Context) (*C.ha_config, error) {
	if ctx.Err() != nil {
		return nil, contextEnded(context.Cause(ctx))
	}
	return c.build()
}

// fill says it all, in any order: the library knows which source has the word.
func (c Config) fill(config *C.ha_config) error {
	for _, s := range c.settings() {
		err := inC(s.key, s.value, func(key, value *C.char, err **C.ha_error) C.int32_t {
			return C.ha_config_set(config, key, value, err)
		})
		if err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Defaults)) {
		err := inC(key, c.Defaults[key], func(key, value *C.char, err **C.ha_error) C.int32_t {
			return C.ha_config_set_default(config, key, value, err)
		})
		if err != nil {
			return err
		}
	}
	dialect := C.int32_t(C.HA_DIALECT_NATIVE)
	if c.Milvus {
		dialect = C.HA_DIALECT_MILVUS
	}
	if c.MilvusFiles {
		var given *C.ha_error
		if err := failure(C.ha_config_load_yaml(config, nil, C.HA_DIALECT_MILVUS, &given), given); err != nil {
			return err
		}
	}
	for _, file := range c.Files {
		err := inC(file, "", func(path, _ *C.char, err **C.ha_error) C.int32_t {
			return C.ha_config_load_yaml(config, path, dialect, err)
		})
		if err != nil {
			return err
		}
	}
	if c.Environment {
		var given *C.ha_error
		return failure(C.ha_config_load_env(config, dialect, &given), given)
	}
	return nil
}

// inC makes a call with a name and a value as C has them.
func inC(name, value string, call func(name, value *C.char, err **C.ha_error) C.int32_t) error {
	if strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
		return ownKey(ErrInvalidArgument, strconv.Quote(name)+": a NUL may not stand in a setting", name)
	}
	cName, cValue := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(cName))
	defer C.free(unsafe.Pointer(cValue))
	var given *C.ha_error
	return failure(call(cName, cValue, &given), given)
}

// Check looks at all settings together, as [Start] does, without starting anything.
func (c Config) Check() error {
	config, err := c.build()
	if err != nil {
		return err
	}
	defer C.ha_config_free(config)
	var given *C.ha_error
	return failure(C.ha_config_check(config, &given), given)
}

// Value is what a setting comes to: what was given, or its default; empty for one that is off, or required and not
// given. Secrets come in plain text.
func (c Config) Value(key string) (string, error) {
	config, err := c.build()
	if err != nil {
		return "", err
	}
	defer C.ha_config_free(config)
	value, known := get(config, key)
	if !known && key != KeyRole && key != KeyAddress {
		return "", ownKey(ErrConfigKey, strconv.Quote(key)+" is no configuration key", key)
	}
	return value, nil
}

// Dump is all settings, each with the value that counts and where it comes from: a line a setting. Secrets are hidden.
func (c Config) Dump() (string, error) { return c.dump(C.HA_DUMP_TEXT) }

// DumpJSON is the same as a JSON array of objects with "key", "value", "source" and "place".
func (c Config) DumpJSON() ([]byte, error) {
	text, err := c.dump(C.HA_DUMP_JSON)
	return []byte(text), err
}

func (c Config) dump(format C.int32_t) (string, error) {
	config, err := c.build()
	if err != nil {
		return "", err
	}
	defer C.ha_config_free(config)
	text := C.ha_config_dump(config, format)
	defer C.ha_string_free(text)
	return C.GoString(text), nil
}

func get(config *C.ha_config, key string) (string, bool) {
	cKey := C.CString(key)
	defer C.free(unsafe.Pointer(cKey))
	lent := C.ha_config_get(config, cKey)
	return C.GoString(lent), lent != nil
}

// Version is the version of the C library that runs, such as "0.1.0".
func Version() string { return C.GoString(C.ha_version_string()) }

// HasFeature says whether the library was built with a feature: "etcd", "local", "tls", "yaml", "metrics", "mirror" or
// "handover". False for a name that is not known.
func HasFeature(name string) bool {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	return bool(C.ha_has_feature(cName))
}
