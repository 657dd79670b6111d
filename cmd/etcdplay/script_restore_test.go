package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// holdingsCommand writes what an answer of etcdctl get -w json holds: each key
// with its value and its versions, but not who said it.
func holdingsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: holdings FROM TO")
	}
	var answer struct {
		KVs []struct {
			Key     string `json:"key"`
			Value   string `json:"value"`
			Create  int64  `json:"create_revision"`
			Mod     int64  `json:"mod_revision"`
			Version int64  `json:"version"`
			Lease   int64  `json:"lease"`
		} `json:"kvs"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &answer))
	var lines []string
	for _, kv := range answer.KVs {
		key, err := base64.StdEncoding.DecodeString(kv.Key)
		ts.Check(err)
		lines = append(lines, fmt.Sprintf("%q %s %d %d %d %d\n", key, kv.Value, kv.Create, kv.Mod, kv.Version, kv.Lease))
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		ts.Fatalf("no keys in %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(lines, "")), 0o600))
}
