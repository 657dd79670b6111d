# What runs on a host: read once by a shell that then carries out one script
# after the other, each in a subshell. Only a POSIX shell, coreutils and
# util-linux are used. File descriptor 3 is the connection; programs never get it.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
umask 077
while read -r a _ me _; do
	[ "$a" != Uid: ] || break # the effective one
done </proc/self/status
case $me in
0) R=/run/etcdplay E=/var/lib/etcdplay ;;
*) E=$(pwd -P)/.local/state/etcdplay R=$E/run ;;
esac
cd /
exec 3<&0 </dev/null

die() {
	printf '%s: %s\n' "$1" "$2" >&2
	exit 121
}

# enter FOLDER: makes it the working directory, which pins it: what is done to
# ./name then happens in this folder, whatever its path leads to by then.
enter() {
	cd -P -- "$1" 2>/dev/null && return
	! absent "$1" || nothing "$1"
	stat -L -c %F -- "$1" >/dev/null || exit 120
	[ -d "$1" ] || die notdir "$1"
	die perm "$1"
}

# absent PATH: whether nothing is there for certain, told without a program. Where
# it cannot be told like this, a program will say what is the matter.
absent() {
	[ ! -e "$1" ] && [ ! -L "$1" ] && [ "${#1}" -lt 200 ] || return
	p=${1%/*}
	while [ -n "$p" ] && [ ! -e "$p" ] && [ ! -L "$p" ]; do p=${p%/*}; done
	[ -d "${p:-/}" ] && [ -x "${p:-/}" ]
}

nothing() {
	missing "$1"
	exit 120
}

missing() { printf '%s: No such file or directory\n' "$1" >&2; }

# safe FOLDER [FILE]…: refuses, for root, a working directory that someone else
# could have swapped: every folder above it, as written and as it is, is root's
# own and writable by nobody else, or only with the sticky bit. $seen is then
# USER:GROUP:MODE of each FILE.
safe() {
	written=$1 higher='' seen=''
	shift
	n=$#
	[ "$me" != 0 ] || for p in "$written" "$PWD"; do
		[ -n "$higher" ] && [ "$p" = "$written" ] && continue
		while [ "$p" != / ]; do
			p=${p%/*}
			p=${p:-/}
			higher=1
			set -- "$@" "$p"
		done
	done
	[ $# -gt 0 ] || return 0
	s=$(stat -L -c '%u:%g:%a' -- "$@") || exit 120
	for s in $s; do
		if [ "$n" -gt 0 ]; then
			n=$((n - 1)) seen="$seen $s"
			continue
		fi
		a=${s##*:} g=${s#*:}
		g=${g%%:*}
		[ "${s%%:*}" = 0 ] || die unsafe "a folder above $written belongs to another user than root"
		case $a in [1357]???) continue ;; esac
		case $a in *[2367]) die unsafe "a folder above $written may be written by everybody" ;; esac
		case $a in *[2367]?) [ "$g" = 0 ] || die unsafe "a folder above $written may be written by a group" ;; esac
	done
}

exists() {
	! absent "$1" || nothing "$1"
	[ -e "$1" ] || [ -L "$1" ] || { stat -c %F -- "$1" >/dev/null; exit 120; }
}

# mounted PATH: whether a file system is mounted at the physical PATH or below.
mounted() {
	while read -r _ _ _ _ m _; do
		case $m in *\\*) m=$(printf '%b.' "$m") m=${m%.} ;; esac
		case $m in "$1" | "$1"/*) return 0 ;; esac
	done </proc/self/mountinfo
	return 1
}

# Changes. Each has an entry in the ledger, a file named by its id and others
# beside it: who makes that file decides whether the change happens, so a change
# of which nobody knows whether it was begun can be called off for good by making it.

room() { [ -d "$R" ] || mkdir -p -- "$R" || exit 120; }

# claim WORDS: makes the entry $I with these in it. 1 means that it is there
# already, and anything else that it cannot be made.
claim() {
	set -C
	c=
	{
		c=1
		printf '%s\n' "$1"
	} >"$I"
	s=$?
	set +C
	[ "$s" != 0 ] || return 0
	[ -n "$c" ] || [ ! -e "$I" ] || return 1
	return 120
}

# op ID EPOCH WAIT COMMAND…: does COMMAND if no other did, one at a time, and
# only while it is this engine's turn. Its output goes to files, so it ends the
# same way whether anyone listens or not.
op() {
	I=$R/$1 epoch=$2 wait=$3
	shift 3
	room
	myself
	claim "$s" || { [ $? = 1 ] && return 78; return 120; }
	exec 9>>"$R/lock"
	c=0
	if ! flock -w "$wait" 9; then
		r=76
	elif [ -e "$E/epoch" ] && ! read -r c <"$E/epoch" || [ "$epoch" != 0 ] && [ "$c" != "$epoch" ]; then
		r=77
	else
		# What the shell itself says of a program that was killed is not wanted.
		exec 6>&2 2>/dev/null
		(exec 6>&- 9>&- >"$I.out" 2>"$I.err" && "$@")
		r=$?
		exec 2>&6 6>&-
		# A program may end as it likes. What changes files says by 120 to 122 whether
		# it has changed something; what was killed, or failed to make a change durable,
		# may have.
		case $1 in
		run) ;;
		*) [ "$r" != 1 ] && [ "$r" -le 122 ] || r=122 ;;
		esac
	fi
	printf '%s\n' "$r" >"$I.exit"
	exec 9>&-
	told
	return "$r"
}

# myself: $s is this process, as no other will ever be.
myself() {
	read -r s </proc/self/stat
	read -r b </proc/sys/kernel/random/boot_id
	began "$b" $s
}
began() { s="$2 ${23} $1"; }

# gone PROCESS TIME BOOT: whether a process has ended that said this of itself.
gone() {
	s=
	read -r b </proc/sys/kernel/random/boot_id
	[ "$b" != "$3" ] || [ ! -e "/proc/$1/stat" ] || read -r s <"/proc/$1/stat"
	[ -z "$s" ] || began "$b" $s
	[ "$s" != "$1 $2 $3" ]
}

# told: says how the change of entry $I ended, from the entry itself.
told() {
	read -r r <"$I.exit"
	printf 'ended %s\n' "$r"
	[ ! -s "$I.out" ] || head -c "$keep" "$I.out"
	[ ! -s "$I.err" ] || head -c "$keep" "$I.err" >&2
}
keep=1048577

# outcome ID SECONDS: what became of a change: ended STATUS, with its output;
# never, and it never will; running, after so many seconds; or lost.
outcome() {
	I=$R/$1
	room
	if claim void 2>/dev/null; then
		echo never
		return
	fi
	n=0
	while :; do
		if read -r r 2>/dev/null <"$I.exit"; then
			told
			return
		fi
		if read -r p t b 2>/dev/null <"$I"; then
			if [ "$p" = void ]; then
				echo never
				return
			fi
			if gone "$p" "$t" "$b" && [ ! -s "$I.exit" ]; then
				echo lost
				return
			fi
		fi
		if [ "$n" -ge "$(($2 * 20))" ]; then
			echo running
			return
		fi
		n=$((n + 1))
		sleep 0.05
	done
}

# stop ID: calls a change off, or kills the program that it runs.
stop() {
	I=$R/$1
	room
	if ! claim void 2>/dev/null && [ ! -e "$I.exit" ] && read -r p 2>/dev/null <"$I.pid"; then
		kill -s KILL -- "-$p" 2>/dev/null || kill -s KILL -- "$p"
	fi
}

# turn EPOCH WAIT: has the host to itself while something is done there by other
# means, until a byte comes or the connection has gone, at most for a while.
turn() {
	room
	exec 9>>"$R/lock"
	flock -w "$2" 9 || exit 76
	c=0
	[ ! -e "$E/epoch" ] || read -r c <"$E/epoch" || exit 77
	[ "$1" = 0 ] || [ "$c" = "$1" ] || exit 77
	printf '\n%s held\n' "$K"
	printf '\n%s held\n' "$K" >&2
	timeout --foreground 20 head -c 1 <&3 >/dev/null
}

# fence WAIT: takes the host over and says the number of this turn.
fence() {
	room
	[ -d "$E" ] || mkdir -p -- "$E" || exit 120
	exec 9>>"$R/lock"
	flock -w "$1" 9 || exit 76
	c=0
	[ ! -e "$E/epoch" ] || read -r c <"$E/epoch"
	case $c in '' | *[!0-9]*) die damaged "$E/epoch" ;; esac
	printf '%s\n' "$((c + 1))" >"$E/epoch.new" && sync "$E/epoch.new" &&
		mv -T -- "$E/epoch.new" "$E/epoch" && sync "$E" || exit 120
	printf '%s\n' "$((c + 1))"
}

# Programs.

# found FOLDER PROGRAM: whether there is such a program, as seen from the folder.
found() {
	enter "$1"
	case $2 in
	*/*) [ -e "$2" ] || die noprogram "$2" ;;
	*)
		p=$PATH:
		until [ -z "$p" ] || { [ -f "${p%%:*}/$2" ] && [ -x "${p%%:*}/$2" ]; }; do p=${p#*:}; done
		[ -n "$p" ] || die noprogram "$2"
		;;
	esac
	cd /
}

# program FOLDER ASSIGNMENT… PROGRAM ARGUMENT…: becomes that program, alone in a
# session of its own.
program() {
	cd -- "$1" || exit 126
	shift
	umask 022
	exec 3<&- setsid /usr/bin/env -i "$@"
}

# take SIZE FILE: so many bytes from the connection, all of them.
take() {
	room
	head -c "$1" <&3 >"$2"
	[ "$(stat -c %s -- "$2")" = "$1" ] && return
	rm -f -- "$2"
	die short "the input did not come whole"
}

# run INPUT FOLDER …: program, as a change; INPUT is a file that it reads, and
# that is gone as soon as it does.
run() {
	if [ -n "$1" ]; then
		exec <"$1"
		rm -f -- "$1"
	fi
	shift
	read -r s </proc/self/stat
	printf '%s\n' "${s%% *}" >"$I.pid"
	program "$@"
}

# query SIZE FOLDER …: program, its output not kept anywhere; SIZE bytes from
# the connection are what it reads.
query() {
	exec 6>&1 7>&2
	r=$({ { {
		ask "$@" 5>&- 6>&- 7>&-
		printf '%s\n' "$?" >&5
	} | some >&6; } 2>&1 | some >&7; } 5>&1)
	exit "$r"
}

# some: what comes, up to a bound. The rest is read too, as a program may fail that
# nobody listens to.
some() {
	head -c "$((keep + 64))"
	IFS= read -r s && exec cat >/dev/null
}

ask() {
	size=$1
	shift
	if [ "$size" = 0 ]; then
		alone "$@"
		return
	fi
	head -c "$size" <&3 | {
		alone "$@"
		r=$?
		cat >/dev/null
		exit "$r"
	}
}

# alone FOLDER …: program, after its process number was said.
alone() {
	exec 4>&2 2>/dev/null
	(
		exec 2>&4 4>&-
		read -r s </proc/self/stat
		printf 'pid %s\n' "${s%% *}"
		program "$@"
	)
}
