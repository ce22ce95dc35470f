/* control.c: see control.h. Trusts what clawsupd says (the channel was given at birth, or its peer is root),
 * yet parses it strictly; must never block and never grow without bound. */
#include "proxy/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#define STATS_PERIOD_US (5 * USEC_PER_SEC)
#define STAGE_TIMEOUT_US (10 * USEC_PER_SEC)
#define STAGE_MAX 256
#define QUEUE_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* Refusals and reads leave room for what was done, and all records for what the proxy's work hangs on:
 * staging, counters, execs that are handed over. */
enum message_type { MESSAGE_RECORD, MESSAGE_DEED, MESSAGE_STATS, MESSAGE_OTHER };

struct message {
    char *text;
    uint32_t len;
    enum message_type type;
};

struct staging {
    uint64_t id;
    control_staged_fn fn; /* NULL: cancelled */
    void *ctx;
    uint64_t due_us;
};

struct control {
    struct proxy *proxy;
    struct loop_io io, listener;
    struct loop_timer stats_timer;
    const int *clients;
    size_t n_clients;
    char policy_hash[65];
    bool ready;
    struct message queue[CONTROL_QUEUE_MAX]; /* a ring */
    size_t head, n_queue, queue_bytes;
    bool stats_queued; /* what is told once more would say nothing more */
    uint64_t dropped_told;
    struct staging staging[STAGE_MAX];
    size_t n_staging;
    uint64_t next_id;
    struct proxy_counters sent;
};

static void control_disconnected(struct control *c);

static void control_want(struct control *c)
{
    if (c->io.fd >= 0 && loop_io_set(c->proxy->loop, &c->io,
                             (uint32_t)EPOLLIN | (c->n_queue > 0 ? (uint32_t)EPOLLOUT : 0)) < 0)
        control_disconnected(c);
}

/* Takes the oldest message off the queue. */
static struct message queue_pop(struct control *c)
{
    struct message m = c->queue[c->head];

    c->queue_bytes -= m.len;
    c->head = (c->head + 1) % CONTROL_QUEUE_MAX;
    c->n_queue--;
    if (m.type == MESSAGE_STATS)
        c->stats_queued = false;
    return m;
}

static void control_flush(struct control *c)
{
    while (c->io.fd >= 0 && c->n_queue > 0) {
        struct message *m = &c->queue[c->head];

        if (send(c->io.fd, m->text, m->len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
                break;
            control_disconnected(c);
            return;
        }
        free(queue_pop(c).text);
    }
    control_want(c);
}

static bool has_room(const struct control *c, size_t len, enum message_type type)
{
    /* quarters of the queue */
    size_t part = type == MESSAGE_RECORD ? 2 : type == MESSAGE_DEED ? 3 : 4;

    return c->n_queue < CONTROL_QUEUE_MAX / 4 * part && c->queue_bytes + len <= QUEUE_BYTES_MAX / 4 * part;
}

/* Takes the text over. */
static int control_queue_text(struct control *c, char *line, size_t len, enum message_type type)
{
    _cleanup_free_ char *text = line;

    if (c->io.fd < 0)
        return -ENOTCONN;
    if (len > CONTROL_MESSAGE_MAX)
        return -E2BIG;
    if (!has_room(c, len, type))
        return -EAGAIN;
    c->queue_bytes += len;
    c->queue[(c->head + c->n_queue++) % CONTROL_QUEUE_MAX] =
        (struct message){TAKE_PTR(text), (uint32_t)len, type};
    c->stats_queued |= type == MESSAGE_STATS;
    control_flush(c);
    return 0;
}

static int control_queue(struct control *c, const json_t *j, enum message_type type)
{
    char *text = j ? json_to_string(j) : NULL;

    return text ? control_queue_text(c, text, strlen(text), type) : -ENOMEM;
}

static int control_send(struct control *c, const json_t *j)
{
    int r = control_queue(c, j, MESSAGE_OTHER);

    return r >= 0 && c->io.fd < 0 ? -ENOTCONN : r;
}

static void queue_clear(struct control *c)
{
    while (c->n_queue > 0) {
        struct message m = queue_pop(c);

        c->proxy->counters.dropped += m.type == MESSAGE_RECORD || m.type == MESSAGE_DEED;
        free(m.text);
    }
}

/* ---- hello: on the first connection plain, on a later one with the sockets */
static json_t *hello_message(const struct control *c)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "type", "hello", "version", CLAWSUP_VERSION, "pid",
        (json_int_t)getpid(), "tenant", c->proxy->policy->tenant, "policy_sha", c->policy_hash);
}

static int hello_with_sockets(struct control *c, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * (CONTROL_LISTEN_MAX + 1))];
        struct cmsghdr align;
    } control = {0};
    json_t *j = hello_message(c);
    _cleanup_free_ char *text = j ? json_to_string(j) : NULL;
    struct iovec iov = {.iov_base = text, .iov_len = text ? strlen(text) : 0};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf};
    size_t n = c->n_clients + 1;
    struct cmsghdr *cm;

    json_decref(j);
    if (!text)
        return -ENOMEM;
    mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
    cm = CMSG_FIRSTHDR(&mh);
    if (!cm)
        return -EINVAL;
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(cm), &c->listener.fd, sizeof(int));
    if (c->n_clients > 0)
        memcpy(CMSG_DATA(cm) + sizeof(int), c->clients, sizeof(int) * c->n_clients);
    return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void send_type(struct control *c, const char *type)
{
    json_t *j = json_pack("{s:s}", "type", type);

    (void)control_send(c, j);
    json_decref(j);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
    struct control *c = io->ctx;
    _cleanup_close_ int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t len = sizeof(cred);
    int r;

    (void)events;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid != 0) {
        log_warning("a process of uid %u asked for the control channel; refused", (unsigned)cred.uid);
        return;
    }
    r = hello_with_sockets(c, fd);
    if (r < 0) {
        log_warning("cannot greet a new supervisor: %s", strerror(-r));
        return;
    }
    control_disconnected(c); /* the newest supervisor is the one */
    c->io.fd = TAKE_FD(fd);
    c->sent = (struct proxy_counters){0};
    log_notice("a new supervisor (pid %d) has taken over", (int)cred.pid);
    if (c->ready)
        send_type(c, "ready");
    control_want(c);
}

/* ---- staging */
static void staging_answer(struct control *c, size_t i, const char *path, const char *error)
{
    struct staging s = c->staging[i];

    c->staging[i] = c->staging[--c->n_staging];
    if (s.fn)
        s.fn(s.ctx, path, error);
    else if (path)
        control_unstage(c, path);
}

static void on_staged(struct control *c, const json_t *j)
{
    uint64_t id = (uint64_t)json_integer_value(json_object_get(j, "id"));
    const char *path = json_string_value(json_object_get(j, "path"));
    const char *error = json_string_value(json_object_get(j, "error"));

    if (path && !str_is_clean_path(path)) {
        path = NULL;
        error = "the supervisor named no usable path";
    }
    for (size_t i = 0; i < c->n_staging; i++)
        if (c->staging[i].id == id) {
            staging_answer(c, i, path, path ? NULL : (error ? error : "the supervisor gave no reason"));
            return;
        }
    if (path)
        control_unstage(c, path); /* nobody waits for it any more */
}

int control_stage(
    struct control *c, const struct control_bind *b, control_staged_fn fn, void *ctx, uint64_t *ret_id)
{
    json_t *j;
    int r;

    if (c->io.fd < 0)
        return -ENOTCONN;
    if (c->n_staging == STAGE_MAX)
        return -EAGAIN;
    j = json_pack("{s:s, s:I, s:s, s:s}", "type", "stage", "id", (json_int_t)++c->next_id, "source",
        b->source, "root", b->root);
    r = j && b->path ? json_object_set_new(j, "path", json_string(b->path)) : 0;
    if (r >= 0 && j && b->readonly)
        r = json_object_set_new(j, "readonly", json_true());
    r = r < 0 ? -ENOMEM : control_send(c, j);
    json_decref(j);
    if (r < 0)
        return r;
    c->staging[c->n_staging++] = (struct staging){
        .id = c->next_id, .fn = fn, .ctx = ctx, .due_us = loop_now(c->proxy->loop) + STAGE_TIMEOUT_US};
    *ret_id = c->next_id;
    return 0;
}

void control_stage_cancel(struct control *c, uint64_t id)
{
    for (size_t i = 0; i < c->n_staging; i++)
        if (c->staging[i].id == id)
            c->staging[i].fn = NULL;
}

void control_unstage(struct control *c, const char *path)
{
    json_t *j = json_pack("{s:s, s:s}", "type", "unstage", "path", path);
    int r = control_send(c, j);

    json_decref(j);
    if (r < 0) /* clawsupd sweeps what no container uses */
        log_warning("cannot ask for the end of a staged bind: %s", strerror(-r));
}

/* ---- execs, from a proxy that drains to the one after it */
#define EXECS_PER_MESSAGE 256 /* about 150 bytes each */

static json_t *exec_row(const struct registry_exec *x)
{
    return json_pack("[s, s, b]", x->id, x->container, (int)x->started);
}

static void send_execs(struct control *c, json_t *list)
{
    json_t *j = json_pack("{s:s, s:O}", "type", "execs", "execs", list);

    if (json_array_size(list) > 0 && control_send(c, j) < 0)
        log_warning("the next proxy will not know the execs that run: the supervisor does not listen");
    json_decref(j);
    (void)json_array_clear(list);
}

void control_hand_over_exec(struct control *c, const struct registry_exec *x)
{
    _cleanup_json_ json_t *list = json_pack("[o]", exec_row(x));

    if (list)
        send_execs(c, list);
}

static void hand_over_execs(struct control *c)
{
    _cleanup_json_ json_t *list = json_array();
    const struct registry_exec *x;

    for (size_t i = 0; list && (x = registry_exec_at(c->proxy->registry, i)); i++) {
        if (x->id[0] && json_array_append_new(list, exec_row(x)) >= 0 &&
            json_array_size(list) == EXECS_PER_MESSAGE)
            send_execs(c, list);
    }
    if (list)
        send_execs(c, list);
}

static void on_execs(struct control *c, const json_t *j)
{
    struct registry *r = c->proxy->registry;
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(j, "execs"), i, row)
    {
        const char *id = json_string_value(json_array_get(row, 0));
        const char *container = json_string_value(json_array_get(row, 1));

        if (!id || !container || registry_exec_find(r, id) || registry_exec_add(r, id, container) < 0)
            continue;
        if (json_is_true(json_array_get(row, 2)))
            (void)!registry_exec_start(r, id);
    }
}

/* "limit_s"; streams may last, but not for ever in a proxy that nobody reconfigures any more. */
static uint64_t drain_limit(const json_t *j)
{
    json_int_t s = json_integer_value(json_object_get(j, "limit_s"));

    return s > 0 && (uint64_t)s < PROXY_DRAIN_LIMIT / USEC_PER_SEC ? (uint64_t)s * USEC_PER_SEC
                                                                   : PROXY_DRAIN_LIMIT;
}

/* ---- the connection */
static void on_message(struct control *c, const char *data, size_t len)
{
    _cleanup_json_ json_t *j = NULL;
    struct err e = {0};
    const char *type;

    if (json_load_strict(data, len, CONTROL_MESSAGE_MAX, &j, &e) < 0) {
        log_warning("malformed message from the supervisor: %s", e.msg);
        return;
    }
    type = json_string_value(json_object_get(j, "type"));
    if (type && strcmp(type, "staged") == 0)
        on_staged(c, j);
    else if (type && strcmp(type, "execs") == 0)
        on_execs(c, j);
    else if (type && strcmp(type, "drain") == 0)
        proxy_drain(c->proxy, drain_limit(j));
    else
        log_warning("unknown message from the supervisor");
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct control *c = io->ctx;
    ssize_t n;

    if (events & EPOLLOUT)
        control_flush(c);
    if (io->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    n = recv(io->fd, c->proxy->scratch, sizeof(c->proxy->scratch), MSG_DONTWAIT);
    if (n > 0)
        on_message(c, c->proxy->scratch, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        control_disconnected(c);
}

/* The supervisor is gone: nobody to answer what was asked, and records have no reader until a new one comes.
 */
static void control_disconnected(struct control *c)
{
    if (c->io.fd < 0)
        return;
    loop_io_stop(c->proxy->loop, &c->io);
    c->io.fd = fd_close(c->io.fd);
    queue_clear(c);
    while (c->n_staging > 0)
        staging_answer(c, 0, NULL, "the supervisor is being restarted");
    log_notice("the supervisor's channel is closed; serving on without it");
}

static void stats_send(struct control *c)
{
    const struct proxy_counters *now = &c->proxy->counters;
    json_t *j;

    if (c->stats_queued || memcmp(now, &c->sent, sizeof(*now)) == 0)
        return;
    j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "type", "stats", "allowed", (json_int_t)now->allowed,
        "reported", (json_int_t)now->reported, "denied", (json_int_t)now->denied, "errors",
        (json_int_t)now->errors, "connections", (json_int_t)now->connections, "dropped",
        (json_int_t)now->dropped);
    if (control_queue(c, j, MESSAGE_STATS) >= 0)
        c->sent = *now;
    json_decref(j);
}

/* At most a line every few seconds, however many there are. */
static void tell_dropped(struct control *c)
{
    uint64_t dropped = c->proxy->counters.dropped;

    if (dropped == c->dropped_told)
        return;
    log_warning("%llu decision records were dropped in all: the supervisor did not take them",
        (unsigned long long)dropped);
    c->dropped_told = dropped;
}

static void on_stats(struct loop_timer *t)
{
    struct control *c = t->ctx;

    loop_timer_set(c->proxy->loop, t, STATS_PERIOD_US);
    stats_send(c);
    tell_dropped(c);
    for (size_t i = c->n_staging; i-- > 0;)
        if (i < c->n_staging && c->staging[i].fn && c->staging[i].due_us <= loop_now(c->proxy->loop)) {
            struct staging s = c->staging[i];

            c->staging[i].fn = NULL; /* kept: a late answer is given back */
            s.fn(s.ctx, NULL, "the supervisor did not answer in time");
        }
}

int control_new(struct proxy *p, const struct control_config *cfg, struct control **ret)
{
    struct control *c = calloc(1, sizeof(*c));
    json_t *j;
    int r;

    if (!c) {
        (void)fd_close(cfg->fd);
        (void)fd_close(cfg->listener);
        return -ENOMEM;
    }
    c->proxy = p;
    c->io = (struct loop_io){.fd = cfg->fd, .fn = on_control, .ctx = c};
    c->listener = (struct loop_io){.fd = cfg->listener, .fn = on_listener, .ctx = c};
    c->stats_timer = (struct loop_timer){.fn = on_stats, .ctx = c};
    c->clients = cfg->clients;
    c->n_clients = MIN(cfg->n_clients, (size_t)CONTROL_LISTEN_MAX);
    (void)snprintf(c->policy_hash, sizeof(c->policy_hash), "%s", cfg->policy_hash);
    r = loop_io_set(p->loop, &c->listener, EPOLLIN);
    j = hello_message(c);
    if (r >= 0)
        r = control_send(c, j);
    json_decref(j);
    if (r < 0) {
        (void)control_free(c);
        return r;
    }
    loop_timer_set(p->loop, &c->stats_timer, STATS_PERIOD_US);
    *ret = c;
    return 0;
}

struct control *control_free(struct control *c)
{
    if (!c)
        return NULL;
    stats_send(c);
    loop_io_stop(c->proxy->loop, &c->io);
    loop_io_stop(c->proxy->loop, &c->listener);
    loop_timer_cancel(c->proxy->loop, &c->stats_timer);
    (void)fd_close(c->io.fd);
    (void)fd_close(c->listener.fd);
    queue_clear(c);
    free(c);
    return NULL;
}

void control_drain(struct control *c)
{
    hand_over_execs(c);
    loop_io_stop(c->proxy->loop, &c->listener);
    c->listener.fd = fd_close(c->listener.fd);
}

void control_ready(struct control *c)
{
    c->ready = true;
    send_type(c, "ready");
}

void control_record(struct control *c, struct buf *record, bool done)
{
    size_t len = record->len;
    char *text = buf_take(record);

    if (!text || control_queue_text(c, text, len, done ? MESSAGE_DEED : MESSAGE_RECORD) < 0)
        c->proxy->counters.dropped++;
}
