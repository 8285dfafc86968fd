#!/usr/bin/env bash
# Usage: setup/demo.sh run DIR
#        setup/demo.sh fault DIR KIND SEED
#
# run    shows the demo; its tables stay in DIR, in the place of those that an earlier demo left there.
# fault  plants a fault of that kind in a copy of the demo's tables, DIR.with-fault, and has `verify` find it; `list` in
#        the place of KIND lists the kinds. Where DIR is missing a short demo is run first. The demo's own tables stay as
#        they are.
#
# Only folders with the demo's pipeline file in them are ever removed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${CARGO_TARGET_DIR:-$PWD/target}/debug

fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# make_room DIR : removes what an earlier demo left there.
make_room() {
    [ -e "$1" ] || return 0
    grep -qsx 'pipeline: demo' "$1/pipeline.yaml" || fail "$1 is there and no demo's folder; name another one with DEMO_DIR="
    rm -rf "$1"
}

# set_dir DIR : the demo's folder, as an absolute path.
set_dir() {
    [ -n "${1:-}" ] || fail "usage: setup/demo.sh run|fault DIR"
    dir=$(realpath -m "$1")
}

case "${1:-}" in
    run)
        set_dir "${2:-}"
        make_room "$dir"
        "$bin/watertight" demo --dir "$dir"
        echo "  make demo-fault   # plants a fault in a copy of these tables: verify names it"
        ;;
    fault)
        set_dir "${2:-}"
        kind=${3:-bronze-row-dropped} seed=${4:-1}
        if [ "$kind" = list ]; then
            exec "$bin/watertight-mutants" list
        fi
        if [ ! -d "$dir/data/lake" ]; then
            echo "demo: no demo has been run in $dir; a short one first"
            make_room "$dir"
            "$bin/watertight" demo --for 15s --dir "$dir"
            echo
        fi
        copy=$dir.with-fault
        make_room "$copy"
        cp -Rp "$dir" "$copy"
        if ! "$bin/watertight-mutants" show "$kind" --seed "$seed" --program "$bin/watertight" -f "$copy/pipeline.yaml" \
            --lake "$copy/data/lake" --ledger "$copy/acknowledged.ledger"; then
            fail "the kinds: make demo-fault FAULT=list; another place for the same: SEED=2; other tables: make demo"
        fi
        echo
        echo "another fault: make demo-fault FAULT=silver-decimal-digit SEED=7; all kinds: make demo-fault FAULT=list"
        ;;
    *) fail "usage: setup/demo.sh run DIR | setup/demo.sh fault DIR KIND SEED" ;;
esac
