#!/bin/bash
# The lab: real hosts on this machine. Each is a container with a root file
# system, a systemd, an sshd and a network namespace of its own; a bridge in one
# more namespace, the hub, joins them with the addresses 10.240.0.N. Nothing of
# it is reachable from outside the hub.
#
#   lab.sh up LAB ROOTFS ETCD N   boots N hosts; their files live in the folder LAB
#   lab.sh cluster LAB N [LISTEN] makes an etcd cluster of the first N hosts, as
#                                 Container Linux had them, and LAB/inventory.hcl
#   lab.sh boot LAB HOST          boots a host that was killed
#   lab.sh kill LAB HOST          takes a host's power away
#   lab.sh destroy LAB HOST       the same, and its disk is gone
#   lab.sh exec LAB COMMAND…      runs a command inside the hub
#   lab.sh down LAB               ends everything and removes LAB
#
# ETCD is a folder with the binaries etcd and etcdctl, seen on the hosts as
# /opt/etcd. LAB/id is a key that root, core, ops and csh accept; LAB/known_hosts
# has the hosts' keys.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

name() { basename "$1"; }
hub() { echo "etcdplay-$(name "$1")"; }
netns() { echo "etcdplay-$(name "$1")-$2"; }

make_network() { # LAB HOST
	local hub ns
	hub=$(hub "$1") ns=$(netns "$1" "$2")
	ip netns add "$ns"
	ip link add "h$2" netns "$hub" type veth peer name host0 netns "$ns"
	ip -n "$hub" link set "h$2" master br0 up
	ip -n "$ns" addr add "10.240.0.$2/24" dev host0
	ip -n "$ns" link set lo up
	ip -n "$ns" link set host0 up
}

# Each host's systemd and what it runs take six inotify instances or so, and the
# kernel gives all of root's processes together 128 by default; a systemd that
# gets none hangs without a word.
make_room() {
	local limit=/proc/sys/fs/inotify/max_user_instances
	[ "$(cat $limit)" -ge 1024 ] || echo 1024 >$limit || echo "cannot raise $limit: some hosts may not boot" >&2
}

boot() { # LAB HOST
	local lab=$1 host=$2 dir=$1/$2 ns
	ns=$(netns "$lab" "$host")
	mkdir -p "$dir/upper" "$dir/work" "$dir/root"
	# redirect_dir: without it a folder of the shared file system cannot be renamed.
	mountpoint -q "$dir/root" || mount -t overlay overlay \
		-o "redirect_dir=on,lowerdir=$(cat "$lab/rootfs"),upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
	if [ ! -e "$dir/root/etc/ssh/ssh_host_ed25519_key" ]; then
		echo "demo-etcd-$host" >"$dir/root/etc/hostname"
		echo "127.0.0.1 localhost demo-etcd-$host" >"$dir/root/etc/hosts"
		systemd-id128 new >"$dir/root/etc/machine-id"
		ssh-keygen -q -t ed25519 -N '' -f "$dir/root/etc/ssh/ssh_host_ed25519_key"
		ssh-keygen -q -t ecdsa -N '' -f "$dir/root/etc/ssh/ssh_host_ecdsa_key"
		local user home
		for user in root core ops csh; do
			home=$dir/root/home/$user
			[ "$user" = root ] && home=$dir/root/root
			install -d -m 0700 "$home/.ssh"
			install -m 0600 "$lab/id.pub" "$home/.ssh/authorized_keys"
			chroot "$dir/root" chown -R "$user:" "${home#"$dir/root"}/.ssh"
		done
		awk -v a="10.240.0.$host" '{print a, $1, $2}' "$dir/root/etc/ssh/ssh_host_ed25519_key.pub" >>"$lab/known_hosts"
	fi
	# nspawn must not inherit this script's output: whoever waits for it would wait for the host.
	(
		join_cgroups "$ns"
		exec setsid systemd-nspawn --quiet --keep-unit --register=no --boot --console=pipe --link-journal=no \
			--network-namespace-path="/run/netns/$ns" --bind-ro="$(cat "$lab/etcd"):/opt/etcd" \
			-D "$dir/root"
	) </dev/null >"$dir/console" 2>&1 &
	echo $! >"$dir/pid"
}

# cgroups lists where this machine has trees of them that a systemd would use.
cgroups() {
	local d
	for d in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
		[ ! -w "$d/cgroup.procs" ] || echo "$d"
	done
}

# join_cgroups puts this process into groups of its own: nspawn makes those of the
# host below, by the same names for every host, and then one host's systemd would
# remove the group of another's unit in the moment in which it starts.
join_cgroups() { # NAME
	local d
	for d in $(cgroups); do
		mkdir -p "$d/$1"
		echo 0 >"$d/$1/cgroup.procs"
	done
}

leave_cgroups() { # NAME
	local d n
	for d in $(cgroups); do
		for n in $(seq 100); do
			[ -e "$d/$1" ] || break
			find "$d/$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
		done
	done
}

await() { # LAB HOST: until its sshd answers
	local n
	for n in $(seq 1200); do
		if ip netns exec "$(hub "$1")" bash -c "exec 3<>/dev/tcp/10.240.0.$2/22 && read -r -t 2 line <&3 && [[ \$line == SSH-* ]]" 2>/dev/null; then
			return 0
		fi
		sleep 0.1
	done
	echo "host $2 did not boot:" >&2
	tail -20 "$1/$2/console" >&2
	return 1
}

poweroff() { # LAB HOST: the container's own PID 1 has to go, not only nspawn
	local dir=$1/$2 pid child
	[ -e "$dir/pid" ] || return 0
	pid=$(cat "$dir/pid")
	for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
		kill -9 "$child" 2>/dev/null || true
	done
	kill -9 "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
	rm -f "$dir/pid"
}

unmount() { # LAB HOST
	local n
	for n in $(seq 100); do
		mountpoint -q "$1/$2/root" || return 0
		umount -R "$1/$2/root" 2>/dev/null || sleep 0.05
	done
	umount -R -l "$1/$2/root"
}

hosts() { # LAB
	local d
	for d in "$1"/[0-9]*; do
		[ -d "$d" ] && basename "$d"
	done
	return 0
}

remote() { # LAB HOST COMMAND: as root, on the host
	ip netns exec "$(hub "$1")" ssh -F none -i "$1/id" -o BatchMode=yes -o UserKnownHostsFile="$1/known_hosts" "root@10.240.0.$2" -- "$3"
}

configure() { # LAB HOST INITIAL LISTEN: the drop-in of a first member, and its start
	local conf=/etc/systemd/system/etcd-member.service.d/20-clct-etcd-member.conf
	remote "$1" "$2" "mkdir -p ${conf%/*} && cat >$conf && systemctl daemon-reload && systemctl start --no-block etcd-member" <<-CONF
		[Service]
		ExecStart=
		ExecStart=/usr/lib/coreos/etcd-wrapper \$ETCD_OPTS \\
		  --name="demo-etcd-$2" \\
		  --listen-peer-urls="http://0.0.0.0:2380" \\
		  --listen-client-urls="${4//%h/10.240.0.$2}" \\
		  --initial-advertise-peer-urls="http://10.240.0.$2:2380" \\
		  --initial-cluster="$3" \\
		  --initial-cluster-state="new" \\
		  --initial-cluster-token="lab-token" \\
		  --advertise-client-urls="http://10.240.0.$2:2379"
	CONF
}

inventory() { # LAB N
	local host members=
	for host in $(seq "$2"); do members="$members\"demo-etcd-$host\", "; done
	cat <<-HCL
		inventory {
		  language = 1
		}

		connection "ssh" {
		  user           = "core"
		  become         = "sudo"
		  identity_files = ["id"]
		  known_hosts    = "known_hosts"
		}

		cluster "lab" {
		  token   = "lab-token"
		  members = [${members%, }]
		}
	HCL
	for host in $(hosts "$1"); do
		printf '\nhost "demo-etcd-%s" {\n  address = "10.240.0.%s"\n}\n' "$host" "$host"
	done
}

case ${1:-} in
up)
	lab=$2
	make_room
	mkdir -p "$lab"
	echo "$3" >"$lab/rootfs"
	echo "$4" >"$lab/etcd"
	: >"$lab/known_hosts"
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$lab/id"
	ip netns add "$(hub "$lab")"
	ip -n "$(hub "$lab")" link set lo up
	ip -n "$(hub "$lab")" link add br0 type bridge
	ip -n "$(hub "$lab")" addr add 10.240.0.254/24 dev br0
	ip -n "$(hub "$lab")" link set br0 up
	for host in $(seq "$5"); do
		make_network "$lab" "$host"
		boot "$lab" "$host"
	done
	for host in $(seq "$5"); do await "$lab" "$host"; done
	;;
cluster)
	initial=
	for host in $(seq "$3"); do initial="$initial,demo-etcd-$host=http://10.240.0.$host:2380"; done
	for host in $(seq "$3"); do
		configure "$2" "$host" "${initial#,}" "${4:-http://%h:2379,http://0.0.0.0:4001}"
	done
	inventory "$2" "$3" >"$2/inventory.hcl"
	;;
boot)
	boot "$2" "$3"
	await "$2" "$3"
	;;
kill) poweroff "$2" "$3" ;;
destroy)
	poweroff "$2" "$3"
	unmount "$2" "$3"
	rm -rf "$2/$3/upper" "$2/$3/work"
	;;
help)
	cat <<-HELP
		Hosts: $(for host in $(hosts "$2"); do printf '10.240.0.%s ' "$host"; done)
		  $0 exec $2 ssh -i $2/id -o UserKnownHostsFile=$2/known_hosts core@10.240.0.1
		  $0 exec $2 bin/etcdplay plan scale -i $2/inventory.hcl --var new=demo-etcd-4
		make lab-down ends it.
	HELP
	;;
exec)
	ns=$(hub "$2")
	shift 2
	exec ip netns exec "$ns" "$@"
	;;
down)
	lab=$2
	for host in $(hosts "$lab"); do poweroff "$lab" "$host" & done
	wait
	for host in $(hosts "$lab"); do
		unmount "$lab" "$host"
		ip netns del "$(netns "$lab" "$host")" 2>/dev/null || true
		leave_cgroups "$(netns "$lab" "$host")"
	done
	ip netns del "$(hub "$lab")" 2>/dev/null || true
	rm -rf "$lab"
	;;
*)
	sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'
	exit 2
	;;
esac
