package snapshot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/etcdplay/etcdplay/engine"
)

// TestSaveTLS saves from a member that speaks TLS only, with the files that the
// inventory names.
func TestSaveTLS(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), func(cfg *embed.Config) {
		cfg.ClientAutoTLS, cfg.SelfSignedCertValidity = true, 1
		for _, urls := range []*string{&cfg.ListenClientUrls[0].Scheme, &cfg.AdvertiseClientUrls[0].Scheme} {
			*urls = "https"
		}
	})
	s.client = strings.Replace(s.client, "http:", "https:", 1)
	ca := filepath.Join(s.dir, "fixtures", "client", "cert.pem")
	if _, err := os.Stat(ca); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files engine.TLS
		want  string
	}{
		"with the right CA":      {engine.TLS{CAFile: ca}, ""},
		"with no CA":             {engine.TLS{}, "certificate"},
		"with a CA that is none": {engine.TLS{CAFile: "/proc/version"}, "ca_file holds no certificate"},
		"with a missing file":    {engine.TLS{CAFile: "/nonexistent"}, "client certificates of the inventory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, err := sourceOf(engine.Look{Cluster: engine.Cluster{TLS: c.files}}, s.client)
			if err == nil {
				q := saveRequest{Source: from, Path: filepath.Join(t.TempDir(), "backup.db"), Run: "run"}
				_, err = save(within(t, time.Minute), "", q, dialer, func(int64, int64) {}, pages)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
