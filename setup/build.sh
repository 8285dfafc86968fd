#!/usr/bin/env bash
# Usage: setup/build.sh [-p PACKAGE]...
#
# Builds the program for `make demo`, and packages beside it, and says how long it took. The first build compiles the
# dependencies, DataFusion above all: about six minutes on two cores; a later one takes seconds.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ -x "$target/debug/watertight" ]; then
    echo "build: bringing the program up to date"
else
    echo "build: the first build takes about six minutes on two cores ($(nproc) here); later ones take seconds"
fi
SECONDS=0
cargo build --locked -p watertight "$@"
echo "build: done after $((SECONDS / 60)) min $((SECONDS % 60)) s"
