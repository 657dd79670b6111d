package unitfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Dirs are where units are looked for, the strongest first.
var dirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"}

// Tree is the file system that units are found in. Paths are absolute.
type Tree interface {
	// ReadFile follows symbolic links.
	ReadFile(path string) ([]byte, error)
	// ReadDir returns the names of what is in a directory.
	ReadDir(path string) ([]string, error)
	// Readlink returns where the symbolic link leads; an error if it is not one.
	Readlink(path string) (string, error)
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.service$`)

// Masked is returned by Find for a unit whose file is a link to /dev/null, or empty.
type Masked struct{ Path string }

func (m *Masked) Error() string { return "unit is masked by " + m.Path }

// CheckName says whether name can be the name of a service.
func CheckName(name string) error {
	if !serviceName.MatchString(name) || len(name) > 255 {
		return fmt.Errorf("%q is not the name of a service", name)
	}
	return nil
}

// Find returns the files of the service called name: its unit file, then its
// drop-ins in the order of their effect. No unit file at all is
// fs.ErrNotExist, a masked unit is *Masked.
func Find(tree Tree, name string) ([]File, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	fragment, err := findFragment(tree, name)
	if err != nil {
		return nil, err
	}
	dropins, err := findDropIns(tree, name)
	if err != nil {
		return nil, err
	}
	return append([]File{fragment}, dropins...), nil
}

func findFragment(tree Tree, name string) (File, error) {
	for _, candidate := range []string{name, template(name)} {
		for _, dir := range dirs {
			p := path.Join(dir, candidate)
			if target, err := tree.Readlink(p); err == nil && target == "/dev/null" {
				return File{}, &Masked{Path: p}
			}
			content, err := tree.ReadFile(p)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return File{}, err
			}
			if len(content) == 0 {
				return File{}, &Masked{Path: p}
			}
			return File{Path: p, Content: string(content)}, nil
		}
	}
	return File{}, fmt.Errorf("unit %s: %w", name, fs.ErrNotExist)
}

// template is the name of the template that name is an instance of, or name.
func template(name string) string {
	prefix, _, ok := strings.Cut(name, "@")
	if !ok {
		return name
	}
	return prefix + "@.service"
}

// findDropIns finds name.d/*.conf and the directories that concern whole groups
// of names. Of files with the same name only the strongest counts; the rest
// take effect in the order of their names.
func findDropIns(tree Tree, name string) ([]File, error) {
	chosen := map[string]string{} // file name: path
	for _, group := range dropInNames(name) {
		for _, dir := range dirs {
			d := path.Join(dir, group+".d")
			entries, err := tree.ReadDir(d)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if strings.HasSuffix(e, ".conf") && !strings.HasPrefix(e, ".") && chosen[e] == "" {
					chosen[e] = path.Join(d, e)
				}
			}
		}
	}
	names := make([]string, 0, len(chosen))
	for n := range chosen {
		names = append(names, n)
	}
	slices.Sort(names)
	var files []File
	for _, n := range names {
		if target, err := tree.Readlink(chosen[n]); err == nil && target == "/dev/null" {
			continue // this masks the weaker ones of that name
		}
		content, err := tree.ReadFile(chosen[n])
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: chosen[n], Content: string(content)})
	}
	return files, nil
}

// dropInNames are the names whose .d directories concern the unit, the most
// particular first: a-b@i.service, a-b@.service, a-.service, service.
func dropInNames(name string) []string {
	names := []string{name}
	if t := template(name); t != name {
		names = append(names, t)
	}
	prefix, _, _ := strings.Cut(strings.TrimSuffix(name, ".service"), "@")
	for i := len(prefix) - 1; i > 0; i-- {
		if prefix[i-1] == '-' {
			names = append(names, prefix[:i]+".service")
		}
	}
	return append(names, "service")
}

// Enabled says whether a link in the .wants or .requires directory of a target
// pulls the unit in at boot.
func Enabled(tree Tree, name string) bool {
	for _, dir := range dirs {
		for _, target := range []string{"multi-user.target", "default.target"} {
			for _, kind := range []string{".wants", ".requires"} {
				if _, err := tree.Readlink(path.Join(dir, target+kind, name)); err == nil {
					return true
				}
			}
		}
	}
	return false
}
