/* slice_tool.c: limits/slice from a shell, for the tests in the virtual machine.
 *   slice_tool apply UNIT NANO_CPUS MEMORY PIDS    slice_tool stop UNIT    slice_tool show UNIT
 *   slice_tool host [INFO_JSON_FILE]               slice_tool drift UNIT NANO_CPUS MEMORY PIDS
 *   slice_tool pid PID                             slice_tool cgroup apply|remove SLUG [NANO_CPUS MEMORY
 * PIDS] Exit status 0, 1 with the reason on stderr, 2 for drift, 64 for usage. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/cgroup.h"
#include "limits/drift.h"
#include "limits/host.h"
#include "limits/slice.h"

static int fail(const char *what, int r)
{
    (void)fprintf(stderr, "slice_tool: %s: %s\n", what, strerror(-r));
    return 1;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: see the head of tests/support/slice_tool.c\n");
    return 64;
}

static bool parse_want(char *const *args, struct limits_want *ret)
{
    return str_parse_u64(args[0], UINT64_MAX, &ret->nano_cpus) >= 0 &&
           str_parse_u64(args[1], UINT64_MAX, &ret->memory_bytes) >= 0 &&
           str_parse_u64(args[2], UINT64_MAX, &ret->pids) >= 0;
}

struct outcome {
    sd_event *event;
    int r;
};

static void on_done(int r, const char *text, void *userdata)
{
    struct outcome *o = userdata;

    o->r = r;
    if (r < 0)
        (void)fprintf(stderr, "slice_tool: %s\n", text);
    (void)sd_event_exit(o->event, 0);
}

static int change_slice(const struct limits_host *h, const char *unit, const struct limits_want *w)
{
    struct outcome o = {0};
    struct slice_bus *b = NULL;
    char dir[4096];
    int r = cgroup_slice_dir(h, unit, dir, sizeof(dir));

    if (r < 0)
        return fail(unit, r);
    r = sd_event_default(&o.event);
    if (r >= 0)
        r = slice_bus_new(o.event, &b);
    if (r >= 0)
        r = w ? slice_apply(b, unit, w, on_done, &o, NULL) : slice_stop(b, unit, dir, on_done, &o, NULL);
    if (r >= 0)
        r = sd_event_loop(o.event);
    (void)slice_bus_free(b);
    sd_event_unref(o.event);
    if (r < 0)
        return fail(unit, r);
    return o.r < 0 ? 1 : 0;
}

static void show_value(const struct cgroup_sample *s, enum cgroup_field bit, const char *name, uint64_t v)
{
    if (!(s->have & (unsigned)bit))
        return;
    if (v == LIMITS_MAX)
        (void)printf("%s=max\n", name);
    else
        (void)printf("%s=%llu\n", name, (unsigned long long)v);
}

static int show(const struct cgroup_sample *s)
{
    show_value(s, CGROUP_MEMORY_CURRENT, "memory_current", s->memory_current_bytes);
    show_value(s, CGROUP_MEMORY_MAX, "memory_max", s->memory_max_bytes);
    show_value(s, CGROUP_MEMORY_HIGH, "memory_high", s->memory_high_bytes);
    show_value(s, CGROUP_SWAP_MAX, "swap_max", s->swap_max_bytes);
    show_value(s, CGROUP_OOM_KILLS, "oom_kills", s->oom_kills);
    show_value(s, CGROUP_CPU_USAGE, "cpu_usage_us", s->cpu_usage_us);
    show_value(s, CGROUP_CPU_THROTTLED, "cpu_throttled_us", s->cpu_throttled_us);
    show_value(s, CGROUP_CPU_MAX, "cpu_max_nano", s->cpu_max_nano);
    show_value(s, CGROUP_CPU_WEIGHT, "cpu_weight", s->cpu_weight);
    show_value(s, CGROUP_PIDS_CURRENT, "pids_current", s->pids_current);
    show_value(s, CGROUP_PIDS_MAX, "pids_max", s->pids_max);
    show_value(s, CGROUP_PRESSURE, "pressure_some_us", s->pressure_some_us);
    show_value(s, CGROUP_POPULATED, "populated", s->populated);
    return 0;
}

static int read_slice(const struct limits_host *h, const char *unit, struct cgroup_sample *ret)
{
    char dir[4096];
    int r = cgroup_slice_dir(h, unit, dir, sizeof(dir));

    return r < 0 ? r : cgroup_read(dir, ret);
}

static int show_host(const struct limits_host *h)
{
    char controllers[64];

    limits_controllers_format(controllers, sizeof(controllers), h->controllers);
    (void)printf("cgroup=%s root=%s controllers=%s\n", limits_cgroup_to_string(h->cgroup), h->cgroup_root,
        controllers);
    (void)printf("systemd=%d bus=%d psi=%d kernel=%s memory=%llu\n", h->systemd, h->bus, h->psi, h->kernel,
        (unsigned long long)h->memory_total_bytes);
    (void)printf("engine=%s driver=%s cgroup_version=%u swap_limit=%d\n", h->engine_version,
        limits_driver_to_string(h->driver), h->engine_cgroup, h->swap_limit);
    (void)printf("level=%s why=%s\n", limits_level_to_string(h->level), h->why);
    return 0;
}

static int tenant_cgroup(const struct limits_host *h, int argc, char *const *argv)
{
    struct limits_want w = {0};
    int r;

    if (argc == 5 && strcmp(argv[0], "apply") == 0 && parse_want(argv + 2, &w))
        r = cgroup_tenant_apply(h, argv[1], &w);
    else if (argc == 2 && strcmp(argv[0], "remove") == 0)
        r = cgroup_tenant_remove(h, argv[1]);
    else
        return usage();
    return r < 0 ? fail(argv[1], r) : 0;
}

static int run(const struct limits_host *h, int argc, char *const *argv)
{
    struct cgroup_sample s;
    struct limits_want w = {0};
    char text[256];
    uint64_t pid;
    int r;

    if (argc == 5 && strcmp(argv[0], "apply") == 0 && parse_want(argv + 2, &w))
        return change_slice(h, argv[1], &w);
    if (argc == 2 && strcmp(argv[0], "stop") == 0)
        return change_slice(h, argv[1], NULL);
    if (argc == 2 && strcmp(argv[0], "show") == 0) {
        r = read_slice(h, argv[1], &s);
        return r < 0 ? fail(argv[1], r) : show(&s);
    }
    if (argc == 5 && strcmp(argv[0], "drift") == 0 && parse_want(argv + 2, &w)) {
        r = read_slice(h, argv[1], &s);
        if (r < 0)
            return fail(argv[1], r);
        r = drift_sample(&s, &w, text, sizeof(text));
        (void)printf("%s\n", text);
        return r ? 2 : 0;
    }
    if (argc == 2 && strcmp(argv[0], "pid") == 0 && str_parse_u64(argv[1], INT32_MAX, &pid) >= 0) {
        r = cgroup_read_pid(h, (pid_t)pid, &s);
        return r < 0 ? fail(argv[1], r) : show(&s);
    }
    if (argc > 1 && strcmp(argv[0], "cgroup") == 0)
        return tenant_cgroup(h, argc - 1, argv + 1);
    return usage();
}

int main(int argc, char **argv)
{
    _cleanup_free_ char *text = NULL;
    json_t *info = NULL;
    struct limits_host h;
    int r;

    if (argc < 2)
        return usage();
    if (strcmp(argv[1], "host") == 0 && argc == 3 && fd_read_file(argv[2], 4 << 20, &text, NULL) >= 0)
        info = json_loads(text, 0, NULL);
    r = limits_host_detect(NULL, info, &h);
    json_decref(info);
    if (r < 0)
        return fail("host", r);
    return strcmp(argv[1], "host") == 0 ? show_host(&h) : run(&h, argc - 1, argv + 1);
}
