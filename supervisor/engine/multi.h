/* multi.h: a libcurl multi handle driven by sd_event. Knows sockets and timers, nothing of requests:
 * transfer.h builds those. May be used by the rooms above (checks). */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/defs.h"

struct multi;
struct multi_handle;

/* The transfer ended; `h` has left the multi already. Called from the loop, never inside a curl callback, so
 * it may add and remove other handles and even free the multi. */
typedef void (*multi_done_fn)(struct multi_handle *h, CURLcode code, void *userdata);

/* Embedded by the owner of an easy handle and zeroed before multi_add(); the fields belong to multi.c. */
struct multi_handle {
    struct multi *multi; /* NULL while it is not added */
    CURL *easy;
    multi_done_fn fn;
    void *userdata;
    int open_errno; /* why socket(2) failed last; 0 = it did not. For the owner to read. */
    int fault;      /* -errno: the loop could not watch the socket */
    struct multi_handle *prev, *next;
};

/* -ENOMEM, or what sd_event says. Takes a reference of `event`. */
int multi_new(sd_event *event, struct multi **ret);
/* Every handle must have left before. NULL allowed. */
struct multi *multi_free(struct multi *m);
DEFINE_CLEANUP(struct multi *, multi_free)

sd_event *multi_event(const struct multi *m);

/* Starts `easy` (owned by the caller, outlives its stay); sets its socket callbacks and CURLOPT_PRIVATE.
 * -ENOMEM. */
int multi_add(struct multi *m, struct multi_handle *h, CURL *easy, multi_done_fn fn, void *userdata);
/* Takes it out without a callback; nothing when it is not in. Not from inside a curl callback. */
void multi_remove(struct multi_handle *h);
