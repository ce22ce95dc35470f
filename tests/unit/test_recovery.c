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
        {REC_ACT_RESTART, REC_L1, 0}, {REC_ACT_RESTART, REC_L1, 5 * SEC}, {REC_ACT_RESTART, REC_L1, 20 * SEC},
        {REC_ACT_REDEPLOY, REC_L3, 60 * SEC}, /* nobody else is in this tenant: L2 would be L1 */
    };

    w.jitter = 0.5;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        uint64_t from = w.now;

        exited(&w, t, 0); /* each time it comes up, and dies before it is verified */
        if (want[i].delay > 0)
            cr_assert(run_to_start(&w, from + 20 * MINUTE), "attempt %zu", i);
        cr_assert_eq(w.starts, i + 1);
        cr_assert_eq(w.last.type, want[i].type, "attempt %zu", i);
        cr_assert_eq(w.last.level, want[i].level);
        cr_assert_geq(w.now - from, want[i].delay);
        cr_assert_leq(w.now - from, want[i].delay * 5 / 4 + 1);
        done(&w, REC_DONE_OK);
        cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
        good(&w, t, 0);
    }
    w.alerts = 0; /* it flaps, which was told */
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert(tenant_view(&w, t).quarantined);
    cr_assert_eq(tenant_view(&w, t).level, REC_L4);
    cr_assert_eq(w.alerts, 1);
    cr_assert_eq(recovery_probe_interval(w.r, t, 0), MINUTE);
    cr_assert_leq(w.now - T0, 30 * MINUTE);
    end(&w);
}

/* The same again would not help: an attempt after which it never came up is not repeated. */
Test(recovery, a_rung_that_brings_nothing_up_is_used_up)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    done(&w, REC_DONE_OK);
    probe(&w, t, 0, REC_PROBE_OK);
    exited(&w, t, 0); /* one good probe is not up */
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    cr_assert(run_to_start(&w, w.now + 2 * MINUTE));
    done(&w, REC_DONE_ROLLED_BACK);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_eq(w.alerts, 1);
    end(&w);
}

/* A sidecar proxy has its gateway standing on it: a restart of all is more than one of itself. */
Test(recovery, a_restart_of_all_is_for_what_others_stand_on)
{
    struct world w;
    uint32_t t = sidecar_pair(&w);

    exited(&w, t, 0);
    done(&w, REC_DONE_OK);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L2);
    good(&w, t, 0);
    run(&w, w.now + 60 * SEC);
    exited(&w, t, 1);
    done(&w, REC_DONE_OK);
    exited(&w, t, 1);
    cr_assert_eq(view(&w, t, 1).next_level, REC_L3, "its proxy serves, and nothing stands on it");
    end(&w);
}

/* Nor is it when another one of the tenant is in trouble as well. */
Test(recovery, a_restart_of_all_is_for_more_than_one_that_fails)
{
    struct world w;
    uint32_t t = pair(&w);

    exited(&w, t, GATEWAY);
    done(&w, REC_DONE_OK);
    probe(&w, t, PROXY, REC_PROBE_FAIL);
    exited(&w, t, GATEWAY);
    cr_assert_eq(view(&w, t, GATEWAY).next_level, REC_L2);
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

Test(recovery, verified_means_rise_and_then_stable)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t from;

    bad(&w, t, 0);
    done(&w, REC_DONE_OK);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    probe(&w, t, 0, REC_PROBE_FAIL); /* until the first success only successes count */
    bad(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).fails, 0);
    good(&w, t, 0);
    from = w.now;
    run(&w, from + 59 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    run(&w, from + 60 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery, a_restart_that_does_not_come_up_in_time_is_not_repeated)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t from;

    bad(&w, t, 0);
    done(&w, REC_DONE_OK);
    from = w.now;
    cr_assert(run_to_start(&w, from + 400 * SEC));
    cr_assert_eq(w.now, from + 360 * SEC, "start deadline, then the delay of the next rung");
    cr_assert_eq(w.last.level, REC_L3);
    end(&w);
}

Test(recovery, levels_go_down_one_by_one)
{
    struct world w;
    uint32_t t = lone(&w);

    for (int i = 0; i < 2; i++) {
        exited(&w, t, 0);
        run_to_start(&w, w.now + 2 * MINUTE);
        done(&w, REC_DONE_OK);
    }
    cr_assert_eq(w.last.level, REC_L3);
    good(&w, t, 0);
    run(&w, w.now + 180 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(tenant_view(&w, t).level, REC_L3);
    run(&w, w.now + 9 * MINUTE);
    probe(&w, t, 0, REC_PROBE_FAIL); /* a blip is no illness */
    good(&w, t, 0);
    run(&w, w.now + MINUTE);
    cr_assert_eq(tenant_view(&w, t).level, REC_L2);
    run(&w, w.now + 10 * MINUTE);
    cr_assert_eq(tenant_view(&w, t).level, REC_L1);
    run(&w, w.now + 10 * MINUTE);
    cr_assert_eq(tenant_view(&w, t).level, REC_L0);
    cr_assert_eq(restarts_hour(&w, t, 0), 1, "success clears no budget");
    cr_assert_eq(tenant_view(&w, t).redeploys_day, 1);
    end(&w);
}

Test(recovery, rolled_back_and_failed_redeploys_are_attempts)
{
    struct world w;
    uint32_t t = lone(&w);
    struct recovery_params p;

    recovery_params_default(&p);
    p.l3.attempts = 2;
    cr_assert_eq(recovery_set_params(w.r, t, &p), 0);
    for (int i = 0; i < 2; i++) {
        exited(&w, t, 0);
        run_to_start(&w, w.now + 2 * MINUTE);
        if (i < 1)
            done(&w, REC_DONE_OK);
    }
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY);
    done(&w, REC_DONE_ROLLED_BACK);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    cr_assert_eq(view(&w, t, 0).next_attempt, 2);
    cr_assert_geq(view(&w, t, 0).next_us, w.now + 15 * MINUTE);
    cr_assert(run_to_start(&w, w.now + 30 * MINUTE));
    done(&w, REC_DONE_FAILED);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_eq(tenant_view(&w, t).redeploys_day, 2);
    end(&w);
}

Test(recovery, the_engine_going_away_costs_nothing)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    done(&w, REC_DONE_ENGINE_GONE);
    cr_assert_eq(restarts_hour(&w, t, 0), 0);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L1);
    cr_assert_eq(view(&w, t, 0).next_attempt, 1);
    cr_assert(run_to_start(&w, w.now + 5 * SEC));
    cr_assert_eq(w.last.attempt, 1);
    end(&w);
}

Test(recovery, what_is_refused_again_and_again_is_as_good_as_tried)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t from = w.now;
    int refused = 0;

    exited(&w, t, 0);
    while (w.last.level == REC_L1 && refused++ < 50) {
        done(&w, REC_DONE_REFUSED);
        cr_assert_eq(restarts_hour(&w, t, 0), 0, "nothing was changed");
        cr_assert(run_to_start(&w, w.now + 10 * MINUTE));
    }
    cr_assert_eq(w.last.level, REC_L3);
    cr_assert_gt(refused, 4);
    cr_assert_leq(w.now - from, 10 * MINUTE);
    end(&w);
}

Test(recovery, one_that_hangs_for_ever_is_quarantined_within_half_an_hour)
{
    struct world w;
    uint32_t t = lone(&w);
    struct rec_component_params c = {.name = "gateway",
        .kind = REC_KIND_CONTAINER,
        .fall = 3,
        .rise = 2,
        .interval_us = 2 * SEC,
        .start_deadline_us = 10 * SEC};

    cr_assert_eq(recovery_set_component_params(w.r, t, 0, &c), 0);
    w.jitter = 0.99;
    while (view(&w, t, 0).state != REC_QUARANTINED) {
        cr_assert_leq(w.now, T0 + 30 * MINUTE);
        if (view(&w, t, 0).state == REC_RECOVERING)
            done(&w, REC_DONE_OK);
        probe(&w, t, 0, REC_PROBE_FAIL);
        run(&w, w.now + SEC);
    }
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.alerts, 1);
    end(&w);
}

Test(recovery, new_numbers_keep_what_was_counted)
{
    struct world w;
    uint32_t t = lone(&w);
    struct recovery_params p;

    for (int i = 0; i < 2; i++) {
        exited(&w, t, 0);
        run_to_start(&w, w.now + MINUTE);
        done(&w, REC_DONE_OK);
        good(&w, t, 0);
    }
    recovery_params_default(&p);
    p.l1.attempts = 2;
    cr_assert_eq(recovery_set_params(w.r, t, &p), 0);
    cr_assert_eq(restarts_hour(&w, t, 0), 2);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    end(&w);
}

Test(recovery, a_redeploy_is_not_for_what_the_gateway_stands_on)
{
    struct world w;
    uint32_t t = sidecar_pair(&w);

    for (int i = 0; i < 5; i++) {
        exited(&w, t, 0);
        run_to_start(&w, w.now + 2 * MINUTE);
        cr_assert_neq(w.last.type, REC_ACT_REDEPLOY);
        done(&w, REC_DONE_OK);
        good(&w, t, 0);
    }
    cr_assert_eq(w.last.type, REC_ACT_RESTART_ALL);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    end(&w);
}

/* ---- budgets */
Test(recovery, restarts_per_hour_hold_and_lead_to_the_next_rung)
{
    struct world w;
    uint32_t t = lone(&w);
    struct recovery_params p;

    recovery_params_default(&p);
    p.l1 = (struct recovery_rung){.attempts = 8, .n_delays = 1, .stable_us = 60 * SEC};
    cr_assert_eq(recovery_set_params(w.r, t, &p), 0);
    for (int i = 0; i < 6; i++) {
        exited(&w, t, 0);
        cr_assert_eq(w.last.level, REC_L1);
        done(&w, REC_DONE_OK);
        good(&w, t, 0);
        w.now += 10 * SEC;
    }
    exited(&w, t, 0);
    cr_assert_eq(w.starts, 6);
    cr_assert_eq(restarts_hour(&w, t, 0), 6);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3, "no restart is left, of one or of all");
    end(&w);
}

Test(recovery, what_the_store_remembered_counts)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    /* Older than the monotonic clock itself: the host has rebooted since. */
    for (int i = 0; i < 3; i++)
        recovery_restore_action(w.r, t, 0, REC_ACT_REDEPLOY, REC_L3, 20 * USEC_PER_HOUR, w.now);
    for (uint64_t i = 0; i < 6; i++)
        recovery_restore_action(w.r, t, 0, REC_ACT_RESTART, REC_L1, (30 - i) * MINUTE, w.now);
    recovery_restore_action(w.r, t, 0, REC_ACT_RESTART, REC_L1, 25 * USEC_PER_HOUR, w.now);
    cr_assert_eq(restarts_day(&w, t, 0), 6);
    cr_assert_eq(tenant_view(&w, t).redeploys_day, 3);
    seen(&w, t, 0, REC_RUNNING);
    good(&w, t, 0);
    exited(&w, t, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    end(&w);
}

Test(recovery, a_recent_attempt_is_not_made_twice)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    for (int i = 0; i < 3; i++)
        recovery_restore_action(w.r, t, 0, REC_ACT_RESTART, REC_L1, MINUTE, w.now);
    seen(&w, t, 0, REC_RUNNING);
    good(&w, t, 0);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    end(&w);
}

/* ---- quarantine */
/* It runs, and fails: what is down is started now and then (test_recovery_policy.c). */
static void quarantine(struct world *w, uint32_t t, uint32_t c)
{
    for (int i = 0; i < 8; i++) {
        if (i == 0)
            exited(w, t, c);
        else
            run(w, w->now + 301 * SEC);
        if (view(w, t, c).state == REC_QUARANTINED)
            return;
        if (view(w, t, c).state == REC_BACKOFF)
            cr_assert(run_to_start(w, w->now + 20 * MINUTE));
        done(w, w->last.type == REC_ACT_REDEPLOY ? REC_DONE_ROLLED_BACK : REC_DONE_OK);
        if (view(w, t, c).state == REC_QUARANTINED)
            return;
    }
    cr_assert_fail("not in quarantine after eight failures");
}

Test(recovery, one_trial_after_six_hours)
{
    struct world w;
    uint32_t t = lone(&w);
    size_t before;

    quarantine(&w, t, 0);
    before = w.starts;
    run(&w, w.now + 6 * USEC_PER_HOUR - SEC);
    cr_assert_eq(w.starts, before);
    cr_assert(run_to_start(&w, w.now + MINUTE));
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY);
    cr_assert(tenant_view(&w, t).quarantined, "until it is verified");
    done(&w, REC_DONE_ROLLED_BACK);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_eq(w.alerts, 2);
    cr_assert(run_to_start(&w, w.now + 7 * USEC_PER_HOUR));
    done(&w, REC_DONE_OK);
    good(&w, t, 0);
    run(&w, w.now + 180 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_not(tenant_view(&w, t).quarantined);
    end(&w);
}

Test(recovery, getting_well_ends_quarantine)
{
    struct world w;
    uint32_t t = lone(&w);
    size_t before;

    quarantine(&w, t, 0);
    before = w.starts;
    good(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    run(&w, w.now + 180 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_not(tenant_view(&w, t).quarantined);
    cr_assert_eq(w.starts, before);
    end(&w);
}

Test(recovery, release_grants_one_action_beyond_the_budget)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    for (int i = 0; i < 6; i++)
        recovery_restore_action(w.r, t, 0, REC_ACT_RESTART, REC_L1, 30 * MINUTE, w.now);
    for (int i = 0; i < 3; i++)
        recovery_restore_action(w.r, t, 0, REC_ACT_REDEPLOY, REC_L3, 30 * MINUTE, w.now);
    recovery_restore_quarantine(w.r, t, MINUTE, w.now);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    seen(&w, t, 0, REC_RUNNING);
    operator_asks(&w, t, 0, REC_OP_RELEASE);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    cr_assert_not(tenant_view(&w, t).quarantined);
    done(&w, REC_DONE_FAILED);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    end(&w);
}

/* ---- holds */
Test(recovery, a_stop_that_is_not_ours_is_held_five_minutes)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t from = w.now;

    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    cr_assert_eq(view(&w, t, 0).state, REC_HELD);
    cr_assert(tenant_view(&w, t).held);
    cr_assert_eq(tenant_view(&w, t).hold_until_us, from + 5 * MINUTE);
    seen(&w, t, 0, REC_STOPPED);
    bad(&w, t, 0);
    run(&w, from + 5 * MINUTE - 1);
    cr_assert_eq(w.starts, 0);
    run(&w, from + 5 * MINUTE);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);
}

Test(recovery, a_start_by_somebody_ends_the_hold)
{
    struct world w;
    uint32_t t = lone(&w);

    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    seen(&w, t, 0, REC_RUNNING);
    cr_assert_eq(view(&w, t, 0).state, REC_STARTING);
    good(&w, t, 0);
    run(&w, w.now + 10 * MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(w.starts, 0);
    end(&w);
}

Test(recovery, a_hold_survives_the_daemon)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    recovery_restore_hold(w.r, t, false, 2 * MINUTE, w.now);
    seen(&w, t, 0, REC_STOPPED);
    run(&w, T0 + 119 * SEC);
    cr_assert_eq(w.starts, 0);
    run(&w, T0 + 120 * SEC);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);
}

Test(recovery, our_own_stop_is_no_failure)
{
    struct world w;
    uint32_t t = lone(&w);

    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.ours = true});
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    end(&w);
}

/* ---- probes that do not count */
Test(recovery, samples_from_before_an_action_are_void)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t before = w.now;

    bad(&w, t, 0);
    w.now += SEC;
    done(&w, REC_DONE_OK);
    for (int i = 0; i < 2; i++)
        step(&w, (struct rec_event){.type = REC_EV_PROBE, .tenant = t, .probe = {REC_PROBE_OK, before}});
    cr_assert_eq(view(&w, t, 0).oks, 0);
    end(&w);
}

Test(recovery, good_probes_put_the_next_attempt_off_but_not_its_time)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t due;

    exited(&w, t, 0);
    done(&w, REC_DONE_FAILED);
    exited(&w, t, 0);
    due = view(&w, t, 0).next_us;
    w.now += SEC;
    good(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    run(&w, due + 10 * SEC);
    cr_assert_eq(w.starts, 1, "no action while the last probes are good");
    exited(&w, t, 0);
    cr_assert_eq(w.starts, 2, "its time is past already");
    end(&w);
}

Test(recovery, flapping_alerts_and_waits_for_hard_evidence)
{
    struct world w;
    uint32_t t = lone(&w);
    size_t before;

    for (int i = 0; i < 3; i++) {
        bad(&w, t, 0);
        run_to_start(&w, w.now + MINUTE);
        if (view(&w, t, 0).state == REC_RECOVERING)
            done(&w, REC_DONE_OK);
        if (i < 2)
            good(&w, t, 0);
    }
    cr_assert(tenant_view(&w, t).flapping);
    cr_assert_eq(w.alerts, 1);
    before = w.starts;
    run(&w, w.now + MINUTE);
    cr_assert_eq(w.starts, before);
    cr_assert_str_eq(view(&w, t, 0).held_by, "flapping");
    exited(&w, t, 0);
    cr_assert_eq(w.starts, before + 1);
    end(&w);
}

Test(recovery, the_engines_own_restarts_count)
{
    struct world w;
    uint32_t t = lone(&w);
    struct rec_event ev = {
        .type = REC_EV_OBSERVED, .tenant = t, .observed = {.presence = REC_RUNNING, .restart_count = 4}};

    step(&w, ev);
    cr_assert_eq(restarts_hour(&w, t, 0), 4, "four since the first sight of it");
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    ev.observed.restart_count = 9;
    step(&w, ev);
    cr_assert_eq(restarts_hour(&w, t, 0), 9);
    cr_assert_eq(view(&w, t, 0).next_level, REC_L3);
    end(&w);
}

/* ---- bring-up */
Test(recovery, a_bring_up_that_is_refused_is_tried_for_ever)
{
    struct world w;
    uint32_t t;
    uint64_t last = 0, gap = 0;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    seen(&w, t, 0, REC_MISSING);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(w.starts, (size_t)i + 1);
        cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
        gap = w.now - last;
        last = w.now;
        done(&w, REC_DONE_REFUSED);
        cr_assert_eq(view(&w, t, 0).state, REC_BACKOFF);
        cr_assert_str_eq(view(&w, t, 0).reason, "bring-up refused");
        cr_assert(run_to_start(&w, w.now + 400 * SEC));
    }
    cr_assert_eq(gap, 300 * SEC, "the cap");
    cr_assert_eq(tenant_view(&w, t).redeploys_day, 0);
    cr_assert_eq(w.alerts, 0);
    end(&w);
}

Test(recovery, somebody_removed_the_container)
{
    struct world w;
    uint32_t t = lone(&w);

    seen(&w, t, 0, REC_MISSING);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    done(&w, REC_DONE_OK);
    good(&w, t, 0);
    seen(&w, t, 0, REC_MISSING);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(view(&w, t, 0).next_us, w.now + 5 * SEC, "the second time waits");
    end(&w);
}

Test(recovery, a_gateway_that_exits_at_once_climbs_the_ladder)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    seen(&w, t, 0, REC_MISSING);
    done(&w, REC_DONE_OK);
    quarantine(&w, t, 0);
    cr_assert_eq(w.starts, 1 + 1 + 1, "bring-up, L1, L3");
    end(&w);
}
