package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox/supervisor"
)

// What every host of a sandbox has, under the names of Container Linux.
const (
	Unit    = "etcd-member.service"
	DropIn  = "20-clct-etcd-member.conf"
	DataDir = "/var/lib/etcd"

	wrapperPath = "/usr/lib/coreos/etcd-wrapper"
)

// unitText is Container Linux's unit, with what differs in a sandbox named.
const unitText = `# etcd-member.service as Container Linux has it. In a sandbox RestartSec is 1s
# instead of 10s and a unit that cannot start is given up after three attempts;
# the condition keeps a spare host, which has no drop-in yet, idle at boot.
[Unit]
Description=etcd (System Application Container)
Documentation=https://github.com/coreos/etcd
Wants=network-online.target network.target
After=network-online.target
Conflicts=etcd.service etcd2.service
ConditionPathExists=/etc/systemd/system/etcd-member.service.d/20-clct-etcd-member.conf
StartLimitIntervalSec=10s
StartLimitBurst=3

[Service]
Type=notify
Restart=on-failure
RestartSec=1s
TimeoutStartSec=0
LimitNOFILE=40000
%sEnvironment="ETCD_DATA_DIR=/var/lib/etcd"
ExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS

[Install]
WantedBy=multi-user.target
`

// unitOf is the text of a unit with the tag of the image that is run, "" leaving it out,
// and what makes etcd serve that API.
func unitOf(unit, tag string, api int) string {
	more := ""
	if tag != "" {
		more = fmt.Sprintf("Environment=%q\n", "ETCD_IMAGE_TAG="+tag)
	}
	if api == 2 {
		more += "Environment=\"ETCD_ENABLE_V2=true\"\n"
	}
	return fmt.Sprintf(unit, more)
}

// layEtcdctl gives a host the etcdctl that lies beside its etcd, if there is one.
// What it is given as paths has to be relative to the host's root.
func (s *Sandbox) layEtcdctl(h Host, etcd string) error {
	program := filepath.Join(filepath.Dir(etcd), "etcdctl")
	if _, err := os.Stat(program); err != nil {
		return nil // then a playbook that wants it says so
	}
	p := filepath.Join(s.Dir, supervisor.HostsDir, h.Name, "opt/bin/etcdctl")
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(program, "'", `'\''`) + "'"
	if err := os.WriteFile(p, []byte("#!/bin/sh\nexec "+quoted+" \"$@\"\n"), 0o755); err != nil {
		return err
	}
	return os.Chmod(p, 0o755)
}

// wrapper is the text of the host's etcd-wrapper: it does for a folder what
// Container Linux's does for a container: the paths that etcd is given are those
// on the host.
func wrapper(command []string) string {
	quoted := make([]string, len(command))
	for i, c := range command {
		quoted[i] = "'" + strings.ReplaceAll(c, "'", `'\''`) + "'"
	}
	return `#!/bin/sh
# Runs etcd with its data and certificates below this host's root directory.
set -e
if [ "$1" = --version ]; then
  exec ` + strings.Join(quoted, " ") + ` --version
fi
: "${SANDBOX_ROOT:?}" "${ETCD_DATA_DIR:?}"
ETCD_DATA_DIR=$SANDBOX_ROOT$ETCD_DATA_DIR
export ETCD_DATA_DIR
[ -d "$ETCD_DATA_DIR" ] || mkdir -p -m 0700 "$ETCD_DATA_DIR"
for name in CERT_FILE KEY_FILE TRUSTED_CA_FILE PEER_CERT_FILE PEER_KEY_FILE PEER_TRUSTED_CA_FILE \
  DISCOVERY_CACERT DISCOVERY_CERT DISCOVERY_KEY; do
  eval "value=\${ETCD_$name:-}"
  case $value in /*) export "ETCD_$name=$SANDBOX_ROOT$value" ;; esac
done
previous=
for arg do
  shift
  case $previous$arg in
    --data-dir=/* | -data-dir=/* | --wal-dir=/* | -wal-dir=/* | -*-file=/* | \
      -*-cacert=/* | -*-cert=/* | -*-key=/*) arg=${arg%%=*}=$SANDBOX_ROOT${arg#*=} ;;
    'dir '/*) arg=$SANDBOX_ROOT$arg ;;
  esac
  case $arg in
    --data-dir | -data-dir | --wal-dir | -wal-dir | -*-file | -*-cacert | -*-cert | -*-key) previous='dir ' ;;
    *) previous= ;;
  esac
  set -- "$@" "$arg"
done
exec ` + strings.Join(quoted, " ") + ` "$@"
`
}

// layHost makes the root directory of one host.
func (s *Sandbox) layHost(h Host, command []string, unit string) error {
	root := filepath.Join(s.Dir, supervisor.HostsDir, h.Name)
	for _, d := range []string{"etc/systemd/system/multi-user.target.wants", "run", "tmp", "var/lib", "var/log"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	var id [16]byte
	rand.Read(id[:])
	program := s.program()
	files := map[string]string{
		"etc/hostname":                       h.Name + "\n",
		"etc/machine-id":                     hex.EncodeToString(id[:]) + "\n",
		"usr/lib/systemd/system/" + s.Unit(): unit,
		strings.TrimPrefix(program, "/"):     wrapper(command),
	}
	switch {
	case s.meta.Debian && h.Spare:
		files[debianFile] = "# etcd's flags can stand here as variables; see etcd --help.\n"
	case s.meta.Debian:
		files[debianFile] = s.variables(h)
	case !h.Spare:
		files["etc/systemd/system/"+Unit+".d/"+DropIn] = s.dropIn(h)
	}
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, program), 0o755); err != nil {
		return err
	}
	if s.meta.Debian && h.Spare {
		return nil // it would make a cluster of its own at boot
	}
	return os.Symlink("/usr/lib/systemd/system/"+s.Unit(),
		filepath.Join(root, "etc/systemd/system/multi-user.target.wants", s.Unit()))
}

// dropIn is the drop-in of a member of the first cluster, in the form that
// Container Linux's configuration transpiler gives it.
func (s *Sandbox) dropIn(h Host) string {
	var b strings.Builder
	b.WriteString("[Service]\nExecStart=\nExecStart=" + wrapperPath + " $ETCD_OPTS")
	for _, f := range s.flags(h) {
		value := strings.NewReplacer("%", "%%", "$", "$$").Replace(f[1])
		fmt.Fprintf(&b, " \\\n  --%s=%q", f[0], value)
	}
	b.WriteString("\n")
	return b.String()
}

// flags configure a member of the first cluster.
func (s *Sandbox) flags(h Host) [][2]string {
	var initial []string
	for _, m := range s.meta.Hosts {
		if !m.Spare {
			initial = append(initial, m.Name+"="+m.PeerURL())
		}
	}
	flags := [][2]string{
		{"name", h.Name},
		{"listen-peer-urls", h.PeerURL()},
		{"listen-client-urls", h.ClientURL()},
		{"initial-advertise-peer-urls", h.PeerURL()},
		{"initial-cluster", strings.Join(initial, ",")},
		{"initial-cluster-state", "new"},
		{"initial-cluster-token", s.meta.Token},
	}
	if h.Secure {
		flags = append(flags, certificateFlags()...)
	}
	return append(flags, [2]string{"advertise-client-urls", h.ClientURL()})
}

// inventory is the text of the inventory that playbooks use.
func (s *Sandbox) inventory() []byte {
	var members, spares []string
	for _, h := range s.meta.Hosts {
		if h.Spare {
			spares = append(spares, hclString(h.Name))
		} else {
			members = append(members, hclString(h.Name))
		}
	}
	if len(members) == 0 {
		members, spares = spares, nil
	}
	owner, group := identity()
	var b strings.Builder
	fmt.Fprintf(&b, `inventory {
  language = 1
}

connection "sandbox" {
  dir = %s
}

cluster %s {
  token    = %s
  api      = %d
  scheme   = %s
  layout   = %s
  unit     = %s
  dropin   = %s
  data_dir = %s
  user     = %s
  group    = %s
  members  = [%s]
%s}
`, hclString(s.Dir), hclString(s.meta.Cluster), hclString(s.meta.Token), s.API(), hclString(s.meta.Hosts[0].scheme()), hclString(s.layout()), hclString(s.Unit()), hclString(DropIn),
		hclString(s.DataDir()), hclString(owner), hclString(group), strings.Join(members, ", "), s.securityBlocks())
	for _, h := range s.meta.Hosts {
		// By default a member listens on all addresses, which here is every host's.
		fmt.Fprintf(&b, `
host %[1]s {
  address = %[2]s

  member {
    listen_client_urls = [%[3]s]
    client_urls        = [%[3]s]
    listen_peer_urls   = [%[4]s]
    peer_urls          = [%[4]s]
  }
}
`, hclString(h.Name), hclString(h.Address), hclString(h.ClientURL()), hclString(h.PeerURL()))
	}
	if len(spares) > 0 {
		fmt.Fprintf(&b, "\ngroup \"spares\" {\n  hosts = [%s]\n}\n", strings.Join(spares, ", "))
	}
	return []byte(b.String())
}

// identity names the user and group that everything in a sandbox belongs to.
func identity() (owner, group string) {
	owner, group = fmt.Sprint(os.Getuid()), fmt.Sprint(os.Getgid())
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return owner, group
}

// hclString quotes s for HCL, where templates begin with ${ and %{.
func hclString(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}
