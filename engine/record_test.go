package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// A journal that format 1 wrote is read as it was meant, for as long as there
// are such journals: a phase that failed and was cleaned up, in a run that can be
// resumed.
func TestReadsFormat1(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "format1.journal"))
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	dir := filepath.Join(state, "runs", "old")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRun(state, "old")
	if err != nil {
		t.Fatal(err)
	}
	if r.State != RunFailed || r.Playbook.Name != "test" || r.Playbook.Digest != "d1" || r.Open != nil {
		t.Errorf("got %+v", r)
	}
	if f := r.Failure; f == nil || f.Address != "task.two" || f.Message != "no room" || f.Status != Failed {
		t.Errorf("failure: got %+v", f)
	}
	// What the phase did counts as not run; what came before it stands.
	if len(r.Tasks) != 1 || r.Tasks[0].Address != "task.zero" || r.Tasks[0].Results.GetAttr("token").AsString() != "token of zero" {
		t.Errorf("tasks: got %+v", r.Tasks)
	}
	history := ""
	for _, h := range r.History {
		history += h.Address + " " + string(h.Status) + "; "
	}
	want(t, "history", history, "task.zero ok; task.one ok; task.two failed; task.undo ok; task.last ok; ")
}
