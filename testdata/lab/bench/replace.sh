#!/bin/bash
# Replaces the failed member NAME at ADDRESS by hand: what somebody writes who
# knows etcd and ssh well. One ssh connection, opened once and used by all that
# follows; etcdctl runs here. It checks nothing but exit codes.
#
#   replace.sh NAME ADDRESS KEY KNOWN_HOSTS SURVIVOR…
set -euo pipefail
name=$1 address=$2 key=$3 known=$4
shift 4
survivors=$(printf ',http://%s:2379' "$@")
survivors=${survivors#,}

tmp=$(mktemp -d)
ssh=(ssh -S "$tmp/master" -o BatchMode=yes -i "$key" -o UserKnownHostsFile="$known" "root@$address")
"${ssh[@]}" -M -N -f
trap '"${ssh[@]}" -O exit 2>/dev/null; rm -rf "$tmp"' EXIT

"${ssh[@]}" systemctl stop etcd-member.service
id=$(etcdctl --endpoints="$survivors" member list | awk -F', ' -v n="$name" '$3 == n {print $1}')
etcdctl --endpoints="$survivors" member remove "$id" >"$tmp/removed"
"${ssh[@]}" "mv -T /var/lib/etcd /var/lib/etcd.replaced-$id && install -d -m 0700 -o etcd -g etcd /var/lib/etcd"
eval "$(etcdctl --endpoints="$survivors" member add "$name" --peer-urls="http://$address:2380" | grep '^ETCD_')"
"${ssh[@]}" 'set -e
	mkdir -p /etc/systemd/system/etcd-member.service.d
	cat >/etc/systemd/system/etcd-member.service.d/20-clct-etcd-member.conf
	systemctl daemon-reload
	systemctl start etcd-member.service' <<DROPIN
[Service]
ExecStart=
ExecStart=/usr/lib/coreos/etcd-wrapper \$ETCD_OPTS \\
  --name="$name" \\
  --listen-peer-urls="http://$address:2380" \\
  --listen-client-urls="http://$address:2379,http://0.0.0.0:4001" \\
  --initial-advertise-peer-urls="http://$address:2380" \\
  --initial-cluster="$ETCD_INITIAL_CLUSTER" \\
  --initial-cluster-state="$ETCD_INITIAL_CLUSTER_STATE" \\
  --initial-cluster-token="demo-etcd-token" \\
  --advertise-client-urls="http://$address:2379"
DROPIN
until etcdctl --endpoints="$survivors,http://$address:2379" endpoint health >"$tmp/health" 2>&1; do
	sleep 0.02
done
