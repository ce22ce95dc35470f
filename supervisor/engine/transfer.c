/* transfer.c: see transfer.h. Must not judge statuses or read bodies: callers do. */
#include "engine/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Past this the deadline was missed by us, not by the other side. */
#define LAG_MAX_US (500 * USEC_PER_MSEC)

/* Nearly every deadline is taken back: the timer need not be set anew for each. */
#define DEADLINE_SLACK_US (20 * USEC_PER_MSEC)
/* Answers are small and many are under way; curl's own default is 16 KiB for each. */
#define READ_SIZE 4096L

struct transfer {
    struct multi *multi;
    struct multi_handle handle;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    char error[CURL_ERROR_SIZE];
    char *where; /* for "connect WHERE: ..." */
    sd_event_source *deadline;
    sd_event_source *more; /* stream: there is something to hand over */
    uint64_t started_us;
    transfer_fn fn;
    transfer_data_fn data;
    void *userdata;
    bool head_done;  /* the blank line after a final head has come */
    int write_error; /* why our write callback broke it: -E2BIG, -ENOMEM */
    bool busy;       /* an owner's callback is on the stack */
    bool dead;       /* freed while busy */
};

bool transfer_is_own_fault(int errnum)
{
    switch (errnum) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EADDRNOTAVAIL: /* no local port left */
        return true;
    default:
        return false;
    }
}

static void transfer_destroy(struct transfer *t)
{
    multi_remove(&t->handle);
    sd_event_source_disable_unref(t->deadline);
    sd_event_source_disable_unref(t->more);
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    buf_reset(&t->body);
    free(t->where);
    free(t);
}

struct transfer *transfer_free(struct transfer *t)
{
    if (!t)
        return NULL;
    if (t->busy) {
        multi_remove(&t->handle);
        t->dead = true;
        return NULL;
    }
    transfer_destroy(t);
    return NULL;
}

/* Ends the transfer: the callback is the last that is heard of it. */
static void finish(struct transfer *t, enum transfer_result result, const char *reason)
{
    struct transfer_outcome o = {.result = result, .reason = reason, .body = ""};
    char *type = NULL;
    uint64_t now = t->started_us;

    multi_remove(&t->handle);
    t->deadline = sd_event_source_disable_unref(t->deadline);
    t->more = sd_event_source_disable_unref(t->more);
    (void)sd_event_now(multi_event(t->multi), CLOCK_MONOTONIC, &now);
    o.elapsed_us = now > t->started_us ? now - t->started_us : 0;
    if (result == TRANSFER_OK) {
        (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &o.status);
        (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
        o.is_json = type && strncasecmp(type, "application/json", strlen("application/json")) == 0;
        o.body = t->body.data ? t->body.data : "";
        o.body_len = t->body.len;
    }
    t->busy = true;
    t->fn(&o, t->userdata);
    t->busy = false;
    transfer_destroy(t);
}

static enum transfer_result classify(const struct transfer *t, CURLcode code, long os_errno)
{
    if (t->handle.fault < 0 || t->write_error == -ENOMEM)
        return TRANSFER_OWN_FAULT;
    if (t->write_error == -E2BIG)
        return TRANSFER_TOO_LARGE;
    /* Curl's own errors are many; those that speak of us are few. */
    if (code == CURLE_OK) /* which it says of an end within the head, too */
        return t->head_done ? TRANSFER_OK : TRANSFER_UNREACHABLE;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return TRANSFER_TIMEOUT;
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT)
        return TRANSFER_OWN_FAULT;
    if (code == CURLE_COULDNT_CONNECT &&
        (transfer_is_own_fault(t->handle.open_errno) || transfer_is_own_fault((int)os_errno)))
        return TRANSFER_OWN_FAULT;
    return TRANSFER_UNREACHABLE;
}

static const char *errno_text(int errnum)
{
    const char *s = strerrordesc_np(errnum);

    return s ? s : "unknown error";
}

static void explain(const struct transfer *t, CURLcode code, long os_errno, char *out, size_t n)
{
    if (t->handle.fault < 0)
        snprintf(out, n, "cannot watch the socket: %s", errno_text(-t->handle.fault));
    else if (t->write_error == -E2BIG)
        snprintf(out, n, "the answer is larger than %zu bytes", t->body.limit);
    else if (t->write_error < 0)
        snprintf(out, n, "%s", errno_text(-t->write_error));
    else if (t->handle.open_errno)
        snprintf(out, n, "socket: %s", errno_text(t->handle.open_errno));
    else if (code == CURLE_COULDNT_CONNECT && os_errno)
        snprintf(out, n, "connect %s: %s", t->where, errno_text((int)os_errno));
    else if (code == CURLE_OK)
        snprintf(out, n, "the connection was closed within the head of the answer");
    else
        snprintf(out, n, "%s", *t->error ? t->error : curl_easy_strerror(code));
}

/* Hands over what a stream has. False: the transfer was freed meanwhile; *ret_r is what the owner said. */
static bool hand_over(struct transfer *t, int *ret_r)
{
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->busy = true;
    *ret_r = t->data(status, &t->body, t->userdata);
    t->busy = false;
    if (!t->dead)
        return true;
    transfer_destroy(t);
    return false;
}

static void on_done(struct multi_handle *h, CURLcode code, void *userdata)
{
    struct transfer *t = userdata;
    char reason[CURL_ERROR_SIZE] = "";
    long os_errno = 0;
    int r = 0;

    (void)h;
    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    enum transfer_result result = classify(t, code, os_errno);
    if (result != TRANSFER_OK)
        explain(t, code, os_errno, reason, sizeof(reason));
    /* The end may have come in the same read as the last bytes. */
    if (t->data && t->head_done && !hand_over(t, &r))
        return;
    if (r < 0 && result == TRANSFER_OK) {
        result = TRANSFER_UNREACHABLE;
        snprintf(reason, sizeof(reason), "the stream cannot be read: %s", errno_text(-r));
    }
    finish(t, result, reason);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct transfer *t = userdata;
    uint64_t now = usec;

    (void)s;
    (void)sd_event_now(multi_event(t->multi), CLOCK_MONOTONIC, &now);
    if (now > usec + LAG_MAX_US)
        finish(t, TRANSFER_OWN_FAULT, "our event loop lagged past the deadline");
    else
        finish(t, TRANSFER_TIMEOUT, "no whole answer in time");
    return 0;
}

static int on_more(sd_event_source *s, void *userdata)
{
    struct transfer *t = userdata;
    int r;

    (void)s;
    if (hand_over(t, &r) && r < 0)
        finish(t, TRANSFER_UNREACHABLE, "the stream cannot be read");
    return 0;
}

/* Curl callbacks: they only store; the owner is told from the loop. */
static size_t curl_writes(const char *data, size_t size, size_t n, void *userdata)
{
    struct transfer *t = userdata;

    (void)size; /* 1, says curl */
    t->write_error = buf_add(&t->body, data, n);
    if (t->write_error < 0)
        return 0;
    if (t->more)
        (void)sd_event_source_set_enabled(t->more, SD_EVENT_ONESHOT);
    return n;
}

static size_t curl_reads_header(const char *data, size_t size, size_t n, void *userdata)
{
    struct transfer *t = userdata;

    (void)size;
    if (n <= 2 && (*data == '\r' || *data == '\n')) {
        long status = 0;

        (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        t->head_done = status >= 200;
        if (t->more && t->head_done)
            (void)sd_event_source_set_enabled(t->more, SD_EVENT_ONESHOT);
    }
    return n;
}

static int add_header(struct transfer *t, const char *line)
{
    struct curl_slist *l = curl_slist_append(t->headers, line);

    if (!l)
        return -ENOMEM;
    t->headers = l;
    return 0;
}

#define SET(opt, value)                                                                                      \
    do {                                                                                                     \
        if (curl_easy_setopt(t->easy, (opt), (value)) != CURLE_OK)                                           \
            return -ENOMEM;                                                                                  \
    } while (0)

static int set_request(struct transfer *t, const struct transfer_spec *spec)
{
    const char *method = spec->method ? spec->method : "GET";
    bool sends = spec->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    int r;

    if (sends) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(spec->body ? strlen(spec->body) : 0));
        SET(CURLOPT_COPYPOSTFIELDS, spec->body ? spec->body : "");
    }
    if (strcmp(method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else
        SET(CURLOPT_CUSTOMREQUEST, method);
    r = add_header(t, "Expect:"); /* no round trip for 100-continue */
    if (r >= 0 && sends)
        r = add_header(t, spec->body ? "Content-Type: application/json" : "Content-Type:");
    if (r < 0)
        return r;
    SET(CURLOPT_HTTPHEADER, t->headers);
    return 0;
}

static int set_options(struct transfer *t, const struct transfer_spec *spec)
{
    SET(CURLOPT_URL, spec->url);
    if (spec->unix_socket)
        SET(CURLOPT_UNIX_SOCKET_PATH, spec->unix_socket);
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* not even the one of the environment */
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "clawsup/" CLAWSUP_VERSION);
    /* On a kept connection curl repeats a request that died unanswered, a POST too; an action must happen at
     * most once. Connecting to a local socket costs less than being wrong. */
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_BUFFERSIZE, READ_SIZE);
    SET(CURLOPT_ERRORBUFFER, t->error);
    SET(CURLOPT_WRITEFUNCTION, curl_writes);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, curl_reads_header);
    SET(CURLOPT_HEADERDATA, t);
    return set_request(t, spec);
}
#undef SET

static int add_sources(struct transfer *t, const struct transfer_spec *spec)
{
    sd_event *event = multi_event(t->multi);
    int r = 0;

    if (spec->timeout_us) {
        r = sd_event_add_time_relative(
            event, &t->deadline, CLOCK_MONOTONIC, spec->timeout_us, DEADLINE_SLACK_US, on_deadline, t);
        /* When answer and deadline are both due, the answer counts. */
        if (r >= 0)
            r = sd_event_source_set_priority(t->deadline, SD_EVENT_PRIORITY_NORMAL + 1);
    }
    if (r >= 0 && spec->data) {
        r = sd_event_add_defer(event, &t->more, on_more, t);
        if (r >= 0)
            r = sd_event_source_set_enabled(t->more, SD_EVENT_OFF);
    }
    return r;
}

/* Over TCP a name would need a resolver thread, and curl waits for that thread when a transfer is cancelled:
 * the loop would block. So only what needs no resolver is taken. */
static bool host_is_literal(const char *host)
{
    return *host == '[' || strcasecmp(host, "localhost") == 0 ||
           (host[strspn(host, "0123456789.")] == '\0' && strchr(host, '.'));
}

static int check_url(const char *url, bool over_tcp)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;
    int r = -EINVAL;

    if (!u)
        return -ENOMEM;
    if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && strcmp(scheme, "http") == 0 &&
        (!over_tcp || host_is_literal(host)))
        r = 0;
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return r;
}

int transfer_start(
    struct multi *m, const struct transfer_spec *spec, transfer_fn fn, void *userdata, struct transfer **ret)
{
    _cleanup_(transfer_freep) struct transfer *t = NULL;
    int r;

    r = check_url(spec->url, !spec->unix_socket);
    if (r < 0)
        return r;
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->multi = m;
    t->fn = fn;
    t->data = spec->data;
    t->userdata = userdata;
    t->body.limit = spec->max_body;
    t->easy = curl_easy_init();
    t->where = strdup(spec->unix_socket ? spec->unix_socket : spec->url);
    if (!t->easy || !t->where)
        return -ENOMEM; /* cppcheck-suppress memleak ; the cleanup attribute frees it */
    r = sd_event_now(multi_event(m), CLOCK_MONOTONIC, &t->started_us);
    if (r < 0)
        return r;
    r = set_options(t, spec);
    if (r < 0)
        return r;
    r = add_sources(t, spec);
    if (r < 0)
        return r;
    r = multi_add(m, &t->handle, t->easy, on_done, t);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(t);
    return 0;
}
