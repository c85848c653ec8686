//go:build cgo

// Package coordha is active-standby for coordinators on etcd: several processes stand in an election for a role, one of
// them is active and serves, and when it stops, hangs, dies or is cut off, a standby takes over. Nothing that the old
// one writes late can do harm, because every write that matters carries a fencing token.
//
// # A coordinator
//
// [Start] starts a [Session], [Session.Run] runs a body once a term: it loads, says [Term.Ready], serves until
// [Term.Context] is done, drains while [Term.Held], and returns. The end of the context that Start was given leaves the
// role in order. Those who would rather read a channel take [Session.Events] and answer by token.
//
// # May I act?
//
// Three questions, without a lock and without a system call but the clock: [Session.IsActive], may new work be taken;
// [Session.Holds], may a step of work that was begun in this term still act; [Session.IsEnding], should it wind up.
// They cannot act for you: a goroutine that asked and was then stopped for a while may act late. So let what you write
// carry the token: [Term.Txn] does, and for what is not in this store the section on transactions of the C header,
// coordha.h, says how.
//
// # Errors
//
// Errors are of type [*Error], and [errors.Is] finds their [Code]:
//
//	errors.Is(err, coordha.ErrFenced)
//
// A body that panics is recovered, logged once with its stack, and ends its term.
//
// # Threads
//
// The package runs no Go code on a thread of the library, and a goroutine that waits holds no thread: a thousand
// waiting sessions are some thousand goroutines on a handful of threads. The library's own threads block all
// asynchronous signals, so profiling, GOTRACEBACK=crash and signal.Notify work as always. Never call a forking C
// function that runs on in the child: there every session of the parent says [ErrForked].
//
// # Linking
//
// By pkg-config with the shared library, or with the build tag coordha_static with the archive.
package coordha
