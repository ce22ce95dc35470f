#!/bin/bash
# test_attacks.sh: tests/attack against the newer engine of Debian 13's guest (SUITE=bookworm for the older one). Runs inside
# the guest, where engine, proxy and binds see the same files; the guest has no Python, so this machine's goes along.
# Translated, a test takes seconds: by default only what the engine itself has a part in, for a refused request never reaches
# it. ATTACKS= runs all of test_attacks.py (7 min), another value is a pytest -k expression. Skips (77) where that guest was
# never built. Landlock is proved here too: the guest's kernel has it.
# guests: trixie
set -euo pipefail
cd "$(dirname "$0")/../.."
export SUITE=${SUITE:-trixie}

[ -f "$(tests/vm/vm path)/vm.state" ] || { echo "the guest $SUITE is not built (SUITE=$SUITE tests/vm/vm build)"; exit 77; }
/usr/bin/python3 -c 'import pytest' 2>/dev/null || { echo "no python3-pytest"; exit 77; }
nice make -s build/release/clawsup-proxy build/release/tests/unit/test_sandbox
payload=$(mktemp -d) out=$(mktemp -d)
trap 'rm -rf "$payload" "$out"' EXIT

version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
root=$payload/root
install -D "$(readlink -f /usr/bin/python3)" "$root/usr/bin/python3"
mkdir -p "$root/usr/lib/python3/dist-packages" "$root/opt/lib" "$root/clawsup/tests" "$root/clawsup/build/release"
# Without the parts that are large and of no use here.
tar c -C /usr/lib --exclude="config-$version*" --exclude=test --exclude=lib2to3 --exclude=pydoc_data --exclude=distutils \
	--exclude=asyncio --exclude=idlelib --exclude=tkinter --exclude=ensurepip --exclude=sqlite3 "python$version" | tar x -C "$root/usr/lib"
for p in py _pytest pytest pluggy iniconfig packaging attr attrs exceptiongroup tomli; do
	cp -a /usr/lib/python3/dist-packages/$p* "$root/usr/lib/python3/dist-packages/" 2>/dev/null || :
done
rm -rf "$root"/usr/lib/python3/dist-packages/pytest_* # plugins stay here
# What they link to and the guest may have in another version: used by Python alone, not by the proxy.
ldd "$root/usr/bin/python3" "/usr/lib/python$version"/lib-dynload/*.so | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
	grep -vE '/(libc|libm|libdl|libpthread|librt|libgcc_s)\.so' | xargs -I{} cp -L {} "$root/opt/lib/"
cp -a tests/conftest.py tests/attack tests/support "$root/clawsup/tests/"
mkdir -p "$root/clawsup/contrib"
cp -a contrib/docs "$root/clawsup/contrib/"
find "$root/clawsup" -name __pycache__ -prune -exec rm -r {} +
cp build/release/clawsup-proxy "$root/clawsup/build/release/"
strip "$root/clawsup/build/release/clawsup-proxy"
cp tests/vm/attacks/run.sh "$payload"
printf '%s\n' "${ATTACKS-limits or rewritten or mismatch}" > "$payload/only"
cp build/release/tests/unit/test_sandbox "$root/clawsup/build/release/"
strip "$root/clawsup/build/release/test_sandbox"
ldd build/release/tests/unit/test_sandbox | awk '$2 == "=>" && $3 ~ /^\// {print $3}' |
	grep -vE '/(libc|libm|libdl|libpthread|librt|libgcc_s)\.so' | xargs -I{} cp -L {} "$root/opt/lib/"
tests/vm/vm run "$payload" "$out" "${1:-300}"
