package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// transport speaks HTTP through dial.
func (dial dialer) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) },
	}
}

// token2 is a registry that is spoken to by etcd's API 2: a URL that the members
// are given as it is.
type token2 struct {
	dial dialer
	url  string
}

// keys is the API of the server, and the key of the registry in it.
func (t token2) keys() (clientv2.KeysAPI, string, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, "", err
	}
	c, err := clientv2.New(clientv2.Config{
		Endpoints: []string{(&url.URL{Scheme: u.Scheme, Host: u.Host}).String()}, Transport: t.dial.transport(), HeaderTimeoutPerRequest: knock,
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
		return e, plain2(err)
	default:
		e.Size = size.Node.Value
	}
	list, err := api.Get(ctx, key, &clientv2.GetOptions{Quorum: true})
	if clientv2.IsKeyNotFound(err) {
		return e, nil
	}
	if err != nil {
		return e, plain2(err)
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
	return plain2(err)
}

// plain2 says what the errors of the client hide.
func plain2(err error) error {
	if e := (*clientv2.ClusterError)(nil); errors.As(err, &e) {
		return errors.New(e.Detail())
	}
	if errors.Is(err, clientv2.ErrInvalidJSON) {
		return errors.New("it does not speak API 2; an etcd that keeps registries for members up to 3.5 needs --enable-v2, and 3.6 and later have no API 2")
	}
	return err
}

// token3 is a registry in an etcd that is spoken to by API 3.
type token3 struct {
	dial      dialer
	endpoints []string
	token     string
}

func (t token3) with(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*knock)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: t.endpoints, Logger: zap.NewNop(), DialTimeout: knock,
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

// newToken asks a discovery service for a token of its own, which is the URL of
// a registry.
func newToken(ctx context.Context, dial dialer, service string, size int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*knock)
	defer cancel()
	u := fmt.Sprintf("%s/new?size=%d", strings.TrimSuffix(service, "/"), size)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: dial.transport()}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %.200s", u, resp.Status, text)
	}
	if parsed, err := url.Parse(text); err != nil || parsed.Scheme == "" || parsed.Host == "" || strings.Trim(parsed.Path, "/") == "" {
		return "", fmt.Errorf("%s answers %.200q, which is no URL of a token", u, text)
	}
	return text, nil
}
