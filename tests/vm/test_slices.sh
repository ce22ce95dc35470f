#!/bin/bash
# test_slices.sh: tenant slices over D-Bus in the virtual machine: the values in force in the cgroup files, a
# container inside the slice, drift found and repaired, a clean stop.
# guests in full: bookworm trixie
set -euo pipefail
cd "$(dirname "$0")/../.."

nice make -s build/release/tests/support/slice_tool
payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT
cp build/release/tests/support/slice_tool tests/vm/slice/run.sh "$payload"
tests/vm/vm run "$payload" "$out" "${1:-240}" || {
	status=$?
	cat "$out/journal.txt" 2>/dev/null | tail -100 >&2 || :
	exit $status
}
