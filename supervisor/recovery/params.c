/* params.c: the defaults of the recovery policy, and which numbers make no sense together. Decides nothing at
 * run time; must not know how the configuration is written beyond the names of its keys. */
#include "recovery/params.h"

#include <errno.h>
#include <inttypes.h>

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR

void recovery_params_default(struct recovery_params *p)
{
    *p = (struct recovery_params){
        .fall = 3,
        .rise = 2,
        .fast_probe_us = 250 * USEC_PER_MSEC,
        .patience_us = 10 * SEC,
        .patience_max_us = 30 * SEC,
        .l1 = {.attempts = 3, .n_delays = 3, .delay_us = {0, 5 * SEC, 20 * SEC}, .stable_us = 60 * SEC},
        .l2 = {.attempts = 2, .n_delays = 2, .delay_us = {30 * SEC, 60 * SEC}, .stable_us = 90 * SEC},
        .l3 = {.attempts = 1, .n_delays = 2, .delay_us = {60 * SEC, 15 * MINUTE}, .stable_us = 180 * SEC},
        .l3_min_gap_us = 15 * MINUTE,
        .backoff_base_us = 5 * SEC,
        .backoff_cap_us = 300 * SEC,
        .restarts_per_hour = 6,
        .restarts_per_day = 20,
        .redeploys_per_day = 3,
        .relaunches_per_minute = 3,
        .relaunches_per_hour = 12,
        .quarantine_probe_us = 60 * SEC,
        .half_open_us = 6 * HOUR,
        .start_again_us = 3 * MINUTE,
        .deescalate_us = 10 * MINUTE,
        .reset_us = 30 * MINUTE,
        .flap_changes = 5,
        .flap_window_us = 10 * MINUTE,
        .hold_us = 5 * MINUTE,
    };
}

void recovery_host_params_default(struct recovery_host_params *p)
{
    *p = (struct recovery_host_params){
        .restarts_in_flight = 4,
        .redeploys_in_flight = 1,
        .bucket_size = 5,
        .bucket_refill_us = 6 * SEC,
        .engine_fall = 2,
        .settling_us = 30 * SEC,
        .mass_min_tenants = 3,
        .mass_percent = 30,
        .mass_window_us = 60 * SEC,
        .mass_canary_us = 60 * SEC,
        .mass_canary_max_us = 15 * MINUTE,
        .mass_exit_percent = 15,
        .mass_exit_us = 120 * SEC,
        .grace_us = 30 * SEC,
        .observe_us = 30 * SEC,
        .safe_starts = 3,
        .safe_window_us = 5 * MINUTE,
        .safe_us = 10 * MINUTE,
    };
}

/* One number and the range in which it means something. */
struct range {
    const char *key;
    uint64_t value, min, max;
    bool is_time;
};

static int range_check(const struct range *r, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (r[i].value >= r[i].min && r[i].value <= r[i].max)
            continue;
        if (r[i].is_time)
            return err_set(e, -EINVAL,
                "%s: must be between %" PRIu64 " ms and %" PRIu64 " ms, not %" PRIu64 " ms", r[i].key,
                r[i].min / USEC_PER_MSEC, r[i].max / USEC_PER_MSEC, r[i].value / USEC_PER_MSEC);
        return err_set(e, -EINVAL, "%s: must be between %" PRIu64 " and %" PRIu64 ", not %" PRIu64, r[i].key,
            r[i].min, r[i].max, r[i].value);
    }
    return 0;
}

static int rung_check(const char *name, const struct recovery_rung *g, struct err *e)
{
    if (g->attempts > RECOVERY_L1_MAX)
        return err_set(
            e, -EINVAL, "recovery.%s.attempts: at most %d, not %" PRIu32, name, RECOVERY_L1_MAX, g->attempts);
    if (g->n_delays > RECOVERY_L1_MAX)
        return err_set(e, -EINVAL, "recovery.%s.delays: at most %d values, not %" PRIu32, name,
            RECOVERY_L1_MAX, g->n_delays);
    if (g->attempts > 0 && g->n_delays == 0)
        return err_set(e, -EINVAL, "recovery.%s.delays: needs at least one value", name);
    for (uint32_t i = 0; i < g->n_delays; i++) {
        if (g->delay_us[i] > 24 * HOUR)
            return err_set(e, -EINVAL, "recovery.%s.delays: at most 24h each", name);
        /* A later attempt that waits less than an earlier one is a typing error, not a policy. */
        if (i > 0 && g->delay_us[i] < g->delay_us[i - 1])
            return err_set(e, -EINVAL, "recovery.%s.delays: must not decrease", name);
    }
    if (g->stable_us < SEC || g->stable_us > HOUR)
        return err_set(e, -EINVAL, "recovery.%s.stable: must be between 1s and 1h", name);
    return 0;
}

int recovery_params_validate(const struct recovery_params *p, struct err *e)
{
    const struct range ranges[] = {
        {"recovery.fall", p->fall, 1, 100, false},
        {"recovery.rise", p->rise, 1, 100, false},
        {"recovery.fast_probe", p->fast_probe_us, 10 * USEC_PER_MSEC, MINUTE, true},
        {"recovery.patience", p->patience_us, 0, HOUR, true},
        {"recovery.patience_max", p->patience_max_us, 0, HOUR, true},
        {"recovery.l3.min_gap", p->l3_min_gap_us, 0, 24 * HOUR, true},
        {"recovery.backoff.base", p->backoff_base_us, 100 * USEC_PER_MSEC, HOUR, true},
        {"recovery.backoff.cap", p->backoff_cap_us, 100 * USEC_PER_MSEC, 24 * HOUR, true},
        {"recovery.restarts_per_hour", p->restarts_per_hour, 1, 64, false},
        {"recovery.restarts_per_day", p->restarts_per_day, 1, 64, false},
        {"recovery.redeploys_per_day", p->redeploys_per_day, 0, 16, false},
        {"recovery.relaunches_per_minute", p->relaunches_per_minute, 0, 64, false},
        {"recovery.relaunches_per_hour", p->relaunches_per_hour, 0, 64, false},
        {"recovery.quarantine_probe", p->quarantine_probe_us, SEC, HOUR, true},
        {"recovery.half_open", p->half_open_us, SEC, 7 * 24 * HOUR, true},
        {"recovery.start_again", p->start_again_us, SEC, 7 * 24 * HOUR, true},
        {"recovery.deescalate", p->deescalate_us, SEC, 24 * HOUR, true},
        {"recovery.reset", p->reset_us, SEC, 24 * HOUR, true},
        {"recovery.flap_changes", p->flap_changes, 2, 16, false},
        {"recovery.flap_window", p->flap_window_us, SEC, 24 * HOUR, true},
        {"recovery.hold", p->hold_us, SEC, 24 * HOUR, true},
    };
    int r;

    r = range_check(ranges, ARRAY_SIZE(ranges), e);
    if (r < 0)
        return r;
    r = rung_check("l1", &p->l1, e);
    if (r < 0)
        return r;
    r = rung_check("l2", &p->l2, e);
    if (r < 0)
        return r;
    r = rung_check("l3", &p->l3, e);
    if (r < 0)
        return r;
    if (p->patience_max_us < p->patience_us)
        return err_set(e, -EINVAL, "recovery.patience_max: must not be below recovery.patience");
    if (p->backoff_cap_us < p->backoff_base_us)
        return err_set(e, -EINVAL, "recovery.backoff.cap: must not be below recovery.backoff.base");
    if (p->restarts_per_day < p->restarts_per_hour)
        return err_set(e, -EINVAL, "recovery.restarts_per_day: must not be below recovery.restarts_per_hour");
    if (p->relaunches_per_hour < p->relaunches_per_minute)
        return err_set(
            e, -EINVAL, "recovery.relaunches_per_hour: must not be below recovery.relaunches_per_minute");
    if (p->reset_us < p->deescalate_us)
        return err_set(e, -EINVAL, "recovery.reset: must not be below recovery.deescalate");
    return 0;
}

int recovery_host_params_validate(const struct recovery_host_params *p, struct err *e)
{
    const struct range ranges[] = {
        {"host.restarts_in_flight", p->restarts_in_flight, 1, 1000, false},
        {"host.redeploys_in_flight", p->redeploys_in_flight, 1, 1000, false},
        {"host.bucket_size", p->bucket_size, 1, 10000, false},
        {"host.bucket_refill", p->bucket_refill_us, USEC_PER_MSEC, HOUR, true},
        {"host.engine_fall", p->engine_fall, 1, 100, false},
        {"host.settling", p->settling_us, 0, HOUR, true},
        {"host.mass_min_tenants", p->mass_min_tenants, 1, 100000, false},
        {"host.mass_percent", p->mass_percent, 1, 100, false},
        {"host.mass_window", p->mass_window_us, SEC, HOUR, true},
        {"host.mass_canary", p->mass_canary_us, SEC, HOUR, true},
        {"host.mass_canary_max", p->mass_canary_max_us, SEC, 24 * HOUR, true},
        {"host.mass_exit_percent", p->mass_exit_percent, 1, 100, false},
        {"host.mass_exit", p->mass_exit_us, 0, HOUR, true},
        {"host.grace", p->grace_us, 0, HOUR, true},
        {"host.observe", p->observe_us, 0, HOUR, true},
        {"host.safe_starts", p->safe_starts, 2, 100, false},
        {"host.safe_window", p->safe_window_us, SEC, 24 * HOUR, true},
        {"host.safe", p->safe_us, 0, 24 * HOUR, true},
    };
    int r;

    r = range_check(ranges, ARRAY_SIZE(ranges), e);
    if (r < 0)
        return r;
    if (p->mass_canary_max_us < p->mass_canary_us)
        return err_set(e, -EINVAL, "host.mass_canary_max: must not be below host.mass_canary");
    if (p->mass_exit_percent > p->mass_percent)
        return err_set(
            e, -EINVAL, "host.mass_exit_percent: must not be above host.mass_percent, or it never ends");
    return 0;
}
