# shellcheck shell=bash
# What onboard and test share: phases with their times, and everything a machine needs before devk can be built and run.
# Every function may be called again and does only what is missing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
exec </dev/null # nothing here asks a question

local_bin=$HOME/.local/bin
current='' again=''
trap 'ended $?' EXIT

# phase TITLE NEXT COMMAND…: runs it and tells how long it took. NEXT is what to try if it fails.
phase() {
	local title=$1 began=$SECONDS
	current=$title again=$2
	shift 2
	echo "==> $title"
	"$@"
	echo "==> $title: $((SECONDS - began)) s"
	current=''
}

ended() {
	if [ "$1" -ne 0 ] && [ -n "$current" ]; then
		echo "==> FAILED after $SECONDS s: $current (exit code $1)" >&2
		echo "    next: $again, then run $0 again; what is done is not done twice" >&2
	fi
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian packages to build devk and to run the lab. Docker and what only the lab needs are installed by xtask.
install_packages() {
	local package missing=()
	for package in ca-certificates curl gcc git iptables libc6-dev procps; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
	fi
}

# Rust, at least the version that Cargo.toml asks for.
install_rust() {
	local wanted have
	export PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
	wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	have=$(cargo --version 2>/dev/null | cut -d' ' -f2 || true)
	if [ -n "$have" ] && printf '%s\n' "$wanted" "$have" | sort -CV; then
		echo "cargo $have"
		return
	fi
	if ! command -v rustup >/dev/null; then
		curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs | sh -s -- -y --profile minimal --no-modify-path
	fi
	rustup toolchain install stable --profile minimal --component clippy,rustfmt
	rustup default stable
}

start_docker() {
	cargo xtask lab docker
	docker version --format 'Docker {{.Server.Version}}'
}

# kind, helm, kubectl and docker compose: from their projects' releases where images can be pulled too, from the lab
# where they cannot.
install_tools() {
	local source tools
	source=$(cargo xtask lab source)
	if [ "$source" = lab ]; then
		cargo xtask lab
		tools=$(cargo xtask lab --print-path)
	else
		tools=$local_bin
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
	arch=$(dpkg --print-architecture)
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

install_helm() {
	local folder
	folder=$(mktemp -d)
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
	phase 'Debian packages' 'sudo apt-get update' install_packages
	phase 'Rust' 'install Rust with rustup' install_rust
	phase 'Docker' 'cargo xtask lab docker' start_docker
	phase 'kind, helm, kubectl, docker compose' 'cargo xtask lab' install_tools
}
