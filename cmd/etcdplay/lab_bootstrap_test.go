package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hubAddress is the hub's own on the network of the lab's hosts.
const hubAddress = "10.240.0.254"

// TestLabBootstrap makes a cluster on three hosts that have none, each release
// of etcd by another way of finding each other.
func TestLabBootstrap(t *testing.T) {
	for _, c := range []struct{ version, user, method string }{
		{"3.4", "core", "static"},
		{"3.5", "ops", "discovery"},
		{"3.6", "core", "srv"},
		{"3.7", "root", "discovery"},
	} {
		t.Run(c.version+"-"+c.method, func(t *testing.T) {
			l := newLab(t, c.version, 3)
			args := []string{"--var", "etcd=/opt/etcd/etcd", "--var", "method=" + c.method}
			inventory := l.inventory(c.user, 3, nil)
			peer := func(host int) string { return "http://" + address(host) + ":2380" }
			switch c.method {
			case "discovery":
				args = append(args, "--var", `discovery_endpoints=["`+l.registry()+`"]`)
			case "srv":
				peer = func(host int) string { return fmt.Sprintf("http://infra%d.lab.test:2380", host) }
				inventory = l.inventory(c.user, 3, func(host int) string {
					return fmt.Sprintf("  member {\n    peer_urls = [%q]\n  }\n", peer(host))
				})
				args = append(args, "--var", "srv_domain=lab.test")
				l.wrongRecords(inventory, args)
				l.nameServer(3)
			}
			out := l.etcdplay(0, append([]string{"run", "bootstrap", "--yes", "-i", inventory}, args...)...)
			if !strings.Contains(out, "etcd "+c.version+".") || !strings.Contains(out, "Output tolerates = 1") {
				t.Errorf("output:\n%s", out)
			}
			l.etcdctl(2, "put", "greeting", "hello")
			got := l.members(1)
			var initial []string
			for host := 1; host <= 3; host++ {
				initial = append(initial, hostName(host)+"="+peer(host))
				if m, ok := got[hostName(host)]; !ok || m.IsLearner || m.PeerURLs[0] != peer(host) {
					t.Errorf("member %s: %+v", hostName(host), m)
				}
			}
			for host := 1; host <= 3; host++ {
				text := l.ssh(host, "cat "+dropinPath)
				for _, want := range []string{
					`--initial-cluster-state="existing"`, `--initial-cluster="` + strings.Join(initial, ",") + `"`,
				} {
					if !strings.Contains(text, want) || strings.Contains(text, "discovery") {
						t.Errorf("drop-in of %s, want %s and no discovery:\n%s", hostName(host), want, text)
					}
				}
				if state := l.ssh(host, "systemctl show -p ActiveState -p NeedDaemonReload etcd-member"); state != "ActiveState=active\nNeedDaemonReload=no\n" {
					t.Errorf("%s: %s", hostName(host), state)
				}
			}
			// What is left is a configuration that a member starts with.
			l.ssh(2, "systemctl restart etcd-member")
			if out := l.etcdctl(2, "get", "greeting", "--print-value-only"); out != "hello\n" {
				t.Errorf("%s has the greeting %q", hostName(2), out)
			}
			out = l.etcdplay(1, append([]string{"run", "bootstrap", "--yes", "-i", inventory}, args...)...)
			if flat := strings.Join(strings.Fields(out), " "); !strings.Contains(flat, "No cluster is made over what is there") {
				t.Errorf("a second bootstrap:\n%s", out)
			}
		})
	}
}

// registry runs an etcd in the hub that keeps registries for the lab's release.
func (l *lab) registry() string {
	l.t.Helper()
	client, peer := "http://"+hubAddress+":2379", "http://"+hubAddress+":2380"
	args := []string{
		"exec", l.dir, filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), l.version, "etcd"), "--name=registry", "--data-dir=" + filepath.Join(l.files, "registry"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=registry=" + peer,
	}
	if l.version < "3.6" {
		args = append(args, "--enable-v2")
	}
	cmd := exec.Command(l.script, args...)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	l.eventually("the registry serves", func() bool {
		return exec.Command(l.script, "exec", l.dir, "bash", "-c", "exec 3<>/dev/tcp/"+hubAddress+"/2379").Run() == nil
	})
	return client
}

// nameServer serves the records of the first hosts in the hub, and has every host
// ask it.
func (l *lab) nameServer(members int) {
	l.t.Helper()
	z := zone{addresses: map[string]string{}, services: map[string][]srvTarget{}}
	for host := 1; host <= members; host++ {
		name := fmt.Sprintf("infra%d.lab.test.", host)
		z.addresses[name] = address(host)
		z.services["_etcd-server._tcp.lab.test."] = append(z.services["_etcd-server._tcp.lab.test."], srvTarget{name, 2380})
	}
	l.serveNames(z)
}

func (l *lab) serveNames(z zone) (stop func()) {
	l.t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	done := make(chan error)
	go func() {
		// The thread goes into the hub and ends there: it is never unlocked.
		runtime.LockOSThread()
		done <- func() error {
			ns, err := os.Open("/run/netns/etcdplay-" + filepath.Base(l.dir))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			if udp, err = net.ListenPacket("udp", hubAddress+":53"); err != nil {
				return err
			}
			tcp, err = net.Listen("tcp", hubAddress+":53")
			return err
		}()
	}()
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
	stop = func() { _, _ = udp.Close(), tcp.Close() }
	l.t.Cleanup(stop)
	serveNames(udp, tcp, func() zone { return z })
	for host := 1; host <= l.hosts; host++ {
		l.ssh(host, "rm -f /etc/resolv.conf && echo nameserver "+hubAddress+" >/etc/resolv.conf")
	}
	return stop
}

// wrongRecords holds that records which are not the inventory's refuse a
// bootstrap, with what they are, and that nothing is changed.
func (l *lab) wrongRecords(inventory string, args []string) {
	l.t.Helper()
	stop := l.serveNames(zone{
		addresses: map[string]string{"infra1.lab.test.": address(1), "infra2.lab.test.": address(2)},
		services: map[string][]srvTarget{"_etcd-server._tcp.lab.test.": {
			{"infra1.lab.test.", 2380}, {"infra2.lab.test.", 2380}, {"elsewhere.lab.test.", 2380},
		}},
	})
	defer stop()
	out := l.etcdplay(1, append([]string{"run", "bootstrap", "--yes", "-i", inventory}, args...)...)
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"the records name http://elsewhere.lab.test:2380, which is no member's peer URL", "no record names http://infra3.lab.test:2380",
		"elsewhere.lab.test has no address here",
	} {
		if !strings.Contains(flat, want) {
			l.t.Errorf("want %q in:\n%s", want, out)
		}
	}
	for host := 1; host <= 3; host++ {
		l.ssh(host, "! test -e "+dropinPath+" && ! test -e /var/lib/etcd/member")
	}
}
