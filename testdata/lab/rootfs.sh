#!/bin/bash
# Builds the root file system that all hosts of the lab share, once, into the
# folder $1: Debian with systemd, sshd, sudo and etcd's packages. When it is
# complete, $1/.complete has the hash of what it was made by: what has changed
# since is made anew.
set -euo pipefail
to=$1
here=$(cd "$(dirname "$0")" && pwd)
made=$(cat "$here/rootfs.sh" "$here/etcd-member.service" "$here/etcd-wrapper" | sha256sum)
if [ "$(cat "$to/.complete" 2>/dev/null)" = "$made" ]; then
	touch "$to/.complete"
	exit 0
fi
rm -rf "$to"
mkdir -p "$(dirname "$to")"

mmdebstrap --quiet --variant=minbase --mode=root \
	--include=systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,procps,etcd-server,etcd-client,tcsh \
	bookworm "$to"

# What is no use in a container, or would start a cluster of its own.
for unit in etcd.service etcd2.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service \
	systemd-logind.service getty@tty1.service console-getty.service apt-daily.timer apt-daily-upgrade.timer \
	dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer; do
	ln -sf /dev/null "$to/etc/systemd/system/$unit"
done
rm -rf "$to"/var/lib/etcd/* "$to"/etc/ssh/ssh_host_* "$to"/etc/machine-id
rm -f "$to/etc/resolv.conf"

# The users of the tests: core needs no password for sudo, ops does, csh has a
# login shell that is not POSIX.
for user in core ops; do
	chroot "$to" useradd -m -s /bin/bash "$user"
done
chroot "$to" useradd -m -s /bin/tcsh csh
echo 'ops:lab-ops-password' | chroot "$to" chpasswd
cat >"$to/etc/sudoers.d/lab" <<-'SUDO'
	core ALL=(ALL:ALL) NOPASSWD: ALL
	csh  ALL=(ALL:ALL) NOPASSWD: ALL
	ops  ALL=(ALL:ALL) ALL
SUDO
chmod 0440 "$to/etc/sudoers.d/lab"
cat >"$to/etc/ssh/sshd_config.d/lab.conf" <<-'SSHD'
	PermitRootLogin prohibit-password
	PasswordAuthentication no
	UseDNS no
	MaxStartups 100
SSHD

# A member as Container Linux has it: a unit and a wrapper.
install -D -m 0644 "$here/etcd-member.service" "$to/etc/systemd/system/etcd-member.service"
install -D -m 0755 "$here/etcd-wrapper" "$to/usr/lib/coreos/etcd-wrapper"
install -d -m 0700 "$to/var/lib/etcd"
chroot "$to" chown etcd:etcd /var/lib/etcd
mkdir -p "$to/opt/etcd"

echo "$made" >"$to/.complete"
