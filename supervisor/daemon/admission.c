/* admission.c: see admission.h. Counts limits, not usage: a tenant that sleeps today may use all that it was
 * promised tomorrow. */
#include "daemon/admission.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/limits_driver.h"
#include "daemon/messages.h"
#include "limits/capacity.h"
#include "limits/cgroup.h"
#include "limits/disk.h"

/* The nearest directory above the data root that exists: what holds the tenant's image, or the root itself.
 */
static int place_of(const struct config_tenant *c, char *out, size_t n, dev_t *ret)
{
    struct stat st;
    char *slash;

    if ((size_t)snprintf(out, n, "%s", c->data_root) >= n)
        return -ENAMETOOLONG;
    while ((slash = strrchr(out, '/'))) {
        slash[slash == out ? 1 : 0] = '\0';
        if (stat(out, &st) == 0) {
            *ret = st.st_dev;
            return 0;
        }
        if (slash == out)
            break;
    }
    return -ENOENT;
}

static void sizes_of(const struct config_tenant *c, uint64_t want[static _CAPACITY_MAX])
{
    want[CAPACITY_CPU] = c->limits.nano_cpus;
    want[CAPACITY_MEMORY] = c->limits.memory_bytes;
    want[CAPACITY_PIDS] = c->limits.pids;
    want[CAPACITY_DISK] = c->limits.disk_bytes;
}

static uint64_t pids_total(void)
{
    _cleanup_free_ char *text = NULL;

    if (fd_read_file("/proc/sys/kernel/threads-max", 64, &text, NULL) < 0)
        return 0;
    return strtoull(text, NULL, 10);
}

static void add(uint64_t *sum, uint64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum))
        *sum = UINT64_MAX - 1;
}

/* For a tenant whose data lies on `dev`. */
static void measure(struct manager *m, const char *place, dev_t dev, struct capacity *ret)
{
    const struct config *f = m->config;
    uint64_t memory = m->host->memory_total_bytes;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct disk_sample d = {0};
    struct tenant *t, *next;

    *ret = (struct capacity){
        .r = {[CAPACITY_CPU] = {.factor = f->overcommit.cpus,
                  .total = cpus > 0 ? (uint64_t)cpus * CAPACITY_FACTOR_ONE : 0},
            [CAPACITY_MEMORY] = {.factor = f->overcommit.memory,
                .total =
                    memory > f->host_reserve_memory_bytes ? memory - f->host_reserve_memory_bytes : memory},
            [CAPACITY_PIDS] = {.factor = f->overcommit.pids, .total = pids_total()},
            [CAPACITY_DISK] = {.factor = f->overcommit.disk}}};
    if (place && disk_read(place, &d) >= 0)
        ret->r[CAPACITY_DISK].total = d.limit_bytes;
    HASH_ITER(hh, m->tenants, t, next)
    {
        uint64_t have[_CAPACITY_MAX];
        char path[PATH_MAX];
        dev_t its;

        sizes_of(t->config, have);
        if (!place || place_of(t->config, path, sizeof(path), &its) < 0 || its != dev)
            have[CAPACITY_DISK] = 0;
        for (enum capacity_resource r = 0; r < _CAPACITY_MAX; r++)
            add(&ret->r[r].committed, have[r]);
    }
}

/* It was admitted by a clawsupd before this one, and its processes are there. */
static bool lives_already(struct manager *m, const struct config_tenant *c)
{
    struct cgroup_sample s = {0};
    char unit[160], dir[512];

    str_slice_name(unit, sizeof(unit), c->slug);
    return cgroup_slice_dir(m->host, unit, dir, sizeof(dir)) >= 0 && cgroup_read(dir, &s) >= 0 && s.populated;
}

static void remember(struct manager *m, const char *slug, const char *reason)
{
    json_t *o = json_pack("{s:s, s:s}", "tenant", slug, "reason", reason);
    size_t i;
    json_t *row;

    if (!m->refused)
        m->refused = json_array();
    json_array_foreach(m->refused, i, row)
    {
        if (str_eq(json_string_value(json_object_get(row, "tenant")), slug)) {
            (void)json_array_remove(m->refused, i);
            break;
        }
    }
    if (o && reason && m->refused)
        (void)json_array_append_new(m->refused, o);
    else
        json_decref(o);
}

int admission_check(struct manager *m, const struct config_tenant *c, struct err *e)
{
    struct log_fields f = {.message_id = MESSAGE_TENANT_REFUSED, .tenant = c->slug};
    uint64_t want[_CAPACITY_MAX];
    struct capacity now;
    char place[PATH_MAX], reason[256];
    dev_t dev = 0;
    bool known = place_of(c, place, sizeof(place), &dev) >= 0;

    sizes_of(c, want);
    measure(m, known ? place : NULL, dev, &now);
    if (capacity_fits(&now, want, reason, sizeof(reason)) || lives_already(m, c)) {
        remember(m, c->slug, NULL);
        return 0;
    }
    remember(m, c->slug, reason);
    log_full(LOG_ERR, &f, "tenant %s is not admitted: %s; `clawsup capacity` has more", c->slug, reason);
    return err_set(e, -ENOSPC, "tenant %s is not admitted: %s", c->slug, reason);
}

/* ---------------------------------------------------------------- the verb */

static json_t *amount(uint64_t v)
{
    return v == CAPACITY_UNLIMITED || v > INT64_MAX ? json_null() : json_integer((json_int_t)v);
}

/* What all tenants use now; UINT64_MAX where it is not known. */
static void usage(struct manager *m, const struct disk_sample *disk, uint64_t used[static _CAPACITY_MAX])
{
    uint64_t now = manager_now(m);
    struct tenant *t, *next;

    memset(used, 0, sizeof(uint64_t) * _CAPACITY_MAX);
    used[CAPACITY_DISK] = disk ? disk->used_bytes : CAPACITY_UNLIMITED;
    HASH_ITER(hh, m->tenants, t, next)
    {
        struct limits_usage u;
        double rate;

        limits_driver_usage(t, &u);
        if (u.have_cpu && rate_sample(&t->cpu_rate, now, u.cpu_usage_us, &rate))
            used[CAPACITY_CPU] += (uint64_t)(rate * (double)CAPACITY_FACTOR_ONE);
        used[CAPACITY_MEMORY] += u.have_memory ? u.memory_bytes : 0;
        used[CAPACITY_PIDS] += u.have_pids ? u.pids : 0;
    }
}

static json_t *resources(
    const struct capacity *c, const uint64_t used[static _CAPACITY_MAX], const char *place)
{
    json_t *list = json_array();

    for (enum capacity_resource r = 0; r < _CAPACITY_MAX; r++) {
        uint64_t thousandths = c->r[r].factor / 1000000;
        json_t *o = json_pack("{s:s, s:f, s:o, s:o, s:o, s:o, s:o}", "resource",
            capacity_resource_to_string(r), "overcommit", (double)thousandths / 1000, "total",
            amount(c->r[r].total ? c->r[r].total : CAPACITY_UNLIMITED), "ceiling",
            amount(capacity_ceiling(c, r)), "committed", amount(c->r[r].committed), "used", amount(used[r]),
            "free", amount(capacity_free(c, r)));

        if (o && r == CAPACITY_DISK)
            (void)json_object_set_new(o, "where", place ? json_string(place) : json_null());
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* Disk is counted on the file system on which most tenants would come to lie: that of the first data root. */
static bool usual_place(struct manager *m, char *out, size_t n, dev_t *ret)
{
    return m->config->n_tenants > 0 && place_of(m->config->tenants[0], out, n, ret) >= 0;
}

int admission_verb(struct control_request *req, void *userdata)
{
    static const char *const keys[_CAPACITY_MAX] = {[CAPACITY_CPU] = "nano_cpus",
        [CAPACITY_MEMORY] = "memory_bytes",
        [CAPACITY_PIDS] = "pids",
        [CAPACITY_DISK] = "disk_bytes"};
    uint64_t want[_CAPACITY_MAX] = {0}, used[_CAPACITY_MAX], more;
    struct manager *m = userdata;
    enum capacity_resource by;
    struct disk_sample d = {0};
    struct capacity c;
    char place[PATH_MAX];
    dev_t dev = 0;
    bool known = usual_place(m, place, sizeof(place), &dev);

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (control_request_u64(req, keys[i], INT64_MAX, &want[i]) < 0)
            return control_error(req, CONTROL_USAGE, "malformed field",
                "nano_cpus, memory_bytes, pids, disk_bytes: the size of a tenant");
    measure(m, known ? place : NULL, dev, &c);
    usage(m, known && disk_read(place, &d) >= 0 ? &d : NULL, used);
    more = capacity_more(&c, want, &by);
    return control_reply(req,
        json_pack("{s:I, s:o, s:o, s:o, s:o}", "tenants", (json_int_t)HASH_COUNT(m->tenants), "resources",
            resources(&c, used, known ? place : NULL), "more", amount(more), "more_limited_by",
            more == CAPACITY_UNLIMITED ? json_null() : json_string(capacity_resource_to_string(by)),
            "refused", m->refused ? json_incref(m->refused) : json_array()));
}
