package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is one coordinator's session, from its server ID to its end.
type session struct {
	facts
	log      logger
	client   *clientv3.Client
	root     string
	role     string
	address  string
	hostName string
	labels   map[string]string
	ttl      int64
	tries    int
	standby  bool
	gate     *gate

	id    int64
	lease clientv3.LeaseID
	// keepAlives closes when the client gives up or is told to.
	keepAlives      <-chan *clientv3.LeaseKeepAliveResponse
	keepAliveLock   sync.Mutex
	keepAliveCtx    context.Context
	keepAliveCancel context.CancelFunc
	// live closes when the lease counts as lost.
	live     chan struct{}
	liveOnce sync.Once

	standing     atomic.Bool
	disconnected atomic.Bool
	stopping     atomic.Bool
	stopped      atomic.Bool
	ended        sync.WaitGroup

	// How often it has tried to become active, listed a role, and begun a watch of the active key.
	campaigns, listings, watches atomic.Int64
}

func (s *session) key(name string) string { return path.Join(s.root, "session", name) }
func (s *session) activeKey() string      { return s.key(s.role) }
func (s *session) memberKey() string      { return s.key(fmt.Sprintf("%s-%d", s.role, s.id)) }

// ownKey is the key that registration puts, and that GoingStop writes again.
func (s *session) ownKey() string {
	if s.standby && s.standing.Load() {
		return s.memberKey()
	}
	return s.activeKey()
}

func (s *session) record() record {
	r := newRecord(s.facts, s.role, s.address, s.hostName, s.id, s.lease)
	r.Stopping = s.stopping.Load()
	if s.serverLabels {
		r.ServerLabels = s.labels
	}
	return r
}

// retry is Milvus's: a pause after each try that fails, the last one too, of 200 ms, doubling up to 3 s.
func retry(ctx context.Context, tries int, do func() error) error {
	err, pause := ctx.Err(), 200*time.Millisecond
	if err != nil {
		return err
	}
	for range tries {
		if err = do(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 3*time.Second)
	}
	return err
}

// connect is the Get with which a session begins.
func (s *session) connect(ctx context.Context) error {
	if !s.healthGet {
		return nil
	}
	return retry(ctx, 100, func() error {
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := s.client.Get(limit, "health")
		return err
	})
}

// takeID takes the next server ID. It loops without a pause where the key holds no number, as Milvus does.
func (s *session) takeID(ctx context.Context) error {
	key := s.key("id")
	// Its result is of no interest: the key is there, or the Get below says why not.
	_, _ = s.client.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), "=", 0)).Then(clientv3.OpPut(key, "1")).Commit()
	for {
		found, err := s.client.Get(ctx, key)
		if err != nil {
			return err
		}
		if found.Count == 0 {
			s.log.warn("Session there is no value", field{"key", "id"})
			continue
		}
		text := string(found.Kvs[0].Value)
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.log.warn("Session ParseInt error", field{"value", text}, field{"error", err})
			continue
		}
		next := strconv.FormatInt(id+1, 10)
		done, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", text)).
			Then(clientv3.OpPut(key, next)).Commit()
		if err != nil {
			return err
		}
		if done.Succeeded {
			s.id = id
			return nil
		}
		s.log.warn("Session Txn unsuccessful", field{"key", "id"})
	}
}

// register puts the session's own key on a lease. Each try takes a new lease, and leaves the one before to run out.
func (s *session) register(ctx context.Context) error {
	s.standing.Store(s.standby)
	key := s.ownKey()
	s.log.debug("service begin to register to etcd", field{"serverName", s.role}, field{"ServerID", s.id})
	err := retry(ctx, s.tries, func() error { return s.tryRegister(ctx, key) })
	if err != nil {
		s.log.error("Register failed", field{"error", err})
		return err
	}
	s.live = make(chan struct{})
	s.ended.Add(1)
	go s.keepAlive(ctx)
	say("registered role=%s id=%d lease=%x key=%s", s.role, s.id, int64(s.lease), key)
	return nil
}

func (s *session) tryRegister(ctx context.Context, key string) error {
	granted, err := s.client.Grant(ctx, s.ttl)
	if err != nil {
		s.log.error("register service", field{"error", err})
		return err
	}
	s.lease = granted.ID
	value := s.record().encode()
	compares, puts := s.absent(key), []clientv3.Op{s.leased(key, value)}
	done, err := s.client.Txn(ctx).If(compares...).Then(puts...).Commit()
	if err != nil {
		s.log.warn("register on etcd error, check the availability of etcd ", field{"error", err})
		return err
	}
	if !done.Succeeded {
		if s.handleRestart {
			s.purge(ctx, key)
		}
		return fmt.Errorf("function CompareAndSwap error for compare is false for key: %s", s.role)
	}
	s.log.info(pick(s.keepAliveEnd == asksTimeToLive, "put session key into etcd, service registered successfully",
		"put session key into etcd"), field{"key", key}, field{"value", value})
	if !s.standby {
		say("active role=%s id=%d rev=%d campaigns=0", s.role, s.id, done.Header.Revision)
	}
	if s.keepAliveEnd == asksTimeToLive {
		// The keepalives begin later, and end with the process's context.
		s.renewKeepAlive(ctx)
		return nil
	}
	s.renewKeepAlive(context.Background())
	s.keepAlives, err = s.client.KeepAlive(s.keepAliveCtx, s.lease)
	if err != nil {
		s.log.warn("go error during keeping alive with etcd", field{"error", err})
		return err
	}
	s.log.info("Service registered successfully", field{"ServerName", s.role}, field{"serverID", s.id})
	return nil
}

func (s *session) absent(key string) []clientv3.Cmp {
	return []clientv3.Cmp{clientv3.Compare(clientv3.Version(key), "=", 0)}
}

func (s *session) leased(key, value string) clientv3.Op {
	return clientv3.OpPut(key, value, clientv3.WithLease(s.lease))
}

// purge deletes the key, without a compare, where an earlier session of this address has left it.
func (s *session) purge(ctx context.Context, key string) {
	found, err := s.client.Get(ctx, key)
	if err != nil {
		s.log.warn("failed to read old session from etcd, ignore", field{"error", err})
		return
	}
	for _, kv := range found.Kvs {
		old, err := decodeRecord(kv.Value)
		if err != nil {
			s.log.warn("failed to unmarshal old session from etcd, ignore", field{"error", err})
			return
		}
		if old.Address == s.address && old.ServerID < s.id {
			s.log.warn("find old session is same as current node, assume it as restart, purge old session",
				field{"key", key}, field{"address", old.Address})
			say("purged key=%s id=%d", key, old.ServerID)
			if _, err := s.client.Delete(ctx, key); err != nil {
				return
			}
		}
	}
}

// list reads the records of a role as Milvus does: by plain prefix, and all of them or none.
func list(ctx context.Context, client *clientv3.Client, prefix string) (map[string]record, error) {
	found, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return nil, err
	}
	records := make(map[string]record)
	for _, kv := range found.Kvs {
		r, err := decodeRecord(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		records[path.Base(string(kv.Key))] = r
	}
	return records, nil
}

// goingStop marks the session as stopping. Nodes do so before they end, coordinators never.
func (s *session) goingStop(ctx context.Context) error {
	if s.disconnected.Load() {
		return errors.New("this session has disconnected")
	}
	key := s.ownKey()
	found, err := s.client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil || found.Count == 0 {
		return err
	}
	s.stopping.Store(true)
	_, err = s.client.Put(ctx, key, s.record().encode(), clientv3.WithLease(s.lease))
	return err
}

// stop ends the session in order: its keys go with its lease. Once, and for a second at most.
func (s *session) stop() {
	s.stopped.Store(true)
	if s.keepAliveEnd != asksTimeToLive {
		s.giveBack()
	}
	// Where a session asks TimeToLive, the end of its keepalives is what gives the lease back.
	s.cancelKeepAlive()
	s.ended.Wait()
}

func (s *session) giveBack() {
	key := field{"sessionKey", s.activeKey()}
	switch {
	case s.lease == 0:
		s.log.warn("skip remove session", key)
		return
	case s.disconnected.Load() && !s.revokesWhenLost:
		s.log.warn("skip remove session, connection is disconnected", key)
		return
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.client.Revoke(limit, s.lease); err != nil {
		s.log.warn("failed to revoke session", key, field{"error", err})
	}
	s.log.info("revoke session successfully", key)
}

// renewKeepAlive makes the context of the keepalives that are to come.
func (s *session) renewKeepAlive(parent context.Context) {
	s.keepAliveCtx, s.keepAliveCancel = context.WithCancel(parent)
}

func (s *session) cancelKeepAlive() {
	s.keepAliveLock.Lock()
	defer s.keepAliveLock.Unlock()
	if s.keepAliveCancel != nil {
		s.keepAliveCancel()
	}
}
