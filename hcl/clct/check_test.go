package clct_test

import (
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/hcl/clct"
)

// TestCheck is what the transpilers let pass: each config has one finding, whose
// place and words are looked at, or with want "" none.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		flavour clct.Flavour
		src     string
		want    string // of said
		detail  string
	}{
		"the guide's typing error": {src: `etcd:
  name: demo-etcd-1
  initial_advertise_peer_urls: http://10.240.0.1:2380
  initial_cluster: ddemo-etcd-1=http://10.240.0.1:2380,demo-etcd-2=http://10.240.0.2:2380
`, want: "warning 4:20 Own name is missing\n", detail: `It calls the member at http://10.240.0.1:2380 "ddemo-etcd-1"; write "demo-etcd-1".`},
		"another URL": {
			src:  "etcd:\n  name: a\n  initial_advertise_peer_urls: http://10.0.0.1:2380\n  initial_cluster: a=http://10.0.0.2:2380\n",
			want: "warning 3:32 Own URL differs\n", detail: "etcd starts only if both are the same",
		},
		"two URLs in another order": {
			src: "etcd:\n  name: a\n  initial_advertise_peer_urls: http://10.0.0.2:2380,http://10.0.0.1:2380\n  initial_cluster: a=http://10.0.0.1:2380,a=http://10.0.0.2:2380\n",
		},
		"one URL twice":         {src: "etcd:\n  initial_cluster: a=http://10.0.0.2:2380,b=http://10.0.0.2:2380\n", want: "warning 2:20 One URL, two members\n", detail: "to a and to b"},
		"no pairs":              {src: "etcd:\n  initial_cluster: http://10.0.0.2:2380\n", want: "warning 2:20 Initial cluster cannot be read\n", detail: "is not name=URL"},
		"known on the machine":  {src: "etcd:\n  name: \"{HOSTNAME}\"\n  initial_cluster: a=http://10.0.0.2:2380\n  listen_peer_urls: \"http://{PRIVATE_IPV4}:2380\"\n"},
		"a percent sign":        {src: "etcd:\n  name: 50%\n", want: "warning 2:9 Expanded by systemd\n", detail: "Write %% if % is meant"},
		"two of them":           {src: "etcd:\n  name: 50%%$$\n"},
		"a dollar sign":         {src: "etcd:\n  initial_cluster_token: $x\n", want: "warning 2:26 Expanded by systemd\n", detail: "Write $$ if $ is meant"},
		"a URL without port":    {src: "etcd:\n  listen_peer_urls: http://10.0.0.1\n", want: "warning 2:21 Unsuitable URL\n", detail: "names no port"},
		"advertised everywhere": {src: "etcd:\n  advertise_client_urls: http://0.0.0.0:2379\n", want: "warning 2:26 Unsuitable URL\n", detail: "others cannot reach it there"},
		"listening on a name":   {src: "etcd:\n  listen_client_urls: http://a.example:2379\n", want: "warning 2:23 Unsuitable URL\n", detail: "listens on addresses only"},
		"listening everywhere":  {src: "etcd:\n  listen_client_urls: http://0.0.0.0:2379,unix://sock\n"},
		"another scheme":        {src: "etcd:\n  listen_peer_urls: tcp://10.0.0.1:2380\n", want: "warning 2:21 Unsuitable URL\n", detail: "neither the scheme"},
		"a dead check":          {src: "etcd:\n  version: 3.3.1\n  proxy: maybe\n", want: "warning 3:10 Unknown word\n", detail: `"off", "readonly", "on"`},
		"a state":               {src: "etcd:\n  initial_cluster_state: exiting\n", want: "warning 2:26 Unknown word\n", detail: `Did you mean "existing"?`},
		"a flag that is gone":   {src: "etcd:\n  version: 3.6.1\n  enable_v2: false\n", want: "warning 2:12 Etcd minor version specified is too new, only options available in the previous minor version will be accepted\nwarning 3:3 Unknown flag\n", detail: "3.5 was the last release that had it"},
		"a path outside":        {src: "etcd:\n  cert_file: /etc/pki/a.pem\n", want: "warning 2:14 Not in the container\n", detail: "does not see /etc/pki/a.pem"},
		"a path inside":         {src: "etcd:\n  cert_file: /etc/ssl/certs/a.pem\n"},
		"data_dir on Flatcar":   {src: "etcd:\n  data_dir: /var/lib/etcd\n", want: "warning 2:3 Flag beside its variable\n", detail: "ETCD_DATA_DIR"},
		"data_dir before 3.4":   {src: "etcd:\n  version: 3.3.1\n  data_dir: /var/lib/etcd\n"},
		"data_dir on CoreOS":    {flavour: clct.CoreOS, src: "etcd:\n  data_dir: /var/lib/etcd\n"},
		"name on CoreOS": {
			flavour: clct.CoreOS, src: "etcd:\n  version: 3.4.1\n  name: a\n",
			want: "warning 2:12 Etcd minor version specified is too new, only options available in the previous minor version will be accepted\nwarning 3:3 Flag beside its variable\n", detail: "ETCD_NAME",
		},
		"a variable elsewhere": {
			src:  "systemd:\n  units:\n    - name: etcd-member.service\n      dropins:\n        - name: x.conf\n          contents: \"[Service]\\nEnvironment='ETCD_WAL_DIR=/run/w' A=b\"\netcd:\n  wal_dir: /run/v\n",
			want: "warning 6:21 Flag beside its variable\n", detail: "This sets ETCD_WAL_DIR",
		},
		"a variable of another unit": {
			src: "systemd:\n  units:\n    - name: other.service\n      contents: \"[Service]\\nEnvironment=ETCD_WAL_DIR=/run/w\"\netcd:\n  wal_dir: /run/v\n",
		},
	} {
		if c.flavour == "" {
			c.flavour = clct.Flatcar
		}
		read, found := clct.Read("f.yaml", []byte(c.src), c.flavour)
		if read == nil {
			t.Errorf("%s: no config; %s", name, said(found))
			continue
		}
		if got := said(found); got != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got, c.want)
		}
		details := ""
		for _, d := range found {
			details += d.Detail + "\n"
		}
		if !strings.Contains(details, c.detail) {
			t.Errorf("%s: %q, want %q", name, details, c.detail)
		}
	}
}

// TestUnfit is what is not even given to the parser.
func TestUnfit(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"brackets":    {"etcd: " + strings.Repeat("[", 5000), "Nested too deeply"},
		"lists":       {strings.Repeat("- ", 5000), "Nested too deeply"},
		"size":        {"etcd: {}\n" + strings.Repeat("#\n", clct.MaxSize), "File too big"},
		"no UTF-8":    {"etcd:\n  name: \xff\n", "Not UTF-8 text"},
		"a NUL":       {"etcd:\n  name: a\x00\n", "Not UTF-8 text"},
		"a tab":       {"etcd:\n\tname: a\n", "Not YAML"},
		"an open one": {"etcd: {name: a\n", "Not YAML"},
	} {
		read, found := clct.Read("f.yaml", []byte(c.src), clct.Flatcar)
		if read != nil || len(found) != 1 || found[0].Summary != c.want {
			t.Errorf("%s: %v, %s, want %s", name, read, said(found), c.want)
		}
	}
}
