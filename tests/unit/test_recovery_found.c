/* test_recovery_found.c: what seeded random histories (tests/prop/prop_recovery.c) found wrong, one test
 * each. */
#include "recovery_world.h"

static void quarantine(struct world *w, uint32_t t, uint32_t c)
{
    cr_assert_eq(recovery_restore_quarantine(w->r, t, 0, w->now), 0);
    tick(w);
    cr_assert_eq(view(w, t, c).state, REC_QUARANTINED);
}

/* A restart of all that was lost to the engine was taken out of the budgets once for each component. */
Test(recovery_found, a_lost_restart_of_all_is_refunded_once)
{
    struct world w;
    uint32_t t = sidecar_pair(&w);

    exited(&w, t, 0);
    run_to_start(&w, w.now + 2 * MINUTE);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    done(&w, REC_DONE_OK);
    exited(&w, t, 0);
    run_to_start(&w, w.now + 2 * MINUTE);
    cr_assert_eq(w.last.type, REC_ACT_RESTART_ALL);
    cr_assert_eq(restarts_hour(&w, t, 0), 2);
    cr_assert_eq(restarts_hour(&w, t, 1), 1);
    done(&w, REC_DONE_ENGINE_GONE);
    cr_assert_eq(restarts_hour(&w, t, 0), 1);
    cr_assert_eq(restarts_hour(&w, t, 1), 0);
    end(&w);
}

/* It came back in quarantine, and was removed before it was verified: that is no reason to bring it up. */
Test(recovery_found, one_that_is_removed_while_it_is_tried_stays_quarantined)
{
    struct world w;
    uint32_t t = lone(&w);

    quarantine(&w, t, 0);
    good(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    seen(&w, t, 0, REC_MISSING);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_not(run_to_start(&w, T0 + 5 * USEC_PER_HOUR));
    cr_assert(run_to_start(&w, T0 + 8 * USEC_PER_HOUR));
    cr_assert_eq(w.last.type, REC_ACT_BRING_UP);
    end(&w);
}

Test(recovery_found, a_hold_does_not_end_quarantine)
{
    struct world w;
    uint32_t t = lone(&w);

    quarantine(&w, t, 0);
    good(&w, t, 0);
    step(&w, (struct rec_event){
                 .type = REC_EV_EXIT, .tenant = t, .component = 0, .exit = {.operator_stop = true}});
    cr_assert_eq(view(&w, t, 0).state, REC_HELD);
    run(&w, w.now + 5 * MINUTE);
    cr_assert_eq(view(&w, t, 0).state, REC_QUARANTINED);
    cr_assert_eq(w.starts, 0);
    cr_assert(run_to_start(&w, w.now + USEC_PER_HOUR));
    cr_assert_eq(w.last.type, REC_ACT_RESTART, "a trial: it is down");
    cr_assert(tenant_view(&w, t).quarantined);
    end(&w);
}

Test(recovery_found, a_second_stop_holds_anew)
{
    struct world w;
    uint32_t t = lone(&w);
    struct rec_event stop = {.type = REC_EV_EXIT, .tenant = t, .exit = {.operator_stop = true}};

    step(&w, stop);
    run(&w, T0 + 4 * MINUTE);
    step(&w, stop);
    cr_assert_not(run_to_start(&w, T0 + 8 * MINUTE));
    cr_assert(run_to_start(&w, T0 + 10 * MINUTE));
    end(&w);
}

/* What a person asked for was restored as an attempt at L3, and the next failure began there. */
Test(recovery_found, an_operators_redeploy_is_no_attempt_after_a_restart_either)
{
    struct world w;
    struct rec_tenant_view v;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", false);
    cr_assert_eq(recovery_restore_action(w.r, t, 0, REC_ACT_REDEPLOY, REC_L0, MINUTE, w.now), 0);
    recovery_tenant_view(w.r, t, w.now, &v);
    cr_assert_eq(v.redeploys_day, 1);
    cr_assert_eq(v.level, REC_L0);
    seen(&w, t, 0, REC_RUNNING);
    good(&w, t, 0);
    exited(&w, t, 0);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    cr_assert_eq(w.last.level, REC_L1);
    end(&w);
}

Test(recovery_found, a_launch_of_the_proxy_is_remembered_as_it_was_counted)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 0);
    t = add(&w, "a", true);
    cr_assert_eq(recovery_restore_action(w.r, t, PROXY, REC_ACT_BRING_UP, REC_L0, MINUTE, w.now), 0);
    cr_assert_eq(restarts_hour(&w, t, PROXY), 1);
    end(&w);
}

/* A good probe just before the deadline and one just after it: `rise` of them are good. */
Test(recovery_found, the_deadline_does_not_forget_a_good_probe)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    done(&w, REC_DONE_OK);
    run(&w, w.now + 299 * SEC);
    probe(&w, t, 0, REC_PROBE_OK);
    run(&w, w.now + SEC);
    cr_assert_eq(view(&w, t, 0).state, REC_BACKOFF);
    probe(&w, t, 0, REC_PROBE_OK);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    end(&w);
}

/* Outages of the engine say nothing of the action; with one refusal they were taken for "refused for so
 * long". */
Test(recovery_found, interruptions_are_no_refusals)
{
    struct world w;
    uint32_t t = lone(&w);

    exited(&w, t, 0);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(w.last.type, REC_ACT_RESTART);
        done(&w, i < 7 ? REC_DONE_ENGINE_GONE : REC_DONE_REFUSED);
        run_to_start(&w, w.now + 10 * MINUTE);
    }
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    cr_assert_eq(w.last.level, REC_L1);
    end(&w);
}

/* A hung proxy that ended while its restart failed was still taken for a running one, and waited for the
 * guards. */
Test(recovery_found, a_proxy_that_ended_meanwhile_is_dead)
{
    struct world w;
    uint32_t t = pair(&w);
    size_t starts;

    bad(&w, t, PROXY);
    cr_assert_eq(w.last.type, REC_ACT_RESTART);
    exited(&w, t, PROXY);
    ping(&w, REC_PROBE_FAIL);
    ping(&w, REC_PROBE_FAIL);
    cr_assert_eq(host_view(&w).state, REC_HOST_ENGINE_DOWN);
    starts = w.starts;
    done(&w, REC_DONE_FAILED);
    cr_assert_eq(w.starts, starts + 1, "it waits for the engine");
    end(&w);
}

/* Right after our own start only what is down is started; one that answers again is not down. */
Test(recovery_found, what_answers_again_is_not_down)
{
    struct world w;
    uint32_t t;

    new_world(&w, 1, 30 * SEC);
    t = add(&w, "a", false);
    seen(&w, t, 0, REC_STOPPED);
    done(&w, REC_DONE_ENGINE_GONE);
    good(&w, t, 0);
    cr_assert_eq(view(&w, t, 0).state, REC_VERIFYING);
    bad(&w, t, 0);
    tick(&w);
    cr_assert_eq(view(&w, t, 0).state, REC_BACKOFF);
    cr_assert_str_eq(view(&w, t, 0).held_by, "observing");
    end(&w);
}

/* A pause of a day beside a hold of five minutes: what was stored for the hold was a day. */
Test(recovery_found, a_pause_does_not_lengthen_a_hold)
{
    struct world w;
    uint32_t t = lone(&w);

    step(&w, (struct rec_event){.type = REC_EV_EXIT, .tenant = t, .exit = {.operator_stop = true}});
    step(&w, (struct rec_event){
                 .type = REC_EV_OPERATOR, .tenant = t, .op = {.op = REC_OP_PAUSE, .for_us = USEC_PER_DAY}});
    cr_assert_eq(tenant_view(&w, t).held_until_us, T0 + 5 * MINUTE);
    cr_assert_eq(tenant_view(&w, t).pause_until_us, T0 + USEC_PER_DAY);
    cr_assert_eq(tenant_view(&w, t).hold_until_us, T0 + USEC_PER_DAY);
    end(&w);
}

/* After a restart of the daemon the gateway was in quarantine because its proxy had been. */
Test(recovery_found, a_quarantined_proxy_is_not_kept_for_the_gateway)
{
    struct world w;
    uint32_t t = pair(&w);
    struct rec_tenant_view v;

    for (int i = 0; i < 6 && view(&w, t, PROXY).state != REC_QUARANTINED; i++) {
        bad(&w, t, PROXY);
        if (view(&w, t, PROXY).state == REC_BACKOFF)
            run_to_start(&w, w.now + 10 * MINUTE);
        if (view(&w, t, PROXY).state == REC_RECOVERING)
            done(&w, REC_DONE_FAILED);
        run_to_start(&w, w.now + 10 * MINUTE);
        if (view(&w, t, PROXY).state == REC_RECOVERING)
            done(&w, REC_DONE_FAILED);
    }
    recovery_tenant_view(w.r, t, w.now, &v);
    cr_assert(v.quarantined);
    cr_assert_not(v.quarantine_kept);
    end(&w);
}
