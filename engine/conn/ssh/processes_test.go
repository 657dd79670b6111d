package ssh_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// begun returns a function that tells how many processes have been begun on the
// server so far. It is a loop in a shell there that begins none.
func begun(t *testing.T, s *server) func() int {
	t.Helper()
	pem, err := os.ReadFile(s.identity)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	c, err := gossh.Dial("tcp", s.addr, &gossh.ClientConfig{
		User: s.user, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: func(string, net.Addr, gossh.PublicKey) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()
	if err := session.Start(`while read -r _; do read -r n </proc/sys/kernel/ns_last_pid; echo "$n"; done`); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	return func() (n int) {
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscanln(lines, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestProcesses holds how many processes are begun on a host for one operation,
// as its time goes into them. One of those of a change removes what it and others
// before it have left in the ledger, which happens now and then.
func TestProcesses(t *testing.T) {
	if os.Geteuid() != 0 {
		skipNotRoot(t)
	}
	s := startIn(t, []string{"--mount", "--pid", "--fork", "--mount-proc", "--kill-child"})
	if _, err := os.Stat("/proc/sys/kernel/ns_last_pid"); err != nil {
		conntest.Skip(t, "the kernel does not tell process numbers")
	}
	now := begun(t, s)
	h := open(t, s.config())
	dir := t.TempDir()
	text := "[Service]\nEnvironment=A='b c'\n"
	sum := sha256.Sum256([]byte(text))
	at := func(name string) string { return filepath.Join(dir, name) }
	put := func(name string) error {
		return h.WriteFile(t.Context(), at(name), conn.File{
			Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o644},
		})
	}
	settled := func() int { // what is done behind an answer is counted with what it is for
		if err := h.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		return now()
	}
	idle := func() int {
		before := settled()
		return settled() - before
	}
	settled()
	still := idle()
	for _, c := range []struct {
		name string
		most int
		do   func() error
	}{
		{"nothing", 0, func() error { return nil }},
		{"Stat", 2, func() error { _, err := h.Stat(t.Context(), dir); return err }},
		{"ReadFile", 1, func() error { _, err := h.ReadFile(t.Context(), "/etc/hostname"); return err }},
		{"five looks", 3, func() error {
			all := []*conn.Glance{
				{What: conn.Stat, Path: dir},
				{What: conn.Stat, Path: at("none")},
				{What: conn.ReadFile, Path: "/etc/hostname"},
				{What: conn.ReadDir, Path: dir},
				{What: conn.ReadDir, Path: at("none")},
			}
			conn.LookAt(t.Context(), h, all...)
			return all[0].Err
		}},
		{"Query", 9, func() error { _, err := h.Query(t.Context(), conn.Command{Argv: []string{"true"}}); return err }},
		{"Run", 4, func() error { _, err := h.Run(t.Context(), conn.Command{Argv: []string{"true"}}); return err }},
		{"WriteFile", 8, func() error { return put("a") }},
		{"WriteFile again", 8, func() error { return put("a") }},
		{"Rename", 7, func() error { return h.Rename(t.Context(), at("a"), at("b")) }},
		{"Mkdir", 7, func() error { return h.Mkdir(t.Context(), at("dir"), conn.Attr{Mode: 0o700, Owner: "nobody"}) }},
		{"Remove", 6, func() error { return h.Remove(t.Context(), at("b"), false) }},
		{"Fence", 5, func() error { _, err := h.Fence(t.Context()); return err }},
	} {
		before := settled()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := settled() - before - still
		t.Logf("%s: %d processes", c.name, got)
		if got > c.most {
			t.Errorf("%s began %d processes, want at most %d", c.name, got, c.most)
		}
	}
}
