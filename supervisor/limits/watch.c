/* watch.c: see watch.h. The tenant's own memory.events counts for its whole subtree, so it is what wakes us
 * and what is trusted for the number; the children's files say who it was. pids.events does not add up in
 * older kernels: there each child is watched. */
#include "limits/watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "limits/cgroup_file.h"

#define CHILDREN_MAX 1024
/* Event files may change every 10 ms in a storm; one look tells as much as ten. */
#define SETTLE_US (50 * USEC_PER_MSEC)

struct child {
    char name[128];
    uint64_t oom_kills, own_ooms, forks_refused;
    bool seen;
    sd_event_source *pids;
};

struct watch {
    sd_event *event;
    sd_event_source *memory, *group, *settle;
    char dir[PATH_MAX];
    ino_t inode; /* another one under the same name is another cgroup, and nothing of it is watched */
    watch_fn fn;
    void *userdata;
    uint64_t oom_kills, oom_at_start, forks_refused;
    struct child **children;
    size_t n_children;
};

static uint64_t number_of(const char *dir, const char *file, const char *key)
{
    struct cgroup_sample s = {0};
    uint64_t v = 0;

    cgroup_file_field(dir, file, key, CGROUP_OOM_KILLS, &s, &v);
    return s.have ? v : 0;
}

static int on_settled(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    (void)watch_scan(userdata);
    return 0;
}

static int on_change(sd_event_source *s, const struct inotify_event *ev, void *userdata)
{
    struct watch *w = userdata;

    (void)s;
    if (ev->mask & IN_IGNORED)
        return 0;
    if (!w->settle)
        return sd_event_add_time_relative(
            w->event, &w->settle, CLOCK_MONOTONIC, SETTLE_US, 1000, on_settled, w);
    if (sd_event_source_get_enabled(w->settle, NULL) == SD_EVENT_OFF) {
        (void)sd_event_source_set_time_relative(w->settle, SETTLE_US);
        (void)sd_event_source_set_enabled(w->settle, SD_EVENT_ONESHOT);
    }
    return 0;
}

static int add_file(struct watch *w, const char *dir, const char *name, sd_event_source **ret)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
        return -ENAMETOOLONG;
    return sd_event_add_inotify(w->event, ret, path, IN_MODIFY, on_change, w);
}

static struct child *child_free(struct child *c)
{
    c->pids = sd_event_source_disable_unref(c->pids);
    free(c);
    return NULL;
}

static struct child *find_child(struct watch *w, const char *name)
{
    for (size_t i = 0; i < w->n_children; i++)
        if (strcmp(w->children[i]->name, name) == 0)
            return w->children[i];
    return NULL;
}

/* A child that is new begins at zero: it was made after the last look, so all it counts is news. At the first
 * look of all its numbers are history. */
static struct child *add_child(struct watch *w, const char *dir, const char *name, bool first)
{
    struct child **grown, *c;

    if (w->n_children >= CHILDREN_MAX || strlen(name) >= sizeof(c->name))
        return NULL;
    grown = reallocarray(w->children, w->n_children + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    w->children = grown;
    c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    memcpy(c->name, name, strlen(name) + 1); /* it fits, see above */
    (void)add_file(w, dir, "pids.events", &c->pids);
    if (first) {
        c->oom_kills = number_of(dir, "memory.events", "oom_kill");
        c->own_ooms = number_of(dir, "memory.events", "oom");
        c->forks_refused = number_of(dir, "pids.events", "max");
    }
    w->children[w->n_children++] = c;
    return c;
}

static void report(struct watch *w, enum watch_kind kind, const char *child, uint64_t n, bool whole_tenant)
{
    const struct watch_report r = {.kind = kind, .child = child, .n = n, .whole_tenant = whole_tenant};

    w->fn(&r, w->userdata);
}

/* Returns how many OOM kills this child explains. */
static uint64_t look_at_child(struct watch *w, const char *dir, struct child *c)
{
    uint64_t kills = number_of(dir, "memory.events", "oom_kill");
    uint64_t own = number_of(dir, "memory.events", "oom");
    uint64_t refused = number_of(dir, "pids.events", "max"), n = 0;

    if (kills > c->oom_kills) {
        n = kills - c->oom_kills;
        report(w, WATCH_OOM, c->name, n, own == c->own_ooms);
    }
    if (refused > c->forks_refused) {
        w->forks_refused += refused - c->forks_refused;
        report(w, WATCH_PIDS, c->name, refused - c->forks_refused, false);
    }
    c->oom_kills = MAX(kills, c->oom_kills);
    c->own_ooms = MAX(own, c->own_ooms);
    c->forks_refused = MAX(refused, c->forks_refused);
    return n;
}

static uint64_t look_at_children(struct watch *w, bool first)
{
    DIR *h = opendir(w->dir);
    uint64_t explained = 0;
    struct dirent *d;

    while (h && (d = readdir(h))) {
        char dir[PATH_MAX];
        struct child *c;

        if (d->d_type != DT_DIR || d->d_name[0] == '.' ||
            (size_t)snprintf(dir, sizeof(dir), "%s/%s", w->dir, d->d_name) >= sizeof(dir))
            continue;
        c = find_child(w, d->d_name);
        if (!c)
            c = add_child(w, dir, d->d_name, first);
        if (!c)
            continue;
        c->seen = true;
        explained += look_at_child(w, dir, c);
    }
    if (h)
        (void)closedir(h);
    return explained;
}

/* Children that went since the last look. A kill that nobody else explains was in one of them: a container
 * whose first process is killed is gone within milliseconds. */
static void drop_children(struct watch *w, uint64_t unexplained)
{
    size_t kept = 0, gone = 0;
    const char *victim = "";
    char name[sizeof(w->children[0]->name)];

    for (size_t i = 0; i < w->n_children; i++)
        if (!w->children[i]->seen) {
            gone++;
            victim = w->children[i]->name;
        }
    (void)snprintf(name, sizeof(name), "%s", gone == 1 ? victim : "");
    for (size_t i = 0; i < w->n_children; i++) {
        struct child *c = w->children[i];

        if (c->seen) {
            c->seen = false;
            w->children[kept++] = c;
        } else {
            (void)child_free(c);
        }
    }
    w->n_children = kept;
    if (unexplained > 0)
        report(w, WATCH_OOM, name, unexplained, false);
}

int watch_scan(struct watch *w)
{
    uint64_t kills, news, explained;
    struct stat st;

    if (stat(w->dir, &st) < 0)
        return -errno;
    if (st.st_ino != w->inode)
        return -ENOENT;
    kills = number_of(w->dir, "memory.events", "oom_kill");
    news = kills > w->oom_kills ? kills - w->oom_kills : 0;
    w->oom_kills = MAX(kills, w->oom_kills);
    explained = look_at_children(w, false);
    /* A child may have counted one more since the total was read. */
    drop_children(w, news > explained ? news - explained : 0);
    w->oom_kills += explained > news ? explained - news : 0;
    return 0;
}

int watch_new(sd_event *event, const char *dir, watch_fn fn, void *userdata, struct watch **ret)
{
    _cleanup_(watch_freep) struct watch *w = calloc(1, sizeof(*w));
    struct stat st;
    int r;

    if (!w)
        return -ENOMEM;
    if (stat(dir, &st) < 0)
        return -errno;
    w->inode = st.st_ino;
    if ((size_t)snprintf(w->dir, sizeof(w->dir), "%s", dir) >= sizeof(w->dir))
        return -ENAMETOOLONG;
    w->event = sd_event_ref(event);
    w->fn = fn;
    w->userdata = userdata;
    r = add_file(w, dir, "memory.events", &w->memory);
    if (r >= 0)
        r = add_file(w, dir, "cgroup.events", &w->group);
    if (r < 0)
        return r;
    w->oom_at_start = w->oom_kills = number_of(dir, "memory.events", "oom_kill");
    (void)look_at_children(w, true);
    for (size_t i = 0; i < w->n_children; i++)
        w->children[i]->seen = false;
    *ret = TAKE_PTR(w);
    return 0;
}

struct watch *watch_free(struct watch *w)
{
    if (!w)
        return NULL;
    for (size_t i = 0; i < w->n_children; i++)
        (void)child_free(w->children[i]);
    free(w->children);
    w->memory = sd_event_source_disable_unref(w->memory);
    w->group = sd_event_source_disable_unref(w->group);
    w->settle = sd_event_source_disable_unref(w->settle);
    (void)sd_event_unref(w->event);
    free(w);
    return NULL;
}

uint64_t watch_oom_kills(const struct watch *w)
{
    return w->oom_kills - w->oom_at_start;
}

uint64_t watch_forks_refused(const struct watch *w)
{
    return w->forks_refused;
}
