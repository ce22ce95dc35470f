/* test_recovery_host.c: what concerns the whole host: engine, settling, safe mode, mass failure, time,
 * limits, many tenants; and the numbers of the policy. */
#include "tests/unit/recovery_world.h"

static uint32_t many(struct world *w, uint32_t n)
{
    char slug[SLUG_MAX + 1];

    new_world(w, 1, 0);
    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(slug, sizeof(slug), "t%u", i);
        add(w, slug, false);
        seen(w, i, 0, REC_RUNNING);
        good(w, i, 0);
    }
    return n;
}

Test(recovery_host, nothing_is_done_while_the_engine_is_down_and_just_after)
{
    struct world w;
    uint32_t t = lone(&w);

    ping(&w, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL, "one failed ping is not an outage");
    ping(&w, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_ENGINE_DOWN);
    bad(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).fails, 0, "counters freeze");
    exited(&w, t, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, t, 0).held_by, "engine down");
    run(&w, w.now + 10 * MINUTE);
    ping(&w, REC_PROBE_OK);
    cr_assert_eq(host_view(&w).state, REC_HOST_SETTLING);
    cr_assert_eq(w.relists, 1);
    run(&w, w.now + 29 * SEC);
    cr_assert_eq(w.starts, 0);
    run(&w, w.now + SEC);
    cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_host, an_engine_that_ends_holds_nobody)
{
    struct world w;
    uint32_t t = lone(&w);

    /* It stops its containers, and then answers no more: nobody meant this tenant. */
    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    cr_assert_eq(view(&w, t, 0).state, REC_HELD);
    w.now += 10 * SEC;
    ping(&w, REC_PROBE_FAIL);
    cr_assert_eq(view(&w, t, 0).state, REC_HELD);
    ping(&w, REC_PROBE_FAIL);
    cr_assert_not(tenant_view(&w, t).held);
    run(&w, w.now + MINUTE);
    cr_assert_eq(w.starts, 0, "the engine is down");
    ping(&w, REC_PROBE_OK);
    run(&w, w.now + 30 * SEC);
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);

    /* The other way round: the first ping fails before the containers are stopped. */
    t = lone(&w);
    ping(&w, REC_PROBE_FAIL);
    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    cr_assert_not(tenant_view(&w, t).held);
    end(&w);

    /* A hold that is older was a person's. */
    t = lone(&w);
    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit.operator_stop = true});
    run(&w, w.now + 2 * MINUTE);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_OK);
    cr_assert(tenant_view(&w, t).held);
    end(&w);
}

Test(recovery_host, what_came_back_with_the_engine_is_left_alone)
{
    struct world w;
    uint32_t t = lone(&w);

    step(&w, (struct rec_event){.type = REC_EV_ENGINE, .engine = {REC_PROBE_FAIL, true}});
    cr_assert_eq(host_view(&w).state, REC_HOST_ENGINE_DOWN, "a hung call is enough");
    exited(&w, t, 0);
    ping(&w, REC_PROBE_OK);
    seen(&w, t, 0, REC_RUNNING);
    good(&w, t, 0);
    run(&w, w.now + 5 * MINUTE);
    cr_assert_eq(w.starts, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_HEALTHY);
    end(&w);
}

Test(recovery_host, a_start_deadline_does_not_run_out_during_an_outage)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    seen(&w, t, 0, REC_RUNNING);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    run(&w, w.now + USEC_PER_HOUR);
    cr_assert_eq(view(&w, t, 0).state, REC_STARTING);
    end(&w);
}

Test(recovery_host, safe_mode_observes)
{
    struct world w;
    uint32_t t;

    new_world(&w, 3, 30 * SEC);
    t = add(&w, "a", false);
    cr_assert_eq(host_view(&w).state, REC_HOST_SAFE);
    seen(&w, t, 0, REC_STOPPED);
    cr_assert_str_eq(view(&w, t, 0).held_by, "safe mode");
    run(&w, T0 + 10 * MINUTE - 1);
    cr_assert_eq(w.starts, 0);
    run(&w, T0 + 10 * MINUTE);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL);
    end(&w);
}

Test(recovery_host, observing_is_for_restarts_of_what_runs)
{
    struct world w;
    uint32_t sick, absent;

    new_world(&w, 1, 30 * SEC);
    sick = add(&w, "sick", false);
    absent = add(&w, "absent", false);
    cr_assert(host_view(&w).observing);
    seen(&w, sick, 0, REC_RUNNING);
    good(&w, sick, 0);
    bad(&w, sick, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, sick, 0).held_by, "observing");
    seen(&w, absent, 0, REC_STOPPED);
    cr_assert_eq(w.starts, 1);
    cr_assert_eq(w.last.tenant, absent);
    run(&w, T0 + 30 * SEC);
    cr_assert_eq(w.starts, 2);
    cr_assert_eq(w.last.tenant, sick);
    cr_assert_not(host_view(&w).observing);
    end(&w);
}

Test(recovery_host, a_time_jump_voids_samples_and_gives_grace)
{
    struct world w;
    uint32_t t = lone(&w);
    uint64_t before = w.now;

    w.now += SEC;
    step(&w, (struct rec_event){.type = REC_EV_TIME_JUMP});
    for (int i = 0; i < 5; i++)
        step(&w, (struct rec_event){.type = REC_EV_PROBE, .tenant = t, .probe = {REC_PROBE_FAIL, before}});
    cr_assert_eq(view(&w, t, 0).fails, 0);
    bad(&w, t, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, t, 0).held_by, "grace");
    run(&w, w.now + 29 * SEC);
    cr_assert_eq(w.starts, 0);
    run(&w, w.now + SEC);
    cr_assert_eq(w.starts, 1);
    end(&w);
}

Test(recovery_host, four_restarts_and_one_redeploy_in_flight)
{
    struct world w;
    uint32_t n = many(&w, 40);
    size_t redeploys = 0;

    for (uint32_t i = 0; i < 6; i++)
        exited(&w, i, 0);
    cr_assert_eq(w.starts, 4);
    cr_assert_eq(host_view(&w).restarts_in_flight, 4);
    cr_assert_str_eq(view(&w, 5, 0).held_by, "in flight");
    for (uint32_t i = n - 2; i < n; i++) {
        operator_asks(&w, i, 0, REC_OP_REDEPLOY);
        redeploys += w.last.type == REC_ACT_REDEPLOY;
    }
    cr_assert_eq(host_view(&w).redeploys_in_flight, 1);
    cr_assert_str_eq(view(&w, n - 1, 0).held_by, "in flight");
    done(&w, REC_DONE_OK); /* the redeploy; its successor starts */
    cr_assert_eq(host_view(&w).redeploys_in_flight, 1);
    end(&w);
}

Test(recovery_host, the_bucket_is_refilled_every_six_seconds_and_nobody_starves)
{
    struct world w;
    size_t starts = 0;
    uint64_t from;

    many(&w, 100);
    from = w.now;
    for (uint32_t i = 0; i < 20; i++) {
        exited(&w, i, 0);
        while (w.starts > starts) {
            starts = w.starts;
            done(&w, REC_DONE_OK);
            good(&w, w.last.tenant, 0);
        }
    }
    cr_assert_eq(w.starts, 5, "the bucket");
    cr_assert_str_eq(view(&w, 19, 0).held_by, "rate");
    while (run_to_start(&w, from + 10 * MINUTE)) {
        done(&w, REC_DONE_OK);
        good(&w, w.last.tenant, 0);
    }
    cr_assert_eq(w.starts, 20);
    cr_assert_eq(w.last.tenant, 19, "first come, first served");
    cr_assert_eq(restarts_hour(&w, 19, 0), 1);
    end(&w);
}

Test(recovery_host, mass_failure_freezes_and_sends_canaries)
{
    struct world w;
    uint64_t from;
    size_t before;

    many(&w, 10);
    for (uint32_t i = 0; i < 6; i++)
        probe(&w, i, 0, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_MASS_FAILURE);
    from = w.now;
    for (uint32_t i = 0; i < 6; i++)
        bad(&w, i, 0);
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, 0, 0).held_by, "mass failure");
    run(&w, from + 59 * SEC);
    cr_assert_eq(w.starts, 0);
    run(&w, from + 60 * SEC);
    cr_assert_eq(w.starts, 1, "one canary");
    done(&w, REC_DONE_OK);
    good(&w, w.last.tenant, 0);
    run(&w, from + 120 * SEC);
    cr_assert_eq(w.starts, 1, "it is not verified yet");
    run(&w, from + 179 * SEC);
    cr_assert_eq(w.starts, 1);
    run(&w, from + 180 * SEC);
    cr_assert_eq(w.starts, 3, "it is: two at once");
    before = w.starts;
    done(&w, REC_DONE_OK);
    good(&w, w.last.tenant, 0);
    run(&w, from + 300 * SEC);
    cr_assert_gt(w.starts, before, "more after verified success");
    end(&w);
}

Test(recovery_host, mass_failure_ends_when_most_are_well_for_two_minutes)
{
    struct world w;
    uint64_t from;

    many(&w, 10);
    for (uint32_t i = 0; i < 3; i++)
        probe(&w, i, 0, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_MASS_FAILURE);
    for (uint32_t i = 0; i < 3; i++)
        good(&w, i, 0);
    from = w.now;
    run(&w, from + 119 * SEC);
    cr_assert_eq(host_view(&w).state, REC_HOST_MASS_FAILURE);
    run(&w, from + 120 * SEC);
    cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL);
    cr_assert_eq(w.starts, 0);
    end(&w);
}

Test(recovery_host, failures_far_apart_are_no_mass_failure)
{
    struct world w;

    many(&w, 6);
    for (uint32_t i = 0; i < 6; i++) {
        probe(&w, i, 0, REC_PROBE_FAIL);
        run(&w, w.now + 61 * SEC);
        cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL);
    }
    end(&w);
}

Test(recovery_host, removing_a_tenant_gives_its_place_back)
{
    struct world w;
    struct rec_action old;
    uint32_t t;

    many(&w, 40);
    for (uint32_t i = 0; i < 5; i++)
        exited(&w, i, 0);
    cr_assert_eq(w.starts, 4);
    old = w.last;
    cr_assert_eq(recovery_remove_tenant(w.r, old.tenant), 0);
    cr_assert_eq(recovery_remove_tenant(w.r, old.tenant), -ENOENT);
    t = add(&w, "new", false);
    cr_assert_eq(t, old.tenant, "the index is used again");
    tick(&w);
    cr_assert_eq(w.starts, 5);
    w.last = old;
    done(&w, REC_DONE_FAILED); /* of the one that is gone */
    cr_assert_eq(view(&w, t, 0).state, REC_UNKNOWN);
    cr_assert_eq(host_view(&w).restarts_in_flight, 4);
    end(&w);
}

Test(recovery_host, five_thousand_tenants)
{
    struct world w;
    uint64_t from;

    many(&w, 5000);
    from = w.now;
    for (uint32_t i = 0; i < 5000; i++)
        exited(&w, i, 0);
    cr_assert_eq(host_view(&w).state, REC_HOST_MASS_FAILURE);
    for (uint32_t i = 0; i < 5000; i++) {
        seen(&w, i, 0, REC_RUNNING);
        good(&w, i, 0);
    }
    run(&w, from + 10 * MINUTE);
    cr_assert_eq(host_view(&w).state, REC_HOST_NORMAL);
    cr_assert_leq(w.starts, 15);
    end(&w);
}

Test(recovery_host, suppressed_actions_are_counted_once_each)
{
    struct world w;
    uint32_t t = lone(&w);
    const char *names[REC_GUARDS_MAX];
    uint64_t counts[REC_GUARDS_MAX], paused = 0;
    size_t n;

    operator_asks(&w, t, 0, REC_OP_PAUSE);
    exited(&w, t, 0);
    for (int i = 0; i < 10; i++)
        tick(&w);
    probe(&w, t, 0, REC_PROBE_FAIL);
    n = recovery_suppressed(w.r, names, counts);
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], "paused") == 0)
            paused = counts[i];
    cr_assert_eq(paused, 1);
    end(&w);
}

Test(recovery_host, the_clock_never_runs_backwards)
{
    struct world w;
    uint32_t t = lone(&w);

    w.now -= 50 * SEC;
    exited(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).since_us, T0);
    end(&w);
}

Test(recovery_host, nonsense_is_ignored)
{
    struct world w;

    lone(&w);
    seen(&w, 77, 0, REC_MISSING);
    seen(&w, 0, 77, REC_MISSING);
    step(&w, (struct rec_event){.type = REC_EV_DONE, .done = {0, REC_DONE_OK}});
    step(&w, (struct rec_event){.type = REC_EV_DONE, .done = {99, REC_DONE_OK}});
    step(&w, (struct rec_event){.type = (enum rec_event_type)99});
    cr_assert_eq(w.starts, 0);
    cr_assert_str_eq(view(&w, 77, 0).reason, "unknown component");
    cr_assert_eq(recovery_probe_interval(w.r, 77, 0), USEC_INFINITY);
    end(&w);
}

/* ---- the numbers */
Test(recovery_params, the_defaults_are_valid)
{
    struct recovery_params p;
    struct recovery_host_params hp;
    struct err e;

    recovery_params_default(&p);
    recovery_host_params_default(&hp);
    cr_assert_eq(recovery_params_validate(&p, &e), 0);
    cr_assert_eq(recovery_host_params_validate(&hp, &e), 0);
}

Test(recovery_params, impossible_numbers_are_named)
{
    struct recovery_params p;
    struct recovery_host_params hp;
    struct err e;

    recovery_params_default(&p);
    p.fall = 0;
    cr_assert_eq(recovery_params_validate(&p, &e), -EINVAL);
    cr_assert_not_null(strstr(e.msg, "recovery.fall"));
    recovery_params_default(&p);
    p.backoff_cap_us = SEC;
    cr_assert_eq(recovery_params_validate(&p, &e), -EINVAL);
    cr_assert_not_null(strstr(e.msg, "recovery.backoff.cap"));
    recovery_params_default(&p);
    p.l2.delay_us[1] = SEC;
    cr_assert_eq(recovery_params_validate(&p, &e), -EINVAL);
    cr_assert_not_null(strstr(e.msg, "recovery.l2.delays"));
    recovery_params_default(&p);
    p.restarts_per_day = 5;
    cr_assert_eq(recovery_params_validate(&p, &e), -EINVAL);
    recovery_host_params_default(&hp);
    hp.mass_exit_percent = 31;
    cr_assert_eq(recovery_host_params_validate(&hp, &e), -EINVAL);
    cr_assert_not_null(strstr(e.msg, "mass_exit_percent"));
    recovery_host_params_default(&hp);
    hp.bucket_refill_us = 0;
    cr_assert_eq(recovery_host_params_validate(&hp, &e), -EINVAL);
}
