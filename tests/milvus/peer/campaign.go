package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// oldRoles are the coordinators of which the mixed one is made; in this order they are looked for, up to the first that is there.
var oldRoles = []string{"rootcoord", "datacoord", "querycoord"}

// copiedRoles are the same, in the order in which the mixed one puts its record under their keys.
var copiedRoles = []string{"querycoord", "datacoord", "rootcoord"}

var (
	errOldSession = errors.New("old session exists")
	errVersion    = errors.New("session version check failure")
)

// campaign stands by until the session is the active one.
func (s *session) campaign(ctx context.Context) error {
	s.standing.Store(true)
	s.log.info(fmt.Sprintf("serverName: %s enter STANDBY mode", s.role))
	say("standby role=%s id=%d", s.role, s.id)
	go s.tellStandby(ctx)
	for ctx.Err() == nil {
		won, revision, err := s.step(ctx)
		switch {
		case err == nil && won:
			return nil
		case err == nil:
			s.watchOnce(ctx, revision)
		case errors.Is(err, errOldSession) && !s.oldSessionPanics, s.campaignError == triesForEver:
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		default:
			return err
		}
	}
	return ctx.Err()
}

// step is one campaign, and what a won one changes.
func (s *session) step(ctx context.Context) (bool, int64, error) {
	s.gate.enter()
	defer s.gate.leave()
	won, revision, err := s.tryActive(ctx)
	if won {
		s.won(revision)
	}
	return won, revision, err
}

func (s *session) tellStandby(ctx context.Context) {
	tell := pick(s.standbyInfo, s.log.info, s.log.debug)
	for ctx.Err() == nil && s.standing.Load() {
		tell(fmt.Sprintf("serverName: %s is in STANDBY ...", s.role))
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
	}
}

// tryActive is one campaign: whether it won, and the revision of the store at its reply.
func (s *session) tryActive(ctx context.Context) (bool, int64, error) {
	if s.oldSessions {
		for _, role := range oldRoles {
			s.listings.Add(1)
			records, err := list(ctx, s.client, s.key(role))
			if err == nil && len(records) > 0 {
				s.log.info(errOldSession.Error(), field{"role", role})
				return false, 0, errOldSession
			}
		}
	}
	s.log.info(fmt.Sprintf("try to register as ACTIVE %s service...", s.role))
	compares := s.absent(s.activeKey())
	puts := []clientv3.Op{s.leased(s.activeKey(), s.record().encode())}
	if s.fourKeys {
		more, err := s.version(ctx)
		if err != nil {
			return false, 0, err
		}
		for _, role := range copiedRoles {
			copied := s.record()
			copied.ServerName = role
			compares = append(compares, s.absent(s.key(role))...)
			puts = append(puts, s.leased(s.key(role), copied.encode()))
		}
		compares = append(compares, more)
		puts = append(puts, clientv3.OpPut(s.key("version"), s.recordVersion))
	}
	s.campaigns.Add(1)
	done, err := s.client.Txn(ctx).If(compares...).Then(puts...).Commit()
	if err != nil {
		s.log.error("register active key to etcd failed", field{"error", err})
		return false, 0, err
	}
	if done.Succeeded {
		s.log.info("register ACTIVE " + s.role)
	} else {
		s.log.info(fmt.Sprintf("ACTIVE %s has already been registered", s.role))
	}
	return done.Succeeded, done.Header.Revision, nil
}

// version refuses a store that a later release has been at, and gives what must still be so when the session wins.
func (s *session) version(ctx context.Context) (clientv3.Cmp, error) {
	key := s.key("version")
	found, err := s.client.Get(ctx, key)
	if err != nil {
		return clientv3.Cmp{}, err
	}
	writes := int64(0)
	for _, kv := range found.Kvs {
		writes = kv.Version
		there, err := parseVersion(string(kv.Value))
		if err != nil {
			return clientv3.Cmp{}, err
		}
		own := s.release
		if there.major > own.major || (there.major == own.major && there.minor > own.minor) {
			return clientv3.Cmp{}, fmt.Errorf("current version(%s), session version(%s): %w", own.text, there.text, errVersion)
		}
	}
	return clientv3.Compare(clientv3.Version(key), "=", writes), nil
}

// watchOnce waits for one answer of a watch of the active key, of any kind. It begins with the revision of the failed try, so
// where nothing has been written since the put that is in the way, that very put is the answer.
func (s *session) watchOnce(ctx context.Context, revision int64) {
	key := s.activeKey()
	s.log.info(fmt.Sprintf("%s start to watch ACTIVE key %s", s.role, key))
	s.watches.Add(1)
	limit, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-ctx.Done():
	case seen := <-s.client.Watch(limit, key, clientv3.WithPrevKV(), clientv3.WithRev(revision)):
		for _, event := range seen.Events {
			tell := pick(s.standbyInfo, s.log.info, s.log.debug)
			tell("watch the ACTIVE key", field{pick(event.IsCreate() || event.IsModify(), "ADD", "DELETE"), event.Kv})
		}
	}
	s.log.info("stop watching ACTIVE key " + key)
}

func (s *session) won(revision int64) {
	s.standing.Store(false)
	quit := fmt.Sprintf("serverName: %s quit STANDBY mode, this node will become ACTIVE", s.role)
	if s.quitSaysID {
		quit += fmt.Sprintf(", ID: %d", s.id)
	}
	s.log.info(quit)
	say("active role=%s id=%d rev=%d campaigns=%d", s.role, s.id, revision, s.campaigns.Load())
}

// force makes the session the active one whoever holds the role: in steps, with nothing that guards them.
func (s *session) force(ctx context.Context) error {
	err := retry(ctx, s.tries, func() error {
		s.log.info(fmt.Sprintf("try to register as ACTIVE %s service...", s.role))
		records, err := list(ctx, s.client, s.activeKey())
		if err != nil {
			return err
		}
		if len(records) > 0 {
			s.drive(ctx, records)
		}
		s.campaigns.Add(1)
		done, err := s.client.Txn(ctx).If(s.absent(s.activeKey())...).
			Then(s.leased(s.activeKey(), s.record().encode())).Commit()
		if err != nil || !done.Succeeded {
			s.log.error("failed to force register ACTIVE "+s.role, field{"error", err})
			return errors.New("failed to force register ACTIVE " + s.role)
		}
		s.log.info("force register ACTIVE " + s.role)
		s.won(done.Header.Revision)
		return nil
	})
	if err != nil {
		s.log.warn("failed to force register ACTIVE "+s.role, field{"error", err})
	}
	return err
}

// drive takes the keys of the others away: the active one's by its lease; where that is unknown, everybody's, one by one.
func (s *session) drive(ctx context.Context, records map[string]record) {
	active, there := records[s.role]
	if there && active.LeaseID != 0 {
		_, _ = s.client.Revoke(ctx, clientv3.LeaseID(active.LeaseID))
		say("drove role=%s lease=%x", s.role, active.LeaseID)
		return
	}
	_, _ = s.client.Delete(ctx, s.activeKey())
	for _, r := range records {
		if r.ServerID != s.id {
			_, _ = s.client.Delete(ctx, s.key(fmt.Sprintf("%s-%d", r.ServerName, r.ServerID)))
		}
	}
	say("drove role=%s records=%d", s.role, len(records))
}
