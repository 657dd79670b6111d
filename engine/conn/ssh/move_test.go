package ssh_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// TestRenameNeverCopies renames where device and mount are the same and the kernel
// refuses nevertheless: a folder of the lower layer of an overlay.
func TestRenameNeverCopies(t *testing.T) {
	if os.Geteuid() != 0 {
		skipNotRoot(t)
	}
	base := t.TempDir()
	mount(t, base, "size=4m,mode=0755")
	at := func(names ...string) string { return filepath.Join(append([]string{base}, names...)...) }
	for _, dir := range []string{at("lower", "data", "member", "wal"), at("lower", "empty"), at("upper"), at("work"), at("merged")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, at("lower", "data", "member", "wal", "0.wal"), "the log")
	write(t, at("lower", "data", "member", "none"), "")
	options := "redirect_dir=off,lowerdir=" + at("lower") + ",upperdir=" + at("upper") + ",workdir=" + at("work")
	if out, err := exec.Command(program(t, "mount"), "-t", "overlay", "-o", options, "test", at("merged")).CombinedOutput(); err != nil {
		conntest.Skip(t, "no overlay could be mounted: "+string(out))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at("merged"), syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.Rename(at("merged", "data"), at("merged", "aside")); !errors.Is(err, syscall.EXDEV) {
		t.Fatalf("the kernel says %v, so nothing is tested", err)
	}
	s := startServer(t)
	h := open(t, s.config())
	before, err := os.Stat(at("merged", "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Rename(t.Context(), at("merged", "data"), at("merged", "aside")); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("got %v, want %v", err, syscall.EXDEV)
	}
	if exists(at("merged", "aside")) {
		t.Error("something was copied")
	}
	after, err := os.Stat(at("merged", "data"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the folder is another, or gone: %v", err)
	}
	if data, err := os.ReadFile(at("merged", "data", "member", "wal", "0.wal")); err != nil || string(data) != "the log" {
		t.Errorf("got %q, %v, want what was there", data, err)
	}
}
