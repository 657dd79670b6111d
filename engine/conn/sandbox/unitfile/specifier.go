package unitfile

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Specifiers is what the host says for "%" specifiers.
type Specifiers struct {
	Unit      string // full name
	Hostname  string
	MachineID string
	BootID    string
}

// expand replaces the specifiers in s. An unknown one is an error; systemd
// would leave it as it stands.
func (sp Specifiers) expand(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf(`lone "%%" at the end; write "%%%%"`)
		}
		value, err := sp.value(s[i])
		if err != nil {
			return "", err
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

func (sp Specifiers) value(c byte) (string, error) {
	switch c {
	case '%':
		return "%", nil
	case 'n':
		return sp.Unit, nil
	case 'N':
		return strings.TrimSuffix(sp.Unit, ".service"), nil
	case 'p', 'P', 'i', 'I':
		return sp.part(c), nil
	case 'H':
		return sp.Hostname, nil
	case 'l':
		short, _, _ := strings.Cut(sp.Hostname, ".")
		return short, nil
	case 'm':
		return sp.MachineID, nil
	case 'b':
		return sp.BootID, nil
	case 'u', 'U', 'g', 'G', 'h':
		return ofUser(c)
	case 'v':
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return "", err
		}
		return unix.ByteSliceToString(u.Release[:]), nil
	case 'a':
		if runtime.GOARCH == "amd64" {
			return "x86-64", nil
		}
		return runtime.GOARCH, nil
	case 'q', 'A', 'B', 'M', 'o', 'w', 'W', 'c', 'd', 'D', 'f', 'j', 'J', 'r', 'R', 's', 'y', 'Y':
		return "", fmt.Errorf(`specifier "%%%c" is not supported`, c)
	}
	if dir, ok := directories[c]; ok {
		return dir, nil
	}
	return "", fmt.Errorf(`unknown specifier "%%%c"; a literal percent sign is "%%%%"`, c)
}

var directories = map[byte]string{
	't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", 'T': "/tmp", 'V': "/var/tmp",
}

// part is the prefix or the instance of the unit's name.
func (sp Specifiers) part(c byte) string {
	prefix, instance, _ := strings.Cut(strings.TrimSuffix(sp.Unit, ".service"), "@")
	switch c {
	case 'p':
		return prefix
	case 'i':
		return instance
	case 'P':
		return unescapeName(prefix)
	default:
		return unescapeName(instance)
	}
}

// unescapeName undoes what systemd-escape does to a name.
func unescapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var hex byte
		switch {
		case s[i] == '-':
			b.WriteByte('/')
		case s[i] == '\\' && len(s) >= i+4 && s[i+1] == 'x' && scanHex(s[i+2:i+4], &hex):
			b.WriteByte(hex)
			i += 3
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func scanHex(s string, out *byte) bool {
	_, err := fmt.Sscanf(s, "%02x", out)
	return err == nil
}

func ofUser(c byte) (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	switch c {
	case 'u':
		return u.Username, nil
	case 'U':
		return u.Uid, nil
	case 'G':
		return u.Gid, nil
	case 'h':
		return u.HomeDir, nil
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return fmt.Sprint(os.Getgid()), nil // a group without a name is named by its number
	}
	return g.Name, nil
}
