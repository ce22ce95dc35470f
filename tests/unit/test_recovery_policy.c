/* test_recovery_policy.c: what keeps the recovery core from acting for nothing, and from waiting for nothing:
 * patience with what stalls, starts of what is down in quarantine, what went down with the engine, canaries
 * that fail. */
#include "recovery_world.h"

/* One gateway with the default patience, healthy. */
static uint32_t patient(struct world *w)
{
    struct recovery_params p;
    uint32_t t = lone(w);

    recovery_params_default(&p);
    cr_assert_eq(recovery_set_params(w->r, t, &p), 0);
    return t;
}

static void stall(struct world *w, uint32_t t, uint64_t us)
{
    uint64_t until = w->now + us;

    for (; w->now < until; run(w, w->now + SEC))
        probe(w, t, 0, REC_PROBE_FAIL);
    good(w, t, 0);
}

/* How long failed probes take to lead to a restart. */
static uint64_t patience_shown(struct world *w, uint32_t t)
{
    uint64_t from = w->now;
    size_t before = w->starts;

    while (w->starts == before) {
        cr_assert_leq(w->now, from + 5 * MINUTE);
        probe(w, t, 0, REC_PROBE_FAIL);
        if (w->starts == before)
            run_to_start(w, w->now + SEC);
        if (w->starts == before)
            w->now += SEC;
    }
    return w->now - from;
}

Test(recovery_policy, failed_probes_alone_are_believed_after_ten_seconds)
{
    struct world w;
    uint32_t t = patient(&w);

    bad(&w, t, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_SUSPECT);
    cr_assert_eq(recovery_probe_interval(w.r, t, 0), 2 * SEC, "no hurry any more");
    run(&w, T0 + 10 * SEC - 1);
    cr_assert_eq(w.starts, 0);
    run(&w, T0 + 10 * SEC);
    cr_assert_eq(w.starts, 1, "without another probe");
    end(&w);
}

Test(recovery_policy, it_counts_from_when_the_first_of_them_was_started)
{
    struct world w;
    uint32_t t = patient(&w);

    w.now += 8 * SEC;
    for (int i = 0; i < 3; i++)
        step(&w, (struct rec_event){.type = REC_EV_PROBE, .tenant = t, .probe = {REC_PROBE_FAIL, T0}});
    run(&w, T0 + 10 * SEC);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_policy, two_failures_are_not_three_however_long)
{
    struct world w;
    uint32_t t = patient(&w);

    probe(&w, t, 0, REC_PROBE_FAIL);
    probe(&w, t, 0, REC_PROBE_FAIL);
    run(&w, T0 + MINUTE);
    cr_assert_eq(w.starts, 0);
    probe(&w, t, 0, REC_PROBE_FAIL);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_policy, an_end_is_believed_at_once)
{
    struct world w;
    uint32_t t = patient(&w);

    probe(&w, t, 0, REC_PROBE_FAIL);
    exited(&w, t, 0);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_policy, a_proxy_gets_no_patience)
{
    struct world w;
    uint32_t t = pair(&w);
    struct recovery_params p;

    recovery_params_default(&p);
    cr_assert_eq(recovery_set_params(w.r, t, &p), 0);
    bad(&w, t, PROXY);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_policy, who_probes_faster_decides_faster)
{
    struct world w;
    uint32_t t = patient(&w);
    struct rec_component_params c = {.name = "gateway",
        .kind = REC_KIND_CONTAINER,
        .fall = 3,
        .rise = 2,
        .interval_us = 200 * USEC_PER_MSEC,
        .start_deadline_us = 300 * SEC};

    cr_assert_eq(recovery_set_component_params(w.r, t, 0, &c), 0);
    bad(&w, t, 0);
    run(&w, T0 + SEC - 1);
    cr_assert_eq(w.starts, 0);
    run(&w, T0 + SEC);
    cr_assert_eq(w.starts, 1, "five intervals");
    end(&w);
}

/* Restarted, well again, and calm. */
static void recovers(struct world *w, uint32_t t)
{
    done(w, REC_DONE_OK);
    good(w, t, 0);
    run(w, w->now + 40 * MINUTE);
    cr_assert_eq(view(w, t, 0).state, REC_HEALTHY);
}

Test(recovery_policy, one_that_stalls_and_comes_back_gets_twice_as_much)
{
    struct world w;
    uint32_t t = patient(&w);
    uint64_t shown;

    stall(&w, t, 4 * SEC);
    w.now += MINUTE;
    cr_assert_eq(patience_shown(&w, t), 10 * SEC, "four seconds are not worth a word");
    recovers(&w, t);
    cr_assert_eq(patience_shown(&w, t), 10 * SEC, "a restart teaches nothing");
    recovers(&w, t);
    stall(&w, t, 8 * SEC);
    w.now += MINUTE;
    shown = patience_shown(&w, t);
    cr_assert_gt(shown, 15 * SEC);
    cr_assert_leq(shown, 16 * SEC);
    end(&w);
}

Test(recovery_policy, more_but_not_for_ever)
{
    struct world w;
    uint32_t t = patient(&w);

    stall(&w, t, 9 * SEC);
    run(&w, w.now + 20 * MINUTE);
    stall(&w, t, 17 * SEC);
    run(&w, w.now + 20 * MINUTE);
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(patience_shown(&w, t), 30 * SEC);
    recovers(&w, t);
    run(&w, w.now + 8 * USEC_PER_DAY);
    cr_assert_eq(patience_shown(&w, t), 10 * SEC, "forgotten within a week");
    end(&w);
}

Test(recovery_policy, patience_ends_in_nothing_while_the_engine_is_away)
{
    struct world w;
    uint32_t t = patient(&w);

    bad(&w, t, 0);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    run(&w, T0 + MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_SUSPECT);
    ping(&w, REC_PROBE_OK);
    run(&w, T0 + 2 * MINUTE);
    cr_assert_eq(w.starts, 0, "they failed before the outage");
    bad(&w, t, 0);
    run(&w, w.now + 10 * SEC);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

/* ---- quarantine */
static uint32_t down_in_quarantine(struct world *w)
{
    uint32_t t = lone(w);

    cr_assert_eq(recovery_restore_quarantine(w->r, t, 0, w->now), 0);
    seen(w, t, 0, REC_STOPPED);
    cr_assert_eq(view(w, t, 0).state, REC_QUARANTINED);
    return t;
}

Test(recovery_policy, what_is_down_in_quarantine_is_started_ever_less_often)
{
    static const uint64_t minutes[] = {3, 6, 12, 24, 48, 96, 192};
    struct world w;
    uint32_t t = down_in_quarantine(&w);
    uint64_t redeploy = T0 + 6 * USEC_PER_HOUR;

    for (size_t i = 0; w.now + minutes[MIN(i, 6)] * MINUTE < redeploy; i++) {
        uint64_t from = w.now;

        cr_assert_eq(view(&w, t, 0).next_us, from + minutes[i] * MINUTE);
        cr_assert(run_to_start(&w, redeploy));
        cr_assert_eq(w.now, from + minutes[i] * MINUTE);
        cr_assert_eq(w.last.type, REC_ACT_RESTART);
        done(&w, REC_DONE_OK);
        exited(&w, t, 0);
        cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    }
    cr_assert_eq(w.starts, 6);
    cr_assert(run_to_start(&w, redeploy));
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY, "after six hours a new one");
    cr_assert_eq(w.alerts, 0, "none of this is news");
    end(&w);
}

Test(recovery_policy, a_start_that_works_ends_quarantine)
{
    struct world w;
    uint32_t t = down_in_quarantine(&w);

    cr_assert(run_to_start(&w, T0 + 3 * MINUTE));
    done(&w, REC_DONE_OK);
    good(&w, t, 0);
    cr_assert(tenant_view(&w, t).quarantined, "until it is verified");
    run(&w, w.now + 180 * SEC - 1);
    cr_assert(tenant_view(&w, t).quarantined, "for three minutes");
    run(&w, w.now + 1);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    cr_assert_not(tenant_view(&w, t).quarantined);
    end(&w);
}

/* The engine is listed every 30 s: that it is still down is no news. */
Test(recovery_policy, a_list_does_not_put_the_next_start_off)
{
    struct world w;
    uint32_t t = down_in_quarantine(&w);

    for (int i = 0; i < 5; i++) {
        run(&w, w.now + 30 * SEC);
        seen(&w, t, 0, REC_STOPPED);
        cr_assert_eq(view(&w, t, 0).next_us, T0 + 3 * MINUTE);
    }
    cr_assert(run_to_start(&w, T0 + 3 * MINUTE));
    end(&w);
}

/* One that somebody started and that ended again is not started at once. */
Test(recovery_policy, a_new_end_puts_the_next_start_off)
{
    struct world w;
    uint32_t t = down_in_quarantine(&w);

    run(&w, T0 + 2 * MINUTE);
    seen(&w, t, 0, REC_RUNNING);
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).next_us, w.now + 3 * MINUTE);
    end(&w);
}

Test(recovery_policy, what_runs_in_quarantine_is_left_alone_for_six_hours)
{
    struct world w;
    uint32_t t = lone(&w);

    cr_assert_eq(recovery_restore_quarantine(w.r, t, 0, w.now), 0);
    seen(&w, t, 0, REC_RUNNING);
    cr_assert_not(run_to_start(&w, T0 + 6 * USEC_PER_HOUR - SEC));
    cr_assert(run_to_start(&w, T0 + 6 * USEC_PER_HOUR));
    cr_assert_eq(w.last.type, REC_ACT_REDEPLOY);
    end(&w);
}

/* All rungs were used up by what failed before: this failure is new, and nothing was tried against it. */
Test(recovery_policy, one_that_was_well_and_goes_straight_to_quarantine_is_restarted_once)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    done(&w, REC_DONE_OK);
    exited(&w, t, 0);
    cr_assert(run_to_start(&w, w.now + 2 * MINUTE));
    done(&w, REC_DONE_OK);
    good(&w, t, 0);
    run(&w, w.now + 4 * MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    bad(&w, t, 0); /* it still runs */
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert(run_to_start(&w, w.now + 3 * MINUTE));
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    done(&w, REC_DONE_OK);
    run(&w, w.now + 301 * SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_not(run_to_start(&w, w.now + 5 * USEC_PER_HOUR), "once");
    end(&w);
}

/* ---- the engine */
static void two(struct world *w)
{
    lone(w);
    add(w, "b", false);
    add(w, "c", false);
    for (uint32_t t = 0; t < 3; t++) {
        seen(w, t, 0, REC_RUNNING);
        good(w, t, 0);
    }
}

Test(recovery_policy, what_went_down_with_the_engine_is_put_back_at_once)
{
    struct world w;

    two(&w);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    w.now += MINUTE;
    ping(&w, REC_PROBE_OK);
    for (uint32_t t = 0; t < 3; t++) {
        seen(&w, t, 0, REC_STOPPED);
        cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
        done(&w, REC_DONE_OK);
        good(&w, t, 0);
        cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
        cr_assert_eq(tenant_view(&w, t).level, REC_L0, "nobody's failure");
        cr_assert_eq(restarts_hour(&w, t, 0), 0);
    }
    cr_assert_eq(w.starts, 3);
    cr_assert_eq(host_view(&w).state, REC_HOST_SETTLING, "no mass failure either");
    end(&w);
}

Test(recovery_policy, what_ends_by_itself_while_the_host_settles_waits)
{
    struct world w;

    two(&w);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_OK);
    exited(&w, 0, 0);
    seen(&w, 0, 0, REC_STOPPED);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, 0, 0).held_by, "settling");
    run(&w, T0 + 30 * SEC);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(w.last.level, REC_L1);
    end(&w);
}

/* ---- many at once */
static void many(struct world *w, uint32_t n)
{
    new_world(w, 1, 0);
    for (uint32_t i = 0; i < n; i++) {
        char slug[8];

        (void)snprintf(slug, sizeof(slug), "t%u", i);
        cr_assert_eq(add(w, slug, false), i);
        seen(w, i, 0, REC_RUNNING);
        good(w, i, 0);
    }
}

Test(recovery_policy, canaries_that_do_not_get_well_come_ever_later)
{
    static const uint64_t gaps[] = {1, 2, 4, 8, 15, 15};
    struct world w;

    many(&w, 20);
    for (uint32_t i = 0; i < 20; i++)
        probe(&w, i, 0, REC_PROBE_FAIL);
    for (uint32_t i = 0; i < 20; i++)
        bad(&w, i, 0);
    cr_assert_eq(w.starts, 0);
    for (size_t i = 0; i < ARRAY_SIZE(gaps); i++) {
        uint64_t from = w.now;

        cr_assert(run_to_start(&w, from + 20 * MINUTE));
        cr_assert_eq(w.now - from, gaps[i] * MINUTE, "canary %zu", i);
        done(&w, REC_DONE_OK);
    }
    end(&w);
}

Test(recovery_policy, what_has_ended_is_started_once_at_the_hosts_rate_even_then)
{
    struct world w;
    uint64_t from;

    many(&w, 20);
    from = w.now;
    for (uint32_t i = 0; i < 20; i++) {
        exited(&w, i, 0);
        if (w.last.tenant == i && w.starts == i + 1)
            done(&w, REC_DONE_OK);
    }
    cr_assert_eq(host_view(&w).state, REC_HOST_MASS_FAILURE);
    cr_assert_eq(w.starts, 5, "the bucket");
    while (run_to_start(&w, from + 100 * SEC))
        done(&w, REC_DONE_OK);
    cr_assert_eq(w.starts, 20);
    exited(&w, 0, 0);
    cr_assert_str_eq(
        view(&w, 0, 0).held_by ? view(&w, 0, 0).held_by : "", "", "its next attempt is not due yet");
    cr_assert_eq(view(&w, 0, 0).next_level, REC_L3);
    end(&w);
}

/* ---- numbers of its own */
Test(recovery_policy, a_component_may_have_numbers_of_its_own)
{
    struct world w;
    uint32_t t = pair(&w);
    struct recovery_params own, tenants;
    struct rec_component_params c = {.name = "gateway",
        .kind = REC_KIND_CONTAINER,
        .fall = 3,
        .rise = 2,
        .interval_us = 2 * SEC,
        .start_deadline_us = 300 * SEC,
        .after = 1,
        .recovery = &own};

    recovery_params_default(&own);
    own.l1.attempts = 0;
    own.l3.delay_us[0] = 7 * SEC;
    own.hold_us = MINUTE;
    cr_assert_eq(recovery_set_component_params(w.r, t, GATEWAY, &c), 0);
    memset(&own, 0, sizeof(own)); /* it was copied */
    recovery_params_default(&tenants);
    tenants.l3.delay_us[0] = 70 * SEC;
    tenants.relaunches_per_minute = 0;
    tenants.relaunches_per_hour = 0;
    cr_assert_eq(recovery_set_params(w.r, t, &tenants), 0);
    exited(&w, t, GATEWAY);
    cr_assert_eq(view(&w, t, GATEWAY).next_level, REC_L3, "no L1 of its own");
    cr_assert_eq(view(&w, t, GATEWAY).next_us, w.now + 7 * SEC);
    exited(&w, t, PROXY);
    cr_assert_eq(view(&w, t, PROXY).next_us, w.now + 5 * SEC, "the tenant's, as it is now");
    c.recovery = NULL;
    cr_assert_eq(recovery_set_component_params(w.r, t, GATEWAY, &c), 0);
    seen(&w, t, GATEWAY, REC_RUNNING);
    good(&w, t, GATEWAY);
    step(&w, (struct rec_event){
                 .type = REC_EV_EXIT, .tenant = t, .component = GATEWAY, .exit.operator_stop = true});
    cr_assert_eq(view(&w, t, GATEWAY).next_us, w.now + 5 * MINUTE, "the tenant's again");
    end(&w);
}
