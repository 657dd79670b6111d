package etcd2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// numbered is a protobuf message of these numbers, by field, and one of bytes.
func numbered(numbers map[protowire.Number]uint64, field protowire.Number, content []byte) (m []byte) {
	for n := protowire.Number(1); n < 6; n++ {
		if v, ok := numbers[n]; ok {
			m = protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
		}
		if n == field {
			m = protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), content)
		}
	}
	return m
}

// segment is a log of these records, followed by the zeros of what is not
// written yet.
func segment(records ...[]byte) []byte {
	var log []byte
	for _, r := range records {
		padding := (8 - len(r)%8) % 8
		field := uint64(len(r))
		if padding > 0 {
			field |= uint64(0x80|padding) << 56
		}
		log = binary.LittleEndian.AppendUint64(log, field)
		log = append(append(log, r...), make([]byte, padding)...)
	}
	return append(log, make([]byte, 512)...)
}

func record(kind uint64, inner map[protowire.Number]uint64) []byte {
	return numbered(map[protowire.Number]uint64{1: kind, 2: 7}, 3, numbered(inner, 0, nil))
}

var (
	whose  = record(metadataRecord, map[protowire.Number]uint64{1: 0xa1, 2: 0xc1})
	first  = record(entryRecord, map[protowire.Number]uint64{1: 0, 2: 3, 3: 40})
	second = record(entryRecord, map[protowire.Number]uint64{1: 0, 2: 4, 3: 41})
	state  = record(stateRecord, map[protowire.Number]uint64{1: 4, 2: 1, 3: 40})
)

func TestParseWAL(t *testing.T) {
	over := record(entryRecord, map[protowire.Number]uint64{1: 0, 2: 5, 3: 40})
	snap := record(snapshotRecord, map[protowire.Number]uint64{1: 900, 2: 6})
	crc := numbered(map[protowire.Number]uint64{1: 4, 2: 0}, 0, nil)
	for _, c := range []struct {
		name    string
		log     []byte
		want    wal
		damaged bool
	}{
		{"entries", segment(crc, whose, first, second, state), wal{"a1", "c1", 4, 41, 40}, false},
		{"an entry in the place of an earlier one", segment(crc, whose, first, second, over), wal{"a1", "c1", 5, 40, 0}, false},
		{"no entry since a snapshot", segment(crc, whose, snap), wal{"a1", "c1", 6, 900, 900}, false},
		{"nothing but whose it is", segment(crc, whose), wal{"a1", "c1", 0, 0, 0}, false},
		{"torn in the last record", segment(crc, whose, first)[:len(segment(crc, whose, first))-520], wal{"a1", "c1", 0, 0, 0}, false},
		{"empty", nil, wal{}, true},
		{"zeros", make([]byte, 4096), wal{}, true},
		{"another file", []byte("SQLite format 3\x00 and so on"), wal{}, true},
		{"noise in a record", segment(crc, whose, bytes.Repeat([]byte{0xff}, 40)), wal{"a1", "c1", 0, 0, 0}, true},
	} {
		got, err := parseWAL(bytes.NewReader(c.log))
		if got != c.want || errors.Is(err, errDamaged) != c.damaged || err != nil && !c.damaged {
			t.Errorf("%s: got %+v, %v; want %+v, damaged %v", c.name, got, err, c.want, c.damaged)
		}
	}
}

func FuzzParseWAL(f *testing.F) {
	f.Add(segment(whose, first, second, state))
	f.Add([]byte("no log"))
	f.Fuzz(func(t *testing.T, log []byte) {
		w, err := parseWAL(bytes.NewReader(log))
		if err == nil && w.Member == "" {
			t.Errorf("a log of nobody is taken for one: %+v", w)
		}
		if err != nil && !errors.Is(err, errDamaged) {
			t.Errorf("got %v, want it told as damage", err)
		}
	})
}

func TestProxyOf(t *testing.T) {
	for _, c := range []struct {
		argv, env string
		kind      string // "" for none
		endpoints string
		needs     string
	}{
		{"/usr/bin/etcd --name=a", "ETCD_DATA_DIR=/d", "", "", ""},
		{"/usr/bin/etcd", "ETCD_PROXY=off", "", "", ""},
		{"/usr/bin/etcd", "ETCD_PROXY=on;ETCD_DATA_DIR=/d;ETCD_INITIAL_CLUSTER=a=http://a:2380", "v2 proxy", "a=http://a:2380", "/d/proxy/cluster"},
		{"/usr/bin/etcd --proxy readonly --data-dir=/e", "", "v2 proxy", "", "/e/proxy/cluster"},
		{"/usr/lib/coreos/etcd-wrapper $ETCD_OPTS", "ETCD_OPTS=--proxy=on", "v2 proxy", "", "its data directory/proxy/cluster"},
		{"/usr/bin/etcd grpc-proxy start --endpoints=a:2379,b:2379", "", "grpc-proxy", "a:2379,b:2379", "--endpoints has to name"},
		{"/usr/bin/etcd gateway start --endpoints a:2379", "", "gateway", "a:2379", "never follows"},
		{"/usr/sbin/nginx", "", "", "", ""},
	} {
		env := map[string]string{}
		for _, e := range strings.Split(c.env, ";") {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		got := proxyOf(conn.Unit{Name: "u", ExecStart: [][]string{strings.Fields(c.argv)}}, env)
		switch {
		case got == nil && c.kind != "":
			t.Errorf("%s: not told as a %s", c.argv, c.kind)
		case got != nil && (got.Kind != c.kind || got.Endpoints != c.endpoints || !strings.Contains(got.Needs, c.needs)):
			t.Errorf("%s: got %+v", c.argv, *got)
		}
	}
}

func TestUnforced(t *testing.T) {
	w := &world.Cluster{
		Known: true, Unit: "etcd.service", Members: []world.Member{{ID: "a", Name: "a", Host: "h1"}},
		Inventory: map[string][]string{"h1": {"u1"}, "h2": {"u2"}, "h3": {"u3"}},
	}
	for _, c := range []struct {
		name  string
		found map[string]force
		holds bool
		text  string
	}{
		{"nobody looked", nil, true, "not effective"},
		{"clean", map[string]force{"h1": {}, "h2": {}}, true, "not effective"},
		{"at a member", map[string]force{"h1": {By: "ETCD_FORCE_NEW_CLUSTER=true"}}, false, "on h1 would force"},
		{"at the new one", map[string]force{"h1": {}, "h2": {By: "--force-new-cluster"}}, false, "on h2 would force"},
		{"not told", map[string]force{"h1": {Why: "host is unreachable"}}, false, "on h1 would force a new cluster cannot be told"},
		{"elsewhere", map[string]force{"h3": {By: "x", Why: "y"}}, true, "not effective"},
	} {
		q := unforced(c.found, w, []string{"u2"})
		if q.Holds != c.holds || !strings.Contains(q.Text, c.text) || q.Holds == (q.Help != "") {
			t.Errorf("%s: got %+v", c.name, q)
		}
	}
}

func TestChecks(t *testing.T) {
	three := 3
	for _, c := range []struct {
		name string
		err  error
		arg  string // "" for none
	}{
		{"a good addition", checkAdd(addArgs{Name: "a", PeerURLs: []string{"http://a:2380"}}), ""},
		{"no name", checkAdd(addArgs{PeerURLs: []string{"http://a:2380"}}), "name"},
		{"a name with a comma", checkAdd(addArgs{Name: "a,b", PeerURLs: []string{"http://a:2380"}}), "name"},
		{"no URL", checkAdd(addArgs{Name: "a"}), "peer_urls"},
		{"a URL twice", checkPeerURLs([]string{"http://a:2380", "http://a:2380"}), "peer_urls"},
		{"a path", checkPeerURLs([]string{"http://a:2380/x"}), "peer_urls"},
		{"API 3", Reach{API: &three}.check(), "api"},
		{"a name as an ID", checkID("demo-etcd-1"), "id"},
		{"an ID", checkID("1609b5a3a078c227"), ""},
	} {
		var wrong *engine.ArgError
		got := ""
		if errors.As(c.err, &wrong) {
			got = wrong.Arg
		}
		if got != c.arg || c.arg == "" && c.err != nil {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.arg)
		}
	}
}

// TestRefusals holds what an answer that is no success is told as.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   string
	}{
		{409, `{"message":"membership: peerURL exists"}`, "membership: peerURL exists"},
		{404, `{"errorCode":100,"message":"Key not found","cause":"/x"}`, "Key not found (/x)"},
		{401, `{"message":"Insufficient credentials"}`, "refuses this user"},
		{500, "", "HTTP 500"},
		{502, "<html>\nbad gateway", "<html>"},
	} {
		if got := (&refusalError{c.status, messageOf([]byte(c.body))}).Error(); !strings.Contains(got, c.want) {
			t.Errorf("%d %s: got %q", c.status, c.body, got)
		}
	}
	if got := canonical("0X0fe2f75dd51fa5ff"); got != "fe2f75dd51fa5ff" {
		t.Errorf("got %s", got)
	}
	if !slices.Equal([]string{lower("", "3.5.0"), lower("3.5.0", "3.4.0"), lower("3.4.0", "3.10.0")}, []string{"3.5.0", "3.4.0", "3.4.0"}) {
		t.Error("the lowest version is not told")
	}
}
