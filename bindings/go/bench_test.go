//go:build cgo

package coordha_test

import (
	"testing"

	"coordha.test/coordha"
	"coordha.test/coordha/internal/empty"
)

// What a call from Go to C costs by itself: nothing below can be cheaper.
func BenchmarkEmptyCall(b *testing.B) {
	for b.Loop() {
		empty.Call()
	}
}

// ask measures a question to a session that is active.
func ask(b *testing.B, question func(s *coordha.Session, token int64)) {
	session := start(b, onLocal(b))
	result := run(session, serve)
	ok(b, session.Wait(within(b), coordha.UntilActive))
	token := session.FencingToken()
	for b.Loop() {
		question(session, token)
	}
	ok(b, session.Stop(within(b)))
	ok(b, receive(b, "the end", result))
}

func BenchmarkIsActive(b *testing.B) {
	ask(b, func(s *coordha.Session, _ int64) { s.IsActive() })
}

func BenchmarkHolds(b *testing.B) {
	ask(b, func(s *coordha.Session, token int64) { s.Holds(token) })
}
