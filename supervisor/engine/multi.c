/* multi.c: see multi.h. Curl says which sockets and which timer it wants; sd_event says when they fire. Must
 * not call an owner from inside a curl callback: curl forbids adding and removing handles there. */
#include "engine/multi.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/fd.h"

/* One socket that curl wants watched. Found by its fd: CURLOPT_CLOSESOCKETFUNCTION knows nothing else. */
struct watch {
    int fd;
    sd_event_source *source;
    struct watch *next;
};

struct multi {
    sd_event *event;
    CURLM *curl;
    sd_event_source *timer;
    struct watch *watches;
    struct multi_handle *handles;
    unsigned busy; /* callbacks of owners on the stack: the multi must outlive them */
    bool in_curl;
    bool faults; /* some handle has `fault` set */
    bool dead;   /* freed while busy */
};

static void watch_drop(struct multi *m, int fd)
{
    for (struct watch **p = &m->watches; *p; p = &(*p)->next) {
        struct watch *w = *p;

        if (w->fd != fd)
            continue;
        *p = w->next;
        sd_event_source_disable_unref(w->source);
        free(w);
        return;
    }
}

static struct watch *watch_find(struct multi *m, int fd)
{
    for (struct watch *w = m->watches; w; w = w->next)
        if (w->fd == fd)
            return w;
    return NULL;
}

static void multi_destroy(struct multi *m)
{
    assert(!m->handles);
    /* Closes what is cached, through our callbacks: `m` must still be whole. */
    if (m->curl)
        curl_multi_cleanup(m->curl);
    while (m->watches)
        watch_drop(m, m->watches->fd);
    sd_event_source_disable_unref(m->timer);
    sd_event_unref(m->event);
    free(m);
    curl_global_cleanup();
}

static void end_handle(struct multi_handle *h, CURLcode code)
{
    multi_remove(h);
    h->fn(h, code, h->userdata);
}

static void end_faulty(struct multi *m)
{
    while (m->faults && !m->dead) {
        struct multi_handle *h = m->handles;

        while (h && h->fault >= 0)
            h = h->next;
        if (h)
            end_handle(h, CURLE_OUT_OF_MEMORY);
        else
            m->faults = false;
    }
}

/* Hands finished transfers to their owners. A callback may do anything, so nothing is kept across it. */
static void drain(struct multi *m)
{
    m->busy++;
    while (!m->dead) {
        int left;
        CURLMsg *msg = curl_multi_info_read(m->curl, &left);
        struct multi_handle *h = NULL;

        if (!msg)
            break;
        if (msg->msg != CURLMSG_DONE)
            continue;
        /* The message dies with the handle's removal: read it first. */
        CURLcode code = msg->data.result;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&h);
        if (h)
            end_handle(h, code);
    }
    end_faulty(m);
    m->busy--;
    if (m->dead && m->busy == 0)
        multi_destroy(m);
}

static void act(struct multi *m, curl_socket_t fd, int bits)
{
    int running;

    m->in_curl = true;
    (void)curl_multi_socket_action(m->curl, fd, bits, &running);
    m->in_curl = false;
    drain(m);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct multi *m = userdata;
    int bits = 0;

    (void)s;
    if (revents & EPOLLIN)
        bits |= CURL_CSELECT_IN;
    if (revents & EPOLLOUT)
        bits |= CURL_CSELECT_OUT;
    /* Curl then reads the real error from the socket; CURL_CSELECT_ERR would hide it. */
    if (revents & (EPOLLERR | EPOLLHUP))
        bits |= CURL_CSELECT_IN | CURL_CSELECT_OUT;
    act(m, fd, bits);
    return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    act(userdata, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static int curl_wants_timer(CURLM *curl, long timeout_ms, void *userdata)
{
    struct multi *m = userdata;

    (void)curl;
    if (timeout_ms < 0) {
        (void)sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        return 0;
    }
    (void)sd_event_source_set_time_relative(m->timer, (uint64_t)timeout_ms * USEC_PER_MSEC);
    (void)sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
    return 0;
}

static int watch_set(struct multi *m, int fd, uint32_t events)
{
    struct watch *w = watch_find(m, fd);
    int r;

    if (w)
        return sd_event_source_set_io_events(w->source, events);
    w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    r = sd_event_add_io(m->event, &w->source, fd, events, on_io, m);
    if (r < 0) {
        free(w);
        return r;
    }
    w->fd = fd;
    w->next = m->watches;
    m->watches = w;
    return 0;
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
    struct multi *m = userdata;
    uint32_t events = 0;

    (void)socket_data;
    if (what == CURL_POLL_REMOVE) {
        watch_drop(m, fd);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    int r = watch_set(m, fd, events);
    if (r < 0) {
        struct multi_handle *h = NULL;

        /* Returning -1 would kill the whole multi; only this transfer is hurt. */
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
        if (h)
            h->fault = r;
        m->faults = true;
    }
    return 0;
}

static curl_socket_t curl_opens(void *userdata, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct multi_handle *h = userdata;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

    (void)purpose;
    h->open_errno = fd < 0 ? errno : 0;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int curl_closes(void *userdata, curl_socket_t fd)
{
    /* The number may be given to another file at once: no source of ours may still watch it. */
    watch_drop(userdata, fd);
    (void)fd_close(fd);
    return 0;
}

int multi_new(sd_event *event, struct multi **ret)
{
    struct multi *m;
    int r;

    /* Plain HTTP only: no TLS library is woken up. */
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return -ENOMEM;
    m = calloc(1, sizeof(*m));
    if (!m) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    m->event = sd_event_ref(event);
    m->curl = curl_multi_init();
    if (!m->curl) {
        multi_destroy(m);
        return -ENOMEM;
    }
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    /* Made now: the loop's timerfd must exist before the day when no fd is left. */
    r = sd_event_add_time(event, &m->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, on_timer, m);
    if (r >= 0)
        r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
    if (r < 0) {
        multi_destroy(m);
        return r;
    }
    *ret = m;
    return 0;
}

struct multi *multi_free(struct multi *m)
{
    if (!m)
        return NULL;
    m->dead = true;
    if (m->busy == 0)
        multi_destroy(m);
    return NULL;
}

sd_event *multi_event(const struct multi *m)
{
    return m->event;
}

int multi_add(struct multi *m, struct multi_handle *h, CURL *easy, multi_done_fn fn, void *userdata)
{
    assert(!m->in_curl && !h->multi);
    h->easy = easy;
    h->fn = fn;
    h->userdata = userdata;
    h->open_errno = 0;
    h->fault = 0;
    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, h) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, curl_opens) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, h) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, curl_closes) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m) != CURLE_OK)
        return -ENOMEM;
    if (curl_multi_add_handle(m->curl, easy) != CURLM_OK)
        return -ENOMEM;
    h->multi = m;
    DL_APPEND(m->handles, h);
    return 0;
}

void multi_remove(struct multi_handle *h)
{
    struct multi *m = h->multi;

    if (!m)
        return;
    assert(!m->in_curl);
    h->multi = NULL;
    DL_DELETE(m->handles, h);
    (void)curl_multi_remove_handle(m->curl, h->easy);
}
