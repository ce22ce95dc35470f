/* proxy_link.c: the conversation with a tenant's proxy process: hello, ready, counters, records, staging
 * requests, and the adoption of a proxy that a former clawsupd started. The proxy serves a hostile client and
 * may be taken over: every message is bounded, strictly parsed, and nothing it says is trusted beyond its own
 * tenant. */
#include "daemon/proxy_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/denials.h"
#include "daemon/disk_driver.h"
#include "daemon/messages.h"
#include "daemon/staging.h"

#define MESSAGE_BYTES_MAX 65536
#define MESSAGES_PER_WAKEUP 64 /* one noisy proxy must not keep the loop from the others */
#define ADOPT_TIMEOUT_US (1 * USEC_PER_SEC)
/* A client decides how much its proxy has to tell, and a proxy may be taken over: each has a share of the
 * loop and of the journal. A message costs 1, a mount 10. */
#define MESSAGES_BURST 2000
#define MESSAGES_PER_S 1000
#define STAGE_COST 10
#define RESUME_US (100 * USEC_PER_MSEC)
#define LINES_BURST 100
#define LINES_PER_S 5

static int send_json(int fd, const json_t *j)
{
    _cleanup_free_ char *text = json_to_string(j);

    if (!text)
        return -ENOMEM;
    return send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static uint64_t get_count(const json_t *j, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(j, key));
    return v > 0 ? (uint64_t)v : 0;
}

static const char *get_text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

/* ---------------------------------------------------------------- messages */

/* Totals since that process started: what was not counted yet is added, and a total never goes back. */
static void count(uint64_t *sum, uint64_t *seen, uint64_t now)
{
    *sum += now > *seen ? now - *seen : 0;
    *seen = MAX(now, *seen);
}

static void on_stats(struct proxy_process *proc, const json_t *j)
{
    struct tenant *t = proc->child->tenant;

    count(&t->requests.allowed, &proc->counted.allowed, get_count(j, "allowed"));
    count(&t->requests.reported, &proc->counted.reported, get_count(j, "reported"));
    count(&t->requests.denied, &proc->counted.denied, get_count(j, "denied"));
    count(&t->requests.errors, &proc->counted.errors, get_count(j, "errors"));
    count(&t->requests.dropped, &proc->counted.dropped, get_count(j, "dropped"));
}

/* Room for one more line about what a client did. The first after a pause says what was left out. */
static bool may_log(struct proxy_process *proc, const struct log_fields *f)
{
    struct quota *q = &proc->child->lines;
    uint64_t left_out = q->refused;

    q->burst = LINES_BURST;
    q->per_s = LINES_PER_S;
    if (!quota_take(q, manager_now(proc->child->tenant->manager), 1))
        return false;
    if (left_out > 0)
        log_full(LOG_NOTICE, f, "%llu more refusals were not logged; `clawsup denials %s` has them",
            (unsigned long long)left_out, proc->child->tenant->slug);
    q->refused = 0;
    return true;
}

static void on_decision(struct proxy_process *proc, const json_t *j)
{
    struct tenant *t = proc->child->tenant;
    struct log_fields f = {.tenant = t->slug, .component = "proxy"};
    const char *decision = get_text(j, "decision");
    bool allow = strcmp(decision, "allow") == 0;
    /* Our own probes come every other second: what they find is told by the state. */
    bool quiet = allow || strcmp(get_text(j, "route"), "ping") == 0;

    (void)denials_record(t->denials, j, realtime_now());
    if (quiet ? log_get_level() < LOG_DEBUG : !may_log(proc, &f))
        return;
    f.message_id = strcmp(decision, "deny") == 0 ? MESSAGE_PROXY_DENIED : NULL;
    log_full(quiet ? LOG_DEBUG : LOG_NOTICE, &f, "%s %s %s%s%s%s%s", decision, get_text(j, "method"),
        get_text(j, "route"), *get_text(j, "object") ? " " : "", get_text(j, "object"), allow ? "" : ": ",
        allow ? "" : get_text(j, "reason"));
}

/* Stages what is asked for; *ret is where it appears. */
static int stage(const struct tenant *t, const json_t *j, char **ret, struct err *e)
{
    const struct config *c = t->manager->config;
    const char *source = get_text(j, "source"), *at = get_text(j, "path");
    int r;

    /* What lies on the data root before its disk does is not the tenant's. */
    if (disk_driver_ready(t, NULL) <= 0)
        return err_set(e, -EAGAIN, "the tenant's disk is not mounted");
    if (!staging_is_nested(c, t->slug, at))
        return staging_add(c, t->config, source, *at ? at : NULL, ret, e);
    r = staging_nest(c, t->config, source, at, json_is_true(json_object_get(j, "readonly")), e);
    if (r >= 0)
        *ret = strdup(at);
    return r < 0 || *ret ? r : err_set(e, -ENOMEM, "out of memory");
}

static void on_stage(struct proxy_process *proc, const json_t *j)
{
    struct tenant *t = proc->child->tenant;
    struct log_fields f = {.tenant = t->slug, .component = "proxy"};
    _cleanup_json_ json_t *reply = NULL;
    _cleanup_free_ char *path = NULL;
    struct err e = {0};
    json_int_t id = json_integer_value(json_object_get(j, "id"));
    int r = stage(t, j, &path, &e);

    if (r < 0) {
        reply = json_pack("{s:s, s:I, s:s}", "type", "staged", "id", id, "error", e.msg);
        /* Not an event of the store: a client could have it written, and synced, as often as it likes. */
        if (may_log(proc, &f))
            log_full(LOG_NOTICE, &f, "bind source refused: %s", e.msg);
    } else {
        reply = json_pack("{s:s, s:I, s:s}", "type", "staged", "id", id, "path", path);
    }
    if (!reply || send_json(proc->control, reply) < 0)
        if (path)
            (void)staging_remove(t->manager->config, t->slug, path, NULL);
}

static void on_unstage(struct proxy_process *proc, const json_t *j)
{
    struct tenant *t = proc->child->tenant;
    struct log_fields f = {.tenant = t->slug, .component = "proxy"};
    struct err e = {0};

    if (staging_remove(t->manager->config, t->slug, get_text(j, "path"), &e) < 0 && may_log(proc, &f))
        log_full(LOG_WARNING, &f, "cannot unstage: %s", e.msg);
}

/* A proxy that drains names the execs it knows, for the one after it. */
static void on_execs(struct proxy_process *proc, const json_t *j)
{
    const struct proxy_process *now = proc->child->now;

    if (proc->retired && now && send_json(now->control, j) < 0)
        log_warning("%s: the new proxy could not be told of the execs that run", proc->child->tenant->slug);
}

static void on_message(struct proxy_process *proc, const char *data, size_t len)
{
    static const struct {
        const char *type;
        void (*fn)(struct proxy_process *proc, const json_t *j);
    } table[] = {{"stats", on_stats}, {"decision", on_decision}, {"stage", on_stage}, {"unstage", on_unstage},
        {"execs", on_execs}};
    struct tenant *t = proc->child->tenant;
    struct log_fields f = {.tenant = t->slug, .component = "proxy"};
    _cleanup_json_ json_t *j = NULL;
    struct err e = {0};
    const char *type;

    if (json_load_strict(data, len, MESSAGE_BYTES_MAX, &j, &e) < 0) {
        if (may_log(proc, &f))
            log_full(LOG_WARNING, &f, "malformed message from the proxy: %s", e.msg);
        return;
    }
    type = get_text(j, "type");
    if (strcmp(type, "stage") == 0 || strcmp(type, "unstage") == 0)
        (void)quota_take(&proc->messages, manager_now(t->manager), STAGE_COST - 1);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (strcmp(type, table[i].type) == 0) {
            table[i].fn(proc, j);
            return;
        }
    }
    if (strcmp(type, "ready") == 0 && proc == proc->child->now)
        probe_arm(&t->proxy, 0); /* do not wait for the next period to see that it serves */
}

/* What came beside the bytes of a message. */
struct received {
    int fds[PROXY_LISTEN_MAX + 1];
    size_t n_fds;
    pid_t pid; /* of the sender, as the kernel knows it; 0 unless SO_PASSCRED */
    uid_t uid;
};

/* One datagram; without `ret` descriptors are closed. 0 at end of file. */
static ssize_t receive(int fd, void *buf, size_t n, struct received *ret)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * (PROXY_LISTEN_MAX + 1)) + CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = buf, .iov_len = n};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    ssize_t len = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (len < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
        size_t count;

        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && ret) {
            struct ucred cred;
            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            ret->pid = cred.pid;
            ret->uid = cred.uid;
        }
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int got_fd;
            memcpy(&got_fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (ret && ret->n_fds < ARRAY_SIZE(ret->fds))
                ret->fds[ret->n_fds++] = got_fd;
            else
                (void)fd_close(got_fd);
        }
    }
    if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return -EMSGSIZE;
    return len;
}

static int on_resume(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct proxy_process *proc = userdata;

    (void)s;
    (void)usec;
    proc->resume = sd_event_source_disable_unref(proc->resume);
    (void)sd_event_source_set_enabled(proc->io, SD_EVENT_ON);
    return 0;
}

/* False: it has said enough for now, and what it says next waits in the socket. */
static bool may_speak(struct proxy_process *proc)
{
    struct manager *m = proc->child->tenant->manager;

    proc->messages.burst = MESSAGES_BURST;
    proc->messages.per_s = MESSAGES_PER_S;
    if (quota_take(&proc->messages, manager_now(m), 1) ||
        sd_event_add_time_relative(m->event, &proc->resume, CLOCK_MONOTONIC, RESUME_US, 0, on_resume, proc) <
            0)
        return true;
    (void)sd_event_source_set_enabled(proc->io, SD_EVENT_OFF);
    return false;
}

static int on_control(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    static char buf[MESSAGE_BYTES_MAX];
    struct proxy_process *proc = userdata;

    (void)revents;
    for (unsigned i = 0; i < MESSAGES_PER_WAKEUP && may_speak(proc); i++) {
        ssize_t n = receive(fd, buf, sizeof(buf), NULL);

        if (n == -EAGAIN || n == -EINTR)
            return 0;
        if (n == -EMSGSIZE)
            continue;
        if (n <= 0) { /* the process is ending; its pidfd tells the rest */
            (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
            return 0;
        }
        on_message(proc, buf, (size_t)n);
    }
    return 0;
}

/* ---------------------------------------------------------------- the end of a process */

static void on_process_exit(const struct check_sample *s, void *userdata)
{
    struct proxy_process *proc = userdata;
    struct proxy_child *p = proc->child;
    struct tenant *t = p->tenant;
    struct proxy_process **old;

    if (proc == p->now) {
        p->now = NULL;
        manager_note(
            t, &t->proxy, LOG_WARNING, NULL, "proxy", "the proxy (pid %d) %s", (int)proc->pid, s->detail);
        (void)proxy_process_free(proc);
        struct rec_event ev = {.type = REC_EV_EXIT, .tenant = t->index, .component = t->proxy.index};
        manager_event(t->manager, &ev);
        return;
    }
    for (old = &p->old; *old && *old != proc; old = &(*old)->next)
        ;
    if (*old)
        *old = proc->next;
    (void)proxy_process_free(proc);
}

int proxy_process_watch(struct proxy_process *proc, struct err *e)
{
    sd_event *event = proc->child->tenant->manager->event;
    int r = check_pidfd_start(event, proc->pidfd, on_process_exit, proc, &proc->exit);

    if (r >= 0)
        r = sd_event_add_io(event, &proc->io, proc->control, EPOLLIN, on_control, proc);
    return r < 0 ? err_set(e, r, "cannot watch the proxy: %s", strerror(-r)) : 0;
}

/* A stream that never ends keeps its old proxy: a client that has one in each would have as many proxies as
 * there were changes of the configuration. The last of the list is the oldest. */
static void end_oldest(const struct proxy_child *p)
{
    const struct proxy_process *proc = p->old;
    size_t n = 0;

    for (; proc; proc = proc->next)
        if (++n > PROXY_OLD_MAX && proc->pidfd >= 0)
            (void)syscall(SYS_pidfd_send_signal, proc->pidfd, SIGKILL, NULL, 0);
}

void proxy_process_retire(struct proxy_child *p, bool drain)
{
    struct proxy_process *proc = TAKE_PTR(p->now);

    if (!proc)
        return;
    proc->retired = true;
    if (drain) {
        _cleanup_json_ json_t *j = json_pack("{s:s}", "type", "drain");
        drain = j && send_json(proc->control, j) >= 0;
    }
    /* The pidfd names exactly that process, even if its pid has been re-used. */
    if (!drain && proc->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, proc->pidfd, SIGKILL, NULL, 0);
    if (!proc->exit) { /* never got as far as being watched */
        (void)proxy_process_free(proc);
        return;
    }
    proc->next = p->old;
    p->old = proc;
    end_oldest(p);
}

struct proxy_process *proxy_process_free(struct proxy_process *proc)
{
    if (!proc)
        return NULL;
    (void)check_free(proc->exit);
    (void)sd_event_source_disable_unref(proc->io);
    (void)sd_event_source_disable_unref(proc->resume);
    /* A child that still runs is reaped by the manager when it ends. */
    if (proc->pid > 0 && waitpid(proc->pid, NULL, WNOHANG) == 0)
        manager_reap_later(proc->child->tenant->manager, proc->pid);
    (void)fd_close(proc->pidfd);
    (void)fd_close(proc->control);
    free(proc);
    return NULL;
}

/* ---------------------------------------------------------------- adoption */

static void adopt_end(struct proxy_child *p, bool adopted)
{
    struct tenant *t = p->tenant;
    struct err e = {0};

    p->adopting = false;
    p->adopt_timer = sd_event_source_disable_unref(p->adopt_timer);
    if (!adopted) {
        /* The new sockets first: with the old process its listener goes, and the path would lead nowhere. */
        if (proxy_child_fresh(p, &e) < 0)
            manager_note(
                t, &t->proxy, LOG_ERR, NULL, "proxy", "cannot create the proxy's sockets: %s", e.msg);
        proxy_process_retire(p, false);
        proxy_pidfile_kill(p);
    }
    struct rec_event ev = {.type = REC_EV_OBSERVED,
        .tenant = t->index,
        .component = t->proxy.index,
        .observed = {.presence = adopted ? REC_RUNNING : REC_MISSING}};
    manager_event(t->manager, &ev);
    if (adopted)
        probe_arm(&t->proxy, 0);
}

static bool hello_is_good(struct proxy_child *p, const char *data, size_t len, const struct received *got)
{
    _cleanup_json_ json_t *j = NULL;

    if (json_load_strict(data, len, MESSAGE_BYTES_MAX, &j, NULL) < 0 ||
        strcmp(get_text(j, "type"), "hello") != 0 || strcmp(get_text(j, "tenant"), p->tenant->slug) != 0 ||
        got->n_fds < 1 || got->pid <= 1)
        return false;
    /* Three words for one process: its own, the kernel's about the sender, and ours from when it was
     * launched. */
    if (json_integer_value(json_object_get(j, "pid")) != got->pid ||
        (geteuid() == 0 && got->uid != p->tenant->manager->proxy_uid) || !proxy_pidfile_names(p, got->pid)) {
        log_warning("%s: process %d of uid %u speaks for the proxy, but is not the one that was launched; "
                    "not adopted",
            p->tenant->slug, (int)got->pid, (unsigned)got->uid);
        return false;
    }
    (void)snprintf(p->now->policy, sizeof(p->now->policy), "%s", get_text(j, "policy_sha"));
    if (strcmp(get_text(j, "version"), CLAWSUP_VERSION) != 0)
        p->now->policy[0] = '\0'; /* another program: replaced by a hand-over, as for another policy */
    p->now->pid = got->pid;
    p->now->pidfd = (int)syscall(SYS_pidfd_open, got->pid, 0);
    return p->now->pidfd >= 0;
}

/* What the configuration asks for may have changed while nobody was there. */
static void adopt_changes(struct proxy_child *p)
{
    struct tenant *t = p->tenant;
    struct err e = {0};
    int sockets = proxy_child_reopen(p, &e);

    if (sockets < 0)
        manager_note(t, &t->proxy, LOG_ERR, NULL, "proxy", "cannot create the proxy's sockets: %s", e.msg);
    if ((sockets > 0 || !proxy_child_is_current(p)) && proxy_child_launch(p, true, &e) < 0)
        manager_note(t, &t->proxy, LOG_ERR, NULL, "proxy", "cannot replace the adopted proxy: %s", e.msg);
}

static int on_adopt_hello(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    static char buf[MESSAGE_BYTES_MAX];
    struct proxy_child *p = userdata;
    struct tenant *t = p->tenant;
    struct received got = {0};
    struct err e = {0};
    ssize_t n = receive(fd, buf, sizeof(buf), &got);

    (void)s;
    (void)revents;
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n <= 0 || !hello_is_good(p, buf, (size_t)n, &got)) {
        for (size_t i = 0; i < got.n_fds; i++)
            (void)fd_close(got.fds[i]);
        adopt_end(p, false);
        return 0;
    }
    p->now->io = sd_event_source_disable_unref(p->now->io);
    p->listener = got.fds[0];
    for (size_t i = 1; i < got.n_fds; i++)
        p->clients[p->n_clients++] = got.fds[i];
    if (proxy_process_watch(p->now, &e) < 0) {
        adopt_end(p, false);
        return 0;
    }
    manager_note(
        t, &t->proxy, LOG_NOTICE, NULL, "proxy", "adopted the running proxy (pid %d)", (int)p->now->pid);
    adopt_changes(p);
    adopt_end(p, p->now != NULL);
    return 0;
}

static int on_adopt_nobody(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    adopt_end(userdata, false);
    return 0;
}

static int on_adopt_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct proxy_child *p = userdata;

    (void)s;
    (void)usec;
    manager_note(p->tenant, &p->tenant->proxy, LOG_WARNING, NULL, "proxy",
        "the proxy that a former clawsupd left does not answer; replacing it");
    adopt_end(p, false);
    return 0;
}

/* SO_PEERCRED of a connected listener names the process that called listen(), a former clawsupd; SO_PASSCRED
 * names the one that sends the hello, and the kernel vouches for it. */
static int connect_with_credentials(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -EBADF;
    int one = 1;

    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 ||
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int proxy_adopt_start(struct proxy_child *p, struct err *e)
{
    struct manager *m = p->tenant->manager;
    _cleanup_close_ int fd = connect_with_credentials(p->listener_path);
    int r;

    p->adopting = true;
    if (fd < 0) { /* nobody there: the core hears it from the loop, as after a failed adoption */
        r = sd_event_add_time_relative(m->event, &p->adopt_timer, CLOCK_MONOTONIC, 0, 0, on_adopt_nobody, p);
        return r < 0 ? err_set(e, r, "sd_event: %s", strerror(-r)) : 0;
    }
    p->now = calloc(1, sizeof(*p->now));
    if (!p->now)
        return err_set(e, -ENOMEM, "out of memory");
    p->now->child = p;
    p->now->pidfd = -EBADF;
    p->now->control = TAKE_FD(fd);
    r = sd_event_add_io(m->event, &p->now->io, p->now->control, EPOLLIN, on_adopt_hello, p);
    if (r >= 0)
        r = sd_event_add_time_relative(
            m->event, &p->adopt_timer, CLOCK_MONOTONIC, ADOPT_TIMEOUT_US, 0, on_adopt_timeout, p);
    return r < 0 ? err_set(e, r, "sd_event: %s", strerror(-r)) : 0;
}
