/* prop_recovery.c: runs seeded random histories of a small host and holds the recovery core to its ten
 * invariants.
 *
 *   prop_recovery [--seed N] [-v]      COUNT=1500 histories; with --seed just that one, -v tells its story
 *
 * A violation prints the command that shows it again, and ends the run with status 1. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model.h"

#define STEPS_MAX 400000

static const char *const names[_INV_MAX] = {[INV_GUARDS] = "no action against a guard",
    [INV_IN_FLIGHT] = "limits in flight and per time",
    [INV_BUDGETS] = "budgets, across crashes at any write",
    [INV_LEVELS] = "no level before the one below is used up",
    [INV_UNKNOWN] = "unknown is not failed",
    [INV_DELAYS] = "every delay within [d, 1.25 d]",
    [INV_GOOD] = "no action while the last probes are good",
    [INV_CLOCK] = "a clock step gives no action, and voids results",
    [INV_REDEPLOY] = "the old container outlives the verification",
    [INV_LIVENESS] = "ends healthy or quarantined, nobody starves"};

static void history(struct world *w, uint64_t seed, bool verbose)
{
    static const uint64_t lengths[] = {10 * MINUTE, 20 * MINUTE, 45 * MINUTE, 2 * HOUR};
    uint64_t end;
    unsigned steps = 0;
    uint64_t cleared;
    char last[sizeof(w->why)];

    world_init(w, seed, verbose);
    end = w->now + lengths[rnd(w, ARRAY_SIZE(lengths))];
    if (w->interval_us >= 10 * SEC)
        end += between(w, 0, 26 * HOUR); /* budgets of a day */
    if (w->n > 5)
        end = MIN(end, w->now + HOUR / 2);
    while (steps++ < 60000 && world_next(w, end))
        ;
    if (w->failed)
        return;
    weather_clear(w);
    cleared = w->now;
    end = w->now + 16 * HOUR;
    for (steps = 0; steps < STEPS_MAX && !w->failed; steps++) {
        if (w->now - cleared > 2 * HOUR && w->interval_us < MINUTE)
            world_slow_down(w);
        if (steps % 64 == 0 && check_settled(w)) {
            w->exercised[INV_LIVENESS]++;
            return;
        }
        if (!world_next(w, end))
            break;
    }
    if (w->failed || check_settled(w))
        return;
    (void)snprintf(last, sizeof(last), "%s", w->why);
    violation(
        w, INV_LIVENESS, "%.1f h after the weather cleared %.160s", (double)(w->now - cleared) / 3.6e9, last);
}

static int one(uint64_t seed, bool verbose, struct world *w)
{
    history(w, seed, verbose);
    w->r = recovery_free(w->r);
    if (!w->failed)
        return 0;
    (void)printf("seed %" PRIu64
                 ": invariant %d (%s) is violated:\n  %s\nreplay: prop_recovery --seed %" PRIu64 " -v\n",
        seed, (int)w->broken, names[w->broken], w->why, seed);
    return 1;
}

int main(int argc, char *argv[])
{
    static struct world w;
    const char *count = getenv("COUNT"), *from = getenv("SEED");
    uint64_t total[_INV_MAX] = {0}, held = 0, actions = 0, crashes = 0,
             n = count ? strtoull(count, NULL, 10) : 1500,
             first = from ? strtoull(from, NULL, 10) : (uint64_t)time(NULL) * 1000;
    bool verbose = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            n = 1;
        } else if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else {
            (void)fprintf(
                stderr, "usage: prop_recovery [--seed N] [-v]; COUNT and SEED in the environment\n");
            return 64;
        }
    }
    (void)printf("%" PRIu64 " histories from seed %" PRIu64 "\n", n, first);
    for (uint64_t i = 0; i < n; i++) {
        if (one(first + i, verbose, &w))
            return 1;
        for (int k = 1; k < _INV_MAX; k++)
            total[k] += w.exercised[k];
        held += w.held_back;
        actions += w.actions;
        crashes += w.crashes;
    }
    (void)printf("%" PRIu64 " actions, %" PRIu64 " times one was held back, %" PRIu64
                 " crashes of the daemon\n",
        actions, held, crashes);
    for (int k = 1; k < _INV_MAX; k++)
        (void)printf("%2d %-50s %10" PRIu64 " times exercised\n", k, names[k], total[k]);
    return 0;
}
