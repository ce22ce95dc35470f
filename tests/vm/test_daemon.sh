#!/bin/bash
# test_daemon.sh: clawsupd as `make install` installs it, under systemd on cgroup v2 with a real engine: the unit, the slice,
# the tenant's limits in force, restart of the daemon, of the engine, the watchdog.
# guests in full: bookworm trixie
set -euo pipefail
cd "$(dirname "$0")/../.."

nice make -s all
payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT
nice make -s install DESTDIR="$payload/root" >/dev/null
rm -rf "$payload/root/usr/share/man" "$payload/root/usr/share/doc"
strip "$payload"/root/usr/*bin/* "$payload"/root/usr/libexec/clawsup/*
cp tests/vm/daemon/run.sh "$payload"
# Not every guest has the libraries that the command line wants: what was built here brings its own along.
install -D /usr/lib/x86_64-linux-gnu/libyaml-0.so.2 "$payload/root/usr/lib/x86_64-linux-gnu/libyaml-0.so.2"
[ "${SUITE:-bookworm}" = bookworm ] || install -D /usr/lib/x86_64-linux-gnu/libconfig.so.9 "$payload/root/usr/lib/x86_64-linux-gnu/libconfig.so.9"
tests/vm/vm run "$payload" "$out" "${1:-400}" || {
	status=$?
	grep -a clawsup "$out/journal.txt" 2>/dev/null | tail -150 >&2 || :
	exit $status
}
