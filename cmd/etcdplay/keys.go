package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// keys is what the demonstration writes before anything breaks, and wants to
// find again afterwards.
type keys struct {
	client *clientv3.Client
	count  int
}

func connect(endpoints []string) (*clientv3.Client, error) {
	// A member that is down is part of the show; the client's complaints about
	// it are not.
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

func (k keys) name(i int) string  { return fmt.Sprintf("/demo/%04d", i) }
func (k keys) value(i int) string { return fmt.Sprintf("value %d, written before the failure", i) }

// write writes all keys, some at a time.
func (k keys) write(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range k.count {
		g.Go(func() error {
			_, err := k.client.Put(ctx, k.name(i), k.value(i))
			return err
		})
	}
	return g.Wait()
}

// check reads all keys with one linearizable read, and compares each.
func (k keys) check(ctx context.Context) error {
	r, err := k.client.Get(ctx, "/demo/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if len(r.Kvs) != k.count {
		return fmt.Errorf("%d keys are there, and %d were written", len(r.Kvs), k.count)
	}
	for i, kv := range r.Kvs {
		if string(kv.Key) != k.name(i) || string(kv.Value) != k.value(i) {
			return fmt.Errorf("key %s is %q, and %q was written as %s", kv.Key, kv.Value, k.value(i), k.name(i))
		}
	}
	return nil
}

// hash compares the key space of all members at one revision, and returns the
// revision and the hash.
func (k keys) hash(ctx context.Context, endpoints []string) (rev int64, hash uint32, err error) {
	// A linearizable read first: it tells a revision that every member can be
	// asked for, once it has caught up.
	r, err := k.client.Get(ctx, "/demo/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, 0, err
	}
	rev = r.Header.Revision
	for i, endpoint := range endpoints {
		h, err := k.hashOf(ctx, endpoint, rev)
		if err != nil {
			return 0, 0, err
		}
		if i > 0 && h != hash {
			return 0, 0, fmt.Errorf("at revision %d the key space of %s has the hash %08x, and that of %s has %08x", rev, endpoint, h, endpoints[0], hash)
		}
		hash = h
	}
	return rev, hash, nil
}

// hashOf waits until the member has the revision: it may be some entries behind.
func (k keys) hashOf(ctx context.Context, endpoint string, rev int64) (uint32, error) {
	for {
		h, err := k.client.HashKV(ctx, endpoint, rev)
		if err == nil {
			return h.Hash, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s: %w", endpoint, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
