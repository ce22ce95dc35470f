/* test_metrics.c: the Prometheus text: whole, well-formed, at 0 from the start; checked by promtool and by
 * tests/support/check_metrics.py. Run from the top of the tree. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "daemon/metrics.h"

static char *render(const struct metrics *m)
{
    struct buf b = {0};

    cr_assert_geq(metrics_render(m, &b), 0);
    return buf_take(&b);
}

static void expect_line(const char *text, const char *line)
{
    _cleanup_free_ char *want = NULL;

    cr_assert_gt(asprintf(&want, "\n%s\n", line), 0);
    cr_expect_not_null(strstr(text, want), "missing: %s", line);
}

/* A host with two tenants and every number set to something else. */
static struct metrics *example(void)
{
    static const char *const guards[] = {"engine down", "budget"};
    struct metrics *m = metrics_new();
    struct metrics_tenant *t;

    cr_assert_not_null(m);
    m->started_us = UINT64_C(1777629600500000);
    m->host_state = REC_HOST_SETTLING;
    m->engine_up = true;
    m->loop_lag_us = 1250;
    m->n_guards = ARRAY_SIZE(guards);
    for (size_t i = 0; i < ARRAY_SIZE(guards); i++)
        m->guards[i] = guards[i];
    m->suppressed[1] = 9;
    m->probes[METRICS_GATEWAY][REC_PROBE_FAIL] = 4;
    metrics_observe(m, METRICS_PROBE_DURATION, METRICS_PROXY, 250);
    metrics_observe(m, METRICS_PROBE_DURATION, METRICS_PROXY, 251);
    metrics_observe(m, METRICS_PROBE_DURATION, METRICS_PROXY, 60 * USEC_PER_SEC);
    cr_assert_not_null(metrics_tenant(m, "b"));
    t = metrics_tenant(m, "acme");
    cr_assert_not_null(t);
    t->components[METRICS_GATEWAY].up = true;
    t->components[METRICS_GATEWAY].state = REC_HEALTHY;
    t->actions[REC_L1][REC_DONE_OK] = 3;
    t->level = REC_L4;
    t->quarantined = true;
    t->hold_until_us = UINT64_C(1777633200000000);
    t->memory_bytes = 1 << 20;
    t->memory_limit_bytes = UINT64_C(2) << 30;
    t->cpu_usage_us = 1500001;
    t->requests[METRICS_DENIED] = 12;
    t->proxy_restarts[METRICS_PROXY_EXITED] = 2;
    return m;
}

Test(metrics, numbers_appear_where_they_belong)
{
    struct metrics *m = example();
    _cleanup_free_ char *text = render(m);

    expect_line(text, "clawsup_build_info{version=\"" CLAWSUP_VERSION "\"} 1");
    expect_line(text, "clawsup_start_time_seconds 1777629600.5");
    expect_line(text, "clawsup_host_state{state=\"settling\"} 1");
    expect_line(text, "clawsup_host_state{state=\"normal\"} 0");
    expect_line(text, "clawsup_engine_up 1");
    expect_line(text, "clawsup_loop_lag_seconds 0.00125");
    expect_line(text, "clawsup_actions_suppressed_total{guard=\"budget\"} 9");
    expect_line(text, "clawsup_probes_total{component=\"gateway\",result=\"fail\"} 4");
    expect_line(text, "clawsup_component_up{tenant=\"acme\",component=\"gateway\"} 1");
    expect_line(text, "clawsup_component_state{tenant=\"acme\",component=\"gateway\",state=\"healthy\"} 1");
    expect_line(text, "clawsup_component_state{tenant=\"acme\",component=\"gateway\",state=\"held\"} 0");
    expect_line(text, "clawsup_actions_total{tenant=\"acme\",level=\"L1\",result=\"ok\"} 3");
    expect_line(text, "clawsup_actions_total{tenant=\"b\",level=\"L3\",result=\"rolled_back\"} 0");
    expect_line(text, "clawsup_tenant_level{tenant=\"acme\"} 4");
    expect_line(text, "clawsup_quarantined{tenant=\"acme\"} 1");
    expect_line(text, "clawsup_quarantined{tenant=\"b\"} 0");
    expect_line(text, "clawsup_hold_until_timestamp_seconds{tenant=\"acme\"} 1777633200");
    expect_line(text, "clawsup_memory_limit_bytes{tenant=\"acme\"} 2147483648");
    expect_line(text, "clawsup_cpu_usage_seconds_total{tenant=\"acme\"} 1.500001");
    expect_line(text, "clawsup_oom_kills_total{tenant=\"b\"} 0");
    expect_line(text, "clawsup_proxy_requests_total{tenant=\"acme\",decision=\"denied\"} 12");
    expect_line(text, "clawsup_proxy_restarts_total{tenant=\"acme\",reason=\"exited\"} 2");
    metrics_free(m);
}

Test(metrics, what_was_not_measured_is_left_out)
{
    struct metrics *m = example();
    _cleanup_free_ char *text = render(m);

    cr_expect_null(strstr(text, "clawsup_memory_usage_bytes{tenant=\"b\"}"));
    cr_expect_null(strstr(text, "clawsup_disk_limit_bytes{"));
    cr_expect_null(strstr(text, "18446744073709551615"));
    metrics_free(m);
}

Test(metrics, histograms_are_cumulative)
{
    struct metrics *m = example();
    _cleanup_free_ char *text = render(m);

    expect_line(text, "clawsup_probe_duration_seconds_bucket{component=\"proxy\",le=\"0.00025\"} 1");
    expect_line(text, "clawsup_probe_duration_seconds_bucket{component=\"proxy\",le=\"0.0005\"} 2");
    expect_line(text, "clawsup_probe_duration_seconds_bucket{component=\"proxy\",le=\"5\"} 2");
    expect_line(text, "clawsup_probe_duration_seconds_bucket{component=\"proxy\",le=\"+Inf\"} 3");
    expect_line(text, "clawsup_probe_duration_seconds_sum{component=\"proxy\"} 60.000501");
    expect_line(text, "clawsup_probe_duration_seconds_count{component=\"proxy\"} 3");
    expect_line(text, "clawsup_recovery_seconds_bucket{component=\"gateway\",le=\"+Inf\"} 0");
    metrics_free(m);
}

Test(metrics, label_values_are_escaped)
{
    struct metrics *m = metrics_new();
    _cleanup_free_ char *text = NULL;

    m->guards[0] = "a\"b\\c\nd";
    m->n_guards = 1;
    text = render(m);
    expect_line(text, "clawsup_actions_suppressed_total{guard=\"a\\\"b\\\\c\\nd\"} 0");
    metrics_free(m);
}

Test(metrics, tenants_are_sorted_kept_and_removed)
{
    struct metrics *m = metrics_new();
    struct metrics_tenant *c = metrics_tenant(m, "c");

    cr_expect_neq(metrics_tenant(m, "a"), NULL);
    cr_expect_neq(metrics_tenant(m, "b"), NULL);
    cr_expect_eq(metrics_tenant(m, "c"), c, "the same struct again");
    cr_expect_eq(m->n_tenants, 3);
    cr_expect_str_eq(m->tenants[0]->slug, "a");
    cr_expect_str_eq(m->tenants[1]->slug, "b");
    metrics_remove_tenant(m, "b");
    metrics_remove_tenant(m, "nobody");
    cr_expect_eq(m->n_tenants, 2);
    cr_expect_eq(m->tenants[1], c);
    metrics_free(m);
}

static int run(const char *command, const char *path, char *out, size_t n)
{
    char line[512];
    size_t got;
    FILE *p;

    (void)snprintf(line, sizeof(line), "%s '%s' 2>&1", command, path);
    p = popen(line, "re");
    cr_assert_not_null(p);
    got = fread(out, 1, n - 1, p);
    out[got] = '\0';
    return WEXITSTATUS(pclose(p));
}

static void written(struct metrics *m, char path[static 64])
{
    struct stat st;

    (void)snprintf(path, 64, "/tmp/metrics-%d.prom", (int)getpid());
    cr_assert_geq(metrics_write(m, path), 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0644);
}

Test(metrics, the_textfile_passes_our_checker)
{
    struct metrics *m = example();
    char path[64], out[4096];
    int r;

    written(m, path);
    r = run("/usr/bin/python3 tests/support/check_metrics.py", path, out, sizeof(out));
    cr_expect_eq(r, 0, "%s", out);
    cr_expect_str_empty(out);
    unlink(path);
    metrics_free(m);
}

Test(metrics, promtool_is_silent)
{
    struct metrics *m = example();
    char path[64], out[4096];
    int r;

    if (access("/usr/bin/promtool", X_OK) < 0)
        cr_skip_test("promtool is not installed");
    written(m, path);
    r = run("/usr/bin/promtool check metrics <", path, out, sizeof(out));
    cr_expect_eq(r, 0, "%s", out);
    cr_expect_str_empty(out, "%s", out);
    unlink(path);
    metrics_free(m);
}

Test(metrics, a_host_without_tenants_is_well_formed_too)
{
    struct metrics *m = metrics_new();
    char path[64], out[4096];

    written(m, path);
    cr_expect_eq(
        run("/usr/bin/python3 tests/support/check_metrics.py", path, out, sizeof(out)), 0, "%s", out);
    unlink(path);
    metrics_free(m);
}

struct bad {
    char text[160];
    char finding[40];
};

ParameterizedTestParameters(metrics, checker_finds)
{
    static struct bad rows[] = {{"# HELP a_b x\n# TYPE a_b gauge\na_b 1 1700000000\n", "timestamp"},
        {"# HELP a_b x\n# TYPE a_b gauge\na_b{x=\"1\"} 1\na_b{x=\"1\"} 2\n", "duplicate series"},
        {"# HELP a_b x\n# TYPE a_b gauge\n# HELP c_d x\n# TYPE c_d gauge\nc_d 1\na_b 1\n",
            "not in one piece"},
        {"a_b 1\n", "no HELP and TYPE"}, {"# HELP a_b x\n# TYPE a_b counter\na_b 1\n", "_total"},
        {"# HELP a_b x\n# TYPE a_b gauge\na_b{x=\"0123456789ab\"} 1\n", "container id"},
        {"# HELP a_b x\n# TYPE a_b gauge\na_b one\n", "not a number"},
        {"# HELP a_b x\n# TYPE a_b gauge\na_b{x=\"\"\"} 1\n", "malformed labels"},
        {"# HELP a_b x\n# TYPE a_b gauge\na_b 1", "no end"}};
    return cr_make_param_array(struct bad, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct bad *v, metrics, checker_finds)
{
    char path[64], out[4096];

    (void)snprintf(path, sizeof(path), "/tmp/metrics-bad-%d.prom", (int)getpid());
    cr_assert_geq(fd_write_atomic(path, v->text, strlen(v->text), 0600), 0);
    cr_expect_eq(run("/usr/bin/python3 tests/support/check_metrics.py", path, out, sizeof(out)), 1);
    cr_expect_not_null(strstr(out, v->finding), "%s: %s", v->finding, out);
    unlink(path);
}
