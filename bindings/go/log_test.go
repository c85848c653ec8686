//go:build cgo

package coordha_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"coordha.test/coordha"
)

// recorder keeps what it is handed.
type recorder struct {
	level   slog.Level
	mu      sync.Mutex
	records []slog.Record
}

func (r *recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= r.level }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler               { return r }
func (r *recorder) WithGroup(string) slog.Handler                    { return r }
func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	return nil
}

// values are the values of an attribute, of all records that have it.
func (r *recorder) values(name string) (values []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.records {
		record.Attrs(func(attr slog.Attr) bool {
			if attr.Key == name {
				values = append(values, attr.Value.Any())
			}
			return true
		})
	}
	return values
}

func (r *recorder) count(level slog.Level) (count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.records {
		if record.Level == level && record.Message != "" && !record.Time.IsZero() {
			count++
		}
	}
	return count
}

func oneTerm(t *testing.T) (serverID int64) {
	t.Helper()
	session := start(t, onLocal(t))
	result := run(session, serve)
	ok(t, session.Wait(within(t), coordha.UntilActive))
	serverID = session.ServerID()
	ok(t, session.Stop(within(t)))
	ok(t, receive(t, "the end", result))
	return serverID
}

func TestTheLibrarysLogGoesToTheHandlerThatIsSet(t *testing.T) {
	t.Cleanup(func() { _ = coordha.SetLogHandler(nil) })
	all, few, later := &recorder{level: coordha.LevelTrace}, &recorder{level: slog.LevelWarn}, &recorder{level: slog.LevelInfo}
	ok(t, coordha.SetLogHandler(all))
	serverID := oneTerm(t)
	// The last record has been handed over when this returns.
	ok(t, coordha.SetLogHandler(few))
	if !slices.Contains(all.values("server_id"), any(serverID)) || !slices.Contains(all.values("role"), any("rootcoord")) ||
		len(all.values("target")) != len(all.records) || all.count(slog.LevelInfo) == 0 {
		t.Error(all.records)
	}
	before := len(all.records)
	oneTerm(t)
	ok(t, coordha.SetLogHandler(later))
	oneTerm(t)
	ok(t, coordha.SetLogHandler(nil))
	if len(all.records) != before || len(few.records) != 0 || later.count(slog.LevelInfo) == 0 ||
		later.count(slog.LevelDebug) != 0 {
		t.Error("records went to the wrong handler")
	}
	ok(t, coordha.SetLogHandler(nil))
}

// panicking panics on the first record, and keeps the others.
type panicking struct {
	*recorder
	once *sync.Once
}

func (p panicking) Handle(ctx context.Context, record slog.Record) error {
	p.once.Do(func() { panic("full") })
	return p.recorder.Handle(ctx, record)
}

func TestAHandlerThatPanicsIsToldOnStderrAndGetsTheNextRecord(t *testing.T) {
	read, write, err := os.Pipe()
	ok(t, err)
	stderr := os.Stderr
	os.Stderr = write
	handler := panicking{&recorder{level: coordha.LevelTrace}, new(sync.Once)}
	set := coordha.SetLogHandler(handler)
	oneTerm(t)
	unset := coordha.SetLogHandler(nil)
	os.Stderr = stderr
	_ = write.Close()
	ok(t, set)
	ok(t, unset)
	said, err := io.ReadAll(read)
	ok(t, err)
	if string(said) != "coordha: the log handler panicked: full\n" || handler.count(slog.LevelInfo) == 0 {
		t.Errorf("%q, %d records", said, len(handler.records))
	}
}

func TestASlowHandlerHoldsNothingUp(t *testing.T) {
	t.Cleanup(func() { _ = coordha.SetLogHandler(nil) })
	free := make(chan struct{})
	defer close(free) // also where the test fails: taking the handler away waits for it
	ok(t, coordha.SetLogHandler(slowHandler{recorder: &recorder{level: coordha.LevelTrace}, free: free}))
	for range 3 {
		oneTerm(t)
	}
}

type slowHandler struct {
	*recorder
	free chan struct{}
}

func (s slowHandler) Handle(context.Context, slog.Record) error {
	<-s.free
	return nil
}
