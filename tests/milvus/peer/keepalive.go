package main

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keepAlive reads the answers to the keepalives until they end, and then does what its release does.
func (s *session) keepAlive(ctx context.Context) {
	defer s.ended.Done()
	if s.keepAliveEnd == asksTimeToLive {
		s.keepAliveByAsking(ctx)
		return
	}
	for {
		select {
		case <-ctx.Done():
			s.cancelKeepAlive()
			return
		case _, more := <-s.keepAlives:
			if more {
				continue
			}
		}
		s.log.warn("session keepalive channel closed")
		if s.keepAliveEnd == endsAtOnce || s.keepAliveCtx.Err() != nil || !s.keepAliveOnce(ctx) {
			s.lose()
			return
		}
	}
}

// keepAliveOnce asks three times, for 10 s each, as KeepAlive would not say that the lease is gone.
func (s *session) keepAliveOnce(ctx context.Context) bool {
	s.log.info("keepAlive channel close caused by etcd, try to KeepAliveOnce", field{"serverName", s.role})
	say("keepalive-once role=%s", s.role)
	s.keepAliveLock.Lock()
	defer s.keepAliveLock.Unlock()
	s.keepAliveCancel()
	s.keepAliveCtx, s.keepAliveCancel = context.WithCancel(context.Background())
	err := retry(ctx, 3, func() error {
		limit, cancel := context.WithTimeout(s.keepAliveCtx, 10*time.Second)
		defer cancel()
		_, err := s.client.KeepAliveOnce(limit, s.lease)
		return err
	})
	if err == nil {
		s.keepAlives, err = s.client.KeepAlive(s.keepAliveCtx, s.lease)
	}
	if err != nil {
		s.log.warn("fail to retry keepAliveOnce", field{"serverName", s.role}, field{"LeaseID", int64(s.lease)},
			field{"error", err})
	}
	return err == nil
}

// lose says that the lease counts as lost. Whoever listens to that is armed or not: see guard.
func (s *session) lose() {
	s.liveOnce.Do(func() {
		say("lost role=%s", s.role)
		close(s.live)
	})
}

// keepAliveByAsking starts the keepalives only after TimeToLive has said that the lease is there, and asks that again for one
// more TTL when they end. No answer in that time, or "gone", ends the process.
func (s *session) keepAliveByAsking(ctx context.Context) {
	channel := s.keepAlives
	for ctx.Err() == nil {
		for range channel {
			if ctx.Err() != nil {
				return
			}
		}
		if s.keepAliveCtx.Err() != nil {
			return
		}
		s.log.warn("session keepalive channel closed")
		until := time.Now().Add(time.Duration(s.ttl) * time.Second)
		pause := 10 * time.Millisecond
		for channel = nil; channel == nil && ctx.Err() == nil; pause = min(2*pause, 100*time.Second) {
			say("time-to-live role=%s", s.role)
			if s.leaseLives(ctx, until) {
				channel, _ = s.client.KeepAlive(s.keepAliveCtx, s.lease)
			}
			if channel == nil {
				time.Sleep(pause)
			}
		}
	}
}

var errExpiredHere = errors.New("session expired at client side")

// leaseLives asks for the lease until then; where it is gone, or the time is over, the process ends here. False: an error.
func (s *session) leaseLives(ctx context.Context, until time.Time) bool {
	limit, cancel := context.WithDeadlineCause(ctx, until, errExpiredHere)
	defer cancel()
	answer, err := s.client.TimeToLive(limit, s.lease)
	expired := errors.Is(context.Cause(limit), errExpiredHere)
	gone := errors.Is(err, rpctypes.ErrLeaseNotFound) || (err == nil && answer.TTL <= 0)
	switch {
	case gone:
		s.log.error("confirm the lease is expired, the session is expired without activing closing", field{"error", err})
	case expired:
		s.log.error("session expired at client side, the session is expired without activing closing")
	default:
		return err == nil
	}
	say("lost role=%s", s.role)
	exit(s.lostCode)
	return false
}

// guard waits for the loss of the session, and says so by calling back. It is armed when the session is active; where a session
// is armed from registration on, keepAliveByAsking is all there is.
func (s *session) guard(ctx context.Context, lost func()) {
	if s.armedEarly {
		return
	}
	key, watching := s.activeKey(), clientv3.WatchChan(nil)
	watchCtx, cancel := context.WithCancel(ctx)
	if s.watchesActiveKey {
		found, err := s.client.Get(ctx, key)
		if err != nil {
			cancel()
			s.cancelKeepAlive()
			go lost()
			return
		}
		watching = s.client.Watch(watchCtx, key, clientv3.WithRev(found.Header.Revision))
	}
	go func() {
		defer cancel()
		defer s.disconnected.Store(true)
		if s.guarded(ctx, watchCtx, watching) && ctx.Err() == nil && !s.stopped.Load() {
			go lost()
		}
	}()
}

// guarded returns when the session is lost; false: nobody is told.
func (s *session) guarded(ctx, watchCtx context.Context, watching clientv3.WatchChan) bool {
	for {
		select {
		case <-s.live:
			s.log.warn("connection lost detected, shuting down")
			return true
		case <-ctx.Done():
			s.cancelKeepAlive()
			return false
		case seen, more := <-watching:
			switch err := seen.Err(); {
			case more && err == nil:
				s.readOwn(seen)
			case more && errors.Is(err, rpctypes.ErrCompacted):
				found, err := s.client.Get(watchCtx, s.activeKey())
				if err != nil {
					s.cancelKeepAlive()
					watching = nil
					continue
				}
				watching = s.client.Watch(watchCtx, s.activeKey(), clientv3.WithRev(found.Header.Revision))
			default:
				s.log.warn("Watch service found error", field{"error", err})
				say("watch-failed role=%s", s.role)
				s.cancelKeepAlive()
				return s.watchErrorEnds
			}
		}
	}
}

func (s *session) readOwn(seen clientv3.WatchResponse) {
	for _, event := range seen.Events {
		name := field{"key", string(event.Kv.Key)}
		if event.Type == clientv3.EventTypePut {
			s.log.info("register session success", field{"role", s.role}, name)
			continue
		}
		s.log.info("session key is deleted, exit...", field{"role", s.role}, name)
		say("key-deleted role=%s", s.role)
		s.cancelKeepAlive()
	}
}
