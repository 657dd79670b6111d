package ssh

import (
	"fmt"
	"regexp"
)

// userName is what a user may be called in the lines for sudo: nothing that
// sudoers would read as anything else.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// Sudoers is the lines that a host's sudo needs for a connection that logs in as
// this user and becomes root: one command, a shell, to which all scripts go over
// the connection. With password sudo asks for the user's.
func Sudoers(user string, password bool) (string, error) {
	if !userName.MatchString(user) {
		return "", fmt.Errorf("%q is no name of a user as sudoers takes it: lower-case letters, digits, - and _, at most 32", user)
	}
	tag := "NOPASSWD: "
	if password {
		tag = ""
	}
	return fmt.Sprintf("Defaults:%s !requiretty\n%s ALL=(root) %s/bin/sh -c *\n", user, user, tag), nil
}
