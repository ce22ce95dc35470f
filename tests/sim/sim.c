/* sim.c: the simulator's command line and its table: a host with so many tenants, and the same weather for
 * each policy. */
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct policy *const policies[] = {
    &policy_clawsup, &policy_autoheal, &policy_engine, &policy_kubelet, &policy_cron, &policy_cron_engine};
#define POLICIES ARRAY_SIZE(policies)

/* ---- the table */
static void duration(char out[16], uint64_t us)
{
    double s = (double)us / 1e6;

    if (us == 0)
        (void)snprintf(out, 16, "-");
    else if (s < 1)
        (void)snprintf(out, 16, "%.0f ms", s * 1e3);
    else if (s < 120)
        (void)snprintf(out, 16, "%.1f s", s);
    else if (s < 7200)
        (void)snprintf(out, 16, "%.1f min", s / 60);
    else
        (void)snprintf(out, 16, "%.1f h", s / 3600);
}

static void head(const struct options *o)
{
    (void)printf("\n%s: %" PRIu32 " tenants, %" PRIu64 " days, seed %" PRIu64, model_to_string(o->model),
        o->tenants, o->days, o->seed);
    if (o->seeds > 1)
        (void)printf(" to %" PRIu64, o->seed + o->seeds - 1);
    (void)printf("\n\n| %-21s | %12s | %12s | %12s | %8s | %8s | %9s |\n", "policy", "availability",
        "recovery p50", "recovery p99", "actions", "needless", "storm/min");
    (void)printf("|---|---|---|---|---|---|---|\n");
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double availability(const struct accounts *a)
{
    return a->tenant_us == 0 ? 0 : 1 - (double)a->down_us / (double)a->tenant_us;
}

static void row(const char *name, const struct accounts *a)
{
    char p50[16], p99[16];

    if (a->n_ttr > 0)
        qsort(a->ttr, a->n_ttr, sizeof(*a->ttr), by_value);
    duration(p50, a->n_ttr > 0 ? a->ttr[a->n_ttr / 2] : 0);
    duration(p99, a->n_ttr > 0 ? a->ttr[a->n_ttr * 99 / 100] : 0);
    (void)printf("| %-21s | %10.4f %% | %12s | %12s | %8" PRIu64 " | %8" PRIu64 " | %9" PRIu64 " |\n", name,
        100 * availability(a), p50, p99, a->actions, a->needless, a->storm);
}

static int one_seed(const struct options *o, const char *only, struct accounts a[POLICIES])
{
    struct weather *w = NULL;
    size_t n = 0;
    int r = weather_make(o, &w, &n);

    for (size_t i = 0; r >= 0 && i < POLICIES; i++)
        if (!only || str_eq(only, policies[i]->name))
            r = sim_run(o, policies[i], w, n, &a[i]);
    free(w);
    return r;
}

static int one_model(const struct options *o, const char *only, struct accounts a[POLICIES])
{
    struct options one = *o;
    int r = 0;

    for (uint64_t i = 0; r >= 0 && i < o->seeds; i++, one.seed++)
        r = one_seed(&one, only, a);
    if (r < 0)
        return r;
    head(o);
    for (size_t i = 0; i < POLICIES; i++)
        if (a[i].tenant_us > 0)
            row(policies[i]->name, &a[i]);
    (void)fflush(stdout);
    return 0;
}

/* Ours leads: nobody is available for longer, nobody does less that is needless. */
static bool leads(const struct accounts a[POLICIES])
{
    bool ok = true;

    for (size_t i = 1; i < POLICIES; i++) {
        if (availability(&a[i]) < availability(&a[0]) && a[i].needless > a[0].needless)
            continue;
        (void)printf("clawsup does not lead %s on both\n", policies[i]->name);
        ok = false;
    }
    return ok;
}

/* ---- the command line */
struct arguments {
    struct options o;
    bool all, check;
    const char *only;
};

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--tenants=1..5000] [--days=N] [--seed=N] [--seeds=N] "
                          "[--model=NAME|all] [--policy=NAME]\n"
                          "           [--start-period=SECONDS] [--check] [--verbose]\n"
                          "--seeds: so many hosts, each with its own weather. --check: exit 1 unless clawsup "
                          "leads everybody on\n"
                          "availability and on needless actions. Models:");
    for (enum model m = 0; m < _MODEL_MAX; m++)
        (void)fprintf(stderr, " %s", model_to_string(m));
    (void)fprintf(stderr, ". Policies:");
    for (size_t i = 0; i < POLICIES; i++)
        (void)fprintf(stderr, "%s \"%s\"", i > 0 ? "," : "", policies[i]->name);
    (void)fputs(".\n", stderr);
    return 64;
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < least || n > most)
        return false;
    *ret = n;
    return true;
}

static bool set_model(struct arguments *a, const char *name)
{
    a->all = str_eq(name, "all");
    for (enum model m = 0; m < _MODEL_MAX; m++)
        if (str_eq(name, model_to_string(m))) {
            a->o.model = m;
            return true;
        }
    return a->all;
}

static bool set_policy(struct arguments *a, const char *name)
{
    a->only = name;
    for (size_t i = 0; i < POLICIES; i++)
        if (str_eq(name, policies[i]->name))
            return true;
    return false;
}

static bool set(struct arguments *a, int option, const char *value)
{
    uint64_t n = 0;
    bool ok = true;

    switch (option) {
    case 't':
        ok = number(value, 1, 5000, &n);
        a->o.tenants = (uint32_t)n;
        return ok;
    case 'd':
        return number(value, 1, 365, &a->o.days);
    case 's':
        return number(value, 0, UINT32_MAX, &a->o.seed);
    case 'n':
        return number(value, 1, 1000, &a->o.seeds);
    case 'm':
        return set_model(a, value);
    case 'p':
        return set_policy(a, value);
    case 'b':
        ok = number(value, 0, 3600, &n);
        a->o.start_period_us = n * SEC;
        return ok;
    case 'c':
        return a->check = true;
    case 'v':
        return a->o.verbose = true;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"tenants", required_argument, NULL, 't'},
        {"days", required_argument, NULL, 'd'}, {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'}, {"model", required_argument, NULL, 'm'},
        {"policy", required_argument, NULL, 'p'}, {"start-period", required_argument, NULL, 'b'},
        {"check", no_argument, NULL, 'c'}, {"verbose", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!set(a, c, optarg))
            return false;
    return optind == argc && !(a->check && a->only);
}

int main(int argc, char **argv)
{
    struct arguments a = {
        .o = {.tenants = 50, .days = 30, .seed = 1, .seeds = 1, .start_period_us = 300 * SEC}};
    bool ok = true;

    if (!parse(argc, argv, &a))
        return usage();
    for (enum model m = 0; m < _MODEL_MAX; m++) {
        struct accounts t[POLICIES] = {0};
        int r;

        if (!a.all && m != a.o.model)
            continue;
        a.o.model = m;
        r = one_model(&a.o, a.only, t);
        if (r >= 0 && a.check)
            ok = leads(t) && ok;
        for (size_t i = 0; i < POLICIES; i++)
            free(t[i].ttr);
        if (r < 0) {
            (void)fprintf(stderr, "sim: out of memory\n");
            return 2;
        }
    }
    return ok ? 0 : 1;
}
