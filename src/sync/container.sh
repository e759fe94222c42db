# What devk sends to a shell in a container before it sends files. POSIX; the shell reads commands, so
# devk writes commands: most saves cost one process here, the `mv` that puts the file in place.
#
# R is the target folder, D the folder on the same file system in which files are made. Both are absolute.
unset CDPATH

# M: what is mounted somewhere. N: the same, below target folders: what goes there changes the file system.
M='' N=''
if [ -r /proc/self/mountinfo ]; then
	while read -r _ _ _ _ p _; do M="$M $p"; done </proc/self/mountinfo
fi

# f MAKE FOLDER...: goes into a folder below R, one step at a time, making what is missing if MAKE is 1.
# 2: it is missing. 3: the way leads out of R.
f() {
	cd -P "$R/" || return 1
	make=$1
	shift
	for c do
		if [ ! -d "./$c" ]; then
			[ "$make" = 1 ] || return 2
			if [ -e "./$c" ] || [ -L "./$c" ]; then rm -f "./$c" || return 1; fi
			mkdir "./$c" || return 1
		fi
		cd -P "./$c" || return 1
		case $PWD/ in "$R"/*) ;; *) return 3 ;; esac
	done
}

# m NAME...: puts files of these names from D into the current folder. What stands there is replaced, a
# link itself and not what it points to.
m() {
	for n do
		shift
		if [ -d "./$n" ]; then rm -rf "./$n" || return 1; fi
		set -- "$@" "$D/$n"
	done
	if ! o; then
		mv -f "$@" ./
		return
	fi
	# From one file system to another `mv` copies: it does so beside, and only what is whole takes its place.
	mkdir -m 700 "./$T" && mv -f "$@" "./$T/" || { rm -rf "./$T"; return 1; }
	for n do
		mv -f "./$T/${n##*/}" ./ || { rm -rf "./$T"; return 1; }
	done
	rmdir "./$T"
}

# o: the current folder is on another file system than D.
o() {
	for p in $N; do
		case $PWD/ in "$p"/*) return 0 ;; esac
	done
	return 1
}

# n GROUP STATUS: a group failed, and leaves nothing behind.
n() {
	printf 'no %s %s\n' "$1" "$2"
	umask 022
	rm -rf "$D"
	mkdir "$D"
}

# s TARGET TOKEN: finds R for a target folder, and D: where a rename into R is one, and outside of R if
# there is such a place, so that nothing that watches R sees files in the making.
s() {
	mkdir -p "$1" && cd -P "$1" || return 1
	R=$PWD
	[ "$R" = / ] && R=
	for p in $M; do
		case $p in "$R"/?*) N="$N $p" ;; esac
	done
	printf '' >"$R/$2" && rm -f "$R/$2" || return 1
	on=$(stat -c %d . 2>/dev/null)
	for b in /tmp /var/tmp "$R"; do
		if [ "$b" != "$R" ]; then
			[ "$on" ] && [ "$(stat -c %d "$b" 2>/dev/null)" = "$on" ] || continue
		fi
		S=$b/$2
		mkdir -m 700 "$S" 2>/dev/null && mkdir "$S/0" && printf '' >"$S/0/x" 2>/dev/null && rm -f "$S/0/x" && return
	done
	echo "no folder for files in the making" >&2
	return 1
}
