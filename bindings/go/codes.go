//go:build cgo

package coordha

import "strconv"

// A Code is a status code of the library. Each is an error by itself, to be looked for with [errors.Is]:
//
//	if errors.Is(err, coordha.ErrFenced) { ... }
//
// Errors that the package returns are of type [*Error], which carries the words and the details.
type Code int32

// Use.
const (
	ErrNull            Code = 101 // nothing was given where something must be
	ErrInvalidArgument Code = 102 // an argument is not of the allowed form
	ErrState           Code = 103 // not possible in the session's present state
	ErrClosed          Code = 104 // the session, or the observer, was closed
	ErrTimeout         Code = 105 // the time limit passed, or the context ended; nothing else happened
	ErrInCallback      Code = 106 // kept for C: it would wait for itself
	ErrForked          Code = 107 // this process is a child of fork; the session belongs to its parent
	ErrUnsupported     Code = 108 // this build or version of the library cannot do it
	ErrBusy            Code = 109 // too much is waiting already
	ErrEnded           Code = 110 // the session has ended
	ErrAlreadyStarted  Code = 111 // this process has a session with the same role and address already
)

// Configuration. [Error] has the key, the value and what is allowed.
const (
	ErrConfigKey      Code = 201 // no such key
	ErrConfigValue    Code = 202 // the value is not allowed
	ErrConfigMissing  Code = 203 // a required key has no value
	ErrConfigConflict Code = 204 // two values contradict each other
	ErrConfigFile     Code = 205 // a configuration file cannot be read
)

// Role and transactions.
const (
	ErrFenced           Code = 301 // the term is over: nothing was written; also a late or repeated answer
	ErrRoleHeld         Code = 302 // another session holds the role (exclusive sessions)
	ErrActivationFailed Code = 303 // the application's activation failed
	ErrNoTarget         Code = 304 // no session can take the role over
	ErrCompareFailed    Code = 321 // a compare of your own failed: nothing was written
	ErrUnknownOutcome   Code = 322 // sent, and no answer: it may have been done, or be done even later, never after the term
	ErrTooLarge         Code = 323 // more operations or bytes than a transaction may have
)

// Store.
const (
	ErrUnavailable  Code = 401 // the store cannot be reached; nothing was sent, or the release at the end is unconfirmed
	ErrAuth         Code = 402 // the store refused the user or the password
	ErrPermission   Code = 403 // the store's user may not do it
	ErrTLS          Code = 404 // TLS could not be set up
	ErrNoSpace      Code = 405 // the store has no space left; nothing was written
	ErrRegressed    Code = 406 // the store's revision went back, as after a restore from a backup
	ErrCorrupt      Code = 407 // a key of this library holds garbage
	ErrStoreVersion Code = 408 // the store's version cannot be used
)

// Library.
const (
	ErrInternal  Code = 901 // a defect of the library, caught
	ErrResources Code = 902 // the system gave no thread, descriptor or memory
)

// ErrApplication is the first code that is yours: from here up a code is never one of the library. A term body that
// wants its failed activation to carry a number returns an error that wraps a Code of this range; else it carries
// [ErrActivationFailed]'s.
const ErrApplication Code = 10000

var codeNames = map[Code]string{
	ErrNull: "NULL", ErrInvalidArgument: "INVALID_ARGUMENT", ErrState: "STATE", ErrClosed: "CLOSED", ErrTimeout: "TIMEOUT",
	ErrInCallback: "IN_CALLBACK", ErrForked: "FORKED", ErrUnsupported: "UNSUPPORTED", ErrBusy: "BUSY", ErrEnded: "ENDED",
	ErrAlreadyStarted: "ALREADY_STARTED", ErrConfigKey: "CONFIG_KEY", ErrConfigValue: "CONFIG_VALUE",
	ErrConfigMissing: "CONFIG_MISSING", ErrConfigConflict: "CONFIG_CONFLICT", ErrConfigFile: "CONFIG_FILE",
	ErrFenced: "FENCED", ErrRoleHeld: "ROLE_HELD", ErrActivationFailed: "ACTIVATION_FAILED", ErrNoTarget: "NO_TARGET",
	ErrCompareFailed: "COMPARE_FAILED", ErrUnknownOutcome: "UNKNOWN_OUTCOME", ErrTooLarge: "TOO_LARGE",
	ErrUnavailable: "UNAVAILABLE", ErrAuth: "AUTH", ErrPermission: "PERMISSION", ErrTLS: "TLS", ErrNoSpace: "NO_SPACE",
	ErrRegressed: "REGRESSED", ErrCorrupt: "CORRUPT", ErrStoreVersion: "STORE_VERSION", ErrInternal: "INTERNAL",
	ErrResources: "RESOURCES",
}

// String is the code's name as the C header has it, such as "FENCED"; "APPLICATION" for those that are yours, "UNKNOWN"
// for what this version does not know.
func (c Code) String() string {
	if c >= ErrApplication {
		return "APPLICATION"
	}
	if name, known := codeNames[c]; known {
		return name
	}
	return "UNKNOWN"
}

// Error is the code's name and number.
func (c Code) Error() string {
	return "coordha: " + c.String() + " (" + strconv.Itoa(int(c)) + ")"
}
