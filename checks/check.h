/* check.h: a probe takes ONE sample and says what it saw: ok, failed, or unknown. It never judges (recovery
 * does), never retries, never blocks: it runs on the sd_event loop and ends in one callback. */
#pragma once

#include <systemd/sd-event.h>

#include "base/defs.h"

enum check_result {
    CHECK_OK,
    CHECK_FAIL,
    CHECK_UNKNOWN, /* our own fault: no fd, no memory, loop lag. Never counts as a failure. */
    _CHECK_RESULT_MAX
};

struct check_sample {
    enum check_result result;
    uint64_t started_us; /* CLOCK_MONOTONIC */
    uint64_t duration_us;
    char detail[160]; /* for people: "HTTP 503", "connect: Connection refused", "field ok is false" */
};

/* Called once, from the loop. The check is gone when this returns: forget its handle. check_free() on it from
 * inside is allowed. */
typedef void (*check_fn)(const struct check_sample *s, void *userdata);

struct check; /* one running sample */
/* Cancels: the callback will not run. NULL allowed. */
struct check *check_free(struct check *c);
DEFINE_CLEANUP(struct check *, check_free)

/* The shared libcurl multi handle for probes. */
struct check_http_pool;
int check_http_pool_new(sd_event *event, struct check_http_pool **ret);
/* Cancels what still runs in it; the handles stay valid for check_free(). */
struct check_http_pool *check_http_pool_free(struct check_http_pool *p);
DEFINE_CLEANUP(struct check_http_pool *, check_http_pool_free)

struct check_http_spec {
    const char *url;                 /* http://HOST:PORT/PATH; HOST is an address or "localhost" over TCP */
    const char *unix_socket;         /* NULL, or connect here and use the url's path */
    const char *method;              /* NULL: GET */
    unsigned status_min, status_max; /* 0, 0: 200..299 */
    const char *json_field; /* NULL, or a top-level field that must equal json_value (compact JSON: true,
                               "live", 1) */
    const char *json_value;
    uint64_t timeout_us;
};
/* Starts a sample; the spec is borrowed for the call only. Redirects are not followed and at most 64 KiB of
 * body are read. -EINVAL: bad URL, range or json_value; other -errno if it could not be started (count it as
 * CHECK_UNKNOWN). */
int check_http_start(struct check_http_pool *p, const struct check_http_spec *spec, check_fn fn,
    void *userdata, struct check **ret);

/* TCP connect to a literal address (IPv4 or IPv6) and port: ok when the handshake completes. -EINVAL, or
 * -errno if it could not be started (count it as CHECK_UNKNOWN). */
int check_tcp_start(sd_event *event, const char *address, uint16_t port, uint64_t timeout_us, check_fn fn,
    void *userdata, struct check **ret);

/* A pidfd that becomes readable is hard evidence: `fn` is called once with CHECK_FAIL and the detail
 * "exited with status N" / "killed by signal N" (waitid when it is our child, which reaps it, else "exited").
 */
int check_pidfd_start(
    sd_event *event, int pidfd, check_fn fn, void *userdata, struct check **ret); /* pidfd borrowed */
