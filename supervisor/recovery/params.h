/* params.h: every number of the recovery policy, with the defaults of contrib/docs/recovery. All times in
 * microseconds. PURE. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#define RECOVERY_L1_MAX 8
#define RECOVERY_L2_MAX 8
#define RECOVERY_L3_MAX 8

/* One rung: so many attempts, the delay before each (attempt i uses delay_us[MIN(i, n-1)]), and how long it
 * must stay good before the rung counts as successful. */
struct recovery_rung {
    uint32_t attempts;
    uint32_t n_delays;
    uint64_t delay_us[RECOVERY_L1_MAX];
    uint64_t stable_us;
};

/* Per tenant; the proxy and the gateway differ only in start_deadline, which lives with the health settings.
 */
struct recovery_params {
    uint32_t fall, rise;    /* 3, 2; per component values are in struct rec_component_params */
    uint64_t fast_probe_us; /* 250 ms after a first failure */
    /* 10 s: so long failed probes alone lead to nothing, and up to 30 s for what has been seen to stall and
     * come back. Not for an embedded proxy. No more than 5 and 15 probe intervals: who probes faster decides
     * faster. */
    uint64_t patience_us, patience_max_us;
    struct recovery_rung l1, l2,
        l3;                 /* 3: 0 5 20 s, stable 60 s | 2: 30 60 s, 90 s | 1: 60 s (15 min), 180 s */
    uint64_t l3_min_gap_us; /* 15 min */
    uint64_t backoff_base_us,
        backoff_cap_us; /* 5 s, 300 s: for what has no rung (bring-up that is refused) */
    uint32_t restarts_per_hour, restarts_per_day; /* 6, 20 per component */
    uint32_t redeploys_per_day;                   /* 3 per tenant */
    /* 3, 12: a dead embedded proxy is relaunched at once so often; after that with growing delays, then
     * quarantine. */
    uint32_t relaunches_per_minute, relaunches_per_hour;
    uint64_t quarantine_probe_us; /* 60 s */
    uint64_t half_open_us;        /* 6 h */
    uint64_t start_again_us; /* 3 min: what is down in quarantine is started after it, then after twice as
                                long ... */
    uint64_t deescalate_us, reset_us; /* 10 min, 30 min */
    uint32_t flap_changes;            /* 5 */
    uint64_t flap_window_us;          /* 10 min */
    uint64_t hold_us;                 /* 5 min: a stop that is not ours */
};

struct recovery_host_params {
    uint32_t restarts_in_flight, redeploys_in_flight; /* 4, 1 */
    uint32_t bucket_size;                             /* 5 */
    uint64_t bucket_refill_us;                        /* one token per 6 s */
    uint32_t engine_fall;                             /* 2 failed pings */
    uint64_t settling_us;                             /* 30 s */
    uint32_t mass_min_tenants, mass_percent;          /* 3, 30 */
    uint64_t mass_window_us;                          /* 60 s */
    uint64_t mass_canary_us;     /* 60 s between canaries, doubled with each that does not get well ... */
    uint64_t mass_canary_max_us; /* ... up to 15 min */
    uint32_t mass_exit_percent;  /* 15 */
    uint64_t mass_exit_us;       /* 120 s */
    uint64_t grace_us;           /* 30 s after a suspend or a stall */
    uint64_t observe_us;         /* 30 s observe-only after our own start */
    uint32_t safe_starts;        /* 3 starts ... */
    uint64_t safe_window_us, safe_us; /* ... in 5 min: SAFE for 10 min */
};

void recovery_params_default(struct recovery_params *p);
void recovery_host_params_default(struct recovery_host_params *p);

/* Impossible combinations: -EINVAL, with the field as the configuration spells it and the reason. */
int recovery_params_validate(const struct recovery_params *p, struct err *e);
int recovery_host_params_validate(const struct recovery_host_params *p, struct err *e);
