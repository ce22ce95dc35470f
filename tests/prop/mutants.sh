#!/usr/bin/env bash
# mutants.sh [NAME...]: breaks the recovery core on purpose, one rule at a time, and shows that prop_recovery finds each
# breakage. What only matters where the proxy is a container of its own is left to the unit tests. By hand (some minutes): `make prop-tests && tests/prop/mutants.sh`. COUNT (5000) histories each, from SEED.
set -uo pipefail
cd "$(dirname "$0")/../.."
CC=${CC:-gcc} B=build/release
export COUNT=${COUNT:-5000} SEED=${SEED:-1}
[ -f $B/librecovery.a ] && ls $B/obj/tests/prop/*.o >/dev/null || { echo "needs make prop-tests"; exit 77; }
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

# NAME|FILE of supervisor/recovery|what sed does to it
mutants=(
    'engine-guard|host|s/if \(\(g & GATE_ENGINE\) && r->engine_down\)/if (0)/'
    'settling-guard|host|s/if \(\(g & GATE_SETTLING\) && /if (0 \&\& /'
    'safe-guard|host|s/if \(\(g & GATE_SAFE\) && /if (0 \&\& /'
    'grace-guard|host|s/if \(\(g & GATE_GRACE\) && /if (0 \&\& /'
    'observe-guard|host|s/if \(\(g & GATE_OBSERVE\) && /if (0 \&\& /'
    'mass-guard|host|s/if \(\(g & GATE_MASS\) && r->mass.on && /if (0 \&\& /'
    'canaries-not-counted|host|s/r->mass\.left--;//'
    'one-too-many-restarts|host|s/r->restarts_in_flight >= r->p/r->restarts_in_flight > r->p/'
    'one-too-many-redeploys|host|s/\? r->redeploys_in_flight >= r->p/? r->redeploys_in_flight > r->p/'
    'place-not-given-back|host|s/\*n -= \*n > 0;//'
    'no-tokens|host|s/\(g & GATE_TOKENS\) && r->tokens == 0/0/'
    'outage-keeps-failures|host|s/r->epoch\+\+;//'
    'pause-guard|tenant|s/if \(!p->op && t->pause_until_us > now_us\)/if (0)/'
    'busy-guard|tenant|s/if \(t->busy != 0\)$/if (0)/'
    'dependency-guard|tenant|s/if \(!dependencies_good\(c\)\)/if (0)/'
    'hour-of-restarts|budget|s/now_us\) < p->restarts_per_hour/now_us) <= p->restarts_per_hour/'
    'day-of-restarts|budget|s/now_us\) < p->restarts_per_day/now_us) <= p->restarts_per_day/'
    'day-of-redeploys|budget|s/now_us\) < t->p\.redeploys_per_day/now_us) <= t->p.redeploys_per_day/'
    'minute-of-relaunches|budget|s/now_us\) < p->relaunches_per_minute/now_us) <= p->relaunches_per_minute/'
    'hour-of-relaunches|budget|s/now_us\) < p->relaunches_per_hour/now_us) < 1000/'
    'gap-of-redeploys|ladder|s/if \(gap_end > \(int64_t\)due\)/if (0)/'
    'restarts-forgotten-by-a-crash|recovery|s/history_add\(&t->c\[component\]->restarts, at\);/;/'
    'redeploys-forgotten-by-a-crash|recovery|s/history_add\(&t->redeploys, at\);/;/'
    'quarantine-forgotten-by-a-crash|recovery|s/if \(t->restored_quarantine\)/if (0)/;s/put_in_quarantine\(&x, t->c\[i\]\);//'
    'hold-forgotten-by-a-crash|recovery|s/put_in_hold\(&x, t->c\[i\]\);//;s/if \(t->restored_hold_until_us > r->now_us\)/if (0)/'
    'rung-left-early|ladder|s/if \(c->tries\[level\] >= ladder_rung\(&c->t->p, level\)->attempts\)/if (c->tries[level] * 2 >= ladder_rung(\&c->t->p, level)->attempts)/'
    'first-rung-skipped|ladder|s/l = MAX\(c->level, REC_L1\)/l = MAX(c->level, REC_L2)/'
    'delays-too-long|ladder|s/delay_us \* 0\.25/delay_us * 0.3/'
    'delays-too-short|ladder|s/time_add\(delay_us, \(uint64_t\)\(\(double\)delay_us \* 0\.25/time_add(delay_us - delay_us \/ 100, (uint64_t)((double)delay_us * 0.25/'
    'backoff-does-not-double|ladder|s/USEC_INFINITY : delay \* 2;/USEC_INFINITY : delay * 3;/'
    'trial-too-early|ladder|s/time_add\(x->now_us, ladder_spread\(x, p->half_open_us\)\)/time_add(x->now_us, p->half_open_us \/ 2)/'
    'starts-again-too-early|ladder|s/MIN\(delay, p->half_open_us\)\)/MIN(delay, p->half_open_us) \/ 2)/;s/time_add\(x->now_us, p->start_again_us\)/0/'
    'start-put-off-by-lists|seen|s/if \(x->listed && x->was == REC_STOPPED\)/if (0)/'
    'unknown-is-failed|recovery|s/else if \(result == REC_PROBE_FAIL &&/else if (result != REC_PROBE_OK \&\&/'
    'unknown-is-good|recovery|s/if \(result == REC_PROBE_OK\)/if (result != REC_PROBE_FAIL)/'
    'no-patience|patience|s/ && now_us >= patience_until\(c, now_us\)//'
    'two-failures-are-three|patience|s/c->fails >= c->p\.fall/c->fails + 1 >= c->p.fall/'
    'good-probes-do-not-count|component|s/^    c->fails = 0;$//'
    'stale-probes|recovery|s/MAX\(c->void_before_us, r->void_before_us\)/0/'
    'stale-probes-after-a-jump|recovery|s/MAX\(c->void_before_us, r->void_before_us\)/c->void_before_us/'
    'hold-ignored|seen|s/component_enter\(x, c, REC_HELD, "stopped by an operator"\);/component_failed(x, c, true, "exited");/'
    'quarantine-for-ever|component|s/^    c->quarantined = false;$//'
    'no-trial|component|s/ladder_trial\(x, c\);/;/'
    'no-calm|component|s/ladder_reset\(c\);/;/'
    'old-removed-before-verified|saga|s/ok \? go\(s, SAGA_OP_VERIFY\)/ok ? go(s, SAGA_OP_REMOVE_OLD)/'
    'two-gateways-run|saga|s/go\(s, s->had_old \? SAGA_OP_STOP_OLD : SAGA_OP_START_NEW\)/go(s, SAGA_OP_START_NEW)/'
    'no-way-back|saga|s/s->had_old \? go\(s, SAGA_OP_REMOVE_NEW\) : end\(s, SAGA_LEFT\)/end(s, SAGA_LEFT)/'
)

tried=0 failed=0
for m in "${mutants[@]}"; do
    IFS='|' read -r name file change <<<"$m"
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    tried=$((tried + 1))
    src=supervisor/recovery/$file.c
    sed -E "$change" "$src" >"$TMP/$file.c"
    if cmp -s "$src" "$TMP/$file.c"; then
        echo "$name: changes nothing in $src any more"
        failed=$((failed + 1))
        continue
    fi
    cp $B/librecovery.a "$TMP/lib.a"
    if ! "$CC" -w -std=gnu17 -O2 -D_GNU_SOURCE -Isupervisor -I. -c -o "$TMP/$file.o" "$TMP/$file.c" ||
        ! ar r "$TMP/lib.a" "$TMP/$file.o" 2>/dev/null ||
        ! "$CC" -pie -o "$TMP/prop" $B/obj/tests/prop/*.o "$TMP/lib.a" $B/libbase.a -lm; then
        echo "$name: does not build"
        failed=$((failed + 1))
        continue
    fi
    timeout 120 "$TMP/prop" >"$TMP/log" 2>&1
    rc=$?
    if [ $rc -eq 124 ]; then
        echo "$name: found, it does not end"
    elif [ $rc -eq 1 ] && grep -q 'is violated' "$TMP/log"; then
        echo "$name: found, $(sed -n 's/^seed \([0-9]*\): invariant \([0-9]*\).*/seed \1, invariant \2/p' "$TMP/log" | head -n 1)"
    else
        echo "$name: NOT FOUND (exit $rc)"
        failed=$((failed + 1))
    fi
done
echo "$tried mutants, $failed not found"
[ $failed -eq 0 ] && [ $tried -gt 0 ]
