//go:build cgo

package coordha

// #include "shim.h"
import "C"

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// LevelTrace is the level of the library's smallest steps.
const LevelTrace = slog.LevelDebug - 4

// The library's levels, from HA_LOG_ERROR up.
var levels = []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, LevelTrace}

var logging struct {
	mu sync.Mutex
	// Closed when the handler before this one has got its last record; nil: there is none.
	drained chan struct{}
}

// SetLogHandler hands what the library has to say to a handler, for the whole process, in place of the one before; nil:
// warnings and errors go to stderr again. The handler is asked once, here, down to which level it is enabled. Records
// carry the part of the library as "target", and fields such as "role" and "server_id".
//
// Records that wait go to the handler before: when this returns, that one has got its last. So a program that wants to
// see the last records before it exits sets nil. The handler is called by one goroutine, for one record at a time;
// where it is slow, up to 1024 records wait, then new ones are dropped, and a record says how many. A panic in it is told
// on stderr, and the next record follows. Not to be called by the handler itself.
//
// Errors: [ErrUnsupported]: the log of this program goes elsewhere, as a Rust part of it has said; [ErrResources].
func SetLogHandler(handler slog.Handler) error {
	logging.mu.Lock()
	defer logging.mu.Unlock()
	drained, err := logTo(handler)
	if err != nil {
		return err
	}
	if logging.drained != nil {
		<-logging.drained
	}
	logging.drained = drained
	return nil
}

func logTo(handler slog.Handler) (chan struct{}, error) {
	if handler == nil {
		return nil, failure(C.shim_log_to(C.HA_LOG_OFF, -1), nil)
	}
	level := 0
	for i, l := range levels {
		if handler.Enabled(context.Background(), l) {
			level = i + 1
		}
	}
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return nil, own(ErrResources, "the system gave no pipe for the log", err)
	}
	// Our end is for the poller; the library's thread waits at its own.
	if err := syscall.SetNonblock(pipe[0], true); err != nil {
		_, _ = syscall.Close(pipe[0]), syscall.Close(pipe[1])
		return nil, own(ErrResources, "the pipe for the log cannot be used", err)
	}
	records, drained := os.NewFile(uintptr(pipe[0]), "coordha log"), make(chan struct{})
	// Also where this fails, the library closes its end.
	if err := failure(C.shim_log_to(C.int32_t(level), C.int(pipe[1])), nil); err != nil {
		_ = records.Close()
		return nil, err
	}
	go func() {
		defer close(drained)
		defer records.Close()
		for from := bufio.NewReader(records); handOver(from, handler) == nil; {
		}
	}()
	return drained, nil
}

// handOver reads one record and hands it to the handler.
func handOver(from *bufio.Reader, handler slog.Handler) error {
	var head C.shim_log_head
	if _, err := io.ReadFull(from, unsafe.Slice((*byte)(unsafe.Pointer(&head)), unsafe.Sizeof(head))); err != nil {
		return err
	}
	var texts [3][]byte
	for i := range texts {
		texts[i] = make([]byte, head.lengths[i])
		if _, err := io.ReadFull(from, texts[i]); err != nil {
			return err
		}
	}
	level := levels[min(max(int(head.level), 1), len(levels))-1]
	record := slog.NewRecord(time.UnixMilli(int64(head.unix_ms)), level, string(texts[1]), 0)
	record.AddAttrs(slog.String("target", string(texts[0])))
	record.AddAttrs(attributes(texts[2])...)
	hand(handler, record)
	return nil
}

// hand hands a record over. A handler that fails or panics loses it, not the ones behind it, and not the process.
func hand(handler slog.Handler, record slog.Record) {
	defer func() {
		if value := recover(); value != nil {
			fmt.Fprintf(os.Stderr, "coordha: the log handler panicked: %v\n", value)
		}
	}()
	if ctx := context.Background(); handler.Enabled(ctx, record.Level) {
		_ = handler.Handle(ctx, record)
	}
}

// attributes are a record's fields, by name.
func attributes(fields []byte) []slog.Attr {
	decoder := json.NewDecoder(bytes.NewReader(fields))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return []slog.Attr{slog.String("fields", string(fields))}
	}
	var attrs []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if number, is := value.(json.Number); is {
			if whole, err := number.Int64(); err == nil {
				value = whole
			}
		}
		attrs = append(attrs, slog.Any(name, value))
	}
	return attrs
}
