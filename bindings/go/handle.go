//go:build cgo

package coordha

import (
	"sync"
	"sync/atomic"
)

// A gate counts the calls that are inside a C handle. Once it is shut nobody enters, and the last one out frees the
// handle: so use after close is an error, whatever other goroutines are doing.
type gate struct {
	state atomic.Int64 // how many are inside, and shutBit
	once  sync.Once
	free  func()
	freed chan struct{}
}

const shutBit = 1 << 62

func newGate(free func()) *gate {
	return &gate{free: free, freed: make(chan struct{})}
}

// enter says whether the handle may be used; then leave must follow.
func (g *gate) enter() bool {
	if g.state.Add(1)&shutBit != 0 {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		g.empty()
	}
}

// shut lets nobody in any more, and returns when the handle has been freed. Not from inside.
func (g *gate) shut() {
	if g.state.Or(shutBit)&^shutBit == 0 {
		g.empty()
	}
	<-g.freed
}

func (g *gate) empty() {
	g.once.Do(func() {
		g.free()
		close(g.freed)
	})
}

// A bell wakes all that wait for a change: they take its channel, look, and wait for the channel to be closed.
type bell struct {
	mu      sync.Mutex
	changed chan struct{}
}

func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}
