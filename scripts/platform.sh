# shellcheck shell=bash
# What differs between the systems: Debian and Ubuntu (apt), Fedora (dnf), macOS (Homebrew). The tests run on Debian only;
# the code for Fedora and macOS is written by their documentation and untested, and says so when it runs.

# apt, dnf or brew; empty on other systems.
manager=''
if [ "$(uname -s)" = Darwin ]; then
	manager=brew
elif command -v apt-get >/dev/null; then
	manager=apt
elif command -v dnf >/dev/null; then
	manager=dnf
fi

# What devk's build and the lab need: a C compiler, the static C library, curl, git, iptables, ps and pkill. The tests need
# an SSH agent, too.
case $manager in
apt) packages=(ca-certificates curl gcc git iptables libc6-dev procps) test_packages=(openssh-client) ;;
dnf) packages=(ca-certificates curl gcc git iptables-nft glibc-devel glibc-static procps-ng) test_packages=(openssh-clients) ;;
*) packages=() test_packages=() ;;
esac

# The system by its own name, such as `Debian GNU/Linux 12 (bookworm)`.
system_name() {
	if [ "$manager" = brew ]; then
		echo "macOS $(sw_vers -productVersion)"
	elif [ -r /etc/os-release ]; then
		(. /etc/os-release && echo "${PRETTY_NAME:-$ID}")
	else
		uname -sr
	fi
}

# Those of the packages that are not there, one a line.
missing_packages() {
	local package
	for package in ${packages[@]+"${packages[@]}"}; do
		case $manager in
		apt) dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package" ;;
		dnf) rpm -q --quiet "$package" || echo "$package" ;;
		esac
	done
}

packages_next() {
	case $manager in
	apt) echo 'sudo apt-get update' ;;
	dnf) echo 'sudo dnf makecache' ;;
	brew) echo 'xcode-select --install' ;;
	*) echo 'install a C compiler, the static C library, curl, git, Docker, kind, helm and kubectl; then: cargo install --locked --path .' ;;
	esac
}

install_packages() {
	local list missing
	list=$(missing_packages)
	mapfile_of missing "$list"
	case $manager in
	apt) ((${#missing[@]} == 0)) || apt_install "${missing[@]}" ;;
	dnf) ((${#missing[@]} == 0)) || as_root dnf install -y --quiet "${missing[@]}" ;;
	brew)
		xcode-select -p >/dev/null
		command -v brew >/dev/null || { echo 'Homebrew is missing: https://brew.sh' >&2 && return 1; }
		;;
	*)
		local program
		for program in cc curl git iptables; do
			command -v "$program" >/dev/null && continue
			echo "\`$program\` is missing, and this system has neither apt-get nor dnf nor Homebrew" >&2
			return 1
		done
		;;
	esac
}

# An installation that was killed leaves dpkg in the middle, and perhaps an apt-get that still works: it is waited for.
apt_install() {
	local apt=(apt-get -o DPkg::Lock::Timeout=600)
	if [ -n "$(dpkg --audit)" ]; then
		as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
	fi
	as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" update -qq
	as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y -qq --no-install-recommends "$@"
}

# mapfile_of NAME LINES: the lines as the array NAME; the bash of macOS has no mapfile.
mapfile_of() {
	local line
	eval "$1=()"
	while IFS= read -r line; do
		if [ -n "$line" ]; then eval "$1+=(\"\$line\")"; fi
	done <<<"$2"
}

docker_next() {
	case $manager in
	apt) echo 'cargo xtask lab docker' ;;
	dnf) echo 'sudo systemctl status docker' ;;
	*) echo 'start Docker Desktop, OrbStack or Colima' ;;
	esac
}

docker_answers() {
	docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# The daemon outlives this script, so it does not get the lock (file 9).
start_docker() {
	case $manager in
	apt | '') cargo xtask lab docker 9>&- ;;
	dnf)
		docker_answers || dnf_docker
		cargo xtask lab docker 9>&- # the inotify limits
		;;
	brew) docker_answers || brew_docker ;;
	esac
	docker version --format 'Docker {{.Server.Version}}'
}

dnf_docker() {
	command -v dockerd >/dev/null || as_root dnf install -y --quiet moby-engine docker-cli
	as_root systemctl enable --now docker
	docker_answers || {
		echo "Docker runs, but only root may use it: sudo usermod -aG docker $USER, then log in again" >&2
		return 1
	}
}

# A Docker of the user's own choice is left alone; where there is none, Colima is one that needs no licence.
brew_docker() {
	brew install colima docker
	colima start --cpu 2 --memory 6 9>&-
}

brew_tools() {
	local program
	for program in kind helm kubectl; do
		command -v "$program" >/dev/null || brew install "${program/kubectl/kubernetes-cli}"
	done
	docker compose version >/dev/null 2>&1 || brew_compose
}

# Homebrew tells where its plugins are, and docker looks into one folder of the user's.
brew_compose() {
	brew install docker-compose
	mkdir -p "$HOME/.docker/cli-plugins"
	ln -sfn "$(brew --prefix)/opt/docker-compose/bin/docker-compose" "$HOME/.docker/cli-plugins/docker-compose"
}
