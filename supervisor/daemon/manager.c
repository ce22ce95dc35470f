/* manager.c: the daemon's parts put together on one loop: preconditions, timers, the engine's pulse, our own
 * lag. */
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/gid.h"
#include "base/log.h"
#include "daemon/control.h"
#include "daemon/disk_driver.h"
#include "daemon/dryrun.h"
#include "daemon/fdstore.h"
#include "daemon/limits_driver.h"
#include "daemon/messages.h"
#include "daemon/op.h"
#include "daemon/proxy_child.h"
#include "daemon/upgrade.h"

#define ENGINE_PING_US (2 * USEC_PER_SEC)
#define LAG_PERIOD_US (250 * USEC_PER_MSEC)
#define ADOPTION_OVER_US (10 * USEC_PER_SEC)
#define STALL_US (2 * USEC_PER_SEC)

uint64_t manager_now(struct manager *m)
{
    uint64_t now = 0;

    if (sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0)
        return 0;
    return now;
}

int64_t realtime_now(void)
{
    return (int64_t)clock_now(CLOCK_REALTIME);
}

double manager_jitter(void)
{
    return (double)arc4random() / 4294967296.0;
}

uint64_t manager_stretch(const struct manager *m, uint64_t timeout_us)
{
    uint64_t extra = m->lag_us * 4; /* one lag each for connect, send, receive and ourselves */

    return timeout_us + MIN(extra, timeout_us * 7);
}

void manager_reap_later(struct manager *m, pid_t pid)
{
    if (m->n_reap < ARRAY_SIZE(m->reap))
        m->reap[m->n_reap++] = pid;
}

static void reap(struct manager *m)
{
    for (size_t i = 0; i < m->n_reap;) {
        if (waitpid(m->reap[i], NULL, WNOHANG) == 0)
            i++;
        else
            m->reap[i] = m->reap[--m->n_reap];
    }
}

/* ---------------------------------------------------------------- preconditions */

static int make_dir(const char *path, mode_t mode, const char *key, struct err *e)
{
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_set(e, -errno, "%s %s: mkdir: %m", key, path);
    if (stat(path, &st) < 0)
        return err_set(e, -errno, "%s %s: %m", key, path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "%s %s is not a directory", key, path);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return err_set(e, -EPERM, "%s %s must belong to root and be writable by nobody else", key, path);
    return 0;
}

static int take_lock(struct manager *m, struct err *e)
{
    _cleanup_free_ char *path = NULL, *holder = NULL;
    char text[24];
    int n;

    if (asprintf(&path, "%s/lock", m->config->runtime_dir) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m->lock_fd < 0)
        return err_set(e, -errno, "%s: %m", path);
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        (void)fd_read_all(m->lock_fd, 20, &holder, NULL);
        if (holder)
            holder[strcspn(holder, "\n")] = '\0';
        return err_set(e, -EBUSY,
            "another clawsupd (pid %s) uses %s; stop it, or give this one its own runtime_dir",
            holder && *holder ? holder : "unknown", m->config->runtime_dir);
    }
    n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(m->lock_fd, 0) < 0 || pwrite(m->lock_fd, text, (size_t)n, 0) != n)
        return err_set(e, -EIO, "%s: %m", path);
    return 0;
}

static int find_proxy_program(struct manager *m, struct err *e)
{
    char self[4096], *slash;
    ssize_t n;

    if (m->config->proxy_program) {
        m->proxy_program = strdup(m->config->proxy_program);
        return m->proxy_program ? 0 : err_set(e, -ENOMEM, "out of memory");
    }
    n = readlink("/proc/self/exe", self, sizeof(self) - 32);
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        (void)snprintf(slash + 1, 32, "clawsup-proxy");
        if (access(self, X_OK) == 0) {
            m->proxy_program = strdup(self);
            return m->proxy_program ? 0 : err_set(e, -ENOMEM, "out of memory");
        }
    }
    m->proxy_program = strdup(CLAWSUP_PREFIX "/libexec/clawsup/clawsup-proxy");
    return m->proxy_program ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int find_proxy_user(struct manager *m, struct err *e)
{
    const char *name = m->config->proxy_user;
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (getpwnam_r(name, &pw, buf, sizeof(buf), &found) != 0 || !found)
        return err_set(e, -ESRCH,
            "proxy_user: there is no user \"%s\"; create it (systemd-sysusers, or useradd --system) "
            "or set proxy_user",
            name);
    if (found->pw_uid == 0)
        return err_set(e, -EPERM, "proxy_user must not be root");
    m->proxy_uid = found->pw_uid;
    m->proxy_gid = found->pw_gid;
    return 0;
}

/* A socket that is missing is no error: the engine may come later, and the gid is compared again then. */
static void resolve_gid(struct manager *m)
{
    struct err e = {0};
    gid_t old = m->docker_gid;
    bool known = m->docker_gid_known;
    struct tenant *t, *next;
    int r = gid_resolve(
        m->config->docker_gid, m->config->engine_socket, m->config->allow_root_gid, &m->docker_gid, &e);

    m->docker_gid_known = r >= 0 || r == -ENOENT;
    if (!m->docker_gid_known) {
        if (strcmp(m->gid_message, e.msg) != 0)
            log_error("%s", e.msg);
        (void)snprintf(
            m->gid_message, sizeof(m->gid_message), "%.*s", (int)sizeof(m->gid_message) - 1, e.msg);
        return;
    }
    m->gid_message[0] = '\0';
    if (!known || old == m->docker_gid)
        return;
    HASH_ITER(hh, m->tenants, t, next)
    if (t->child && proxy_child_pid(t->child) && proxy_child_launch(t->child, true, &e) < 0)
        log_error(
            "%s: the proxy cannot be relaunched with gid %u: %s", t->slug, (unsigned)m->docker_gid, e.msg);
}

/* ---------------------------------------------------------------- the engine's pulse */

static void engine_went_up(struct manager *m)
{
    log_notice("the engine at %s answers", m->config->engine_socket);
    resolve_gid(m);
    limits_driver_engine_up(m);
    observe_relist(m);
}

/* Any answer is a sign of life; silence is only believed of a ping. */
void observe_engine_result(struct manager *m, const struct engine_answer *a)
{
    if (a->result == ENGINE_OK && !m->engine_up && m->engine_known && !m->engine_ping && m->engine_timer)
        (void)sd_event_source_set_time(m->engine_timer, manager_now(m));
}

static void judge_engine(struct manager *m, const struct engine_answer *a)
{
    bool ok = a->result == ENGINE_OK && a->status == 200, unknown = a->result == ENGINE_OWN_FAULT,
         was = m->engine_up;
    struct rec_event ev = {.type = REC_EV_ENGINE,
        .engine = {.result = ok ? REC_PROBE_OK : (unknown ? REC_PROBE_UNKNOWN : REC_PROBE_FAIL),
            .hung = a->result == ENGINE_TIMEOUT}};

    if (ok) {
        m->engine_fails = 0;
        m->engine_up = true;
        m->engine_message[0] = '\0';
        if (!was)
            engine_went_up(m);
    } else if (!unknown) {
        (void)snprintf(m->engine_message, sizeof(m->engine_message), "%s", a->message);
        if (++m->engine_fails == m->config->recovery.engine_fall ||
            (!m->engine_known && m->engine_fails == 1)) {
            log_error("the engine at %s %s: %s", m->config->engine_socket,
                a->result == ENGINE_INCOMPATIBLE ? "is of no use" : "does not answer", a->message);
            m->engine_up = false;
        }
        startup_engine_down(m);
    }
    m->engine_known = true;
    manager_event(m, &ev);
}

static void on_versioned_ping(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;

    (void)e;
    m->engine_ping = NULL;
    judge_engine(m, a);
}

/* It lives; whether it can be spoken to is known only when a version is agreed on, after each outage anew. */
static void on_ping(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;

    m->engine_ping = NULL;
    if (a->result != ENGINE_OK || a->status != 200 || *engine_api_version(e) ||
        engine_request(e, "GET", "/_ping", NULL, manager_stretch(m, ENGINE_PING_US), on_versioned_ping, m,
            &m->engine_ping) < 0)
        judge_engine(m, a);
}

static int on_engine_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;

    (void)usec;
    if (!m->engine_ping &&
        engine_ping(m->engine, manager_stretch(m, ENGINE_PING_US), on_ping, m, &m->engine_ping) < 0) {
        struct rec_event ev = {.type = REC_EV_ENGINE, .engine = {.result = REC_PROBE_UNKNOWN}};
        manager_event(m, &ev);
    }
    (void)sd_event_source_set_time(s, manager_now(m) + ENGINE_PING_US);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* ---------------------------------------------------------------- our own pulse */

static int on_lag_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;
    uint64_t now = manager_now(m), lag = now > usec ? now - usec : 0;
    int64_t offset = (int64_t)(clock_now(CLOCK_BOOTTIME) - clock_now(CLOCK_MONOTONIC));
    bool suspended = offset - m->boot_offset_us >= (int64_t)STALL_US;

    m->lag_us = MAX(lag, m->lag_us - m->lag_us / 8); /* rises at once, falls slowly */
    m->metrics->loop_lag_us = MAX(m->metrics->loop_lag_us, lag);
    m->boot_offset_us = offset;
    if (suspended || lag >= STALL_US) {
        struct rec_event ev = {.type = REC_EV_TIME_JUMP};
        log_warning("%s: results in flight are void, 30 s of grace",
            suspended ? "the host was suspended" : "the loop stalled");
        manager_event(m, &ev);
    }
    reap(m);
    if (!m->fdstore_closed && m->started && now > m->started_us + ADOPTION_OVER_US) {
        m->fdstore_closed = true;
        fdstore_close();
    }
    (void)sd_event_source_set_time(s, now + LAG_PERIOD_US);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

static bool is_overdue(const struct component *c, uint64_t now)
{
    return c->probe_timer && !c->probe && !c->probe_call &&
           now > c->probe_due_us + 3 * c->health->interval_us;
}

/* Fed only while the loop does its work: a probe that is overdue by three periods says that it does not. */
static int on_watchdog(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;
    struct tenant *t, *next;
    uint64_t now = manager_now(m);
    bool good = true;

    (void)usec;
    HASH_ITER(hh, m->tenants, t, next)
    for (size_t i = 0; i < t->n_all; i++)
        good = good && !is_overdue(t->all[i], now);
    if (good)
        (void)sd_notify(0, "WATCHDOG=1");
    else
        log_error("probes are overdue by three periods; the watchdog is not fed");
    (void)sd_event_source_set_time(s, now + m->watchdog_us / 3);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

static int on_metrics_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct manager *m = userdata;

    (void)usec;
    metrics_collect(m);
    /* A list of all containers and a status of all tenants are large and short-lived: what they leave goes
     * back to the kernel. */
    (void)malloc_trim(0);
    (void)sd_event_source_set_time(s, manager_now(m) + m->config->metrics_interval_us);
    (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

/* At the end of each iteration in which something changed. */
static int on_iteration(sd_event_source *s, void *userdata)
{
    struct manager *m = userdata;

    (void)s;
    if (m->metrics_wanted) {
        m->metrics_wanted = false;
        (void)sd_event_source_set_time(m->metrics_timer, manager_now(m) + 100 * USEC_PER_MSEC);
    }
    return 0;
}

/* ---------------------------------------------------------------- life */

int manager_new(struct config *config, const char *config_path, struct manager **ret, struct err *e)
{
    struct manager *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return err_set(e, -ENOMEM, "out of memory");
    m->config = config;
    m->lock_fd = -EBADF;
    m->started_realtime_us = m->config_loaded_at_us = m->host_since_us = realtime_now();
    m->config_path = strdup(config_path);
    m->metrics = metrics_new();
    r = sd_event_default(&m->event);
    if (!m->config_path || !m->metrics || r < 0) {
        m->config = NULL; /* stays the caller's */
        (void)manager_free(m);
        return err_set(e, r < 0 ? r : -ENOMEM, "cannot set up the loop: %s", strerror(r < 0 ? -r : ENOMEM));
    }
    *ret = m;
    return 0;
}

static int prepare(struct manager *m, struct err *e)
{
    const struct config *c = m->config;
    int64_t window = (int64_t)c->recovery.safe_window_us;
    uint32_t starts = 1;
    int r;

    r = make_dir(c->runtime_dir, 0755, "runtime_dir", e);
    if (r >= 0)
        r = take_lock(m, e);
    if (r >= 0)
        r = make_dir(c->state_dir, 0700, "state_dir", e);
    if (r >= 0)
        r = find_proxy_program(m, e);
    if (r >= 0)
        r = find_proxy_user(m, e);
    if (r < 0)
        return r;
    resolve_gid(m);
    r = store_open(c->state_dir, m->started_realtime_us, &m->store, e);
    if (r > 0)
        log_error("%s", e->msg);
    else if (r == -EBUSY || !m->store)
        return r;
    else
        manager_store_result(m, r, e);
    r = store_start(m->store, m->started_realtime_us, m->started_realtime_us - window, &starts, e);
    manager_store_result(m, r, e);
    m->started_us = manager_now(m);
    m->recovery = recovery_new(&c->recovery, starts, m->started_us);
    return m->recovery ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int start_timers(struct manager *m)
{
    uint64_t now = manager_now(m);
    int r;

    m->boot_offset_us = (int64_t)(clock_now(CLOCK_BOOTTIME) - clock_now(CLOCK_MONOTONIC));
    r = sd_event_add_time(m->event, &m->engine_timer, CLOCK_MONOTONIC, now, 0, on_engine_timer, m);
    if (r >= 0)
        r = sd_event_add_time(
            m->event, &m->lag_timer, CLOCK_MONOTONIC, now + LAG_PERIOD_US, 1000, on_lag_timer, m);
    if (r >= 0)
        r = sd_event_add_time(
            m->event, &m->metrics_timer, CLOCK_MONOTONIC, now + USEC_PER_SEC, 0, on_metrics_timer, m);
    if (r >= 0)
        r = sd_event_add_post(m->event, &m->metrics_soon, on_iteration, m);
    if (r >= 0 && sd_watchdog_enabled(0, &m->watchdog_us) > 0)
        r = sd_event_add_time(m->event, &m->watchdog_timer, CLOCK_MONOTONIC, now, 0, on_watchdog, m);
    return r;
}

static int start_parts(struct manager *m, struct err *e)
{
    int r = engine_new(m->event, m->config->engine_socket, &m->engine);

    if (r >= 0)
        r = check_http_pool_new(m->event, &m->pool);
    if (r >= 0)
        r = limits_driver_start(m);
    if (r >= 0)
        r = disk_driver_start(m);
    if (r >= 0)
        r = observe_start(m);
    if (r >= 0)
        r = start_timers(m);
    if (r >= 0)
        r = startup_begin(m);
    return r < 0 ? err_set(e, r, "cannot start: %s", strerror(-r)) : 0;
}

int manager_start(struct manager *m, struct err *e)
{
    int r = prepare(m, e);

    if (r >= 0)
        r = start_parts(m, e);
    return r;
}

static void on_container_stopped(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct manager *m = userdata;

    (void)e;
    if (a->result != ENGINE_OK || a->status >= 400)
        log_warning("a container could not be stopped: %s", a->message);
    if (--m->stops_pending == 0)
        (void)sd_event_exit(m->event, 0);
}

static void stop_container(struct component *c)
{
    struct manager *m = c->tenant->manager;
    uint64_t timeout = component_stop_timeout(c);
    _cleanup_free_ char *path = NULL;

    if (!c->container || c->mode != CONFIG_MANAGED || c->facts.state != DOCKER_RUNNING ||
        asprintf(&path, "/containers/%s/stop?t=%u", c->facts.id, (unsigned)(timeout / USEC_PER_SEC)) < 0)
        return;
    c->tenant->op = op_free(c->tenant->op);
    c->ours_until_us = INT64_MAX;
    if (engine_request(
            m->engine, "POST", path, NULL, timeout + 15 * USEC_PER_SEC, on_container_stopped, m, NULL) >= 0)
        m->stops_pending++;
}

void manager_stop(struct manager *m)
{
    struct tenant *t, *next;

    if (m->stops_pending || !m->config->stop_gateways) { /* asked twice: now */
        (void)sd_event_exit(m->event, 0);
        return;
    }
    HASH_ITER(hh, m->tenants, t, next)
    for (size_t i = t->n_all; i-- > 0;) /* those that stand on others first */
        stop_container(t->all[i]);
    if (m->stops_pending == 0)
        (void)sd_event_exit(m->event, 0);
}

struct manager *manager_free(struct manager *m)
{
    struct tenant *t, *next;

    if (!m)
        return NULL;
    upgrade_cancel(m);
    verbs_stop(m);
    dryrun_forget(m);
    HASH_ITER(hh, m->tenants, t, next)
    tenant_remove(t, false);
    engine_call_cancel(m->engine_ping);
    engine_call_cancel(m->list_call);
    engine_call_cancel(m->networks_call);
    json_decref(m->networks);
    json_decref(m->refused);
    json_decref(m->left);
    if (m->host)
        limits_driver_stop(m);
    disk_driver_stop(m);
    sd_event_source **sources[] = {&m->tick, &m->engine_timer, &m->relist_timer, &m->metrics_timer,
        &m->metrics_soon, &m->lag_timer, &m->watchdog_timer, &m->startup_timer, &m->sigterm, &m->sigint,
        &m->sighup};
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        *sources[i] = sd_event_source_disable_unref(*sources[i]);
    m->pool = check_http_pool_free(m->pool);
    m->engine = engine_free(m->engine);
    m->recovery = recovery_free(m->recovery);
    m->store = store_close(m->store);
    m->metrics = metrics_free(m->metrics);
    m->config = config_free(m->config);
    (void)fd_close(m->lock_fd);
    tenant_index_clear(&m->by_index);
    free(m->config_path);
    free(m->proxy_program);
    (void)sd_event_unref(m->event);
    free(m);
    return NULL;
}
