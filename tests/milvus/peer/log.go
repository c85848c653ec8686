package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var output sync.Mutex

// say prints one line for programs on standard output: a change of state, or an answer.
func say(format string, values ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Fprintf(os.Stdout, format+"\n", values...)
}

// logger prints Milvus's log lines on standard error.
type logger struct{ verbose bool }

// field is what stands in brackets behind the message.
type field struct {
	key   string
	value any
}

func (l logger) debug(message string, fields ...field) {
	if l.verbose {
		l.print("DEBUG", message, fields)
	}
}

func (l logger) info(message string, fields ...field)  { l.print("INFO", message, fields) }
func (l logger) warn(message string, fields ...field)  { l.print("WARN", message, fields) }
func (l logger) error(message string, fields ...field) { l.print("ERROR", message, fields) }

func (l logger) print(level, message string, fields []field) {
	_, file, line, _ := runtime.Caller(2)
	var text strings.Builder
	fmt.Fprintf(&text, "[%s] [%s] [%s:%d] [%s]", time.Now().Format("2006/01/02 15:04:05.000 -07:00"), level,
		filepath.Base(file), line, quote(message))
	for _, f := range fields {
		fmt.Fprintf(&text, " [%s=%s]", f.key, quote(fmt.Sprint(f.value)))
	}
	output.Lock()
	defer output.Unlock()
	fmt.Fprintln(os.Stderr, text.String())
}

// quote puts what holds a space, a bracket or the like in quotes.
func quote(text string) string {
	for _, c := range text {
		if c <= ' ' || strings.ContainsRune(`"=[]{}\`, c) {
			return strconv.Quote(text)
		}
	}
	return text
}

// coordinator is what Milvus calls one in its log.
type coordinator struct{ title, activating, disconnected string }

var coordinators = map[string]coordinator{
	"rootcoord":  {"RootCoord", "RootCoord", "Root Coord disconnected from etcd, process will exit"},
	"querycoord": {"QueryCoord", "QueryCoord", "QueryCoord disconnected from etcd, process will exit"},
	"datacoord":  {"DataCoord", "DataCoord", "disconnected from etcd and exited"},
	"indexcoord": {"IndexCoord", "IndexCoord", "Index Coord disconnected from etcd, process will exit"},
	"mixcoord":   {"MixCoord", "mixCoord", "MixCoord disconnected from etcd, process will exit"},
}
