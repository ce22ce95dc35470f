#!/usr/bin/env bash
# test_sim.sh: on a host of 50 tenants clawsup's policy leads all others on availability and on needless actions, over
# twenty times sixty days of mixed weather. SIM_FULL=1 prints the tables of every model, and of one to 5,000 tenants.
# Exit 77 where the simulator was not built (make sim).
set -euo pipefail
cd "$(dirname "$0")/../.."
SIM=${CLAWSUP_BUILD:-build/release}/tests/sim/sim
[ -x "$SIM" ] || { echo "needs $SIM: make sim"; exit 77; }
"$SIM" --tenants=50 --days=60 --seeds=20 --check
# The same seed gives the same numbers, to the last digit.
[ "$("$SIM" --tenants=10 --days=5 --seed=7 --model=all)" = "$("$SIM" --tenants=10 --days=5 --seed=7 --model=all)" ] ||
    { echo "two runs of one seed differ"; exit 1; }
[ -n "${SIM_FULL:-}" ] || exit 0
"$SIM" --tenants=50 --days=60 --seeds=5 --model=all
for n in 1 500 5000; do
    "$SIM" --tenants=$n --days=$((n == 5000 ? 7 : 30)) --seeds=$((n == 1 ? 50 : 1))
done
# A healthcheck without the start period that it is given above.
"$SIM" --tenants=50 --days=30 --start-period=0
