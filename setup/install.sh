#!/usr/bin/env bash
# Usage: setup/install.sh demo|test|soak
#
# Installs what is missing for `make demo`, `make test` or `make soak` on a fresh Debian machine, says what and why,
# and does nothing the second time. System packages come through apt-get (as root, or with sudo; otherwise the command
# to run is printed); everything else goes into the cache outside the clone:
#   $WATERTIGHT_CACHE          default ~/.cache/watertight
#     target/                  what cargo builds
#     readers-venv/            deltalake, DuckDB and Polars for Python, which read our tables in the tests
#     datasets/                real data the tests and examples are fed with
#     kafka/                   Apache Kafka, which tests and examples run against
# All downloads go through the machine's own configuration of apt, rustup, cargo, pip, npm and Maven.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${WATERTIGHT_CACHE:-$HOME/.cache/watertight}
export PATH="$HOME/.cargo/bin:$PATH"
export WATERTIGHT_CACHE=$cache CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

vega_datasets_version=3.2.1
earthquakes_sha256=a42702a83ffbae679f95d1fa53e2cae0bae13b21e599a68cdd50a44fc52129f7
sp500_sha256=9409e9342d0657c747324e4cfabce8a8c7f663bc485b95a3378f36b0a160f8c8

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# apt_install PACKAGE... : installs system packages, or says how to.
apt_install() {
    command -v apt-get >/dev/null || fail "this is not Debian; install the equivalent of: $*"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            fail "needs root; run: sudo apt-get install --no-install-recommends $* (then start again)"
        fi
        as_root=(sudo -n)
    fi
    say "apt-get install $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# What the crash tests need beside root: file systems to cut off, and system calls to watch.
fault_tools() {
    local missing=()
    command -v mkfs.ext4 >/dev/null || [ -x /sbin/mkfs.ext4 ] || missing+=(e2fsprogs)
    command -v strace >/dev/null || missing+=(strace)
    command -v mount >/dev/null || missing+=(mount)
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    say "${missing[*]} missing: the crash tests cut the power of small file systems and watch system calls"
    apt_install "${missing[@]}"
}

# What counts instructions: a figure that no load on the machine changes.
counting_tools() {
    if command -v valgrind >/dev/null; then return; fi
    say "valgrind is missing: the tests count what decoding, the duplicate index and encoding take"
    apt_install valgrind
}

c_compiler() {
    if command -v cc >/dev/null && echo 'int main(void){return 0;}' | cc -xc - -o /dev/null 2>/dev/null; then return; fi
    say "a C compiler is missing: zstd and the allocator are C, and Rust links with it"
    apt_install gcc libc6-dev
}

# librdkafka, the client of Kafka, is built by its own configure script and makefile against the system's OpenSSL, zlib and
# curl (docs/adr/0016). The script wants a C++ compiler too, and gcc by that name or clang.
kafka_client() {
    local missing=()
    has_header() { echo "#include <$1>" | cc -E - >/dev/null 2>&1; }
    command -v g++ >/dev/null || command -v clang++ >/dev/null || missing+=(g++)
    command -v gcc >/dev/null || command -v clang >/dev/null || missing+=(gcc)
    command -v make >/dev/null || missing+=(make)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    has_header openssl/ssl.h || missing+=(libssl-dev)
    has_header zlib.h || missing+=(zlib1g-dev)
    # Without it nothing fails, and no token can be fetched.
    { has_header curl/curl.h && pkg-config --exists libcurl; } || missing+=(libcurl4-openssl-dev)
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    say "${missing[*]} missing: the Kafka client is C, encrypts with OpenSSL and fetches tokens with curl"
    apt_install "${missing[@]}"
}

rust() {
    local wanted
    wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$here/rust-toolchain.toml")
    if ! command -v cargo >/dev/null && ! command -v rustup >/dev/null; then
        say "Rust $wanted is missing; Debian's own rustc is too old, so rustup is needed"
        apt-cache madison rustup 2>/dev/null | grep -q rustup ||
            fail "install rustup (https://rustup.rs: its installer with --default-toolchain $wanted, or apt-get install rustup on Debian 13), then start again"
        apt_install rustup
    fi
    if command -v rustup >/dev/null; then
        if ! rustup run "$wanted" rustc --version >/dev/null 2>&1; then
            say "rustup toolchain install $wanted: the toolchain rust-toolchain.toml names"
            rustup toolchain install "$wanted" --profile minimal --component clippy --component rustfmt
        fi
        for component in clippy rustfmt; do
            if ! rustup component list --toolchain "$wanted" --installed | grep -q "^$component"; then
                say "rustup component add $component"
                rustup component add --toolchain "$wanted" "$component"
            fi
        done
        return
    fi
    local found
    found=$(rustc --version | cut -d' ' -f2)
    if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" != "$wanted" ]; then
        fail "rustc $found is too old, $wanted is needed; install rustup (https://rustup.rs), then start again"
    fi
}

# Cargo's downloads, fetched before anything runs, so that a failing network is named as one.
crates() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    (cd "$here" && cargo metadata --locked --offline --format-version 1 --filter-platform "$host" >/dev/null 2>&1) && return
    say "cargo fetch: the dependencies in Cargo.lock"
    (cd "$here" && cargo fetch --locked --target "$host" --quiet)
}

readers() {
    local wanted=$here/tests/readers/requirements.txt venv=$cache/readers-venv
    if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/installed.txt"; then return; fi
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        say "python3-venv is missing: the tests read our tables with readers from Python"
        apt_install python3 python3-venv
    fi
    say "pip install: deltalake, DuckDB and Polars into $venv, to read our tables with (about 650 MB)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
    # Last, so that an interrupted installation is begun again.
    cp "$wanted" "$venv/installed.txt"
}

datasets() {
    local folder=$cache/datasets
    if datasets_are_whole "$folder"; then return; fi
    if ! command -v npm >/dev/null; then
        say "npm is missing: the real data set of the tests is a package there"
        apt_install npm
    fi
    say "npm pack vega-datasets@$vega_datasets_version: a week of real earthquakes (USGS) and share prices, into $folder"
    local scratch
    scratch=$(mktemp -d)
    (cd "$scratch" && npm pack --silent "vega-datasets@$vega_datasets_version" >/dev/null)
    tar -xzf "$scratch"/vega-datasets-*.tgz -C "$scratch" package/data/earthquakes.json package/data/sp500-2000.csv
    # The published document is one JSON object; the events of it, one per line, are what a producer takes.
    "$cache/readers-venv/bin/python" -c 'if True:
        import json, sys
        for feature in json.load(sys.stdin)["features"]:
            print(json.dumps(feature, separators=(",", ":"), ensure_ascii=False))
        ' <"$scratch/package/data/earthquakes.json" >"$scratch/package/data/earthquakes.jsonl"
    mkdir -p "$folder"
    mv "$scratch"/package/data/* "$folder/"
    rm -rf "$scratch"
    datasets_are_whole "$folder" || fail "the data sets in $folder are not those of vega-datasets $vega_datasets_version"
}

datasets_are_whole() {
    [ -f "$1/earthquakes.json" ] && [ -s "$1/earthquakes.jsonl" ] && [ -f "$1/sp500-2000.csv" ] &&
        printf '%s  %s\n' "$earthquakes_sha256" "$1/earthquakes.json" "$sp500_sha256" "$1/sp500-2000.csv" |
        sha256sum --check --status
}

# Which version of Kafka, of what it consists and whether it is there is known in one place only: crates/lab.
kafka() {
    local missing=()
    command -v java >/dev/null || missing+=(default-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    if [ "${#missing[@]}" -gt 0 ]; then
        say "${missing[*]} missing: the tests run against real Kafka, which Maven fetches and Java runs"
        apt_install "${missing[@]}"
    fi
    if ! command -v openssl >/dev/null; then
        say "openssl is missing: the tests reach Kafka over TLS too, and make the certificates for it"
        apt_install openssl
    fi
    (cd "$here" && cargo xtask lab install) || fail "Kafka could not be put into $cache/kafka; see above"
}

mkdir -p "$cache"
case "${1:-}" in
    demo) c_compiler; kafka_client; rust; crates ;;
    soak) c_compiler; kafka_client; rust; crates; fault_tools; kafka ;;
    test) c_compiler; kafka_client; rust; crates; fault_tools; counting_tools; readers; datasets; kafka ;;
    *) fail "usage: setup/install.sh demo|test|soak" ;;
esac
say "everything for \`make $1\` is there"
