#!/bin/bash
# test_package.sh: Debian's package: built twice with one hash, clean under lintian, then in the guest installed (disabled),
# configured, upgraded with a tenant running, removed and purged; and the tutorial's commands as they are written.
set -euo pipefail
cd "$(dirname "$0")/../.."

need=()
for p in dpkg-dev debhelper lintian fakeroot apparmor; do dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || need+=("$p"); done
[ ${#need[@]} = 0 ] || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${need[@]}"; } >/dev/null
payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT

nice make -s deb >/dev/null
deb=$(ls build/dist/clawsup_*.deb)
first=$(sha256sum <"$deb")
[ -z "${VM_LONG:-}" ] || { nice make -s deb >/dev/null; [ "$first" = "$(sha256sum <"$deb")" ] || { echo "two builds differ"; exit 1; }; }
lintian --fail-on error --suppress-tags non-standard-dir-perm,non-standard-file-perm "$deb" 2>/dev/null || { echo "lintian found errors"; exit 1; }
apparmor_parser -QT contrib/apparmor/clawsup-proxy || { echo "the AppArmor profile does not parse"; exit 1; }
# An older one to upgrade from: the same files under a lower version.
dpkg-deb -R "$deb" "$payload/old"
sed -i 's/^Version: .*/Version: 0.0.1/' "$payload/old/DEBIAN/control"
dpkg-deb --root-owner-group -Znone -b "$payload/old" "$payload/old.deb" >/dev/null
rm -rf "$payload/old"
cp "$deb" "$payload/new.deb"
# The guest has no network: what its image lacks comes along.
(cd "$payload" && apt-get -qq -o APT::Sandbox::User=root download libyaml-0-2 >/dev/null)
cp tests/vm/package/run.sh "$payload"
# The tutorial's commands as they are written.
awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' contrib/docs/tutorial.md >"$payload/tutorial.sh"
tests/vm/vm run "$payload" "$out" "${1:-400}" || {
	status=$?
	grep -a clawsup "$out/journal.txt" 2>/dev/null | tail -80 >&2 || :
	exit $status
}
