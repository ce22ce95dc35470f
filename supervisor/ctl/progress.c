/* progress.c: see progress.h. */
#include "ctl/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "ctl/client.h"
#include "ctl/text.h"

#define SILENT_US USEC_PER_SEC
#define STEP_US (USEC_PER_SEC / 2)
/* A line that wraps would not be redrawn in place. */
#define LINE_MAX_SHOWN 70

void progress_begin(struct progress *p, const struct ctl *c)
{
    *p = (struct progress){
        .off = c->json, .terminal = isatty(STDERR_FILENO) != 0, .started_us = clock_now(CLOCK_MONOTONIC)};
}

uint64_t progress_elapsed(const struct progress *p)
{
    return clock_now(CLOCK_MONOTONIC) - p->started_us;
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        (void)fputs("\r\033[K", stderr);
    p->drawn = false;
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    uint64_t elapsed = progress_elapsed(p);
    char text[sizeof(p->last)], d[32];
    va_list ap;

    if (p->off || elapsed < SILENT_US)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    str_format_duration(d, sizeof(d), elapsed / USEC_PER_SEC * USEC_PER_SEC);
    if (p->terminal) {
        (void)fprintf(stderr, "\r\033[K%.*s (%s)", LINE_MAX_SHOWN - (int)strlen(d), text, d);
        p->drawn = true;
    } else if (strcmp(text, p->last) != 0) {
        (void)fprintf(stderr, "%s\n", text);
    }
    (void)fflush(stderr);
    memcpy(p->last, text, sizeof(p->last));
}

void progress_states(const json_t *tenant, char *out, size_t n)
{
    const json_t *list = json_object_get(tenant, "components");
    char text[160] = "";
    size_t used = 0;

    for (size_t i = 0; i < json_array_size(list) && used < sizeof(text); i++) {
        const json_t *c = json_array_get(list, i);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.16s %.16s", i > 0 ? ", " : "",
            text_of(c, "name"), text_of(c, "state"));
    }
    text_safe(out, n, text);
}

static void say_states(const struct ctl *c, struct progress *p, const char *tenant)
{
    _cleanup_json_ json_t *request = ctl_request("status", tenant), *reply = NULL;
    char states[160] = "";

    if (p->off || progress_elapsed(p) < SILENT_US)
        return;
    if (ctl_ask(c, request, STEP_US, &reply, NULL) >= 0)
        progress_states(json_array_get(json_object_get(reply, "tenants"), 0), states, sizeof(states));
    progress_say(p, "%s: %s", tenant, *states ? states : "waiting");
}

/* The answer, in steps between which the user hears something. */
static int receive(const struct ctl *c, struct client *cl, const char *tenant, uint64_t timeout_us,
    json_t **ret_reply, struct err *e)
{
    struct progress p;
    int r;

    progress_begin(&p, c);
    for (;;) {
        r = client_receive(cl, STEP_US, ret_reply, e);
        if (r != -ETIMEDOUT || progress_elapsed(&p) >= timeout_us)
            break;
        if (tenant)
            say_states(c, &p, tenant);
        else
            progress_say(&p, "waiting for clawsupd");
    }
    progress_clear(&p);
    return r;
}

int progress_call(const struct ctl *c, json_t *request, uint64_t timeout_us, json_t **ret_reply)
{
    _cleanup_(client_freep) struct client *cl = NULL;
    _cleanup_json_ json_t *owned = request, *reply = NULL;
    struct err e = {.msg = ""};
    int r;

    if (!owned)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = client_connect(c->socket_path, CTL_TIMEOUT_US, &cl, &e);
    if (r >= 0)
        r = client_send(cl, owned, CTL_TIMEOUT_US, &e);
    /* A daemon that refuses a client says so and closes: its line may be there although sending failed. */
    if (cl && (r >= 0 || r == -EPIPE))
        r = receive(c, cl, json_string_value(json_object_get(owned, "tenant")), timeout_us, &reply, &e);
    if (r < 0)
        return ctl_unreachable(c, r, &e);
    if (!json_is_true(json_object_get(reply, "ok")))
        return ctl_refused(c, owned, reply);
    *ret_reply = TAKE_PTR(reply);
    return CTL_OK;
}
