package world

import "strings"

// Files is what a plan imagines of a host's file system: only what its tasks
// would change. Everything else is asked of the real host.
type Files struct {
	entries map[string]entry // by absolute path
}

type entry struct {
	state   FileState
	content []byte // of a File whose content is known
	origin  string // of a Moved tree: where it really is
}

// FileState is what a plan knows of a path.
type FileState int

const (
	Real   FileState = iota // untouched by the plan: ask the host
	Absent                  // the plan removed it or moved it away
	File                    // the plan wrote it
	Dir                     // the plan made it, empty
	Moved                   // the plan moved it here: ask the host at the path that is returned
	Opaque                  // the plan did something there whose result cannot be known
)

// files returns h's Files, made if absent.
func (h *Host) files() *Files {
	if h.Files == nil {
		h.Files = &Files{entries: map[string]entry{}}
	}
	return h.Files
}

// Write records that a task writes content to path; nil means that the content
// cannot be known.
func (h *Host) Write(path string, content []byte) {
	h.files().entries[path] = entry{state: File, content: content}
}

// Mkdir records that a task makes an empty directory at path, unless the plan
// already has one there.
func (h *Host) Mkdir(path string) {
	if s, _, _ := h.Look(path); s == Dir || s == Moved || s == Opaque {
		return
	}
	h.files().entries[path] = entry{state: Dir}
}

// Remove records that a task removes path and all below it.
func (h *Host) Remove(path string) {
	h.forget(path)
	h.files().entries[path] = entry{state: Absent}
}

// Blur records that what is at path and below can no longer be known.
func (h *Host) Blur(path string) {
	h.forget(path)
	h.files().entries[path] = entry{state: Opaque}
}

// Move records that a task moves from, with all below it, to to.
func (h *Host) Move(from, to string) {
	f := h.files()
	moved := map[string]entry{}
	for p, e := range f.entries {
		if below(p, from) {
			moved[to+strings.TrimPrefix(p, from)] = e
		}
	}
	if _, ok := moved[to]; !ok {
		state, origin, _ := h.Look(from)
		if state == Real {
			state, origin = Moved, from
		}
		moved[to] = entry{state: state, origin: origin}
	}
	h.forget(from)
	h.forget(to)
	for p, e := range moved {
		f.entries[p] = e
	}
	f.entries[from] = entry{state: Absent}
}

// Look says what the plan knows of path. For File it returns the content (nil
// if unknown), for Moved the real path to ask the host for. A path below an
// imagined directory is Absent unless the plan made it.
func (h *Host) Look(path string) (FileState, string, []byte) {
	if h == nil || h.Files == nil {
		return Real, "", nil
	}
	for p := path; ; {
		if e, ok := h.Files.entries[p]; ok {
			rest := strings.TrimPrefix(path, p)
			switch {
			case rest == "":
				return e.state, e.origin, e.content
			case e.state == Moved:
				return Moved, e.origin + rest, nil
			case e.state == Opaque:
				return Opaque, "", nil
			default:
				return Absent, "", nil
			}
		}
		i := strings.LastIndexByte(p, '/')
		if i <= 0 {
			return Real, "", nil
		}
		p = p[:i]
	}
}

func (h *Host) forget(path string) {
	for p := range h.files().entries {
		if below(p, path) {
			delete(h.Files.entries, p)
		}
	}
}

func (f *Files) clone() *Files {
	if f == nil {
		return nil
	}
	c := &Files{entries: map[string]entry{}}
	for p, e := range f.entries {
		c.entries[p] = e
	}
	return c
}

// below reports whether p is dir or lies in it.
func below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}
