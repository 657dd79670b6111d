package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

type record struct {
	V int    `json:"v,omitempty"`
	T string `json:"t"`
	N int    `json:"n"`
}

// written makes a journal of n records and returns its folder.
func written(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state", "runs", "r1")
	j, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r := record{T: "x", N: i}
		if i == 0 {
			r.V = Version
		}
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func bytesOf(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	dir := written(t, 3)
	j, got, repair, err := Open(dir)
	if err != nil || repair != nil || len(got) != 3 {
		t.Fatalf("got %d payloads, repair %v, error %v", len(got), repair, err)
	}
	if err := j.Append(record{T: "end"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(record{T: "x"}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: got %v, want %v", err, ErrEnded)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, _, _, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Append(record{T: "x"}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end, opened anew: got %v, want %v", err, ErrEnded)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, fileName: 0o600, reserveName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if name == reserveName && err == nil && info.Size() != Reserve {
			t.Errorf("the reserve has %d bytes, want %d", info.Size(), Reserve)
		}
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v %v, want mode %v", name, info.Mode(), err, want)
		}
	}
}

func TestOneWriter(t *testing.T) {
	dir := written(t, 1)
	j, _, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second writer: got %v, want %v", err, ErrLocked)
	}
	if !InUse(dir) {
		t.Error("InUse: got false while it is open")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if InUse(dir) {
		t.Error("InUse: got true after it was closed")
	}
}

// After a torn line was cut off, a full disk takes nothing that was sound: what
// was half written is cut off where it began. The reserve helps once.
func TestFullDiskAfterRepair(t *testing.T) {
	for name, cut := range map[string]int{"torn": 5, "without its line feed": 1} {
		dir := written(t, 3)
		path := filepath.Join(dir, fileName)
		whole := bytesOf(t, dir)
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, before, _, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		room := 7
		full := fullDisk{File: j.f.(*os.File), room: &room, reserve: filepath.Join(dir, reserveName), error: syscall.EDQUOT}
		j.f = full
		if err := j.Append(record{T: "more"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		room = 7 - Reserve // the reserve counts once
		if err := j.Append(record{T: "too much"}); !errors.Is(err, syscall.EDQUOT) {
			t.Errorf("%s: without a reserve: got %v", name, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err != nil || len(got) != len(before)+1 {
			t.Errorf("%s: got %d records, %v; want %d", name, len(got), err, len(before)+1)
		}
	}
}

// Whoever makes a journal is its one writer from the first byte on.
func TestCreatorIsTheWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	j, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, _, _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second writer: got %v, want %v", err, ErrLocked)
	}
	if _, err := Create(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("the same run twice: got %v, want %v", err, os.ErrExist)
	}
}

// A journal cut at any byte gives the records before the cut, keeps a copy of
// what it was, and can be written on.
func TestTruncatedAnywhere(t *testing.T) {
	dir := written(t, 4)
	whole := bytesOf(t, dir)
	for cut := 0; cut <= len(whole); cut++ {
		if err := os.WriteFile(filepath.Join(dir, fileName), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		sound := bytes.Count(whole[:cut], []byte("\n"))
		if cut < len(whole) && whole[cut] == '\n' {
			sound++ // complete but for the line feed
		}
		j, got, repair, err := Open(dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if len(got) != sound {
			t.Fatalf("cut at %d: got %d records, want %d", cut, len(got), sound)
		}
		torn := cut > 0 && whole[cut-1] != '\n' && whole[cut] != '\n'
		if torn != (repair != nil) {
			t.Fatalf("cut at %d: got repair %v, want one: %v", cut, repair, torn)
		}
		if repair != nil {
			kept, err := os.ReadFile(repair.Copy)
			if err != nil || !bytes.Equal(kept, whole[:cut]) {
				t.Fatalf("cut at %d: the copy differs: %v", cut, err)
			}
			if err := os.Remove(repair.Copy); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Append(record{V: Version, T: "more"}); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err != nil || len(got) != sound+1 {
			t.Fatalf("cut at %d, written on: got %d records, %v", cut, len(got), err)
		}
	}
}

// No flipped bit goes unnoticed, except that it may look like a torn end, which
// loses no record but the last.
func TestFlippedBits(t *testing.T) {
	dir := written(t, 6)
	whole := bytesOf(t, dir)
	lastLine := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for bit := range len(whole) * 8 {
		data := slices.Clone(whole)
		data[bit/8] ^= 1 << (bit % 8)
		l, err := Load(data)
		if err == nil {
			t.Fatalf("bit %d of byte %d (%q): got %d records and no error", bit%8, bit/8, whole[bit/8], len(l.Payloads))
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Fatalf("bit %d: got error %T", bit, err)
		}
		if want := bytes.Count(whole[:bit/8], []byte("\n")) + 1; bit/8 < lastLine && corrupt.Line > want+1 {
			t.Fatalf("byte %d: blamed line %d, want %d", bit/8, corrupt.Line, want)
		}
	}
	rnd := rand.New(rand.NewSource(1))
	for range 10000 {
		data := slices.Clone(whole)
		for range 1 + rnd.Intn(8) {
			data[rnd.Intn(len(data))] ^= 1 << rnd.Intn(8)
		}
		if l, err := Load(data); err == nil && l.Good == len(data) && !bytes.Equal(data, whole) {
			t.Fatalf("damage unnoticed: %q", data)
		}
	}
}

func TestSwappedAndForeignLines(t *testing.T) {
	lines := bytes.SplitAfter(bytesOf(t, written(t, 5)), []byte("\n"))
	lines = lines[:5]
	other := bytes.SplitAfter(Save([]json.RawMessage{[]byte(`{"v":1}`), []byte(`{"t":"y"}`), []byte(`{"t":"z"}`)}), []byte("\n"))
	for name, order := range map[string][][]byte{
		"swapped": {lines[0], lines[2], lines[1], lines[3]},
		"doubled": {lines[0], lines[1], lines[1], lines[2]},
		"missing": {lines[0], lines[2], lines[3]},
		"headless": {
			lines[1], lines[2],
		},
		"another run's": {lines[0], lines[1], other[2], lines[3]},
	} {
		_, err := Load(bytes.Join(order, nil))
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: got %v, want a CorruptError", name, err)
		}
	}
	dir := written(t, 3)
	bad := bytes.Replace(bytesOf(t, dir), []byte(`"n":1`), []byte(`"n":7`), 1)
	if err := os.WriteFile(filepath.Join(dir, fileName), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(dir); err == nil || err.Error() != "journal is damaged at line 2: its number or checksum does not fit" {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(bytesOf(t, dir), bad) {
		t.Error("a damaged journal was changed")
	}
}

func TestRefusesUnsafe(t *testing.T) {
	dir := written(t, 1)
	path := filepath.Join(dir, fileName)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(dir); !errors.Is(err, ErrPerms) {
		t.Errorf("mode 0666: got %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); !errors.Is(err, ErrPerms) {
			t.Errorf("mode %04o: got %v", mode, err)
		}
	}
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".real", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); !errors.Is(err, ErrPerms) {
		t.Errorf("symbolic link: got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); !errors.Is(err, ErrPerms) { // and does not wait for a writer
		t.Errorf("named pipe: got %v", err)
	}
	open := written(t, 1)
	for mode, want := range map[os.FileMode]error{0o777: ErrPerms, 0o770: ErrPerms, 0o750: nil} {
		if err := os.Chmod(open, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(open); !errors.Is(err, want) {
			t.Errorf("folder of mode %04o: read: got %v, want %v", mode, err, want)
		}
		j, _, _, err := Open(open)
		if !errors.Is(err, want) {
			t.Errorf("folder of mode %04o: open: got %v, want %v", mode, err, want)
		}
		if err == nil {
			j.Close()
		}
	}
	if os.Geteuid() == 0 {
		other := written(t, 1)
		if err := os.Chown(filepath.Join(other, fileName), 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(other); !errors.Is(err, ErrPerms) {
			t.Errorf("another user's file: got %v", err)
		}
	}
	newer := filepath.Join(t.TempDir(), "r")
	j, err := Create(newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(record{V: Version + 1}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(newer); !errors.Is(err, ErrVersion) {
		t.Errorf("newer format: got %v", err)
	}
}

// fullDisk is a file on a disk that has room for so many bytes only.
type fullDisk struct {
	*os.File
	room    *int
	reserve string
	syncs   error
	error   error // of a write without room; nil is ENOSPC
}

func (f fullDisk) Write(p []byte) (int, error) {
	if _, err := os.Stat(f.reserve); err != nil {
		*f.room += Reserve // the reserve was given up
	}
	if len(p) > *f.room {
		n, _ := f.File.Write(p[:*f.room])
		*f.room -= n
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: cmp.Or(f.error, error(syscall.ENOSPC))}
	}
	*f.room -= len(p)
	return f.File.Write(p)
}

func (f fullDisk) Sync() error {
	if f.syncs != nil {
		return f.syncs
	}
	return f.File.Sync()
}

func TestFullDiskUsesReserve(t *testing.T) {
	for room := range 120 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(room))
		j, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		left := room
		j.f = fullDisk{File: j.f.(*os.File), room: &left, reserve: filepath.Join(dir, reserveName)}
		for i := range 4 {
			if err := j.Append(record{V: Version, T: "x", N: i}); err != nil {
				t.Fatalf("room for %d bytes: %v", room, err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err != nil || len(got) != 4 {
			t.Fatalf("room for %d bytes: got %d records, %v", room, len(got), err)
		}
	}
}

func TestFailedSyncEndsWriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	j, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	room := 1 << 20
	real := j.f.(*os.File)
	j.f = fullDisk{File: real, room: &room, reserve: filepath.Join(dir, reserveName), syncs: syscall.EIO}
	if err := j.Append(record{V: Version}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want EIO", err)
	}
	j.f = real
	if err := j.Append(record{V: Version}); !errors.Is(err, syscall.EIO) {
		t.Errorf("after a failed fsync: got %v, want the same failure", err)
	}
}

func TestValues(t *testing.T) {
	v := cty.ObjectVal(map[string]cty.Value{
		"big":   cty.MustParseNumberVal("18446744073709551615"),
		"empty": cty.ListValEmpty(cty.String),
		"none":  cty.NullVal(cty.Map(cty.Bool)),
		"any":   cty.NullVal(cty.DynamicPseudoType),
		"tuple": cty.TupleVal([]cty.Value{cty.True, cty.StringVal("ä\n")}),
	})
	e, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Decode(); err != nil || !got.RawEquals(v) {
		t.Errorf("got %#v, %v; want %#v", got, err, v)
	}
	e, err = Encode(cty.ObjectVal(map[string]cty.Value{
		"a": cty.StringVal("s3cret").Mark("m"), "b": cty.ListVal([]cty.Value{cty.StringVal("x"), cty.StringVal("s3cret").Mark("m")}),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %v", e.Value, e.Sensitive); got != `{"a":null,"b":["x",null]} [.a .b[1]]` {
		t.Errorf("sensitive: got %s", got)
	}
	if _, err := Encode(cty.ListVal([]cty.Value{cty.UnknownVal(cty.String)})); err == nil {
		t.Error("an unknown value was recorded")
	}
}

func FuzzLoad(f *testing.F) {
	good := Save([]json.RawMessage{[]byte(`{"v":1,"t":"run"}`), []byte(`{"t":"done"}`)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:len(good)-5])
	f.Add([]byte("1 00000000 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Load(data)
		var corrupt *CorruptError
		switch {
		case errors.As(err, &corrupt):
			return
		case err != nil:
			t.Fatalf("error of another kind: %v", err)
		}
		want := data[:l.Good]
		if l.Unended {
			want = append(slices.Clone(want), '\n')
		}
		if got := Save(l.Payloads); !bytes.Equal(got, want) {
			t.Fatalf("saved %q, want %q", got, want)
		}
	})
}
