/* test_config_recovery.c: every number of the recovery policy is a key of the host, the tenants or their
 * components; what is written nearest counts, and what cannot be is refused with its line. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/config.h"
#include "config/config_schema.h"
#include "fixture_dir.h"

static char dir[64];

static void setup(void)
{
    fixture_new(dir, sizeof(dir));
    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(mkdir("tenants.d", 0755), 0);
}

static void teardown(void)
{
    fixture_free(dir);
}

TestSuite(config_recovery, .init = setup, .fini = teardown);

/* ---- every number */
/* Marks the bytes that a key of the table can write. */
static void mark(const struct config_schema *s, char *at)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];
        struct recovery_rung *rung = (void *)(at + k->offset);

        if (k->type == CONFIG_KEY_GROUP) {
            mark(k->group, at + k->offset);
        } else if (k->type == CONFIG_KEY_CUSTOM) {
            memset(&rung->n_delays, 1, sizeof(rung->n_delays));
            memset(rung->delay_us, 1, sizeof(rung->delay_us));
        } else {
            memset(at + k->offset, 1, k->type == CONFIG_KEY_U32 ? 4 : 8);
        }
    }
}

static const struct config_schema *group(const struct config_schema *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->keys[i].name, name))
            return s->keys[i].group;
    cr_assert_fail("no group %s", name);
    return NULL;
}

/* Numbers of four bytes may be followed by four of padding. */
static void all_marked(const char *at, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        cr_expect_eq(at[i], 1, "no key writes the number at %zu", i);
        cr_expect_eq(at[i + 4] == 1 || at[i + 5] == 0, 1);
    }
}

Test(config_recovery, every_number_is_a_key)
{
    static struct recovery_params p;
    static struct recovery_host_params hp;

    mark(group(&config_schema_tenant, "recovery"), (char *)&p);
    all_marked((const char *)&p, sizeof(p));
    cr_expect_eq(p.rise, 0x01010101U);
    cr_expect_eq(p.relaunches_per_hour, 0x01010101U);
    mark(group(&config_schema_host, "recovery"), (char *)&hp);
    all_marked((const char *)&hp, sizeof(hp));
    cr_expect_eq(hp.redeploys_in_flight, 0x01010101U);
}

/* ---- what counts */
static struct config *load(const char *host, const char *tenant, char **ret_findings)
{
    struct config_findings f = {};
    struct config *c = NULL;
    struct buf b = {};

    cr_assert_geq(fd_write_atomic("clawsup.conf", host, strlen(host), 0644), 0);
    cr_assert_geq(fd_write_atomic("tenants.d/a.conf", tenant, strlen(tenant), 0644), 0);
    (void)config_load("clawsup.conf", &c, &f);
    for (size_t i = 0; i < f.n; i++)
        cr_assert_eq(buf_addf(&b, "%s%s", i ? "\n" : "", f.items[i]), 0);
    config_findings_free(&f);
    *ret_findings = buf_take(&b);
    return c;
}

#define A "tenant: { slug = \"a\"; data_root = \"/data/a\";\n"

Test(config_recovery, the_nearest_counts)
{
    _cleanup_free_ char *said = NULL;
    _cleanup_(config_freep) struct config *c = load(
        "defaults: { recovery = { patience = \"5s\"; patience_max = \"50s\"; flap_changes = 7; fall = 4; };\n"
        " gateway = { recovery = { hold = \"7m\"; }; }; };",
        A "gateway = { image = \"x\"; recovery = { patience = \"20s\"; fall = 6; l1 = { delays = [ \"1s\" ]; "
          "};\n"
          " l3 = { min_gap = \"20m\"; }; }; health = { rise = 9; }; };\n"
          "proxy = { recovery = { backoff = { base = \"1s\"; }; relaunches_per_hour = 40; patience = \"0s\"; "
          "}; };\n"
          "components = ( { name = \"m\"; image = \"x\"; recovery = { restarts_per_day = 9; l1 = { attempts "
          "= 0; }; }; } );\n"
          "recovery = { flap_changes = 8; l1 = { attempts = 2; }; restarts_per_hour = 4; }; };",
        &said);
    const struct config_tenant *t;
    const struct recovery_params *g, *p, *m;

    cr_assert_not_null(c, "%s", said);
    t = config_find(c, "a");
    g = &t->gateway.recovery;
    p = &t->proxy.recovery;
    m = &t->components[0].container.recovery;
    cr_expect_eq(t->recovery.patience_us, 5 * USEC_PER_SEC);
    cr_expect_eq(g->patience_us, 20 * USEC_PER_SEC);
    cr_expect_eq(p->patience_us, 0U, "nought is a number like any other");
    cr_expect_eq(m->patience_us, 5 * USEC_PER_SEC);
    cr_expect_eq(g->patience_max_us, 50 * USEC_PER_SEC);
    cr_expect_eq(g->hold_us, 7 * USEC_PER_MINUTE);
    cr_expect_eq(p->hold_us, 5 * USEC_PER_MINUTE);
    cr_expect(g->flap_changes == 8 && p->flap_changes == 8 && m->flap_changes == 8);
    cr_expect(g->l1.attempts == 2 && g->l1.n_delays == 1 && g->l1.delay_us[0] == USEC_PER_SEC);
    cr_expect(p->l1.attempts == 2 && p->l1.n_delays == 3 && p->l1.delay_us[2] == 20 * USEC_PER_SEC);
    cr_expect_eq(m->l1.attempts, 0U);
    cr_expect_eq(g->l3_min_gap_us, 20 * USEC_PER_MINUTE);
    cr_expect_eq(m->l3_min_gap_us, 15 * USEC_PER_MINUTE);
    cr_expect(p->backoff_base_us == USEC_PER_SEC && p->backoff_cap_us == 5 * USEC_PER_MINUTE);
    cr_expect(p->relaunches_per_hour == 40 && g->relaunches_per_hour == 12);
    cr_expect(m->restarts_per_hour == 4 && m->restarts_per_day == 9 && g->restarts_per_day == 20);
    cr_expect(t->gateway.health.fall == 6 && t->gateway.health.rise == 9);
    cr_expect(t->proxy.health.fall == 4 && t->proxy.health.rise == 2);
}

Test(config_recovery, without_a_word_they_are_the_tenants)
{
    const struct config_schema *s = group(&config_schema_tenant, "recovery");
    _cleanup_free_ char *said = NULL;
    _cleanup_(config_freep) struct config *c = load(
        "", A "gateway = { image = \"x\"; }; components = ( { name = \"m\"; image = \"x\"; } ); };", &said);
    const struct config_tenant *t;

    cr_assert_not_null(c, "%s", said);
    t = config_find(c, "a");
    cr_expect_eq(config_schema_changes(s, &t->gateway.recovery, &t->recovery, CONFIG_CHANGE_RECOVERY), 0U);
    cr_expect_eq(config_schema_changes(s, &t->proxy.recovery, &t->recovery, CONFIG_CHANGE_RECOVERY), 0U);
    cr_expect_eq(
        config_schema_changes(s, &t->components[0].container.recovery, &t->recovery, CONFIG_CHANGE_RECOVERY),
        0U);
}

/* ---- what cannot be */
struct row {
    char keys[160], said[256];
};

ParameterizedTestParameters(config_recovery, refused)
{
    static struct row rows[] = {
        {"recovery = { patience = \"40s\"; };", "recovery.patience_max: must not be below recovery.patience"},
        {"recovery = { backoff = { base = \"10m\"; }; };",
            "recovery.backoff.cap: must not be below recovery.backoff.base"},
        {"recovery = { restarts_per_day = 5; };",
            "tenants.d/a.conf:2: recovery.restarts_per_day: must not be below recovery.restarts_per_hour"},
        {"recovery = { relaunches_per_hour = 2; };", "tenants.d/a.conf:2: recovery.relaunches_per_hour: must "
                                                     "not be below recovery.relaunches_per_minute"},
        {"recovery = { deescalate = \"40m\"; };", "recovery.reset: must not be below recovery.deescalate"},
        {"recovery = { l2 = { delays = [ \"2m\", \"1m\" ]; }; };",
            "tenants.d/a.conf:2: recovery.l2.delays: must not decrease"},
        {"recovery = { l3 = { attempts = 9; }; };",
            "tenants.d/a.conf:2: recovery.l3.attempts: 9 is out of range; 0 to 8"},
        {"recovery = { flap_changes = 1; };",
            "tenants.d/a.conf:2: recovery.flap_changes: 1 is out of range; 2 to 16"},
        {"recovery = { half_open = \"0s\"; };",
            "tenants.d/a.conf:2: recovery.half_open: \"0s\" is out of range"},
        {"gateway = { image = \"x\"; recovery = { patience_max = \"2s\"; }; };",
            "tenants.d/a.conf:2: gateway.recovery.patience_max: must not be below recovery.patience"},
        {"proxy = { recovery = { relaunches_per_hour = 2; }; };",
            "tenants.d/a.conf:2: proxy.recovery.relaunches_per_hour: must not be below"},
        {"proxy = { recovery = { patiense = \"1s\"; }; };",
            "tenants.d/a.conf:2: proxy.recovery: unknown key \"patiense\"; did you mean \"patience\"?"},
        {"components = ( { name = \"m\"; image = \"x\"; recovery = { l1 = { delays = [ \"9s\", \"1s\" ]; }; "
         "}; } );",
            "components[0].recovery.l1.delays: must not decrease"},
    };

    return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(const struct row *row, config_recovery, refused)
{
    _cleanup_free_ char *said = NULL;
    _cleanup_(config_freep) struct config *c = NULL;
    char text[512];

    (void)snprintf(text, sizeof(text), A "%s\n%s };", row->keys,
        strstr(row->keys, "gateway") ? "" : "gateway = { image = \"x\"; };");
    c = load("", text, &said);
    cr_expect_null(c);
    cr_expect(strstr(said, row->said), "%s\nsaid: %s", row->keys, said);
    cr_expect_null(strchr(said, '\n'), "once: %s", said);
}

ParameterizedTestParameters(config_recovery, host_refused)
{
    static struct row rows[] = {
        {"recovery = { mass_exit_percent = 31; };",
            "clawsup.conf:1: recovery.mass_exit_percent: must not be above"},
        {"recovery = { mass_canary_max = \"30s\"; };",
            "clawsup.conf:1: recovery.mass_canary_max: must not be below"},
        {"recovery = { safe_starts = 1; };",
            "clawsup.conf:1: recovery.safe_starts: 1 is out of range; 2 to 100"},
        {"recovery = { bucket_refill = \"0s\"; };",
            "clawsup.conf:1: recovery.bucket_refill: \"0s\" is out of range"},
    };

    return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(const struct row *row, config_recovery, host_refused)
{
    _cleanup_free_ char *said = NULL;
    _cleanup_(config_freep) struct config *c = load(row->keys, A "gateway = { image = \"x\"; }; };", &said);

    cr_expect_null(c);
    cr_expect(strstr(said, row->said), "%s\nsaid: %s", row->keys, said);
}
