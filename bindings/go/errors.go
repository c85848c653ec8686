//go:build cgo

package coordha

// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"strconv"
	"unsafe"
)

// An Error is what went wrong: a [Code] to decide by, words for a person, and details for a program.
//
// It is plain data and outlives the session that gave it. [errors.Is] finds its Code, and, where a context's end was
// the cause, that context's error.
type Error struct {
	// Code is what kind of failure it is.
	Code Code
	// Message says what happened, in words that may change from version to version.
	Message string
	// Key, Value and Allowed: of a configuration, or the key of a store that holds garbage. Empty where there is none.
	Key, Value, Allowed string
	// HolderAddress and HolderServerID: who is in the way ([ErrRoleHeld]).
	HolderAddress  string
	HolderServerID int64
	// Endpoint is the store's endpoint that it is about.
	Endpoint string
	// Application is the number that a failed activation was given ([ErrActivationFailed]): one of yours, from
	// [ErrApplication] up, else ErrActivationFailed itself. 0: it is about no activation. [errors.Is] finds it too.
	Application Code
	// Retriable: the same call may succeed later with nothing changed but the time.
	Retriable bool
	// Fatal: a session that meets it ends.
	Fatal bool

	details map[string]string
	cause   error
}

// Detail is one of the details by its name in the C header: "key", "value", "allowed", "holder_address",
// "holder_server_id", "endpoint" or "code" (Application); and whether there is one, as a wrong value may be the empty one.
func (e *Error) Detail(name string) (value string, found bool) {
	value, found = e.details[name]
	return value, found
}

// Error says the words, after the name of the package.
func (e *Error) Error() string {
	text := "coordha: " + e.Message
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the Code, the number of yours and the cause, where there is one, to [errors.Is] and [errors.As].
func (e *Error) Unwrap() []error {
	all := []error{e.Code}
	if e.Application >= ErrApplication {
		all = append(all, e.Application)
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

// own makes an error of this package's own.
func own(code Code, message string, cause error) *Error {
	return &Error{Code: code, Message: message, Retriable: code == ErrTimeout || code == ErrBusy, cause: cause}
}

func ownKey(code Code, message, key string) *Error {
	return &Error{Code: code, Message: message, Key: key, details: map[string]string{"key": key}}
}

// codeOf is the code of an error of this package, whatever caused it.
func codeOf(err error) Code {
	if ours, is := err.(*Error); is {
		return ours.Code
	}
	return 0
}

func closed() error { return own(ErrClosed, "it was closed", nil) }
func ended() error  { return own(ErrEnded, "the session has ended", nil) }

// contextEnded is for what was not done because a context ended first.
func contextEnded(cause error) error {
	return own(ErrTimeout, "the context has ended", cause)
}

// readError copies an error that is lent. It may be nil.
func readError(lent *C.ha_error) *Error {
	if lent == nil {
		return nil
	}
	details := map[string]string{}
	for _, name := range []string{"key", "value", "allowed", "holder_address", "holder_server_id", "endpoint", "code"} {
		if value, found := detail(lent, name); found {
			details[name] = value
		}
	}
	serverID, _ := strconv.ParseInt(details["holder_server_id"], 10, 64)
	application, _ := strconv.ParseInt(details["code"], 10, 32)
	return &Error{
		Code:           Code(C.ha_error_code(lent)),
		Message:        C.GoString(C.ha_error_message(lent)),
		Key:            details["key"],
		Value:          details["value"],
		Allowed:        details["allowed"],
		HolderAddress:  details["holder_address"],
		HolderServerID: serverID,
		Endpoint:       details["endpoint"],
		Application:    Code(application),
		Retriable:      bool(C.ha_error_is_retriable(lent)),
		Fatal:          bool(C.ha_error_is_fatal(lent)),
		details:        details,
	}
}

func detail(lent *C.ha_error, name string) (value string, found bool) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	text := C.ha_error_detail(lent, cName)
	return C.GoString(text), text != nil
}

// failure is the error of a call, from its status and from the error that it gave, which is freed. Nil for success.
func failure(status C.int32_t, given *C.ha_error) error {
	if given != nil {
		defer C.ha_error_free(given)
	}
	if status == C.HA_OK {
		return nil
	}
	if read := readError(given); read != nil {
		return read
	}
	code := Code(status)
	return own(code, code.String(), nil)
}
