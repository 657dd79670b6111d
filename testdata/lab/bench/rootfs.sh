#!/bin/bash
# Makes the layer $2 over the root file system $1 of the lab: python3, which
# Ansible needs on the hosts. Once; the hosts of the benchmark use both.
set -euo pipefail
base=$(realpath "$1") layer=$2
made=$(cat "$0" "$base/.complete" | sha256sum)
[ "$(cat "$layer/.complete" 2>/dev/null)" = "$made" ] && exit 0
rm -rf "$layer"
mkdir -p "$layer"
layer=$(realpath "$layer")

work=$(mktemp -d "$layer.XXXXXX")
trap 'umount "$work/root" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/work" "$work/debs/partial"
apt-get install -qq --yes --no-install-recommends --download-only \
	-o Dir::State::status="$base/var/lib/dpkg/status" -o Dir::Cache::archives="$work/debs" -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
	python3 >/dev/null
mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer,workdir=$work/work" "$work/root"
cp "$work"/debs/*.deb "$work/root/tmp/"
DEBIAN_FRONTEND=noninteractive chroot "$work/root" sh -c 'dpkg --unpack --force-depends /tmp/*.deb && dpkg --configure -a' >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
rm -f "$work"/root/tmp/*.deb
echo "$made" >"$work/root/.complete"
