#!/bin/bash
# test_disk.sh: tenants' disks as images under the installed unit, with its device and capability rules: an agent fills its
# disk and nobody else's, the disk grows on reload, survives a restart and an unclean end, and is mounted before the gateway.
set -euo pipefail
cd "$(dirname "$0")/../.."

nice make -s all
payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT
nice make -s install DESTDIR="$payload/root" >/dev/null
rm -rf "$payload/root/usr/share/man" "$payload/root/usr/share/doc"
strip "$payload"/root/usr/*bin/* "$payload"/root/usr/libexec/clawsup/*
cp tests/vm/disk/run.sh "$payload"
# Not every guest has the libraries that the command line wants: what was built here brings its own along.
install -D /usr/lib/x86_64-linux-gnu/libyaml-0.so.2 "$payload/root/usr/lib/x86_64-linux-gnu/libyaml-0.so.2"
[ "${SUITE:-bookworm}" = bookworm ] || install -D /usr/lib/x86_64-linux-gnu/libconfig.so.9 "$payload/root/usr/lib/x86_64-linux-gnu/libconfig.so.9"
tests/vm/vm run "$payload" "$out" "${1:-400}" || {
	status=$?
	grep -a clawsup "$out/journal.txt" 2>/dev/null | tail -150 >&2 || :
	exit $status
}
