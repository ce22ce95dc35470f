/* control.c: the sockets of control.h: accepts, frames lines, keeps time and memory in bounds, dispatches one
 * request per client and turn. Clients are freed here only, and only from the loop. Must not know what a verb
 * does. */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "daemon/control_client.h"

#define ACCEPTS_PER_TURN 16
#define ACCEPT_RETRY_US USEC_PER_SEC
#define READ_CHUNK ((size_t)4096)

struct control {
    sd_event *event;
    int listen_fd;
    sd_event_source *accept, *retry;
    const struct control_verb *verbs;
    size_t n_verbs;
    void *userdata;
    struct control_client *clients;
    size_t n_clients;
};

static void client_free(struct control_client *cl)
{
    struct control *c = cl->server;

    if (cl->prev)
        cl->prev->next = cl->next;
    else if (c->clients == cl)
        c->clients = cl->next;
    if (cl->next)
        cl->next->prev = cl->prev;
    c->n_clients--;
    (void)sd_event_source_disable_unref(cl->io);
    (void)sd_event_source_disable_unref(cl->timer);
    (void)sd_event_source_disable_unref(cl->defer);
    cl->fd = fd_close(cl->fd);
    if (cl->req)
        control_request_orphan(TAKE_PTR(cl->req));
    buf_reset(&cl->in);
    buf_reset(&cl->out);
    free(cl);
}

void control_client_kick(struct control_client *cl)
{
    (void)sd_event_source_set_enabled(cl->defer, SD_EVENT_ONESHOT);
}

/* ---------------------------------------------------------------- writing */

static void client_flush(struct control_client *cl)
{
    while (cl->out.len > 0) {
        ssize_t n = send(cl->fd, cl->out.data, cl->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                cl->doomed = true;
            return;
        }
        buf_consume(&cl->out, (size_t)n);
        cl->phase = PHASE_NONE; /* progress: the clock starts again */
    }
    buf_reset(&cl->out);
}

int control_client_send(struct control_client *cl, json_t *line)
{
    _cleanup_json_ json_t *owned = line;
    _cleanup_free_ char *text = owned ? json_to_string(owned) : NULL;
    size_t before = cl->out.len;
    int r = text ? buf_adds(&cl->out, text) : -ENOMEM;

    if (r >= 0)
        r = buf_adds(&cl->out, "\n");
    if (r < 0) {
        /* Half a line would be worse than none. */
        cl->out.len = before;
        cl->doomed = true;
    } else {
        client_flush(cl);
        r = cl->doomed ? -EPIPE : 0;
    }
    control_client_kick(cl);
    return r;
}

/* ---------------------------------------------------------------- requests */

/* Answers what never became a request. */
static void client_complain(struct control_client *cl, const char *error, const char *hint, bool close_after)
{
    cl->closing |= close_after;
    (void)control_client_send(cl, control_error_object(CONTROL_USAGE, error, hint, NULL));
}

static const struct control_verb *find_verb(const struct control *c, const char *name)
{
    for (size_t i = 0; i < c->n_verbs; i++)
        if (strcmp(c->verbs[i].name, name) == 0)
            return &c->verbs[i];
    return NULL;
}

static void unknown_verb(struct control_client *cl, const char *name)
{
    const struct control *c = cl->server;
    _cleanup_buf_ struct buf hint = {.limit = 1024};
    int r = buf_adds(&hint, "verbs:");

    for (size_t i = 0; r >= 0 && i < c->n_verbs; i++) {
        if (str_distance(name, c->verbs[i].name) <= 2) {
            buf_reset(&hint);
            r = buf_addf(&hint, "did you mean \"%s\"?", c->verbs[i].name);
            break;
        }
        r = buf_addf(&hint, "%s %s", i > 0 ? "," : "", c->verbs[i].name);
    }
    client_complain(cl, "unknown verb", r >= 0 ? hint.data : NULL, false);
}

static void client_dispatch(struct control_client *cl, const char *line, size_t len)
{
    _cleanup_json_ json_t *j = NULL;
    const struct control_verb *verb;
    const char *name;
    struct err e = {.msg = ""};
    int r = json_load_strict(line, len, CONTROL_REQUEST_MAX, &j, &e);

    if (r < 0) {
        client_complain(cl, e.msg[0] ? e.msg : "not JSON", "one JSON object per line", true);
        return;
    }
    name = json_string_value(json_object_get(j, "verb"));
    if (!json_is_object(j) || !name) {
        client_complain(cl, "no verb", "{\"v\":1,\"verb\":\"status\"}", false);
        return;
    }
    if (json_integer_value(json_object_get(j, "v")) != 1) {
        client_complain(cl, "unknown protocol version", "this clawsupd speaks \"v\":1", false);
        return;
    }
    verb = find_verb(cl->server, name);
    if (!verb) {
        unknown_verb(cl, name);
        return;
    }
    cl->req = control_request_new(cl, TAKE_PTR(j));
    if (!cl->req) {
        cl->doomed = true;
        return;
    }
    /* The handler may end the request inside this call: after it, only cl->req says whether it lives. */
    struct control_request *req = cl->req;
    r = verb->fn(req, cl->server->userdata);
    if (r < 0) {
        char text[160];

        (void)snprintf(text, sizeof(text), "clawsupd could not do it: %s", strerrordesc_np(-r));
        (void)control_error(req, CONTROL_INTERNAL, text, "its log says more");
    }
}

/* Handles the next whole line if the client may have one: nothing under way, all answers read. */
static void client_process(struct control_client *cl)
{
    char *nl;
    size_t len;

    if (cl->req || cl->closing || cl->doomed || cl->out.len > 0 || cl->in.len == 0)
        return;
    nl = memchr(cl->in.data, '\n', cl->in.len);
    if (!nl) {
        if (cl->in.len >= CONTROL_REQUEST_MAX)
            client_complain(cl, "request too long", "at most 64 KiB", true);
        return;
    }
    len = (size_t)(nl - cl->in.data);
    *nl = '\0';
    cl->phase = PHASE_NONE; /* a whole request: the idle clock starts again after it */
    client_dispatch(cl, cl->in.data, len);
    buf_consume(&cl->in, len + 1);
    if (cl->in.len == 0)
        buf_reset(&cl->in);
    else if (!cl->req)
        control_client_kick(cl);
}

/* ---------------------------------------------------------------- loop */

static void client_read(struct control_client *cl)
{
    while (cl->in.len < CONTROL_REQUEST_MAX && !cl->eof) {
        size_t room = MIN(READ_CHUNK, CONTROL_REQUEST_MAX - cl->in.len);
        ssize_t n;

        if (buf_reserve(&cl->in, room) < 0) {
            cl->doomed = true;
            return;
        }
        n = recv(cl->fd, cl->in.data + cl->in.len, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                cl->doomed = true;
            return;
        }
        if (n == 0)
            cl->eof = true;
        cl->in.len += (size_t)n;
        cl->in.data[cl->in.len] = '\0';
    }
}

static bool has_line(const struct control_client *cl)
{
    return cl->in.len > 0 && memchr(cl->in.data, '\n', cl->in.len);
}

/* Arms the timer when the client enters a phase; progress resets the phase before. */
static int client_watch_time(struct control_client *cl)
{
    enum control_phase phase = cl->out.len > 0 ? PHASE_WRITE : cl->req ? PHASE_NONE : PHASE_READ;
    int r;

    if (phase == PHASE_NONE) {
        cl->phase = phase;
        return sd_event_source_set_enabled(cl->timer, SD_EVENT_OFF);
    }
    if (phase == cl->phase)
        return 0;
    cl->phase = phase;
    r = sd_event_source_set_time_relative(cl->timer, CONTROL_IDLE_US);
    return r < 0 ? r : sd_event_source_set_enabled(cl->timer, SD_EVENT_ONESHOT);
}

/* Ends every callback: frees the client or says what to wait for. */
static void client_settle(struct control_client *cl)
{
    uint32_t events = 0;
    bool over = cl->doomed;

    if (!over && cl->out.len == 0)
        over = cl->closing || (cl->eof && !cl->req && !has_line(cl));
    if (!over) {
        if (cl->out.len > 0)
            events |= EPOLLOUT;
        else if (!cl->req && !cl->eof)
            events |= EPOLLIN;
        over = sd_event_source_set_io_events(cl->io, events) < 0 || client_watch_time(cl) < 0;
    }
    if (over)
        client_free(cl);
}

static int on_client_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct control_client *cl = userdata;

    (void)s;
    (void)fd;
    if (revents & (EPOLLHUP | EPOLLERR)) {
        client_free(cl);
        return 0;
    }
    if (revents & EPOLLOUT)
        client_flush(cl);
    if (revents & EPOLLIN)
        client_read(cl);
    client_process(cl);
    client_settle(cl);
    return 0;
}

static int on_client_defer(sd_event_source *s, void *userdata)
{
    struct control_client *cl = userdata;

    (void)s;
    client_process(cl);
    client_settle(cl);
    return 0;
}

static int on_client_time(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    client_free(userdata);
    return 0;
}

static int client_add_sources(struct control_client *cl)
{
    sd_event *event = cl->server->event;
    int r = sd_event_add_io(event, &cl->io, cl->fd, EPOLLIN, on_client_io, cl);

    if (r >= 0)
        r = sd_event_add_time_relative(
            event, &cl->timer, CLOCK_MONOTONIC, CONTROL_IDLE_US, 0, on_client_time, cl);
    if (r >= 0)
        r = sd_event_add_defer(event, &cl->defer, on_client_defer, cl);
    if (r >= 0)
        r = sd_event_source_set_enabled(cl->defer, SD_EVENT_OFF);
    return r;
}

int control_add_client(struct control *c, int fd)
{
    _cleanup_close_ int owned = fd;
    struct control_client *cl;
    socklen_t len = sizeof(cl->peer);
    int r;

    if (c->n_clients >= CONTROL_CLIENTS_MAX) {
        static const char busy[] = "{\"v\":1,\"ok\":false,\"code\":\"busy\",\"error\":\"too many clients\","
                                   "\"hint\":\"try again; `events --follow` keeps a connection each\"}\n";

        (void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return -EBUSY;
    }
    cl = calloc(1, sizeof(*cl));
    if (!cl)
        return -ENOMEM;
    cl->server = c;
    cl->fd = TAKE_FD(owned);
    cl->phase = PHASE_READ;
    cl->in.limit = CONTROL_REQUEST_MAX;
    cl->out.limit = CONTROL_REPLY_MAX;
    cl->next = c->clients;
    if (cl->next)
        cl->next->prev = cl;
    c->clients = cl;
    c->n_clients++;
    r = getsockopt(cl->fd, SOL_SOCKET, SO_PEERCRED, &cl->peer, &len) < 0 ? -errno : 0;
    if (r >= 0)
        r = client_add_sources(cl);
    if (r < 0)
        client_free(cl);
    return r < 0 ? r : 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct control *c = userdata;

    (void)s;
    (void)usec;
    (void)sd_event_source_set_enabled(c->accept, SD_EVENT_ON);
    return 0;
}

static int on_accept(sd_event_source *s, int listen_fd, uint32_t revents, void *userdata)
{
    struct control *c = userdata;

    (void)revents;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            (void)control_add_client(c, fd);
            continue;
        }
        if (errno == EAGAIN)
            break;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        /* No descriptor or no memory: the backlog keeps the socket readable, so pause instead of spinning. */
        (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(c->retry, ACCEPT_RETRY_US);
        (void)sd_event_source_set_enabled(c->retry, SD_EVENT_ONESHOT);
        break;
    }
    return 0;
}

int control_server_new(sd_event *event, int listen_fd, const struct control_verb *verbs, size_t n_verbs,
    void *userdata, struct control **ret)
{
    struct control *c = calloc(1, sizeof(*c));
    int r = 0;

    if (!c)
        return -ENOMEM;
    c->event = sd_event_ref(event);
    c->listen_fd = listen_fd;
    c->verbs = verbs;
    c->n_verbs = n_verbs;
    c->userdata = userdata;
    if (listen_fd >= 0) {
        r = sd_event_add_io(event, &c->accept, listen_fd, EPOLLIN, on_accept, c);
        if (r >= 0)
            r = sd_event_add_time_relative(event, &c->retry, CLOCK_MONOTONIC, 0, 0, on_retry, c);
        if (r >= 0)
            r = sd_event_source_set_enabled(c->retry, SD_EVENT_OFF);
    }
    if (r < 0) {
        (void)control_server_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

struct control *control_server_free(struct control *c)
{
    if (!c)
        return NULL;
    (void)sd_event_source_disable_unref(c->accept);
    (void)sd_event_source_disable_unref(c->retry);
    while (c->clients) {
        client_flush(c->clients);
        client_free(c->clients);
    }
    (void)sd_event_unref(c->event);
    free(c);
    return NULL;
}

size_t control_clients(const struct control *c)
{
    return c->n_clients;
}
