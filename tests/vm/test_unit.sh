#!/bin/bash
# test_unit.sh: units/ under a real systemd, see tests/vm/unit/run.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT
install -D -m 644 -t "$payload/tree/usr/lib/systemd/system" units/*.service units/*.slice
install -D -m 644 -t "$payload/tree/usr/lib/sysusers.d" units/sysusers.d/*.conf
install -D -m 644 -t "$payload/tree/usr/lib/tmpfiles.d" units/tmpfiles.d/*.conf
cp tests/vm/unit/run.sh "$payload"
tests/vm/vm run "$payload" "$out" "${1:-300}" || {
	status=$?
	grep -v kernel "$out/journal.txt" 2>/dev/null | tail -60 >&2 || :
	exit $status
}
