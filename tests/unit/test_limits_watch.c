/* test_limits_watch.c: who was killed for want of memory and whose forks were refused, from the counters of
 * fixture files; pressure readings; the cgroup of a container against its caps. */
#include "fixture_dir.h"

#include "limits/drift.h"
#include "limits/pressure.h"
#include "limits/watch.h"

static char dir[64];
static sd_event *event;
static char told[512];

static void setup(void)
{
    fixture_new(dir, sizeof(dir));
    cr_assert_geq(sd_event_new(&event), 0);
    told[0] = '\0';
}

static void teardown(void)
{
    event = sd_event_unref(event);
    fixture_free(dir);
}

TestSuite(limits_watch, .init = setup, .fini = teardown);

static void on_report(const struct watch_report *r, void *userdata)
{
    size_t n = strlen(told);

    (void)userdata;
    (void)snprintf(told + n, sizeof(told) - n, "%s %s %u%s;", r->kind == WATCH_OOM ? "oom" : "pids",
        r->child[0] ? r->child : "?", (unsigned)r->n, r->whole_tenant ? " tenant" : "");
}

static void counters(const char *child, unsigned oom, unsigned kills, unsigned forks)
{
    char path[128], text[128];

    (void)snprintf(path, sizeof(path), "%s/memory.events", child);
    (void)snprintf(text, sizeof(text), "low 0\nhigh 1\nmax 1\noom %u\noom_kill %u\n", oom, kills);
    fixture_write(dir, path, text);
    (void)snprintf(path, sizeof(path), "%s/pids.events", child);
    (void)snprintf(text, sizeof(text), "max %u\n", forks);
    fixture_write(dir, path, text);
    (void)snprintf(path, sizeof(path), "%s/cgroup.events", child);
    fixture_write(dir, path, "populated 1\nfrozen 0\n");
}

static void expect_told(struct watch *w, const char *want)
{
    told[0] = '\0';
    cr_assert_eq(watch_scan(w), 0);
    cr_expect_str_eq(told, want, "told: %s", told);
}

Test(limits_watch, names_the_victim)
{
    _cleanup_(watch_freep) struct watch *w = NULL;

    counters("", 5, 5, 0);
    counters("/old", 5, 5, 9);
    cr_assert_eq(watch_new(event, dir, on_report, NULL, &w), 0);
    expect_told(w, ""); /* what was before is history */
    /* its own limit, the tenant's, and a child that came later */
    counters("", 7, 8, 0);
    counters("/old", 5, 7, 9);
    counters("/young", 1, 1, 3);
    told[0] = '\0';
    cr_assert_eq(watch_scan(w), 0); /* in the order of the directory */
    cr_expect_eq(strlen(told), strlen("oom old 2 tenant;oom young 1;pids young 3;"));
    cr_expect_not_null(strstr(told, "oom old 2 tenant;"));
    cr_expect_not_null(strstr(told, "oom young 1;pids young 3;"));
    expect_told(w, "");
    cr_expect_eq(watch_oom_kills(w), 3);
    cr_expect_eq(watch_forks_refused(w), 3);
}

Test(limits_watch, a_victim_that_is_gone)
{
    _cleanup_(watch_freep) struct watch *w = NULL;

    counters("", 0, 0, 0);
    counters("/a", 0, 0, 0);
    counters("/b", 0, 0, 0);
    cr_assert_eq(watch_new(event, dir, on_report, NULL, &w), 0);
    counters("", 0, 1, 0);
    {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/a", dir);
        fixture_free(path);
    }
    expect_told(w, "oom a 1;");
    counters("", 0, 2, 0);
    expect_told(w, "oom ? 1;");
}

Test(limits_watch, another_cgroup_of_that_name)
{
    _cleanup_(watch_freep) struct watch *w = NULL;
    char path[PATH_MAX], aside[PATH_MAX];

    fixture_mkdir(dir, "/t");
    counters("/t", 0, 0, 0);
    (void)snprintf(path, sizeof(path), "%s/t", dir);
    (void)snprintf(aside, sizeof(aside), "%s/aside", dir);
    cr_assert_eq(watch_new(event, path, on_report, NULL, &w), 0);
    cr_assert_eq(rename(path, aside), 0);
    cr_expect_eq(watch_scan(w), -ENOENT);
    counters("/t", 9, 9, 9);
    cr_expect_eq(watch_scan(w), -ENOENT);
}

Test(limits_watch, without_a_cgroup)
{
    struct watch *w = NULL;

    cr_expect_lt(watch_new(event, "/nowhere", on_report, NULL, &w), 0);
    cr_expect_null(w);
}

static void on_pressure(enum pressure_resource r, void *userdata)
{
    (void)r;
    (void)userdata;
}

Test(limits_watch, pressure)
{
    struct pressure_trigger *t = NULL;
    struct pressure_sample s;

    fixture_write(dir, "/io.pressure", "some avg10=12.34 avg60=0.00 avg300=0.00 total=567\n");
    fixture_write(dir, "/cpu.pressure", "some avg10=x\n");
    cr_expect_eq(pressure_read(dir, PRESSURE_IO, &s), 0);
    cr_expect_eq(s.avg10, 1234);
    cr_expect_eq(s.total_us, 567);
    cr_expect_eq(pressure_read(dir, PRESSURE_CPU, &s), -EBADMSG);
    cr_expect_eq(pressure_read(dir, PRESSURE_MEMORY, &s), -ENOENT);
    cr_expect_eq(pressure_trigger_new(event, dir, PRESSURE_MEMORY, 10, on_pressure, NULL, &t), -ENOENT);
    cr_expect_eq(pressure_trigger_new(event, dir, PRESSURE_IO, 101, on_pressure, NULL, &t), -EINVAL);
    /* an ordinary file cannot be waited for; what was written is what the kernel would be told */
    cr_expect_lt(pressure_trigger_new(event, dir, PRESSURE_IO, 40, on_pressure, NULL, &t), 0);
    cr_expect_null(t);
    {
        _cleanup_free_ char *text = NULL;
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/io.pressure", dir);
        cr_assert_geq(fd_read_file(path, 4096, &text, NULL), 0);
        cr_expect(strncmp(text, "some 800000 2000000", 19) == 0, "%s", text);
    }
}

Test(limits_watch, above_the_caps)
{
    const struct drift_container_want w = {.memory_bytes = 64 << 20, .nano_cpus = 500000000, .pids = 50};
    struct cgroup_sample s = {.have = CGROUP_MEMORY_MAX | CGROUP_CPU_MAX | CGROUP_PIDS_MAX,
        .memory_max_bytes = 64 << 20,
        .cpu_max_nano = 250000000,
        .pids_max = 50};

    cr_expect_not(drift_above(&s, &w));
    s.pids_max = LIMITS_MAX;
    cr_expect(drift_above(&s, &w));
    s.pids_max = 1;
    s.memory_max_bytes = 65 << 20;
    cr_expect(drift_above(&s, &w));
    s.have = CGROUP_PIDS_MAX; /* what is not known is not compared */
    cr_expect_not(drift_above(&s, &w));
}
