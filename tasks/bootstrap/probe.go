package bootstrap

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
)

// dialer connects to an address, from wherever it is that looks.
type dialer func(ctx context.Context, addr string) (net.Conn, error)

// reach is nil if somebody takes connections at the address.
func (dial dialer) reach(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// client speaks HTTP through dial. It takes any certificate: whoever answers
// where nobody should is a finding, whatever it calls itself.
func (dial dialer) client() *http.Client {
	return &http.Client{Timeout: knock, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) },
	}}
}

// answers says who takes connections at u, in words that follow the address:
// "takes connections", or what etcd tells at its peer port of its cluster. It is
// "" if nobody does.
func (dial dialer) answers(ctx context.Context, u string) (words, clusterID string) {
	addr, err := dialAddr(u)
	if err != nil {
		return "", ""
	}
	if dial.reach(ctx, addr) != nil {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	words = "takes connections"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u+"/members", http.NoBody)
	if err != nil {
		return words, ""
	}
	if req.URL.Host = addr; req.URL.Scheme == "" {
		return words, ""
	}
	resp, err := dial.client().Do(req)
	if err != nil {
		return words, ""
	}
	defer resp.Body.Close()
	var members []struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&members); err != nil || len(members) == 0 {
		return words, ""
	}
	clusterID = resp.Header.Get("X-Etcd-Cluster-Id")
	var names []string
	for _, m := range members {
		if m.Name == "" {
			m.Name = "one not started"
		}
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return fmt.Sprintf("is a member of cluster %s (%s)", clusterID, listed(names)), clusterID
}
