package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	clientv2 "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// prefix is where etcd keeps the registries of clusters that find themselves.
const prefix = "/_etcd/registry/"

// entry is what stands in a registry under one token.
type entry struct {
	Size       string   `json:"size"`       // how many members it waits for; "" if there is none
	Registered []string `json:"registered"` // of those that have come, in order: "name=url"
}

// registry is one token of a discovery service.
type registry interface {
	read(ctx context.Context) (entry, error)
	// create begins it, unless there is one.
	create(ctx context.Context, size int) error
}

// errTaken says that the token is there already.
var errTaken = errors.New("the token exists already")

// token2 is a registry that is spoken to by etcd's API 2: a URL that the members
// are given as it is.
type token2 struct {
	line
	url string
}

// keys is the API of the server, and the key of the registry in it.
func (t token2) keys() (clientv2.KeysAPI, string, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, "", err
	}
	c, err := clientv2.New(clientv2.Config{
		Endpoints: []string{(&url.URL{Scheme: u.Scheme, Host: u.Host}).String()}, Transport: t.transport(), HeaderTimeoutPerRequest: knock,
	})
	if err != nil {
		return nil, "", err
	}
	// What comes before the token is the service's own, and part of the URL.
	return clientv2.NewKeysAPIWithPrefix(c, ""), strings.TrimSuffix(u.Path, "/"), nil
}

func (t token2) read(ctx context.Context) (e entry, err error) {
	api, key, err := t.keys()
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	size, err := api.Get(ctx, key+"/_config/size", &clientv2.GetOptions{Quorum: true})
	switch {
	case clientv2.IsKeyNotFound(err):
	case err != nil:
		return e, t.plain(err)
	default:
		e.Size = size.Node.Value
	}
	list, err := api.Get(ctx, key, &clientv2.GetOptions{Quorum: true})
	if clientv2.IsKeyNotFound(err) {
		return e, nil
	}
	if err != nil {
		return e, t.plain(err)
	}
	nodes := list.Node.Nodes
	slices.SortFunc(nodes, func(a, b *clientv2.Node) int { return int(a.CreatedIndex) - int(b.CreatedIndex) })
	for _, n := range nodes {
		if path.Base(n.Key) != "_config" {
			e.Registered = append(e.Registered, n.Value)
		}
	}
	return e, nil
}

func (t token2) create(ctx context.Context, size int) error {
	api, key, err := t.keys()
	if err != nil {
		return err
	}
	_, err = api.Set(ctx, key+"/_config/size", strconv.Itoa(size), &clientv2.SetOptions{PrevExist: clientv2.PrevNoExist})
	if e := (clientv2.Error{}); errors.As(err, &e) && e.Code == clientv2.ErrorCodeNodeExist {
		return errTaken
	}
	return t.plain(err)
}

// plain says what the errors of the client hide.
func (t token2) plain(err error) error {
	if e := (*clientv2.ClusterError)(nil); errors.As(err, &e) {
		return t.advise(errors.Join(e.Errors...))
	}
	if errors.Is(err, clientv2.ErrInvalidJSON) {
		return errors.New("it does not speak API 2; an etcd that keeps registries for members up to 3.5 needs --enable-v2, and 3.6 and later have no API 2")
	}
	return err
}

// token3 is a registry in an etcd that is spoken to by API 3.
type token3 struct {
	line
	endpoints []string
	token     string
}

func (t token3) with(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	if err := t.refused(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*knock)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: t.endpoints, Logger: zap.NewNop(), DialTimeout: knock, TLS: t.tls,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(t.dial)},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	err = do(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer of %s within %s", listed(t.endpoints), 2*knock)
	}
	return err
}

// refused is why no endpoint that speaks TLS takes us in; nil if one does. The
// client itself would only try again, without a word.
func (t token3) refused(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	client := http.Client{Transport: t.transport()}
	var all []error
	for _, u := range t.endpoints {
		if !strings.HasPrefix(u, "https:") {
			return nil
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u, "/")+"/version", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		all = append(all, t.advise(err))
	}
	return errors.Join(all...)
}

func (t token3) size() string    { return prefix + t.token + "/_config/size" }
func (t token3) members() string { return prefix + t.token + "/members/" }

func (t token3) read(ctx context.Context) (e entry, err error) {
	err = t.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		size, err := c.Get(ctx, t.size())
		if err != nil {
			return err
		}
		for _, kv := range size.Kvs {
			e.Size = string(kv.Value)
		}
		list, err := c.Get(ctx, t.members(), clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
		if err != nil {
			return err
		}
		for _, kv := range list.Kvs {
			e.Registered = append(e.Registered, string(kv.Value))
		}
		return nil
	})
	return e, err
}

func (t token3) create(ctx context.Context, size int) error {
	return t.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		r, err := c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(t.size()), "=", 0)).
			Then(clientv3.OpPut(t.size(), strconv.Itoa(size))).Commit()
		if err == nil && !r.Succeeded {
			err = errTaken
		}
		return err
	})
}
