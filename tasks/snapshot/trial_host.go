package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// trialRequest is what the verb snapshot-trial is asked.
type trialRequest struct {
	Snapshot      string `json:"snapshot"`
	Run           string `json:"run"`
	Scratch       string `json:"scratch"`
	Own           bool   `json:"own"`  // the scratch directory's name is ours, so that one of an earlier attempt may go
	Etcd          string `json:"etcd"` // a program; "" means the one in the search path, or this program
	Unhashed      bool   `json:"unhashed"`
	ServerVersion string `json:"server_version"`
}

// trialName is the name of the only member of a trial's cluster.
const trialName = "trial"

// try restores the snapshot into the scratch directory, runs an etcd on it and
// asks that. The directory is gone when it returns.
func try(ctx context.Context, root onhost.Root, q trialRequest) (r trialRecord, err error) {
	c, err := inspect(ctx, root, q.Snapshot, q.Unhashed)
	if err != nil {
		return r, err
	}
	if err := fits(c.Version, q.ServerVersion); err != nil {
		return r, err
	}
	dir := root.Path(q.Scratch)
	if err := scratch(dir, c.Size, q.Own); err != nil {
		return r, err
	}
	defer func() {
		if rerr := os.RemoveAll(dir); err == nil {
			err = rerr
		}
	}()
	s, err := newTrial(dir, c.Size)
	if err != nil {
		return r, err
	}
	err = etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
		SnapshotPath: root.Path(q.Snapshot), Name: trialName, OutputDataDir: s.data, PeerURLs: []string{s.peer},
		InitialCluster: trialName + "=" + s.peer, InitialClusterToken: s.token,
		SkipHashCheck: c.Sum == "", InitialMmapSize: uint64(c.Size) + 64<<20,
	})
	if err != nil {
		return r, err
	}
	if c.Auth {
		if err := s.admit(); err != nil {
			return r, err
		}
	}
	stop, ended, err := s.start(root, q.Etcd)
	if err != nil {
		return r, err
	}
	r, err = s.ask(ctx, ended)
	if serr := stop(); err == nil {
		err = serr
	}
	if err != nil {
		return r, err
	}
	r.Format, r.Run, r.Snapshot, r.Size = recordFormat, q.Run, q.Snapshot, c.Size
	if r.Revision != c.Revision || r.TotalKeys != c.TotalKeys {
		return r, refuse(codeCorrupt, "%s says revision %d and %d keys, and etcd %s finds revision %d and %d keys in it",
			q.Snapshot, c.Revision, c.TotalKeys, r.Etcd, r.Revision, r.TotalKeys)
	}
	return r, record(root.Path(trialPath(q.Snapshot)), r)
}

// scratch makes the directory of a trial.
func scratch(dir string, size int64, own bool) error {
	if own {
		if err := os.RemoveAll(dir); err != nil { // of an attempt that was cut short
			return err
		}
	}
	if err := enough(dir, size+room); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// record replaces the file at path.
func record(path string, r trialRecord) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeDurably(temp, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// trial is the cluster of one member that a snapshot is tried with.
type trial struct {
	data, log    string
	peer, client string
	token        string
	quota        int64
}

func newTrial(dir string, size int64) (*trial, error) {
	s := &trial{
		data: filepath.Join(dir, "data"), log: filepath.Join(dir, "etcd.log"),
		token: "etcdplay-trial-" + strconv.FormatInt(time.Now().UnixNano(), 36), // for this moment only
		quota: max(8<<30, 2*size),
	}
	for _, to := range []*string{&s.peer, &s.client} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // both are held until both are known
		*to = "http://" + l.Addr().String()
	}
	return s, nil
}

// admit turns authentication off in the scratch directory, since nobody here
// knows a password. Revision, keys and HashKV are the same with and without.
func (s *trial) admit() error {
	db, err := bbolt.Open(filepath.Join(s.data, "member", "snap", "db"), 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(schema.Auth.Name()).Put(schema.AuthEnabledKeyName, []byte{0})
	})
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return err
}

// start starts etcd. ended is closed when it ends by itself; stop ends it and
// waits for that.
func (s *trial) start(root onhost.Root, program string) (stop func() error, ended <-chan struct{}, err error) {
	if program == "" {
		program, _ = exec.LookPath("etcd") // "" if there is none
	} else if p := root.Path(program); root == "" || executable(p) {
		program = p
	}
	if program == "" {
		return s.within()
	}
	log, err := os.OpenFile(s.log, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(program,
		"--name="+trialName, "--data-dir="+s.data, "--listen-peer-urls="+s.peer, "--initial-advertise-peer-urls="+s.peer,
		"--listen-client-urls="+s.client, "--advertise-client-urls="+s.client, "--initial-cluster="+trialName+"="+s.peer,
		"--initial-cluster-token="+s.token, "--quota-backend-bytes="+strconv.FormatInt(s.quota, 10))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ETCD_UNSUPPORTED_ARCH=" + os.Getenv("ETCD_UNSUPPORTED_ARCH")}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // why it ended stands in its log
		close(done)
	}()
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		return nil
	}, done, nil
}

func executable(p string) bool {
	i, err := os.Stat(p)
	return err == nil && i.Mode().IsRegular() && i.Mode().Perm()&0o111 != 0
}

// within runs etcd in this process, which is one of its own.
func (s *trial) within() (stop func() error, ended <-chan struct{}, err error) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster, cfg.InitialClusterToken = trialName, s.data, trialName+"="+s.peer, s.token
	cfg.QuotaBackendBytes = s.quota
	cfg.LogLevel, cfg.LogOutputs = "warn", []string{s.log}
	for _, set := range []struct {
		to   []*[]url.URL
		text string
	}{
		{[]*[]url.URL{&cfg.ListenPeerUrls, &cfg.AdvertisePeerUrls}, s.peer},
		{[]*[]url.URL{&cfg.ListenClientUrls, &cfg.AdvertiseClientUrls}, s.client},
	} {
		u, err := url.Parse(set.text)
		if err != nil {
			return nil, nil, err
		}
		for _, to := range set.to {
			*to = []url.URL{*u}
		}
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, nil, err
	}
	return func() error {
		e.Close()
		return nil
	}, e.Server.StopNotify(), nil
}

// startFor is how long etcd may take to serve a restored database. A large one
// is read in whole first.
const startFor = 10 * time.Minute

// ask waits until etcd serves, and asks it.
func (s *trial) ask(ctx context.Context, ended <-chan struct{}) (r trialRecord, err error) {
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	cl, err := clientv3.New(clientv3.Config{Endpoints: []string{s.client}, Context: ctx, Logger: zap.NewNop()})
	if err != nil {
		return r, err
	}
	defer cl.Close()
	for {
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		st, serr := cl.Status(one, s.client)
		cancel()
		if serr == nil && st.Leader != 0 {
			r.Etcd, r.Revision = st.Version, st.Header.Revision
			break
		}
		select {
		case <-ended:
			return r, fmt.Errorf("etcd does not run with what was restored: %s", s.why())
		case <-ctx.Done():
			return r, fmt.Errorf("etcd does not serve what was restored: %w; %s", context.Cause(ctx), s.why())
		case <-time.After(50 * time.Millisecond):
		}
	}
	h, err := cl.HashKV(ctx, s.client, 0)
	if err != nil {
		return r, err
	}
	r.HashKV, r.Revision = fmt.Sprintf("%x", h.Hash), h.Header.Revision
	all, err := cl.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		return r, err
	}
	r.TotalKeys = all.Count
	return r, nil
}

// why is what etcd said last.
func (s *trial) why() string {
	b, err := os.ReadFile(s.log)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "it has said nothing"
	}
	return lastLine(b)
}
