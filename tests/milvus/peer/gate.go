package main

import "sync"

// gate has the session's goroutines stand while it is shut, as if each waited for what never comes. etcd's client goes on beside
// them, and with it the keepalives.
type gate struct {
	steps sync.RWMutex
	shut  bool
}

// enter waits until the gate is open, and keeps it open until the step that follows has left.
func (g *gate) enter() { g.steps.RLock() }
func (g *gate) leave() { g.steps.RUnlock() }

// pass waits until the gate is open.
func (g *gate) pass() {
	g.enter()
	defer g.leave()
}

// set shuts the gate or opens it. Shut, no step is under way any more.
func (g *gate) set(shut bool) {
	switch {
	case shut && !g.shut:
		g.steps.Lock()
	case !shut && g.shut:
		g.steps.Unlock()
	}
	g.shut = shut
}
