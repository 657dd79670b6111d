package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// login is what all SSH connections of one command have in common: what the
// operator's environment gives, and what was learnt on the way.
type login struct {
	app    *app
	scrub  *engine.Scrubber
	shared *ssh.Shared
}

func (a *app) login(scrub *engine.Scrubber) login {
	return login{app: a, scrub: scrub, shared: &ssh.Shared{}}
}

// config is how spec is reached.
func (l login) config(spec engine.HostSpec) ssh.Config {
	s := spec.Connection
	c := ssh.Config{
		Name:           spec.Name,
		Address:        spec.Address,
		Port:           s.Port,
		User:           s.User,
		IdentityFiles:  s.IdentityFiles,
		AgentSocket:    l.app.env["SSH_AUTH_SOCK"],
		HostKeyPolicy:  s.HostKeyPolicy,
		ProxyJump:      s.ProxyJump,
		Become:         s.Become,
		AskPassphrase:  l.passphrase,
		ConnectTimeout: s.ConnectTimeout,
		Keepalive:      s.Keepalive,
		Reconnect:      s.Reconnect,
		Transport:      s.Transport,
		Shared:         l.shared,
	}
	if s.KnownHosts != "" {
		c.KnownHosts = []string{s.KnownHosts}
	}
	if home := l.app.env["HOME"]; filepath.IsAbs(home) {
		file := filepath.Join(home, ".ssh", "config")
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			c.SSHConfig = file
		}
	}
	if dir, err := l.app.stateDir(); err == nil {
		c.AcceptedKeys = filepath.Join(dir, "known_hosts")
	}
	if name := s.BecomePasswordEnv; name != "" {
		c.BecomePassword = func(context.Context) ([]byte, error) {
			password := l.app.env[name]
			if password == "" {
				return nil, fmt.Errorf("%w: the password for sudo belongs in the environment variable %s, which is not set", conn.ErrRefused, name)
			}
			l.scrub.Add(password)
			return []byte(password), nil
		}
	}
	return c
}

// passphrase asks for the one of a key, without showing what is typed.
func (l login) passphrase(ctx context.Context, file string) ([]byte, error) {
	terminal, ok := l.app.stdin.(*os.File)
	if !ok || !l.app.asks {
		return nil, fmt.Errorf("%s: the key is encrypted, and stdin is no terminal to ask for its passphrase at; an ssh agent can hold it", file)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.app.screen.Show("")
	l.app.screen.Tell("Passphrase of " + file + ": ")
	// The terminal shows what is typed again also where the program is ended.
	state, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return nil, err
	}
	type typed struct {
		text []byte
		err  error
	}
	ch := make(chan typed, 1)
	go func() {
		text, err := term.ReadPassword(int(terminal.Fd()))
		ch <- typed{text, err}
	}()
	select {
	case t := <-ch:
		l.app.screen.Tell("\n")
		return t.text, t.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(int(terminal.Fd()), state))
	}
}
