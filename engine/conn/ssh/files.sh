# Files.

entry='%n\0%f\0%s\0%u\0%g\0%d\0%i\0%.9Y\0%U\0%G\0'

# mounts: says what is mounted; for each of several looks only once, at the end.
mounts() { exec cat /proc/self/mountinfo; }
glances=

# glance MARK LOOK…: one of several looks, with its end marked.
glance() {
	k=$1
	shift
	("$@")
	over $?
}

over() {
	printf '\n%s %s\n' "$k" "$1"
	printf '\n%s %s\n' "$k" "$1" >&2
}

# looks MARK FOLDERS PLACES FOLDER… FOLDER NAME FOLDER NAME…: what is in so many
# folders, and what is at so many other places, all described by one program. Of
# each it says the physical path, and at the end what is at all of these. What can
# be told without it is: a process is the dearest part of a look.
looks() {
	k=$1 m=$2 n=$3
	shift 3
	while [ "$m" -gt 0 ]; do
		if absent "$1"; then
			missing "$1"
			over 120
		elif cd -P -- "$1" 2>/dev/null && [ -r . ] && few ./* ./.[!.]* ./..?*; then
			printf '%s' "$PWD"
			over 0
			for p in ./* ./.[!.]* ./..?*; do
				[ ! -e "$p" ] && [ ! -L "$p" ] || set -- "$@" "${PWD%/}/${p#./}"
			done
		else
			(list "$1")
			over $?
		fi
		shift
		m=$((m - 1))
	done
	while [ "$n" -gt 0 ]; do
		if ! cd -P -- "$1" 2>/dev/null; then
			(lstat "$1" "$2")
			over $?
		elif absent "./$2"; then
			missing "$2"
			over 120
		else
			p=${PWD%/}/$2
			[ "$2" != . ] || p=/
			printf '%s' "$p"
			over 0
			set -- "$@" "$p"
		fi
		shift 2
		n=$((n - 1))
	done
	printf '\0'
	# What is gone since is looked for once more.
	[ $# = 0 ] || stat --printf "$entry" -- "$@" 2>/dev/null || :
	printf '\0'
	over 0
}

few() { [ $# -lt 100 ]; }

# lstat FOLDER NAME: describes one file, then says what is mounted.
lstat() {
	enter "$1"
	! absent "./$2" || nothing "$2"
	printf '%s\0' "$PWD"
	stat --printf "$entry" -- "./$2" || exit 120
	printf '\0'
	[ -n "$glances" ] || mounts
}

# list FOLDER: describes what is in it, then says what is mounted.
list() {
	enter "$1"
	[ -r . ] || die perm "$1"
	printf '%s\0' "$PWD"
	set -- ./* ./.[!.]* ./..?*
	while [ $# -gt 0 ]; do
		n=0
		some=
		while [ $# -gt 0 ] && [ "$n" -lt 500 ]; do
			n=$((n + 1))
			some="$some \"\${$n}\""
			[ "$n" -lt $# ] || break
		done
		# What is gone since it was listed, and a pattern that fits nothing, is passed over.
		eval "stat --printf \"\$entry\" -- $some" 2>/dev/null || :
		shift "$n"
	done
	printf '\0'
	[ -n "$glances" ] || mounts
}

# content FILE LIMIT: one byte more than the limit says that it is too big.
content() {
	! absent "$1" || nothing "$1"
	if [ ! -f "$1" ]; then
		stat -L -c %F -- "$1" >/dev/null || exit 120
		die irregular "it is not a regular file"
	fi
	exec head -c "$(($2 + 1))" -- "$1"
}

free() {
	p=$1
	until [ -e "$p" ] || [ "$p" = / ]; do
		p=${p%/*}
		p=${p:-/}
	done
	exec stat -f -c '%a %S' -- "$p"
}

# put ID EPOCH WAIT FOLDER NAME SIZE SHA256 MODE USER GROUP MASK: the new file is
# made beside the old one, by a name that nobody could know, and used through
# its descriptor only, until it is whole and is given its name. What is to be in
# it is $text, or comes over the connection. With MASK it has its mode from the
# beginning.
put() {
	id=$1 turn=$2 patience=$3 name=$5 size=$6 sum=$7 mode=$8 user=$9 group=${10} mask=${11}
	enter "$4"
	[ ! -d "./$name" ] || [ -L "./$name" ] || die isdir "$name"
	[ "$size" -lt 1048576 ] || room_for "$size" || die nospace "$size bytes are needed and $s are free"
	myself
	set -- "$4" $s
	t=.etcdplay-$id-$2-$3-$4.tmp
	set -C
	umask "${mask:-077}"
	exec 8>"./$t"
	umask 077
	set +C
	trap 'rm -f -- "./$t"' 0
	if [ -f "./$name" ] && [ ! -L "./$name" ]; then
		safe "$1" /proc/self/fd/8 "./$name"
	else
		safe "$1" /proc/self/fd/8
	fi
	set -- $seen
	if [ $# -gt 1 ]; then
		[ "$mode" != 0 ] || mode=${2##*:}
		o=${2%:*} n=${1%:*}
		[ -n "$user" ] || [ "${o%:*}" = "${n%:*}" ] || user=${o%:*}
		[ -n "$group" ] || [ "${o#*:}" = "${n#*:}" ] || group=${o#*:}
	fi
	[ "$mode" != 0 ] || mode=600
	tidy
	if [ -n "$user$group" ]; then
		chown -- "$user${group:+:$group}" /proc/self/fd/8 || exit 120
	fi
	label
	fill
	o=
	if [ "$((0${1##*:}))" = "$((0$mode))" ]; then # else it may not be readable after
		sync /proc/self/fd/8 &
		o=$!
	fi
	sum
	if [ "${s%% *}" != "$sum" ]; then
		n=$(stat -L -c %s /proc/self/fd/8)
		if [ "$n" = "$size" ]; then
			printf 'sum: SHA-256 of what was written is %s, not %s\n' "${s%% *}" "$sum" >&2
		else
			room_for "$((size - n))" || printf 'nospace: %s bytes are needed and %s are free\n' "$((size - n))" "$s" >&2
			printf 'short: %s of %s bytes were written\n' "$n" "$size" >&2
		fi
		exit 120
	fi
	if [ -n "$o" ]; then
		wait "$o" || exit 120
	else
		chmod -- "00$mode" /proc/self/fd/8 && sync /proc/self/fd/8 || exit 120
	fi
	op "$id" "$turn" "$patience" name || return
	trap - 0
}

# tidy: removes what is left here of those who were killed as they wrote. Their
# files say by their names who they were.
tidy() {
	for p in ./.etcdplay-*-*-*-*.tmp; do
		[ -f "$p" ] && [ ! -L "$p" ] && [ -O "$p" ] || continue
		a=${p%.tmp}
		a=${a#./.etcdplay-*-}
		n=${a#*-}
		! gone "${a%%-*}" "${n%%-*}" "${n#*-}" || rm -f -- "$p"
	done
}

# room_for BYTES: whether there is so much space here; $s says how much.
room_for() {
	s=$(stat -f -c '%a %S' .) || exit 120
	s=$((${s% *} * ${s#* }))
	[ "$s" -ge "$1" ]
}

# fill: writes the content.
fill() {
	if [ -n "${text+set}" ]; then
		printf %s "$text" >&8
	elif [ "$size" -lt 1048576 ]; then
		head -c "$size" <&3 >&8
	else
		dd bs=1M iflag=fullblock,count_bytes count="$size" status=none <&3 >&8
	fi
}

# sum: $s begins with the SHA-256 of the new file. openssl is several times as
# fast where the processor can do it.
sum() {
	if [ "$size" -ge 16777216 ] && command -v openssl >/dev/null; then
		s=$(openssl dgst -sha256 -r </proc/self/fd/8 2>/dev/null)
		case ${s%% *} in ????????????????????????????????????????????????????????????????) return ;; esac
	fi
	s=$(sha256sum </proc/self/fd/8)
}

# label: gives the new file the SELinux label that its final path has by the
# host's policy. Where there is no SELinux this is nothing.
label() {
	[ -e /sys/fs/selinux/enforce ] || return 0
	s=$(matchpathcon -n "${PWD%/}/$name" 2>/dev/null) || return 0
	chcon -- "$s" /proc/self/fd/8 || exit 120
}

name() {
	mv -T -- "./$t" "./$name" || exit 120
	if ! [ "./$name" -ef /proc/self/fd/8 ] || [ -L "./$name" ]; then
		printf 'unsafe: %s was swapped\n' "$name" >&2
		exit 122
	fi
	exec sync .
}

# makedir PATH MODE USER GROUP
makedir() {
	p=$1 made='' above='' m=
	[ ! -L "$p" ] || die notdir "$p"
	until [ -e "$p" ] || [ -L "$p" ]; do
		p=${p%/*}
		p=${p:-/}
	done
	enter "$p"
	rest=${1#"$p"}
	rest=${rest#/}
	[ -z "$rest" ] || safe "${p%/}/x"
	set -- "$1" "$2" "$3" "$4" .
	while [ -n "$rest" ]; do
		c=${rest%%/*}
		rest=${rest#"$c"}
		rest=${rest#/}
		m=755
		[ -n "$rest" ] || m=700
		mkdir -m "$m" -- "./$c" || exit 120
		made=1
		cd -P -- "./$c" || exit 122
		set -- "$@" "$above.."
		above=$above../
	done
	[ -z "$made" ] || [ "$((0$2))" != 448 ] || [ -g . ] || m=0 # 0700, as it was made
	[ "$m" = 0 ] || m=$2
	attributes . "$m" "$3" "$4" || exit "$((120 + 2 * ${made:-0}))"
	shift 4
	exec sync "$@"
}

# attributes FILE MODE USER GROUP: of a file that is no symbolic link.
attributes() {
	if [ -n "$3$4" ]; then
		chown -h -- "$3${4:+:$4}" "$1" || return 1
	fi
	[ "$2" = 0 ] || chmod -- "00$2" "$1"
}

# setattr FOLDER NAME MODE USER GROUP RECURSIVE
setattr() {
	enter "$1"
	safe "$1"
	t=./$2
	exists "$t"
	if [ -L "$t" ]; then
		attributes "$t" 0 "$4" "$5" || exit 120
	elif [ -d "$t" ]; then
		here=${PWD%/}/$2
		[ "$2" != . ] || here=$PWD
		cd -P -- "$t" 2>/dev/null || die perm "$t"
		[ "$PWD" = "$here" ] || die unsafe "$here was swapped"
		if [ "$6" = 1 ] && [ -n "$4$5" ]; then
			tree "$4${5:+:$5}" || exit 122
		fi
		attributes . "$3" "$4" "$5" || exit 120
	elif [ -f "$t" ] && [ -r "$t" ]; then
		exec 8<"$t"
		[ "$(stat -c %d:%i -- "$t")" = "$(stat -L -c %d:%i /proc/self/fd/8)" ] || die unsafe "$t was swapped"
		if [ -n "$4$5" ]; then
			chown -- "$4${5:+:$5}" /proc/self/fd/8 || exit 120
		fi
		[ "$3" = 0 ] || chmod -- "00$3" /proc/self/fd/8 || exit 120
		sync /proc/self/fd/8 || exit 122
	else
		# Without a descriptor a link may be planted between the look and the
		# change. That harms nobody while the change is made with a user's own rights.
		exists "$t"
		[ "$me" != 0 ] || die unsafe "$t is no file or folder, or was swapped"
		attributes "$t" "$3" "$4" "$5" || exit 120
	fi
	sync . 2>/dev/null || :
}

# tree OWNER: of all below the working directory, other file systems left out.
tree() {
	own=$1
	set --
	while read -r _ _ _ _ m _; do
		case $m in "${PWD%/}"/*) ;; *) continue ;; esac
		case $m in *[][*?\\]*) printf 'xdev: %s\n' "$m" >&2; return 1 ;; esac
		set -- "$@" -path ".${m#"${PWD%/}"}" -prune -o
	done </proc/self/mountinfo
	if [ $# = 0 ]; then
		chown -hRP -- "$own" .
	else
		find . -xdev "$@" -exec chown -h -- "$own" {} +
	fi
}

# move FOLDER NAME FOLDER NAME
move() {
	enter "$3"
	safe "$3"
	exec 7<.
	enter "$1"
	[ "$1" = "$3" ] || safe "$1"
	exists "./$2"
	f=/proc/self/fd/7/$4
	[ ! -e "$f" ] && [ ! -L "$f" ] || die exist "$3/$4"
	what=./$2
	[ ! -L "$what" ] || what=.
	s=$(stat -c '%d %m' -- /proc/self/fd/7/. . "$what") || exit 120
	one_place "$s" || die xdev "$1/$2 and $3 are on different file systems"
	i=
	if [ "$what" != . ] && [ -r "$what" ] && { [ -f "$what" ] || [ -d "$what" ]; }; then
		exec 6<"$what"
	else
		i=$(stat -c %d:%i -- "./$2")
	fi
	rename_to "$f" "./$2"
	[ ! -e "./$2" ] && [ ! -L "./$2" ] || die exist "$3/$4"
	if [ -n "$i" ]; then
		[ "$(stat -c %d:%i -- "$f")" = "$i" ] || exit 122
	else
		[ "$f" -ef /proc/self/fd/6 ] || exit 122
	fi
	exec sync . /proc/self/fd/7
}

# rename_to TO FROM: renames without overwriting. The kernel may refuse that as if
# to another file system where device and mount are the same: on some overlays, or
# between the folders of two quotas. Then mv goes on to copy. What copies a file
# needs two descriptors, and is given one; what moves a folder piece by piece does
# with that, so a folder is renamed by what can do nothing else, where the host
# has such a thing.
rename_to() {
	if [ ! -d "$2" ] || [ -L "$2" ]; then
		s=$(exec 2>&1 3<&- 6<&- && ulimit -n 4 && exec mv -nT -- "$2" "$1") && return
		case $s in *'Too many open files') die xdev "$2 cannot be renamed to that folder" ;; esac
		printf '%s\n' "$s" >&2
	elif command -v perl >/dev/null; then
		perl -e '
			# By word size, byte order and machine, as perl itself was built for.
			my %renameat2 = ("0201003e" => 316, "020100b7" => 276, "020100f3" => 276, "02010015" => 357, "02020016" => 347);
			my ($to, $from) = @ARGV;
			my $head = "";
			if (open my $self, "<", "/proc/self/exe") { read $self, $head, 20 }
			my ($class, $order, $machine) = unpack "x4 a a x12 a2", $head . "\0" x 20;
			$machine = reverse $machine if $order eq "\1";
			my $call = $renameat2{unpack "H*", $class . $order . $machine};
			exit 0 if $call && syscall($call, -100, $from, -100, $to, 1) == 0;
			die "rename: $!\n" if $call && $! != 38 && $! != 22;
			exit 0 if rename $from, $to;
			die "rename: $!\n";
		' "$@" && return
	elif mv --no-copy --version >/dev/null 2>&1; then
		mv --no-copy -nT -- "$2" "$1" && return
	else
		mv -nT -- "$2" "$1" && return
	fi
	[ -e "$2" ] || [ -L "$2" ] || exit 122
	exit 120
}

# one_place LINES: whether all lines, of a file system and a mount, are the same.
one_place() {
	set -f
	IFS='
'
	set -- $1
	unset IFS
	set +f
	[ "$1" = "$2" ] && [ "$2" = "$3" ]
}

# remove FOLDER NAME RECURSIVE
remove() {
	enter "$1"
	safe "$1"
	exists "./$2"
	if [ ! -d "./$2" ] || [ -L "./$2" ]; then
		rm -f -- "./$2" || exit 120
	elif [ "$3" != 1 ]; then
		rmdir -- "./$2" || exit 120
	else
		! mounted "${PWD%/}/$2" || die xdev "something is mounted below"
		rm -rf --one-file-system -- "./$2" || exit 122
	fi
	exec sync .
}
