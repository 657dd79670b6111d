package bootstrap

import (
	"context"
	"net"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// packaged is where the etcd of a package serves its clients if nobody has
// configured it.
const packaged = "http://localhost:2379"

// untouched reports whether one of these client URLs is served by a cluster that
// a package has made by itself: one member, which calls itself localhost, and
// nothing has ever been put into it. Whatever cannot be told counts against it.
func untouched(ctx context.Context, dial dialer, urls []string) bool {
	for _, u := range urls {
		addr, err := dialAddr(u)
		if err != nil || dial.reach(ctx, addr) != nil {
			continue // the client would try again until the end of its time
		}
		if pristine(ctx, dial, addr) {
			return true
		}
	}
	return false
}

func pristine(ctx context.Context, dial dialer, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: []string{addr}, Logger: zap.NewNop(), DialTimeout: knock,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, addr) })},
	})
	if err != nil {
		return false
	}
	defer c.Close()
	list, err := c.MemberList(ctx)
	if err != nil || len(list.Members) != 1 || slices.ContainsFunc(list.Members[0].PeerURLs, func(u string) bool { return !loopback(u) }) {
		return false
	}
	// The revision is 1 until the first key is written, and never again.
	keys, err := c.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil || keys.Header.Revision != 1 || keys.Count != 0 {
		return false
	}
	users, err := c.UserList(ctx)
	if err != nil || len(users.Users) > 0 {
		return false
	}
	leases, err := c.Leases(ctx)
	return err == nil && len(leases.Leases) == 0
}
