# shellcheck shell=bash
# Whether the machine suffices: limits of the kernel, open files, disk, memory. What is short is told with what takes it.
# The limits are those of `devk doctor` (src/doctor/machine.rs) and of a session (src/limits.rs).

wanted_disk=10 # GiB, for the build, the images and the cluster
wanted_memory=3 # GiB, for one node with a small stack

# check_machine FORCE: all findings together; with FORCE they stop nothing.
check_machine() {
	local short=0
	check_inotify
	check_files || short=1
	check_disk || short=1
	check_memory || short=1
	if [ $short = 1 ] && $1; then
		echo '    going on all the same (--force)'
		return
	fi
	return $short
}

# `cargo xtask lab docker` raises them; the kernel forgets that at its next start.
check_inotify() {
	local name wanted now
	for name in max_user_watches:524288 max_user_instances:512; do
		wanted=${name#*:} name=${name%:*}
		now=$(cat "/proc/sys/fs/inotify/$name" 2>/dev/null) || continue
		if [ "$now" -ge "$wanted" ]; then
			echo "    fs.inotify.$name is $now"
		else
			echo "    fs.inotify.$name is $now: raised to $wanted or more below, until the next boot; to keep it:"
			echo "      echo fs.inotify.$name=$wanted | sudo tee -a /etc/sysctl.d/60-devk.conf"
		fi
	done
}

check_files() {
	local hard
	hard=$(ulimit -Hn)
	if [ "$hard" = unlimited ] || [ "$hard" -ge 4096 ]; then
		echo "    open files: $hard"
	else
		echo "    open files: only $hard; raise the hard limit to 4096 or more (nofile in /etc/security/limits.conf)"
		return 1
	fi
}

# The build, cargo's files and Docker's may be on several disks; each is asked for the whole.
check_disk() {
	local folder free enough=0
	for folder in "$PWD" "$HOME" /var/lib/docker; do
		[ -d "$folder" ] || continue
		free=$(($(df -Pk "$folder" | awk 'NR == 2 {print $4}') / 1024 / 1024))
		if [ $free -ge $wanted_disk ]; then
			echo "    disk at $folder: $free GiB are free"
		else
			echo "    disk at $folder: only $free GiB are free, and $wanted_disk are needed"
			enough=1
		fi
	done
	if [ $enough = 1 ]; then
		echo '    what takes room:'
		freeable
	fi
	return $enough
}

# What can be made again, with its size and the command that removes it.
freeable() {
	local target=${CARGO_TARGET_DIR:-$PWD/target} cargo=${CARGO_HOME:-$HOME/.cargo}/registry
	if [ -d "$target" ]; then
		echo "      $(du -sh "$target" | cut -f1) build of devk: cargo clean"
	fi
	if [ -d "$cargo" ]; then
		echo "      $(du -sh "$cargo" | cut -f1) sources of cargo: rm -r $cargo"
	fi
	if docker_answers; then
		docker system df --format '{{.Reclaimable}} Docker, {{.Type}}' | sed 's/^/      /'
		echo '      docker builder prune, docker image prune and docker volume prune remove what no container uses'
	fi
}

check_memory() {
	local available
	available=$(available_memory) || return 0
	if [ "$available" -ge $((wanted_memory * 1024)) ]; then
		echo "    memory: $available MiB are available"
	else
		echo "    memory: only $available MiB are available, and $wanted_memory GiB are needed; most is taken by:"
		# Which processes are the largest is no reason to stop.
		{ ps -A -o rss=,pid=,comm= | sort -rn | head -3 || true; } |
			awk '{printf "      %d MiB  process %s (%s)\n", $1 / 1024, $2, $3}'
		return 1
	fi
}

# In MiB. On macOS all of the memory, since what is available is not told in one number.
available_memory() {
	if [ -r /proc/meminfo ]; then
		awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo
	else
		echo $(($(sysctl -n hw.memsize) / 1024 / 1024))
	fi
}
