#!/usr/bin/env bash
# test_model.sh: verifies recovery.pml, and that each of its guards is needed: without it Spin finds a counterexample.
# Exit 77 with the reason in the last line where Spin or a C compiler is missing.
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CC=${CC:-gcc}
for tool in spin "$CC"; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

# check NAME CLAIM OPTIMISATION FLAGS...: prints "ok", "counterexample" or "broken" and the number of states.
# CLAIM is "laws" (the assertions) or the name of a formula, which is judged under weak fairness.
check() {
    local dir="$TMP/$1" claim=$2 opt=$3 out rc what=(-DSAFETY -DNOCLAIM) run=()
    shift 3
    [ "$claim" = laws ] || { what=(-DNFAIR=4); run=(-a -f -N "$claim"); }
    mkdir "$dir" && cd "$dir" || return
    spin -a "$@" "$HERE/recovery.pml" >spin.log 2>&1 || { echo "broken: spin"; cat spin.log; return; }
    "$CC" -w "$opt" "${what[@]}" -o pan pan.c >cc.log 2>&1 || { echo "broken: $CC"; cat cc.log; return; }
    out=$(timeout 400 ./pan "${run[@]}" -m2000000 -w22 2>&1)
    rc=$?
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' <<<"$out")
    if [ $rc -ne 0 ] || grep -q -e 'max search depth too small' -e 'out of memory' <<<"$out"; then
        echo "broken: pan, exit $rc"
        tail -n 5 <<<"$out"
    elif grep -q 'errors: 0$' <<<"$out"; then
        echo "ok $states"
    elif grep -q -e 'assertion violated' -e 'acceptance cycle' <<<"$out"; then
        echo "counterexample $states"
    else
        echo "broken: no verdict"
        tail -n 5 <<<"$out"
    fi
}

# The model itself holds, whatever befalls it; a formula's run checks the assertions too. What takes longest comes
# first.
proofs=(
    "two-end-in-quarantine persistent -DN=2"
    "two-get-well recovers -DN=2"
    "people-and-crashes laws -DPEOPLE -DCRASHES"
    "people-proxies-lies laws -DPEOPLE -DPROXIES -DLIES"
    "apart laws -DPROXIES -DAPART"
    "down laws -DDOWN"
    "down-ends-in-quarantine persistent -DDOWN"
    "down-gets-well recovers -DDOWN"
    "ends-in-quarantine persistent -DPEOPLE -DPROXIES"
    "gets-well recovers -DPEOPLE -DPROXIES"
)
# Without one guard it does not.
mutants=(
    "NO_ENGINE laws"
    "NO_SETTLING laws"
    "NO_MASS laws"
    "NO_OBSERVE laws -DCRASHES"
    "NO_PAUSE laws -DPEOPLE"
    "NO_HELD laws -DPEOPLE"
    "NO_QUARANTINE laws"
    "NO_BUSY laws -DPEOPLE -DCAP=2"
    "NO_NEIGHBOUR laws -DPROXIES -DAPART"
    "NO_PROXY_BUSY laws -DPROXIES"
    "NO_DEPENDENCY laws -DPROXIES"
    "NO_IN_FLIGHT laws -DN=2"
    "NO_PUT_OFF laws"
    "NO_VOID laws -DLIES"
    "NO_UNKNOWN laws -DLIES"
    "NO_BUDGET laws -DCRASHES"
    "NO_INTENT laws -DCRASHES"
    "NO_ONCE laws -DDOWN"
    "NO_LISTED laws -DDOWN"
    "NO_TOP persistent"
    "NO_WAY_BACK recovers"
    "NO_SETTLED persistent"
    "NO_GIVE_BACK persistent"
)

jobs_max=$(nproc 2>/dev/null || echo 2)
start() { # NAME WANTED CLAIM OPTIMISATION FLAGS...
    local name=$1 wanted=$2
    shift 2
    while [ "$(jobs -rp | wc -l)" -ge "$jobs_max" ]; do wait -n; done
    (
        began=$SECONDS
        got=$(check "$name" "$@")
        printf '%s %s (%ds)\n' "$name" "$got" $((SECONDS - began)) >"$TMP/$name.said"
        [[ $got == "$wanted"* ]] || touch "$TMP/$name.failed"
    ) &
}
for p in "${proofs[@]}"; do
    read -r name claim flags <<<"$p"
    # shellcheck disable=SC2086 # flags are words
    start "$name" ok "$claim" -O1 $flags
done
for m in "${mutants[@]}"; do
    read -r name claim flags <<<"$m"
    # shellcheck disable=SC2086
    start "$name" counterexample "$claim" -O0 "-D$name" $flags
done
wait
cat "$TMP"/*.said
# A guard that the model has and this list does not is a guard that nobody shows to be needed.
missing=$(sed -n 's/.*\bdefined(\(NO_[A-Z_]*\)).*/\1/p; s/^#ifn\{0,1\}def \(NO_[A-Z_]*\).*/\1/p' "$HERE/recovery.pml" | sort -u |
    while read -r g; do printf '%s\n' "${mutants[@]}" | grep -q "^$g " || echo "$g"; done)
[ -z "$missing" ] || echo "not shown to be needed: $missing"
said=$(cat "$TMP"/*.said | wc -l)
failed=$(find "$TMP" -maxdepth 1 -name '*.failed' | wc -l)
echo "$said verified in ${SECONDS} s, $failed failed"
[ "$failed" = 0 ] && [ -z "$missing" ] && [ "$said" = $((${#proofs[@]} + ${#mutants[@]})) ]
