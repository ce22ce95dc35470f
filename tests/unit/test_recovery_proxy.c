/* test_recovery_proxy.c: the embedded proxy, whose relaunch waits for nobody, and the operator's verbs. */
#include "tests/unit/recovery_world.h"

Test(recovery_proxy, a_dead_proxy_is_relaunched_at_once_whatever_the_host_is_in)
{
    struct world w;
    uint32_t t = pair(&w);

    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_ENGINE_DOWN);
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    cr_assert_eq(w.last.level, REC_L1);
    cr_assert_eq(w.last.component, PROXY);
    cr_assert_eq(host_view(&w).restarts_in_flight, 0);
    cr_assert_eq(restarts_hour(&w, t, PROXY), 1);
    done(&w, REC_DONE_OK);
    cr_assert_eq(view(&w, t, PROXY).state, REC_VERIFYING);
    end(&w);
}

Test(recovery_proxy, beside_an_action_on_its_gateway)
{
    struct world w;
    uint32_t t = pair(&w);
    struct rec_action gateway;

    exited(&w, t, GATEWAY);
    gateway = w.last;
    cr_assert_eq(gateway.component, GATEWAY);
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.component, PROXY);
    done(&w, REC_DONE_OK);
    w.last = gateway;
    done(&w, REC_DONE_OK);
    cr_assert_eq(view(&w, t, GATEWAY).state, REC_VERIFYING);
    end(&w);
}

Test(recovery_proxy, one_that_keeps_dying_waits_longer_and_longer_but_never_for_ever)
{
    struct world w;
    uint32_t t = pair(&w);
    uint64_t from;

    for (int i = 0; i < 3; i++) {
        exited(&w, t, PROXY);
        cr_assert_eq(w.starts, (size_t)i + 1, "the first three at once");
        done(&w, REC_DONE_OK);
    }
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 3);
    cr_assert_eq(view(&w, t, PROXY).next_us, w.now + 5 * SEC);
    for (int i = 0; i < 40 && view(&w, t, PROXY).state != REC_QUARANTINED; i++) {
        if (view(&w, t, PROXY).state == REC_BACKOFF)
            cr_assert(run_to_start(&w, w.now + 10 * MINUTE));
        done(&w, REC_DONE_OK);
        exited(&w, t, PROXY);
    }
    cr_assert_eq(view(&w, t, PROXY).state, REC_QUARANTINED);
    cr_assert_eq(w.alerts, 1);
    from = w.now;
    for (int i = 1; i <= 10; i++) {
        cr_assert(run_to_start(&w, w.now + 2 * MINUTE), "a proxy is never given up");
        cr_assert_leq(w.now - from, (uint64_t)i * 75 * SEC);
        done(&w, REC_DONE_OK);
        if (i < 10)
            exited(&w, t, PROXY);
    }
    cr_assert_eq(w.alerts, 1, "one alert, not one a minute");
    good(&w, t, PROXY);
    run(&w, w.now + 3 * MINUTE);
    cr_assert_eq(view(&w, t, PROXY).state, REC_HEALTHY);
    cr_assert_not(tenant_view(&w, t).quarantined);
    end(&w);
}

/* Lives for `life_us` after each launch; how many launches until it is quarantined, or `most`. */
static int launches(struct world *w, uint32_t t, uint64_t life_us, int most)
{
    int n = 0;

    for (; n < most && view(w, t, PROXY).state != REC_QUARANTINED; n++) {
        uint64_t dies = w->now + life_us;

        good(w, t, PROXY);
        run(w, dies);
        exited(w, t, PROXY);
        if (view(w, t, PROXY).state == REC_BACKOFF)
            cr_assert(run_to_start(w, w->now + 10 * MINUTE));
        if (view(w, t, PROXY).state == REC_RECOVERING)
            done(w, REC_DONE_OK);
    }
    return n;
}

Test(recovery_proxy, one_that_lives_for_a_while_each_time_ends_in_quarantine_too)
{
    static const uint64_t lives[] = {21 * SEC, 45 * SEC, 2 * MINUTE};

    for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
        struct world w;
        uint32_t t = pair(&w);
        uint64_t from;
        int n = launches(&w, t, lives[i], 100);

        cr_assert_eq(n, 12 + 5 + 1, "%d: twelve at once, five with delays", n);
        cr_assert_eq(view(&w, t, PROXY).state, REC_QUARANTINED);
        cr_assert_leq(w.now, T0 + 18 * lives[i] + 200 * SEC, "5 to 80 s, and a quarter");
        from = w.now;
        for (int k = 0; k < 5; k++) { /* and there it stays, tried once a minute, without another alarm */
            size_t alerts = w.alerts;

            cr_assert(run_to_start(&w, w.now + 75 * SEC));
            done(&w, REC_DONE_OK);
            good(&w, t, PROXY);
            run(&w, w.now + lives[i]);
            cr_assert(tenant_view(&w, t).quarantined);
            exited(&w, t, PROXY);
            cr_assert_eq(view(&w, t, PROXY).state, REC_QUARANTINED);
            cr_assert_eq(w.alerts, alerts);
        }
        cr_assert_geq(w.now - from, 5 * MINUTE);
        end(&w);
    }
}

Test(recovery_proxy, one_that_rarely_dies_is_always_launched_at_once)
{
    struct world w;
    uint32_t t = pair(&w);

    for (int i = 0; i < 300; i++) {
        size_t before = w.starts;

        good(&w, t, PROXY);
        run(&w, w.now + 5 * MINUTE + SEC);
        exited(&w, t, PROXY);
        cr_assert_eq(w.starts, before + 1, "death %d", i);
        done(&w, REC_DONE_OK);
    }
    cr_assert_not(tenant_view(&w, t).quarantined);
    end(&w);
}

Test(recovery_proxy, how_often_at_once_is_a_setting)
{
    struct world w;
    uint32_t t = pair(&w);
    struct recovery_params p;

    recovery_params_default(&p);
    p.relaunches_per_minute = p.relaunches_per_hour = 1;
    cr_assert_eq(recovery_set_params(w.r, t, &p), 0);
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 1);
    done(&w, REC_DONE_OK);
    good(&w, t, PROXY);
    run(&w, w.now + 50 * MINUTE);
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(view(&w, t, PROXY).next_us, w.now + 5 * SEC);
    end(&w);
}

/* The store remembers the launches: a daemon that crashes does not grant them anew. */
Test(recovery_proxy, launches_of_an_earlier_life_count)
{
    struct world w;
    uint32_t t = pair(&w);

    for (uint64_t i = 0; i < 12; i++)
        cr_assert_eq(recovery_restore_action(
                         w.r, t, PROXY, REC_ACT_RESTART, REC_L1, 2 * MINUTE + i * 4 * MINUTE, w.now),
            0);
    exited(&w, t, PROXY);
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(view(&w, t, PROXY).next_us, w.now + 5 * SEC);
    end(&w);
}

Test(recovery_proxy, a_launch_that_fails_does_not_spin)
{
    struct world w;
    uint32_t t = pair(&w);
    static const enum rec_done results[] = {REC_DONE_FAILED, REC_DONE_REFUSED, REC_DONE_ENGINE_GONE};

    for (size_t k = 0; k < ARRAY_SIZE(results); k++) {
        uint64_t from = w.now;
        size_t before = w.starts;

        exited(&w, t, PROXY);
        while (w.now < from + MINUTE) {
            if (view(&w, t, PROXY).state == REC_RECOVERING)
                done(&w, results[k]);
            else
                cr_assert(run_to_start(&w, w.now + 6 * MINUTE), "but never given up");
        }
        cr_assert_leq(w.starts - before, 10);
    }
    end(&w);
}

Test(recovery_proxy, a_hung_one_waits_for_the_guards)
{
    struct world w;
    uint32_t t = pair(&w);

    bad(&w, t, PROXY);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    done(&w, REC_DONE_OK);
    good(&w, t, PROXY);
    run(&w, w.now + MINUTE);
    step(&w, (struct rec_event){.type = REC_EV_TIME_JUMP});
    bad(&w, t, PROXY);
    run(&w, w.now + 7 * SEC);
    cr_assert_eq(w.starts, 1);
    cr_assert_str_eq(view(&w, t, PROXY).held_by, "grace");
    exited(&w, t, PROXY); /* now it is dead, and that waits for nobody */
    cr_assert_eq(w.starts, 2);
    end(&w);
}

Test(recovery_proxy, its_gateway_waits_for_it)
{
    struct world w;
    uint32_t t = pair(&w);

    bad(&w, t, PROXY);
    exited(&w, t, GATEWAY);
    cr_assert_eq(w.last.component, PROXY);
    done(&w, REC_DONE_OK);
    cr_assert_eq(w.starts, 1);
    cr_assert_str_eq(view(&w, t, GATEWAY).held_by, "dependency");
    good(&w, t, PROXY);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.component, GATEWAY);
    end(&w);
}

Test(recovery_proxy, a_restart_of_all_takes_it_along)
{
    struct world w;
    uint32_t t = pair(&w);

    for (int i = 0; i < 3; i++) {
        exited(&w, t, GATEWAY);
        run_to_start(&w, w.now + MINUTE);
        if (i == 2)
            probe(&w, t, PROXY, REC_PROBE_FAIL);
        done(&w, REC_DONE_FAILED);
    }
    good(&w, t, PROXY);
    cr_assert(run_to_start(&w, w.now + MINUTE));
    cr_assert_eq(w.last.type, REC_ACT_RESTART_ALL);
    cr_assert_eq(w.last.component, GATEWAY);
    cr_assert_eq(view(&w, t, PROXY).state, REC_RECOVERING);
    exited(&w, t, PROXY); /* in the middle of it: the restart of all has it in hand */
    cr_assert_eq(w.starts, 4);
    done(&w, REC_DONE_FAILED);
    cr_assert_eq(w.starts, 5);
    cr_assert_eq(w.last.component, PROXY);
    end(&w);
}

Test(recovery_proxy, pause_holds_it_too)
{
    struct world w;
    uint32_t t = pair(&w);

    operator_asks(&w, t, 0, REC_OP_PAUSE);
    exited(&w, t, PROXY);
    exited(&w, t, GATEWAY);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, t, PROXY).held_by, "paused");
    cr_assert(tenant_view(&w, t).paused);
    run(&w, T0 + USEC_PER_HOUR);
    cr_assert_eq(w.starts, 1, "a pause always ends");
    end(&w);
}

Test(recovery_operator, resume_ends_a_pause_and_a_hold)
{
    struct world w;
    uint32_t t = lone(&w);

    operator_asks(&w, t, 0, REC_OP_PAUSE);
    exited(&w, t, 0);
    operator_asks(&w, t, 0, REC_OP_RESUME);
    cr_assert_eq(w.starts, 1);
    done(&w, REC_DONE_OK);
    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    cr_assert_eq(view(&w, t, 0).state, REC_HELD);
    operator_asks(&w, t, 0, REC_OP_RESUME);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);
}

Test(recovery_operator, a_pause_is_a_day_at_most)
{
    struct world w;
    uint32_t t = lone(&w);

    step(&w,
        (struct rec_event){.type = REC_EV_OPERATOR, .tenant = t, .op = {REC_OP_PAUSE, 90 * USEC_PER_HOUR}});
    cr_assert_eq(tenant_view(&w, t).hold_until_us, w.now + USEC_PER_DAY);
    end(&w);
}

Test(recovery_operator, a_restart_of_what_is_well)
{
    struct world w;
    uint32_t t = lone(&w);

    operator_asks(&w, t, 0, REC_OP_RESTART);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    cr_assert_str_eq(w.last.reason, "operator");
    done(&w, REC_DONE_OK);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    good(&w, t, 0);
    run(&w, w.now + MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(tenant_view(&w, t).level, REC_L0, "it was no failure");
    end(&w);
}

Test(recovery_operator, passes_backoff_hold_and_observation_but_not_the_engine)
{
    struct world w;
    uint32_t t;

    new_world(&w, 9, 30 * SEC); /* safe mode and observing */
    t = add(&w, "a", false);
    seen(&w, t, 0, REC_RUNNING);
    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    operator_asks(&w, t, 0, REC_OP_RESTART);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, t, 0).held_by, "engine down");
    ping(&w, REC_PROBE_OK);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(view(&w, t, 0).state, REC_RECOVERING);
    end(&w);
}

Test(recovery_operator, a_verb_waits_for_the_action_in_flight)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    operator_asks(&w, t, 0, REC_OP_REDEPLOY);
    cr_assert_eq(w.starts, 1);
    cr_assert_str_eq(view(&w, t, 0).held_by, "busy");
    done(&w, REC_DONE_OK);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY);
    end(&w);
}

Test(recovery_operator, a_refused_or_rolled_back_redeploy_leaves_what_runs)
{
    struct world w;
    uint32_t t = lone(&w);

    operator_asks(&w, t, 0, REC_OP_REDEPLOY);
    done(&w, REC_DONE_REFUSED);
    good(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(tenant_view(&w, t).redeploys_day, 0);
    operator_asks(&w, t, 0, REC_OP_REDEPLOY);
    done(&w, REC_DONE_ROLLED_BACK);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    good(&w, t, 0);
    run(&w, w.now + 2 * MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_eq(w.starts, 2);
    end(&w);
}

Test(recovery_operator, a_restart_of_what_is_missing_brings_it_up)
{
    struct world w;
    uint32_t t = lone(&w);

    seen(&w, t, 0, REC_MISSING);
    done(&w, REC_DONE_REFUSED);
    operator_asks(&w, t, 0, REC_OP_RESTART);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);
}

Test(recovery_operator, redeploy_out_of_quarantine)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    recovery_restore_quarantine(w.r, t, MINUTE, w.now);
    seen(&w, t, 0, REC_RUNNING);
    operator_asks(&w, t, 0, REC_OP_REDEPLOY);
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY);
    done(&w, REC_DONE_OK);
    good(&w, t, 0);
    run(&w, w.now + 180 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_not(tenant_view(&w, t).quarantined);
    end(&w);
}
