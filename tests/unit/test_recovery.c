/* test_recovery.c: the recovery core on virtual time: each rung, guard, hold and budget, the proxy's
 * relaunch, mass failure, and what survives a restart of the daemon. */
#include "tests/unit/recovery_world.h"

/* ---- the way up */
Test(recovery, a_running_container_is_adopted)
{
    struct world w;
    uint32_t t = lone(&w);

    cr_assert_eq(w.starts, 0);
    cr_assert_eq(tenant_view(&w, t).level, REC_L0);
    end(&w);
}

Test(recovery, the_proxy_comes_first_then_the_gateway)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 30 * SEC);
    t = add(&w, "a", true);
    seen(&w, t, GATEWAY, REC_MISSING);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, t, GATEWAY).held_by, "dependency");
    seen(&w, t, PROXY, REC_MISSING);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    cr_assert_eq(w.last.component, PROXY);
    done(&w, REC_DONE_OK);
    probe(&w, t, PROXY, REC_PROBE_OK);
    cr_assert_eq(w.starts, 1, "one good probe is not healthy yet");
    probe(&w, t, PROXY, REC_PROBE_OK);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    cr_assert_eq(w.last.component, GATEWAY);
    done(&w, REC_DONE_OK);
    cr_assert_eq(view(&w, t, GATEWAY).state, REC_STARTING);
    good(&w, t, GATEWAY);
    cr_assert_eq(view(&w, t, GATEWAY).state, REC_HEALTHY);
    cr_assert_eq(tenant_view(&w, t).level, REC_L0);
    end(&w);
}

/* ---- the ladder */
Test(recovery, every_rung_in_turn_then_quarantine)
{
    struct world w;
    uint32_t t = lone(&w);
    static const struct {
        enum rec_action_type type;
        enum rec_level level;
        uint64_t delay;
    } want[] = {
        {REC_ACT_RESTART, REC_L1, 0},
        {REC_ACT_RESTART, REC_L1, 5 * SEC},
        {REC_ACT_RESTART, REC_L1, 20 * SEC},
        {REC_ACT_RESTART_ALL, REC_L2, 30 * SEC},
        {REC_ACT_RESTART_ALL, REC_L2, 60 * SEC},
        {REC_ACT_REDEPLOY, REC_L3, 60 * SEC},
        {REC_ACT_REDEPLOY, REC_L3, 15 * MINUTE},
    };

    w.jitter = 0.5;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        uint64_t from = w.now;

        exited(&w, t, 0); /* DONE_OK, and dead again at once: each is a failed attempt */
        if (want[i].delay > 0)
            cr_assert(run_to_start(&w, from + 20 * MINUTE), "attempt %zu", i);
        cr_assert_eq(w.starts, i + 1);
        cr_assert_eq(w.last.type, want[i].type, "attempt %zu", i);
        cr_assert_eq(w.last.level, want[i].level);
        cr_assert_geq(w.now - from, want[i].delay);
        cr_assert_leq(w.now - from, want[i].delay * 5 / 4 + 1);
        done(&w, REC_DONE_OK);
        cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    }
    cr_assert_eq(w.alerts, 0);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert(tenant_view(&w, t).quarantined);
    cr_assert_eq(tenant_view(&w, t).level, REC_L4);
    cr_assert_eq(w.alerts, 1);
    cr_assert_eq(recovery_probe_interval(w.r, t, 0), MINUTE);
    cr_assert_leq(w.now - T0, 30 * MINUTE);
    end(&w);
}

Test(recovery, attempts_are_told)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    cr_assert_eq(w.last.attempt, 1);
    cr_assert_eq(w.last.attempts, 3);
    done(&w, REC_DONE_FAILED);
    cr_assert_eq(view(&w, t, 0).next_attempt, 2);
    cr_assert_eq(view(&w, t, 0).next_attempts, 3);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L1);
    cr_assert_eq(view(&w, t, 0).next_us, w.now + 5 * SEC);
    end(&w);
}

Test(recovery, fall_probes_and_then_the_first_restart_at_once)
{
    struct world w;
    uint32_t t = lone(&w);

    cr_assert_eq(recovery_probe_interval(w.r, t, 0), 2 * SEC);
    probe(&w, t, 0, REC_PROBE_FAIL);
    cr_assert_eq(view(&w, t, 0).state, REC_SUSPECT);
    cr_assert_eq(recovery_probe_interval(w.r, t, 0), 250 * USEC_PER_MSEC);
    probe(&w, t, 0, REC_PROBE_UNKNOWN);
    probe(&w, t, 0, REC_PROBE_UNKNOWN);
    probe(&w, t, 0, REC_PROBE_FAIL);
    cr_assert_eq(view(&w, t, 0).fails, 2, "UNKNOWN never counts");
    cr_assert_eq(w.starts, 0);
    probe(&w, t, 0, REC_PROBE_FAIL);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(w.last.level, REC_L1);
    end(&w);
}
