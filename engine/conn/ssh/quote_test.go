package ssh_test

import (
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// FuzzQuote gives words to the shells of this machine, and wants them back.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a b", "'", `\'`, "$(id)`id`", "\n", "!x", "-n", "~", "ü\xff", `"'"`, "a\x00b"} {
		f.Add(seed, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return // no argument can hold one
		}
		out, err := exec.Command("/bin/sh", "-c", `printf '%s\0' `+ssh.Quote(a, b)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(out), a+"\x00"+b+"\x00"; got != want {
			t.Errorf("got %q, want %q (valid UTF-8: %v)", got, want, utf8.ValidString(want))
		}
	})
}

// TestLoginShell uses hosts whose users have shells that are no POSIX shells.
func TestLoginShell(t *testing.T) {
	for _, shell := range []string{"/bin/sh", "/bin/bash", "/usr/bin/fish", "/bin/tcsh"} {
		t.Run(shell, func(t *testing.T) {
			if !exists(shell) {
				t.Skip("there is no " + shell) // one shell more or less
			}
			u := addUser(t, shell)
			s := startServer(t)
			c := s.config()
			c.User = u.name
			h := open(t, c)
			words := []string{"it's", "$HOME", "!x", `\`, "a\nb", "\"", "ü"}
			for what, run := range map[string]func() (conn.Result, error){
				"Query": func() (conn.Result, error) {
					return h.Query(t.Context(), conn.Command{Argv: append([]string{"printf", "%s|"}, words...)})
				},
				"Run": func() (conn.Result, error) {
					return h.Run(t.Context(), conn.Command{Argv: append([]string{"printf", "%s|"}, words...)})
				},
			} {
				r, err := run()
				if got, want := string(r.Stdout), strings.Join(words, "|")+"|"; err != nil || got != want {
					t.Errorf("%s: got %q, %v, want %q", what, got, err, want)
				}
			}
			r, err := h.Query(t.Context(), conn.Command{Argv: []string{"id", "-un"}})
			if err != nil || strings.TrimSpace(string(r.Stdout)) != u.name {
				t.Errorf("got user %q, %v, want %s", r.Stdout, err, u.name)
			}
		})
	}
}
