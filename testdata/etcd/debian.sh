#!/bin/sh
# Unpacks Debian's etcd 3.4 into the folder $1, without installing it: the
# package's scripts would start a cluster on this machine.
set -eu
to=$(cd "$1" && pwd)
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	echo "etcd 3.4 comes from Debian's package, and this machine has no apt-get: tests with it are skipped" >&2
	exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get download etcd-server etcd-client 2>/dev/null || {
	apt-get update -qq 2>/dev/null || true
	apt-get download etcd-server etcd-client || {
		echo "Debian's etcd packages cannot be downloaded: tests with etcd 3.4 are skipped" >&2
		exit 0
	}
}
for deb in ./*.deb; do
	dpkg-deb -x "$deb" root
done
cp root/usr/bin/etcdctl "$to/etcdctl"
cp root/usr/bin/etcd "$to/etcd"
