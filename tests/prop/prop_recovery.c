/* prop_recovery.c: runs seeded random histories of a small host, each of a simulated day, and holds the
 * recovery core to its ten invariants.
 *
 *   prop_recovery [--seed N] [-v]      COUNT=100000 histories; with --seed just that one, -v tells its story
 *
 * JOBS processes share them (as many as there are processors). A violation prints the command that shows it
 * again, and ends the run with status 1. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

#define STEPS_MAX 400000
#define JOBS_MAX 64
#define DENSE_ONE_IN 128 /* histories that leave out no probe; some hours each */

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

/* What the processes add up. */
struct totals {
    uint64_t exercised[_INV_MAX], held, actions, crashes, events, hours;
};

static uint64_t weather_until(struct world *w)
{
    static const uint64_t lengths[] = {10 * MINUTE, 20 * MINUTE, 45 * MINUTE, 2 * HOUR};
    uint64_t end = w->now + lengths[rnd(w, ARRAY_SIZE(lengths))];

    if (!w->dense)
        return w->now + between(w, 18 * HOUR, 23 * HOUR);
    if (w->interval_us >= 10 * SEC)
        end += between(w, 0, 26 * HOUR); /* budgets of a day */
    return w->n > 5 ? MIN(end, w->now + HOUR / 2) : end;
}

/* The weather is clear: everybody gets well, or into quarantine. False: not within 16 hours. */
static bool settles(struct world *w)
{
    uint64_t cleared = w->now, end = w->now + 16 * HOUR;

    for (unsigned steps = 0; steps < STEPS_MAX && !w->failed; steps++) {
        if (w->dense && w->now - cleared > 2 * HOUR && w->interval_us < MINUTE)
            world_slow_down(w);
        if (steps % 64 == 0 && check_settled(w))
            return true;
        if (!world_next(w, end))
            break;
    }
    return !w->failed && check_settled(w);
}

static void history(struct world *w, uint64_t seed, bool verbose)
{
    uint64_t begin, end;
    unsigned steps = 0;
    char last[sizeof(w->why)];

    world_init(w, seed, seed % DENSE_ONE_IN == 0, verbose);
    begin = w->now;
    end = weather_until(w);
    while ((!w->dense || steps++ < 60000) && world_next(w, end))
        ;
    if (w->failed)
        return;
    weather_clear(w);
    end = w->now;
    if (settles(w)) {
        w->exercised[INV_LIVENESS]++;
        while (!w->dense && world_next(w, begin + USEC_PER_DAY)) /* and there everybody stays */
            ;
        if (w->failed || w->dense || check_settled(w))
            return;
    }
    if (w->failed)
        return;
    (void)snprintf(last, sizeof(last), "%s", w->why);
    violation(
        w, INV_LIVENESS, "%.1f h after the weather cleared %.160s", (double)(w->now - end) / 3.6e9, last);
}

static bool one(uint64_t seed, bool verbose, struct world *w, struct totals *sum)
{
    uint64_t begin = USEC_PER_DAY * 20000;

    history(w, seed, verbose);
    w->r = recovery_free(w->r);
    for (int k = 1; k < _INV_MAX; k++)
        sum->exercised[k] += w->exercised[k];
    sum->held += w->held_back;
    sum->actions += w->actions;
    sum->crashes += w->crashes;
    sum->events += w->events;
    sum->hours += (w->now - begin) / HOUR;
    if (!w->failed)
        return true;
    (void)printf("seed %" PRIu64
                 ": invariant %d (%s) is violated:\n  %s\nreplay: prop_recovery --seed %" PRIu64 " -v\n",
        seed, (int)w->broken, names[w->broken], w->why, seed);
    (void)fflush(stdout);
    return false;
}

/* Every `step`th history from `first` on. */
static bool run(uint64_t first, uint64_t step, uint64_t end, bool verbose, struct totals *sum)
{
    static struct row rows[ROWS_MAX];
    static struct world w;

    w.rows = rows;
    for (uint64_t seed = first; seed < end; seed += step)
        if (!one(seed, verbose, &w, sum))
            return false;
    return true;
}

/* The first that fails ends all: their seeds are what counts. */
static bool run_jobs(uint64_t first, uint64_t end, uint64_t jobs, struct totals *sums)
{
    pid_t pids[JOBS_MAX];
    bool ok = true;
    int status;

    for (uint64_t i = 0; i < jobs; i++) {
        (void)fflush(stdout);
        pids[i] = fork();
        if (pids[i] < 0) {
            perror("fork");
            exit(2);
        }
        if (pids[i] == 0)
            _exit(run(first + i, jobs, end, false, &sums[i]) ? 0 : 1);
    }
    for (uint64_t i = 0; i < jobs; i++) {
        pid_t pid = waitpid(-1, &status, 0);

        for (uint64_t k = 0; k < jobs; k++) {
            if (pids[k] == pid)
                pids[k] = 0;
            else if (pids[k] > 0 && status != 0)
                (void)kill(pids[k], SIGKILL);
        }
        ok = ok && status == 0;
    }
    return ok;
}

static void report(const struct totals *sums, uint64_t jobs)
{
    struct totals t = {0};

    for (uint64_t i = 0; i < jobs; i++) {
        for (int k = 1; k < _INV_MAX; k++)
            t.exercised[k] += sums[i].exercised[k];
        t.held += sums[i].held;
        t.actions += sums[i].actions;
        t.crashes += sums[i].crashes;
        t.events += sums[i].events;
        t.hours += sums[i].hours;
    }
    (void)printf("%" PRIu64 " simulated days, %" PRIu64 " events, %" PRIu64 " actions, %" PRIu64
                 " times one was held back, %" PRIu64 " crashes of the daemon\n",
        t.hours / 24, t.events, t.actions, t.held, t.crashes);
    for (int k = 1; k < _INV_MAX; k++)
        (void)printf("%2d %-50s %10" PRIu64 " times exercised\n", k, names[k], t.exercised[k]);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char *argv[])
{
    uint64_t n = setting("COUNT", 100000), first = setting("SEED", (uint64_t)time(NULL) * 1000000),
             jobs = setting("JOBS", (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1));
    bool verbose = false, ok;
    struct totals *sums;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            n = jobs = 1;
        } else if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else {
            (void)fprintf(
                stderr, "usage: prop_recovery [--seed N] [-v]; COUNT, SEED and JOBS in the environment\n");
            return 64;
        }
    }
    jobs = verbose ? 1 : MIN(MAX(jobs, 1), JOBS_MAX);
    sums = mmap(NULL, jobs * sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sums == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    (void)printf("%" PRIu64 " histories from seed %" PRIu64 "\n", n, first);
    ok = jobs == 1 ? run(first, 1, first + n, verbose, sums) : run_jobs(first, first + n, jobs, sums);
    if (ok)
        report(sums, jobs);
    return ok ? 0 : 1;
}
