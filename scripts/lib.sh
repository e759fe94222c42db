# shellcheck shell=bash
# What onboard and test share: phases with their times, and everything a machine needs before devk can be built and run.
# Every function may be called again and does only what is missing. What the system's packages are called, and how Docker
# starts, is in scripts/platform.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
exec </dev/null # nothing here asks a question

# shellcheck source=scripts/platform.sh
. scripts/platform.sh

local_bin=$HOME/.local/bin
export PATH=$PATH:$local_bin:${CARGO_HOME:-$HOME/.cargo}/bin # what an earlier run has installed
current='' again='' times=()
trap 'ended $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# phase TITLE NEXT COMMAND…: runs it and tells how long it took. NEXT is what to try if it fails.
phase() {
	local title=$1 began=$SECONDS
	current=$title again=$2
	shift 2
	echo "==> $title"
	"$@"
	echo "==> $title: $((SECONDS - began)) s"
	times+=("$(printf '%6d s  %s' $((SECONDS - began)) "$title")")
	current=''
}

# How long each phase took.
phase_times() {
	printf '    %s\n' "${times[@]}" "$(printf '%6d s  in all' "$SECONDS")"
}

ended() {
	if [ "$1" -eq 0 ] || [ -z "$current" ]; then return; fi
	case $1 in
	130 | 143) echo "==> stopped after $SECONDS s in: $current" >&2 ;;
	*)
		echo "==> FAILED after $SECONDS s: $current (exit code $1)" >&2
		echo "    next: $again" >&2
		;;
	esac
	echo "    then run $0 again; what is done is not done twice" >&2
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# alone COMMAND…: one at a time for this user. If a run is killed, what it has started goes on for a while and keeps the
# lock (file 9) until it ends, so that no two package managers or compilers work on the same files. What stays for good,
# such as a daemon, is started without the lock.
alone() {
	local lock=${XDG_CACHE_HOME:-$HOME/.cache}/devk-set-up.lock
	if ! command -v flock >/dev/null; then
		"$@"
		return
	fi
	mkdir -p "$(dirname "$lock")"
	exec 9>>"$lock"
	if ! flock --nonblock 9; then
		echo "    waiting for an earlier run, or what is left of it, to end (lock $lock)"
		flock 9
	fi
	"$@"
	exec 9>&-
}

# The Rust that Cargo.toml asks for, at least.
wanted_rust() {
	sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml
}

has_rust() {
	local have
	have=$(cargo --version 2>/dev/null | cut -d' ' -f2 || true)
	[ -n "$have" ] && printf '%s\n' "$(wanted_rust)" "$have" | sort -CV
}

install_rust() {
	if ! has_rust; then
		if ! command -v rustup >/dev/null; then
			curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs |
				sh -s -- -y --profile minimal --no-modify-path --default-toolchain none
		fi
		install_toolchain || mend_toolchain
		rustup default stable
	fi
	cargo --version
}

# Without an update of rustup itself: where a package of the system brings it, that fails.
install_toolchain() {
	rustup toolchain install stable --no-self-update --profile minimal --component clippy,rustfmt &&
		cargo +stable --version >/dev/null
}

# A toolchain whose installation was killed may be one that rustup can neither use nor complete. One that works stays:
# then something else is wrong, such as the network.
mend_toolchain() {
	if ! rustup toolchain list | grep -q '^stable' || cargo +stable --version >/dev/null 2>&1; then
		return 1
	fi
	rustup toolchain uninstall stable
	install_toolchain
}

# kind, helm, kubectl and docker compose: from their projects' releases where images can be pulled too, from the lab
# where they cannot.
install_tools() {
	local source=releases tools=$local_bin
	if [ "$manager" != brew ]; then
		source=$(cargo xtask lab source)
	fi
	if [ "$source" = lab ]; then
		cargo xtask lab 9>&-
		tools=$(cargo xtask lab --print-path)
	elif [ "$manager" = brew ]; then
		brew_tools
	else
		install_released_tools
	fi
	export PATH=$tools:$PATH
	kind version
	helm version --short
	kubectl version --client
	docker compose version
}

# The same versions as the lab's; what is on PATH already stays.
install_released_tools() {
	local arch versions kind kubernetes helm docker_compose
	arch=$(go_architecture)
	versions=$(cargo xtask lab versions)
	eval "$versions" # kind=v…, kubernetes=v…, helm=v…, docker_compose=v…
	mkdir -p "$local_bin"
	export PATH=$local_bin:$PATH
	command -v kind >/dev/null ||
		download "https://kind.sigs.k8s.io/dl/$kind/kind-linux-$arch" .sha256sum "$local_bin/kind"
	command -v kubectl >/dev/null ||
		download "https://dl.k8s.io/release/$kubernetes/bin/linux/$arch/kubectl" .sha256 "$local_bin/kubectl"
	command -v helm >/dev/null || install_helm "$helm" "$arch"
	docker compose version >/dev/null 2>&1 || install_compose "$docker_compose"
}

# The architecture as programs in Go name it.
go_architecture() {
	case $(uname -m) in
	x86_64 | amd64) echo amd64 ;;
	aarch64 | arm64) echo arm64 ;;
	*) uname -m ;;
	esac
}

install_helm() {
	local folder=$local_bin/.helm.part
	rm -rf "$folder"
	mkdir -p "$folder"
	download "https://get.helm.sh/helm-$1-linux-$2.tar.gz" .sha256sum "$folder/helm.tar.gz"
	tar -xzf "$folder/helm.tar.gz" -C "$folder"
	mv "$folder/linux-$2/helm" "$local_bin/helm"
	rm -r "$folder"
}

install_compose() {
	mkdir -p "$HOME/.docker/cli-plugins"
	download "https://github.com/docker/compose/releases/download/$1/docker-compose-linux-$(uname -m)" .sha256 \
		"$HOME/.docker/cli-plugins/docker-compose"
}

# download URL SUFFIX FILE: the file, executable, once its published checksum (at URL + SUFFIX) fits.
download() {
	local sum
	echo "fetching $1"
	curl -fsSL --retry 3 -o "$3.part" "$1"
	sum=$(curl -fsSL --retry 3 "$1$2" | cut -d' ' -f1)
	echo "$sum  $3.part" | sha256sum --check --quiet
	chmod +x "$3.part"
	mv "$3.part" "$3"
}

# The runner of the tests. Without debug information and optimisation it is compiled in half the time.
install_nextest() {
	if ! cargo nextest --version 2>/dev/null; then
		cargo install --locked --quiet --debug --config profile.dev.debug=false \
			--no-default-features --features default-no-update cargo-nextest@0.9.151
	fi
}

# Everything up to a working Docker, kind, helm and kubectl.
set_up_machine() {
	phase 'packages of the system' "$(packages_next)" alone install_packages
	phase 'Rust' 'install Rust with rustup (https://rustup.rs)' alone install_rust
	phase 'Docker' "$(docker_next)" alone start_docker
	phase 'kind, helm, kubectl, docker compose' 'look at the lines above' alone install_tools
}
