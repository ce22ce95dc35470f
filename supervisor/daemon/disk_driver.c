/* disk_driver.c: see disk_driver.h. Makes no decision about content: an image is never removed, files are
 * never hidden, and a tenant whose image cannot be mounted is not started beside it. */
#include "daemon/disk_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/disk_guard.h"
#include "daemon/disk_watch.h"
#include "daemon/disk_worker.h"
#include "daemon/messages.h"
#include "limits/disk_image.h"

#define TICK_US (2 * USEC_PER_SEC)
#define RETRY_US (60 * USEC_PER_SEC)
#define BUSY_RETRY_US USEC_PER_SEC
#define WORKERS_MAX 4 /* at a cold boot a hundred file systems are checked */

/* ---------------------------------------------------------------- words */

const char *disk_driver_level(const struct tenant *t)
{
    static const char *const names[_DISK_KIND_MAX] = {[DISK_KIND_NONE] = "none",
        [DISK_KIND_IMAGE] = "image",
        [DISK_KIND_OWN] = "own file system",
        [DISK_KIND_EFFORT] = "best-effort"};

    return t->disk ? names[t->disk->kind] : "none";
}

int disk_driver_ready(const struct tenant *t, const char **ret_why)
{
    if (!t->disk || t->disk->state == DISK_STATE_READY)
        return 1;
    if (ret_why)
        *ret_why = t->disk->why;
    return t->disk->state == DISK_STATE_PENDING ? 0 : -EPERM;
}

static bool is_limited(const struct tenant *t)
{
    return t->config->limits.disk_bytes > 0 || t->config->limits.disk_inodes > 0;
}

static bool has_image(const struct tenant *t)
{
    return disk_image_exists(t->manager->config->disk_images_dir, t->slug);
}

/* True if the data root is a file system of its own. */
static bool is_own(const struct tenant *t)
{
    _cleanup_free_ char *parent = NULL;
    struct stat st, up;

    return asprintf(&parent, "%s/..", t->config->data_root) >= 0 && stat(t->config->data_root, &st) == 0 &&
           stat(parent, &up) == 0 && st.st_dev != up.st_dev;
}

/* ---------------------------------------------------------------- outcomes */

static void settle(struct tenant *t, enum disk_kind kind, enum disk_state state, const char *why)
{
    struct tenant_disk *d = t->disk;
    bool news = strcmp(d->why, why) != 0 || d->state != state;

    if (kind != DISK_KIND_EFFORT)
        disk_guard_release(t);
    if (kind != d->kind)
        d->due_us = 0;
    d->kind = kind;
    d->state = state;
    if (state == DISK_STATE_REFUSED)
        d->due_us = manager_now(t->manager) + RETRY_US;
    (void)snprintf(d->why, sizeof(d->why), "%s", why);
    if (news && *why && state != DISK_STATE_PENDING)
        manager_note(t, NULL, state == DISK_STATE_REFUSED ? LOG_ERR : LOG_WARNING, MESSAGE_DISK_LIMIT, "disk",
            "%s%s", state == DISK_STATE_REFUSED ? "not started: " : "", why);
    t->manager->metrics_wanted = true;
}

static void fall_to_effort(struct tenant *t, const char *why)
{
    char text[MESSAGE_MAX];

    (void)snprintf(text, sizeof(text), "limits.disk is best-effort only: %.250s", why);
    settle(t, DISK_KIND_EFFORT, DISK_STATE_READY, text);
}

/* The image cannot be had. Where one exists, its data is the tenant's, so nothing may start without it. */
static void image_failed(struct tenant *t, const struct disk_reply *reply)
{
    const struct config_limits *l = &t->config->limits;
    const char *dir = t->manager->config->disk_images_dir;
    char text[MESSAGE_MAX];

    if (disk_image_is_mounted(dir, t->slug, t->config->data_root) > 0) {
        (void)snprintf(text, sizeof(text), "the disk is not as configured: %.280s", reply->e.msg);
        settle(t, DISK_KIND_IMAGE, DISK_STATE_READY, text);
        t->disk->retry = true;
        t->disk->due_us = manager_now(t->manager) + RETRY_US;
    } else if (reply->r == -EAGAIN || reply->r == -ECHILD) {
        settle(t, DISK_KIND_IMAGE, DISK_STATE_PENDING, reply->e.msg);
        t->disk->due_us = manager_now(t->manager) + BUSY_RETRY_US;
    } else if (has_image(t) || (l->disk_mode == CONFIG_DISK_IMAGE && l->enforce == CONFIG_ENFORCE_STRICT)) {
        settle(t, DISK_KIND_IMAGE, DISK_STATE_REFUSED, reply->e.msg);
    } else {
        fall_to_effort(t, reply->e.msg);
    }
}

static void image_done(struct tenant *t, const struct disk_image_done *done)
{
    struct tenant_disk *d = t->disk;
    char size[16], text[MESSAGE_MAX] = "";

    str_format_size(size, sizeof(size), done->bytes);
    if (done->created)
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_DISK_READY, "disk", "a disk of %s was made for it", size);
    else if (done->grown)
        manager_note(t, NULL, LOG_NOTICE, MESSAGE_DISK_READY, "disk", "its disk was grown to %s", size);
    if (done->check == DISK_IMAGE_REPAIRED)
        manager_note(t, NULL, LOG_WARNING, MESSAGE_DISK_READY, "disk",
            "e2fsck found faults in its disk and corrected them");
    if (done->shrink_refused)
        (void)snprintf(text, sizeof(text),
            "limits.disk is less than the %s of the image, which is never shrunk; raise it again, or copy "
            "the "
            "data into a new one",
            size);
    if (done->mounted) {
        d->mounted_at_us = realtime_now();
        d->restarted = 0;
        log_info("%s: disk of %s mounted on %s", t->slug, size, t->config->data_root);
    }
    settle(t, DISK_KIND_IMAGE, DISK_STATE_READY, text);
    d->retry = false;
    d->due_us = manager_now(t->manager) + t->manager->config->disk_trim_interval_us;
    for (size_t i = 0; done->mounted && i < t->n_all; i++)
        if (t->all[i]->kind == REC_KIND_CONTAINER && t->all[i]->facts_known)
            observe_inspect(t->all[i]);
}

/* ---------------------------------------------------------------- workers */

static void kick(struct manager *m);

static void on_image(const struct disk_reply *reply, void *userdata)
{
    struct tenant *t = userdata;
    struct tenant_disk *d = t->disk;

    d->worker = NULL;
    t->manager->disk_workers--;
    if (reply->r < 0)
        image_failed(t, reply);
    else
        image_done(t, &reply->image);
    if (d->again)
        disk_driver_apply(t);
    kick(t->manager);
}

static void on_trim(const struct disk_reply *reply, void *userdata)
{
    struct tenant *t = userdata;
    struct tenant_disk *d = t->disk;

    d->worker = NULL;
    t->manager->disk_workers--;
    d->due_us = manager_now(t->manager) + t->manager->config->disk_trim_interval_us;
    if (reply->r < 0)
        log_warning("%s: %s", t->slug, reply->e.msg);
    else
        log_debug("%s: %llu bytes trimmed", t->slug, (unsigned long long)reply->trimmed_bytes);
    if (d->again)
        disk_driver_apply(t);
    kick(t->manager);
}

static void on_count(const struct disk_reply *reply, void *userdata)
{
    struct tenant *t = userdata;
    struct tenant_disk *d = t->disk;

    d->worker = NULL;
    t->manager->disk_workers--;
    if (reply->r >= 0 && d->kind == DISK_KIND_EFFORT)
        disk_guard_counted(t, reply->usage.bytes, reply->usage.inodes);
    d->due_us = manager_now(t->manager) + disk_guard_count_delay(t);
    if (d->again)
        disk_driver_apply(t);
    kick(t->manager);
}

static void start_worker(struct tenant *t, enum disk_job_type type)
{
    struct manager *m = t->manager;
    const struct config_limits *l = &t->config->limits;
    struct disk_job job = {.type = type,
        .image = {.dir = m->config->disk_images_dir,
            .slug = t->slug,
            .data_root = t->config->data_root,
            .bytes = l->disk_bytes,
            .inodes = l->disk_inodes,
            .reserve_bytes = m->config->disk_reserve_bytes}};
    static const disk_worker_fn callbacks[_DISK_JOB_TYPE_MAX] = {
        [DISK_JOB_IMAGE] = on_image, [DISK_JOB_TRIM] = on_trim, [DISK_JOB_COUNT] = on_count};
    int r = disk_worker_start(m->event, &job, callbacks[type], t, &t->disk->worker);

    if (r < 0) {
        log_warning("%s: no process for its disk: %s", t->slug, strerror(-r));
        t->disk->due_us = manager_now(m) + BUSY_RETRY_US;
        return;
    }
    m->disk_workers++;
}

/* What the tenant's disk is due for; _DISK_JOB_TYPE_MAX: nothing. */
static enum disk_job_type next_job(const struct tenant *t)
{
    const struct tenant_disk *d = t->disk;

    if (!d || d->worker || manager_now(t->manager) < d->due_us)
        return _DISK_JOB_TYPE_MAX;
    if (d->state != DISK_STATE_READY || d->retry)
        return DISK_JOB_IMAGE;
    if (d->kind == DISK_KIND_IMAGE && t->manager->config->disk_trim_interval_us)
        return DISK_JOB_TRIM;
    return d->kind == DISK_KIND_EFFORT ? DISK_JOB_COUNT : _DISK_JOB_TYPE_MAX;
}

static void kick(struct manager *m)
{
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    {
        enum disk_job_type type = next_job(t);

        if (m->disk_workers < WORKERS_MAX && type < _DISK_JOB_TYPE_MAX)
            start_worker(t, type);
    }
}

/* ---------------------------------------------------------------- choosing */

void disk_driver_apply(struct tenant *t)
{
    const struct config_limits *l = &t->config->limits;
    struct tenant_disk *d = t->disk;

    d->again = d->worker != NULL;
    if (d->again)
        return;
    d->retry = false;
    if (has_image(t) ||
        (l->disk_bytes && (l->disk_mode == CONFIG_DISK_AUTO || l->disk_mode == CONFIG_DISK_IMAGE) &&
            !is_own(t))) {
        /* One that is mounted stays in use while it is looked at, or grown. */
        bool mounted = d->state == DISK_STATE_READY && d->kind == DISK_KIND_IMAGE;

        if (!mounted)
            settle(t, DISK_KIND_IMAGE, DISK_STATE_PENDING, "its disk is being prepared");
        d->due_us = 0;
        if (t->manager->disk_workers < WORKERS_MAX || mounted)
            start_worker(t, DISK_JOB_IMAGE);
    } else if (is_own(t)) {
        settle(t, DISK_KIND_OWN, DISK_STATE_READY, "");
    } else if (!is_limited(t)) {
        settle(t, DISK_KIND_NONE, DISK_STATE_READY, "");
    } else {
        settle(t, DISK_KIND_EFFORT, DISK_STATE_READY, "");
    }
}

int disk_driver_add(struct tenant *t)
{
    t->disk = calloc(1, sizeof(*t->disk));
    if (!t->disk)
        return -ENOMEM;
    disk_guard_restore(t);
    disk_driver_apply(t);
    return 0;
}

void disk_driver_forget(struct tenant *t)
{
    pid_t pid;

    if (!t->disk)
        return;
    pid = disk_worker_abandon(t->disk->worker);
    if (pid > 0) {
        t->manager->disk_workers--;
        manager_reap_later(t->manager, pid);
    }
    free(t->disk);
    t->disk = NULL;
}

/* ---------------------------------------------------------------- the running gateway */

void disk_driver_inspected(struct component *c)
{
    struct tenant *t = c->tenant;
    struct tenant_disk *d = t->disk;
    struct rec_event ev = {
        .type = REC_EV_OPERATOR, .tenant = t->index, .component = c->index, .op = {.op = REC_OP_RESTART}};

    if (!d || !d->mounted_at_us || t->op || c->facts.state != DOCKER_RUNNING ||
        (d->restarted & (1U << c->part)))
        return;
    if (c->facts.started_at_us < d->mounted_at_us) {
        d->restarted |= 1U << c->part; /* once: what fails then is the recovery's */
        manager_note(t, c, LOG_NOTICE, MESSAGE_DISK_READY, "disk",
            "it was started before its disk was mounted: restarting");
        manager_event(t->manager, &ev);
    }
}

/* ---------------------------------------------------------------- the pulse */

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;
    struct tenant *t, *next;

    (void)usec;
    HASH_ITER(hh, m->tenants, t, next)
    {
        struct tenant_disk *d = t->disk;

        /* The operator may mount a file system there, or take it away. */
        if (d && !d->worker && d->kind != DISK_KIND_IMAGE && is_own(t) != (d->kind == DISK_KIND_OWN))
            disk_driver_apply(t);
        disk_watch_tenant(t);
    }
    disk_guard_tick(m);
    kick(m);
    (void)sd_event_source_set_time(s, manager_now(m) + TICK_US);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

int disk_driver_start(struct manager *m)
{
    return sd_event_add_time_relative(m->event, &m->disk_timer, CLOCK_MONOTONIC, TICK_US, 0, on_tick, m);
}

void disk_driver_stop(struct manager *m)
{
    m->disk_timer = sd_event_source_disable_unref(m->disk_timer);
}
