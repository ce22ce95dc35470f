/* disk_guard.c: see disk_guard.h. Removes no file and no container. */
#include "daemon/disk_guard.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/messages.h"
#include "daemon/spec.h"

#define CALL_TIMEOUT_US (20 * USEC_PER_SEC)
#define SETTLE_US (6 * USEC_PER_SEC)      /* from one freeze to the next: what it changed must show */
#define STOP_AFTER_US (60 * USEC_PER_SEC) /* of frozen containers, while space is still short */
#define COUNT_CALM_US (10 * USEC_PER_MINUTE)
#define COUNT_SHORT_US (4 * USEC_PER_SEC)

static const char *const verbs[] = {
    [DISK_FREEZE_NONE] = "unpause", [DISK_FREEZE_FROZEN] = "pause", [DISK_FREEZE_STOPPED] = "kill"};

/* ---------------------------------------------------------------- a tenant's containers */

static void on_acted(struct engine *e, const struct engine_answer *a, void *userdata)
{
    (void)e;
    (void)userdata;
    /* 409: it is in that state already, or ended meanwhile. */
    if (a->result != ENGINE_OK || (a->status >= 400 && a->status != 404 && a->status != 409))
        log_warning("a container of a tenant that fills the disk: %s", a->message);
}

static void act(struct engine *e, const char *id, enum disk_freeze want)
{
    _cleanup_free_ char *path = NULL;

    if (str_is_hex(id, 64) && asprintf(&path, "/containers/%s/%s", id, verbs[want]) >= 0)
        (void)engine_request(e, "POST", path, NULL, CALL_TIMEOUT_US, on_acted, NULL, NULL);
}

/* `userdata` is what is wanted of them; the tenant may be gone by now. */
static void on_members(struct engine *e, const struct engine_answer *a, void *userdata)
{
    enum disk_freeze want = (enum disk_freeze)(uintptr_t)userdata;
    json_t *row;
    size_t i;

    if (a->result != ENGINE_OK || a->status != 200) {
        log_error("the containers of a tenant that fills the disk cannot be listed: %s", a->message);
        return;
    }
    json_array_foreach(a->body, i, row)
    {
        const char *id = json_string_value(json_object_get(row, "Id"));

        if (id)
            act(e, id, want);
    }
}

static void act_on_all(struct tenant *t, enum disk_freeze want)
{
    _cleanup_free_ char *path = NULL, *filter = NULL, *escaped = NULL;

    if (asprintf(&filter, "{\"label\":[\"%s=%s\"],\"status\":[\"running\",\"paused\"]}", SPEC_LABEL_TENANT,
            t->slug) < 0)
        return;
    escaped = engine_escape(filter);
    if (escaped && asprintf(&path, "/containers/json?filters=%s", escaped) >= 0)
        (void)engine_request(t->manager->engine, "GET", path, NULL, CALL_TIMEOUT_US, on_members,
            (void *)(uintptr_t)want, NULL);
    /* A gateway that somebody else made has no label of ours. */
    if (t->gateway.mode == CONFIG_EXTERNAL && t->gateway.facts_known && t->gateway.facts.id[0])
        act(t->manager->engine, t->gateway.facts.id, want);
}

/* The recovery stays away from what is frozen; when it is over, it looks again. */
static void hold_recovery(struct tenant *t, bool on)
{
    struct rec_event ev = {.type = REC_EV_OPERATOR,
        .tenant = t->index,
        .component = t->gateway.index,
        .op = {.op = on ? REC_OP_PAUSE : REC_OP_RESUME, .for_us = on ? USEC_PER_DAY : 0}};

    manager_event(t->manager, &ev);
}

static void put_in(struct tenant *t, enum disk_freeze want)
{
    struct tenant_disk *d = t->disk;
    struct err e = {0};

    d->freeze = want;
    d->freeze_us = manager_now(t->manager);
    manager_store_result(
        t->manager, store_set_hold(t->manager->store, t->slug, "freeze", want ? realtime_now() : 0, &e), &e);
    if (want)
        hold_recovery(t, true);
    act_on_all(t, want);
    if (!want)
        hold_recovery(t, false);
    t->manager->metrics_wanted = true;
}

void disk_guard_restore(struct tenant *t)
{
    int64_t since = 0;

    if (store_get_hold(t->manager->store, t->slug, "freeze", &since) < 0 || since == 0)
        return;
    t->disk->freeze = DISK_FREEZE_FROZEN;
    t->disk->freeze_us = manager_now(t->manager);
}

void disk_guard_release(struct tenant *t)
{
    if (t->disk->freeze != DISK_FREEZE_NONE) {
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_DISK_THAWED, "disk", "its containers go on");
        put_in(t, DISK_FREEZE_NONE);
    }
}

/* ---------------------------------------------------------------- who grows */

void disk_guard_counted(struct tenant *t, uint64_t bytes, uint64_t inodes)
{
    struct tenant_disk *d = t->disk;
    uint64_t limit = t->config->limits.disk_bytes;
    char used[16], most[16];
    bool over;

    d->growth = d->counted && bytes > d->sample.used_bytes ? bytes - d->sample.used_bytes : 0;
    d->counted = true;
    d->sample = (struct disk_sample){.limit_bytes = limit,
        .used_bytes = bytes,
        .free_bytes = limit > bytes ? limit - bytes : 0,
        .limit_inodes = t->config->limits.disk_inodes,
        .used_inodes = inodes};
    d->have_sample = true;
    over = limit && bytes > limit;
    str_format_size(used, sizeof(used), bytes);
    str_format_size(most, sizeof(most), limit);
    if (over && !d->over)
        manager_note(t, NULL, LOG_WARNING, MESSAGE_DISK_LOW, "disk",
            "it uses %s of %s, and as its limit is best-effort, only disk_reserve stops it", used, most);
    d->over = over;
}

static bool is_short(const struct tenant *t, unsigned times)
{
    struct disk_sample s;

    return disk_read(t->config->data_root, &s) >= 0 &&
           disk_below_reserve(&s, t->manager->config->disk_reserve_bytes * times);
}

uint64_t disk_guard_count_delay(const struct tenant *t)
{
    return is_short(t, 2) ? COUNT_SHORT_US : COUNT_CALM_US;
}

static uint64_t excess(const struct tenant *t)
{
    const struct disk_sample *s = &t->disk->sample;

    return s->limit_bytes && s->used_bytes > s->limit_bytes ? s->used_bytes - s->limit_bytes : 0;
}

/* Who grew most; else who is farthest above its limit; else who has most. */
static bool is_worse(const struct tenant *a, const struct tenant *b)
{
    if (!b || a->disk->growth != b->disk->growth)
        return !b || a->disk->growth > b->disk->growth;
    if (excess(a) != excess(b))
        return excess(a) > excess(b);
    return a->disk->sample.used_bytes > b->disk->sample.used_bytes;
}

/* ---------------------------------------------------------------- one file system */

struct place {
    dev_t dev;
    struct tenant *worst;  /* of those that still run */
    struct tenant *frozen; /* the one that was frozen first */
    uint64_t last_us;      /* of the last freeze or stop */
    bool uncounted;        /* of somebody nothing is known yet */
};

static bool lies_on(const struct tenant *t, dev_t dev)
{
    struct stat st;

    return t->disk && t->disk->kind == DISK_KIND_EFFORT && stat(t->config->data_root, &st) == 0 &&
           st.st_dev == dev;
}

static void look(struct manager *m, struct place *p)
{
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    {
        if (!lies_on(t, p->dev))
            continue;
        if (t->disk->freeze == DISK_FREEZE_NONE) {
            p->uncounted = p->uncounted || !t->disk->counted;
            p->worst = is_worse(t, p->worst) ? t : p->worst;
        } else {
            p->last_us = MAX(p->last_us, t->disk->freeze_us);
            if (t->disk->freeze == DISK_FREEZE_FROZEN &&
                (!p->frozen || t->disk->freeze_us < p->frozen->disk->freeze_us))
                p->frozen = t;
        }
    }
}

static void relieve(struct manager *m, dev_t dev)
{
    struct place p = {.dev = dev};
    uint64_t now = manager_now(m);
    char grew[16];

    look(m, &p);
    if (now < p.last_us + SETTLE_US)
        return;
    if (p.frozen && now >= p.frozen->disk->freeze_us + STOP_AFTER_US) {
        manager_note(p.frozen, NULL, LOG_CRIT, MESSAGE_DISK_FROZEN, "disk",
            "disk_reserve is still touched: its frozen containers are killed (best-effort limit)");
        put_in(p.frozen, DISK_FREEZE_STOPPED);
    } else if (p.worst && !p.uncounted) {
        str_format_size(grew, sizeof(grew), p.worst->disk->growth);
        manager_note(p.worst, NULL, LOG_CRIT, MESSAGE_DISK_FROZEN, "disk",
            "disk_reserve is touched, and it grew most (%s): its containers are frozen (best-effort limit)",
            grew);
        put_in(p.worst, DISK_FREEZE_FROZEN);
    }
}

/* Room for a quarter more than the reserve: whoever thaws may write again. */
static bool has_room(const struct tenant *t)
{
    uint64_t reserve = t->manager->config->disk_reserve_bytes;
    struct disk_sample s;

    return disk_read(t->config->data_root, &s) >= 0 && !disk_below_reserve(&s, reserve + reserve / 4);
}

void disk_guard_tick(struct manager *m)
{
    struct tenant *t, *next;
    dev_t done[16];
    size_t n = 0;

    HASH_ITER(hh, m->tenants, t, next)
    {
        struct stat st;
        bool seen = false;

        if (!t->disk || t->disk->kind != DISK_KIND_EFFORT)
            continue;
        if (t->disk->freeze != DISK_FREEZE_NONE && has_room(t))
            disk_guard_release(t);
        if (!m->config->disk_reserve_bytes || stat(t->config->data_root, &st) < 0 || !is_short(t, 1))
            continue;
        for (size_t i = 0; i < n; i++)
            seen = seen || done[i] == st.st_dev;
        if (seen || n == ARRAY_SIZE(done))
            continue;
        done[n++] = st.st_dev;
        relieve(m, st.st_dev);
    }
}
