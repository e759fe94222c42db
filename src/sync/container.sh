# What devk sends to a shell in a container before it sends files. POSIX; the shell reads commands, so
# devk writes commands: most saves cost one process here, the `mv` that puts the file in place.
#
# R is the target folder, D the folder on the same file system in which files are made. Both are absolute.
# P, set before, is where the pod's spec mounts something: a path a line, and an empty line first.
unset CDPATH
set -f
L='
' I=$IFS

# C: mounts that are not the image's, and nothing is written there. V: the volumes that the runtime made of an
# image's VOLUME; they are the container's own. K and N: the same, below target folders. A path a line.
C='' V='' K='' N=''
if [ -r /proc/self/mountinfo ]; then
	while read -r _ _ _ r p _; do
		case $p in / | /proc | /proc/* | /sys | /sys/*) continue ;; esac
		while :; do
			case $p in *'\040'*) p="${p%%'\040'*} ${p#*'\040'}" ;; *) break ;; esac
		done
		case $P$L in *"$L$p$L"*) C=$C$p$L && continue ;; esac
		# containerd's, and Docker's.
		case $r in
		*/io.containerd.grpc.v1.cri/containers/*/volumes/* | */volumes/*/_data) V=$V$p$L ;;
		*) C=$C$p$L ;;
		esac
	done </proc/self/mountinfo
else
	C=${P#"$L"}$L
fi

# k PATH: looks for PATH among the mounts of K. 0: it is at or below one, 2: one is below it, 1: neither. Sets p.
k() {
	[ "$K" ] || return 1
	IFS=$L
	for p in $K; do
		case $1/ in "$p"/*) IFS=$I && return 0 ;; esac
		case $p in "$1"/*) IFS=$I && return 2 ;; esac
	done
	IFS=$I
	return 1
}

# c NAME...: 4 if a mount covers one of these names in the current folder, or is below one.
c() {
	[ "$K" ] || return 0
	for n do
		k "${PWD%/}/$n"
		[ $? = 1 ] || return 4
	done
}

# u: what became of the current folder failed. 5 if its user can make nothing in it, 1 for any other reason.
u() {
	case $(mkdir "./$T" 2>&1 && rmdir "./$T") in
	*ermission* | *permitted* | *Read-only*) return 5 ;;
	*) return 1 ;;
	esac
}

# f MAKE FOLDER...: goes into a folder below R, one step at a time, making what is missing if MAKE is 1, and giving it
# to O unless that is empty. Sets made if it had to make the last one.
# 2: it is missing. 3: the way leads out of R. 4: it leads into a mount. 5: as u.
f() {
	cd -P "$R/" || return 1
	make=$1 made=
	shift
	for c do
		made=
		if [ ! -d "./$c" ]; then
			[ "$make" = 1 ] || return 2
			c "$c" || return 4
			if [ -e "./$c" ] || [ -L "./$c" ]; then rm -f "./$c" || u || return; fi
			mkdir "./$c" || u || return
			[ -z "$O" ] || chown "$O" "./$c" || return 1
			made=1
		fi
		cd -P "./$c" || return 1
		case $PWD/ in "$R"/*) ;; *) return 3 ;; esac
		if k "$PWD"; then return 4; fi
	done
}

# m NAME...: puts files of these names from D into the current folder. What stands there is replaced, a
# link itself and not what it points to.
m() {
	c "$@" || return 4
	for n do
		shift
		if [ -d "./$n" ]; then rm -rf "./$n" || u || return; fi
		set -- "$@" "$D/$n"
	done
	if ! o; then
		mv -f "$@" ./ || u
		return
	fi
	# From one file system to another `mv` copies: it does so beside, and only what is whole takes its place.
	mkdir -m 700 "./$T" || u || return
	mv -f "$@" "./$T/" || { rm -rf "./$T"; return 1; }
	for n do
		mv -f "./$T/${n##*/}" ./ || { rm -rf "./$T"; return 1; }
	done
	rmdir "./$T"
}

# w MODE NAME...: as m, for programs that watch a file and not its name: a file that stands there is written, and
# stays the same one.
w() {
	c "$2" || return 4
	if [ -f "./$2" ] && [ ! -L "./$2" ] && [ -f "$D/$2" ] && [ ! -L "$D/$2" ] && [ -w "./$2" ]; then
		cat "$D/$2" >"./$2" && chmod "$1" "./$2" && rm -f "$D/$2"
	else
		m "$2"
	fi
}

# o: the current folder is on another file system than D.
o() {
	IFS=$L
	for p in $N; do
		case $PWD/ in "$p"/*) IFS=$I && return 0 ;; esac
	done
	IFS=$I
	return 1
}

# h NAME: prints the permission bits (in octal digits), the owner (`uid:gid`) and the SHA-256 of a file.
h() {
	c "$1" || return 4
	[ -f "./$1" ] && i=$(stat -L -c '%a %u:%g' "./$1") && printf 'sum %s ' "$i" && { sha256sum <"./$1" || echo; }
}

# n GROUP STATUS: a group failed, and leaves nothing behind.
n() {
	[ "$2" = 4 ] || p=
	printf 'no %s %s\n' "$1" "$2${p:+ $p}"
	umask 022
	rm -rf "$D"
	mkdir "$D"
}

# e NUMBER: a batch is through: prints `ok`, its number, and the seconds since the machine's start.
e() {
	u=
	{ read -r u _ </proc/uptime; } 2>/dev/null
	printf 'ok %s %s\n' "$1" "$u"
}

# r TARGET: finds R for a target folder. 4: it is in the mount p.
r() {
	t=${1%/} b=
	while [ ! -d "$t/" ]; do b=/${t##*/}$b t=${t%/*}; done
	cd -P "$t/" || return 1
	# What is mounted below the target folders before this one stays known.
	R=${PWD%/}$b below=$K K=$C
	if k "$R"; then
		K=$below
		return 4
	fi
	K=$below
}

# y: its user may write in the current folder or in a folder of it.
y() {
	[ ! -w . ] || return 0
	set +f
	for d in */ .[!.]*/; do
		if [ -w "$d" ]; then set -f && return 0; fi
	done
	set -f
	return 1
}

# s TARGET TOKEN: finds R for a target folder as r, and D: where a rename into R is one, and outside of R if
# there is such a place, so that nothing that watches or copies R sees files in the making.
s() {
	r "$1" || return
	mkdir -p "$R/" && cd -P "$R/" || return 1
	R=${PWD%/}
	y || { mkdir "./$2" && rmdir "./$2"; } || return 1
	on=$(stat -c %d . 2>/dev/null)
	for b in /tmp /var/tmp "$R"; do
		if [ "$b" != "$R" ]; then
			[ "$on" ] && [ "$(stat -c %d "$b" 2>/dev/null)" = "$on" ] || continue
		fi
		S=$b/$2
		mkdir -m 700 "$S" && mkdir "$S/0" && printf '' >"$S/0/x" && rm -f "$S/0/x" && return
	done
	return 1
}

# a R: adds to K and N what is mounted below a target folder.
a() {
	IFS=$L
	for p in $C; do
		case $p in "$1"/*) K=$K$p$L ;; esac
	done
	for p in $V; do
		case $p in "$1"/*) N=$N$p$L ;; esac
	done
	IFS=$I
}

# q: prints what runs in this container: `now` and the seconds since the machine's start, `listen` and a port (in
# hexadecimal digits) for each that is listened on, and each process as `proc`, its id, its parent's, its state, the ticks
# it has worked for itself and for the kernel, the tick of its start (proc(5)), and its words, which the byte 037 parts.
# Flask's switch is a variable as well.
q() {
	read -r own </proc/self/cgroup
	read -r u _ </proc/uptime && printf 'now %s\n' "$u"
	grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ a _; do printf 'listen %s\n' "${a##*:}"; done
	set +f
	for d in /proc/[0-9]*; do
		[ "$d" != "/proc/$$" ] || continue
		{ read -r r <"$d/cgroup" && read -r t <"$d/stat" && w=$(tr '\0\n' '\037 ' <"$d/cmdline"); } 2>/dev/null || continue
		[ "$w" ] && [ "$r" = "$own" ] || continue
		case $w in
		*flask*) w=$w$({ tr '\0' '\n' <"$d/environ" | grep '^FLASK_DEBUG='; } 2>/dev/null) ;;
		esac
		set -- ${t##*) }
		printf 'proc %s %s %s %s %s %s %s\n' "${d##*/}" "$2" "$1" "${12}" "${13}" "${20}" "$w"
	done
	set -f
}

# v PATH...: prints what watches files in this container: for each process `cwd`, its id and its working folder, and
# `watch` and an inode (in hexadecimal digits) for each inotify watch; then for each PATH that is there `at`, `f` for a
# file and `d` for anything else, its inode, when it changed last (in seconds since 1970), and PATH.
v() {
	read -r own </proc/self/cgroup
	set +f
	for d in /proc/[0-9]*; do
		[ "$d" != "/proc/$$" ] || continue
		{ read -r r <"$d/cgroup"; } 2>/dev/null || continue
		[ "$r" = "$own" ] || continue
		printf 'cwd %s %s\n' "${d##*/}" "$(cd -P "$d/cwd" 2>/dev/null && pwd)"
		grep -hs '^inotify ' "$d"/fdinfo/* | while read -r _ _ i _; do printf 'watch %s\n' "${i#ino:}"; done
	done
	set -f
	for n do
		# Most are not there, and no process starts to find that out.
		[ -e "$n" ] || continue
		k=d
		[ ! -f "$n" ] || k=f
		t=$(stat -L -c '%i %Z' "$n" 2>/dev/null) && printf 'at %s %s %s\n' "$k" "$t" "$n"
	done
}
