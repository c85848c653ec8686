package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keepAlive reads the answers to the keepalives until they end, and then does what its release does.
func (s *session) keepAlive(ctx context.Context) {
	defer s.ended.Done()
	if s.keepAliveEnd == asksTimeToLive {
		s.keepAliveByAsking()
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
		s.gate.pass()
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
	s.renewKeepAlive(context.Background())
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

// keepAliveByAsking starts the keepalives when TimeToLive has said that the lease is there, and asks again, for one more TTL, when
// they end. "Gone", or no answer in that time, ends the process. A stop ends the keepalives, and gives the lease back.
func (s *session) keepAliveByAsking() {
	defer s.revokeAtEnd()
	until, pause, failed := s.inOneTTL(), backOff{}, false
	for s.keepAliveCtx.Err() == nil {
		if failed {
			select {
			case <-s.keepAliveCtx.Done():
				return
			case <-time.After(pause.next()):
			}
		}
		s.gate.pass()
		answers, err := s.beginKeepAlive(until)
		if failed = err != nil; failed {
			s.log.warn("failed to start keep alive, wait for retry...", field{"error", err})
			continue
		}
		for range answers {
			// The client sends the next one by itself.
		}
		until, pause = s.inOneTTL(), backOff{}
	}
}

func (s *session) inOneTTL() time.Time { return time.Now().Add(time.Duration(s.ttl) * time.Second) }

func (s *session) beginKeepAlive(until time.Time) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	if err := s.confirmLease(until); err != nil {
		return nil, err
	}
	answers, err := s.client.KeepAlive(s.keepAliveCtx, s.lease)
	if err == nil {
		s.log.info("keep alive...", field{"leaseID", int64(s.lease)})
	}
	return answers, err
}

var errExpiredHere = errors.New("session expired at client side")

// confirmLease asks for the lease until then; where it is gone, or the time is over, the process ends here.
func (s *session) confirmLease(until time.Time) error {
	limit, cancel := context.WithDeadlineCause(s.keepAliveCtx, until, errExpiredHere)
	defer cancel()
	say("time-to-live role=%s", s.role)
	answer, err := s.client.TimeToLive(limit, s.lease)
	why := ""
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		why = "confirm the lease is not found"
	case err != nil && errors.Is(context.Cause(limit), errExpiredHere):
		why = "session expired at client side"
	case err == nil && answer.TTL <= 0:
		why = "confirm the lease is expired"
	default:
		return err
	}
	s.log.error(why+", the session is expired without activing closing", field{"error", err})
	say("lost role=%s", s.role)
	exit(s.lostCode)
	return err
}

func (s *session) revokeAtEnd() {
	s.log.info("keep alive loop exited successfully, try to revoke lease right away...")
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	id := field{"leaseID", int64(s.lease)}
	if _, err := s.client.Revoke(limit, s.lease); err != nil {
		s.log.error("failed to revoke lease", field{"error", err}, id)
	}
	s.log.info("lease revoked successfully", id)
}

// backOff are pauses from 10 ms on, each half as long again as the one before, up to 100 s, and each made up to half as long or as
// short by chance.
type backOff struct{ last time.Duration }

func (b *backOff) next() time.Duration {
	b.last = min(max(b.last*3/2, 10*time.Millisecond), 100*time.Second)
	return b.last/2 + rand.N(b.last)
}

// guard waits for the loss of the session, and says so by calling back. It is armed when the session is active; where a session
// is armed from registration on, keepAliveByAsking is all there is.
func (s *session) guard(ctx context.Context, lost func()) {
	if s.armedEarly {
		return
	}
	watching := clientv3.WatchChan(nil)
	watchCtx, cancel := context.WithCancel(ctx)
	if s.watchesActiveKey {
		var err error
		if watching, err = s.watchOwn(watchCtx); err != nil {
			s.log.error("failed to get session for liveness check", field{"error", err})
			cancel()
			s.cancelKeepAlive()
			go lost()
			return
		}
	}
	s.ended.Add(1)
	go func() {
		defer s.ended.Done()
		defer cancel()
		isLost := s.guarded(ctx, watchCtx, watching)
		// To 2.3.1 only the loss of the lease counts as that.
		s.disconnected.Store(isLost || s.watchErrorEnds)
		if isLost && ctx.Err() == nil && !s.stopped.Load() {
			go lost()
		}
	}()
}

// watchOwn watches the active key from the revision on at which it is read.
func (s *session) watchOwn(ctx context.Context) (clientv3.WatchChan, error) {
	var revision int64
	err := retry(ctx, pick(s.watchErrorEnds, s.tries, 100), func() error {
		found, err := s.client.Get(ctx, s.activeKey())
		if err == nil {
			revision = found.Header.Revision
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.client.Watch(ctx, s.activeKey(), clientv3.WithRev(revision)), nil
}

// watchAgain goes on after a compaction. Nil: it cannot. To 2.3.1 it asks once, and the key must be there.
func (s *session) watchAgain(ctx context.Context) clientv3.WatchChan {
	if !s.watchErrorEnds {
		found, err := s.client.Get(ctx, s.activeKey())
		if err != nil || len(found.Kvs) == 0 {
			return nil
		}
		return s.client.Watch(ctx, s.activeKey(), clientv3.WithRev(found.Header.Revision))
	}
	watching, err := s.watchOwn(ctx)
	if err != nil {
		s.log.warn("failed to get session during reconnecting", field{"error", err})
	}
	return watching
}

// guarded returns when the session is lost; false: nobody is told.
func (s *session) guarded(ctx, watchCtx context.Context, watching clientv3.WatchChan) bool {
	for {
		select {
		case <-s.live:
			s.gate.pass()
			s.log.warn("connection lost detected, shuting down")
			return true
		case <-ctx.Done():
			s.log.warn("liveness exits due to context done")
			s.cancelKeepAlive()
			return false
		case seen, more := <-watching:
			s.gate.pass()
			err := seen.Err()
			if more && err == nil {
				s.readOwn(seen)
				continue
			}
			if more && errors.Is(err, rpctypes.ErrCompacted) {
				s.log.warn("Watch service found compacted error", field{"error", err})
				if watching = s.watchAgain(watchCtx); watching != nil {
					continue
				}
			}
			s.log.warn("Watch service found error", field{"error", err})
			say("watch-failed role=%s", s.role)
			s.cancelKeepAlive()
			return s.watchErrorEnds
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
