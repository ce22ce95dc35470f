/* slice.c: see slice.h. One call walks: StartTransientUnit; when the unit exists SetUnitProperties and
 * StartUnit; then it waits for the job. A stop walks: StopUnit, the job, RevertUnitFiles. Must not block and
 * must not write to the cgroup tree. Interface: org.freedesktop.systemd1(5). */
#include "limits/slice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/str.h"
#include "limits/cgroup.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define ERROR_EXISTS "org.freedesktop.systemd1.UnitExists"
#define ERROR_MISSING "org.freedesktop.systemd1.NoSuchUnit"

/* For the whole of a call: a lost JobRemoved (systemd re-executed, say) must end it too. */
#define CALL_TIMEOUT_US (30 * USEC_PER_SEC)
#define CALLS_MAX 1024

enum slice_step { STEP_START_TRANSIENT, STEP_SET, STEP_START, STEP_STOP, STEP_REVERT, _STEP_MAX };

struct slice_bus {
    sd_event *event;
    sd_bus *bus;             /* NULL until the first call */
    struct slice_call *head; /* running calls */
    size_t n_calls;
};

struct slice_call {
    struct slice_bus *owner;
    struct slice_call *next;
    sd_bus *bus; /* the connection it began on: the owner's may be a newer one */
    enum slice_step step;
    char unit[256];
    char job[128]; /* object path of the job that is waited for; "" while a reply is */
    struct limits_want want;
    sd_bus_slot *slot;
    sd_event_source *deadline;
    slice_fn fn;
    void *userdata;
};

static int call_advance(struct slice_call *c, enum slice_step step);

static void call_unlink(struct slice_call *c)
{
    struct slice_call **p = &c->owner->head;

    while (*p && *p != c)
        p = &(*p)->next;
    if (*p) {
        *p = c->next;
        c->owner->n_calls--;
    }
}

static struct slice_call *call_free(struct slice_call *c)
{
    if (!c)
        return NULL;
    call_unlink(c);
    sd_bus_slot_unref(c->slot);
    sd_bus_unref(c->bus);
    sd_event_source_disable_unref(c->deadline);
    free(c);
    return NULL;
}
DEFINE_CLEANUP(struct slice_call *, call_free)

void slice_call_cancel(struct slice_call *c)
{
    (void)call_free(c);
}

/* Ends the call: `c` is gone when the caller's callback runs, which may start or cancel others. */
static void call_finish(struct slice_call *c, int r, const char *text)
{
    slice_fn fn = c->fn;
    void *userdata = c->userdata;
    char copy[512] = "";

    if (r < 0)
        (void)snprintf(copy, sizeof(copy), "%s: %.240s", c->unit, text);
    (void)call_free(c);
    fn(r, copy, userdata);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    call_finish(userdata, -ETIMEDOUT, "systemd did not finish in time");
    return 0;
}

/* ---------------------------------------------------------------- the connection */

/* "uoss": id, path, unit, result of a finished job. */
static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
    struct slice_bus *b = userdata;
    const char *path, *unit, *result;
    uint32_t id;

    (void)e;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
        return 0;
    for (struct slice_call *c = b->head; c; c = c->next) {
        if (!str_eq(c->job, path))
            continue;
        c->job[0] = '\0';
        if (strcmp(result, "done") != 0) {
            char text[128];

            (void)snprintf(text, sizeof(text), "its job ended with \"%.64s\"", result);
            call_finish(c, -EIO, text);
        } else if (c->step == STEP_STOP) {
            int r = call_advance(c, STEP_REVERT);
            if (r < 0)
                call_finish(c, r, strerror(-r));
        } else {
            call_finish(c, 0, "");
        }
        break; /* a job belongs to one call, and the list may have changed */
    }
    return 0;
}

/* Replies fail by themselves when the connection breaks; jobs that are waited for must be ended here. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
    struct slice_bus *b = userdata;
    const sd_bus *bus = sd_bus_message_get_bus(m);
    struct slice_call *c;

    (void)e;
    do {
        for (c = b->head; c && (c->bus != bus || !c->job[0]); c = c->next)
            ;
        if (c)
            call_finish(c, -ECONNRESET, "the system bus closed the connection");
    } while (c);
    return 0;
}

static int bus_connect(struct slice_bus *b)
{
    sd_bus *bus = NULL;
    int r;

    if (b->bus && sd_bus_is_open(b->bus) > 0)
        return 0;
    /* a broken connection lives on in the calls that it still has to end */
    b->bus = sd_bus_unref(b->bus);
    r = sd_bus_open_system_with_description(&bus, "clawsup-slices");
    if (r < 0)
        return r;
    r = sd_bus_attach_event(bus, b->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal_async(
            bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, b);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
            "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, b);
    /* systemd sends job signals only while somebody is subscribed */
    if (r >= 0)
        r = sd_bus_call_method_async(
            bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", NULL, NULL, NULL);
    if (r < 0) {
        sd_bus_close_unref(bus);
        return r;
    }
    b->bus = bus;
    return 0;
}

int slice_bus_new(sd_event *event, struct slice_bus **ret)
{
    struct slice_bus *b = calloc(1, sizeof(*b));

    if (!b)
        return -ENOMEM;
    b->event = sd_event_ref(event);
    *ret = b;
    return 0;
}

struct slice_bus *slice_bus_free(struct slice_bus *b)
{
    if (!b)
        return NULL;
    while (b->head)
        (void)call_free(b->head);
    sd_bus_close_unref(b->bus);
    sd_event_unref(b->event);
    free(b);
    return NULL;
}

/* ---------------------------------------------------------------- messages */

static int append_u64(sd_bus_message *m, const char *name, uint64_t value)
{
    return sd_bus_message_append(m, "(sv)", name, "t", value);
}

static uint64_t or_max(uint64_t v)
{
    return v ? v : LIMITS_MAX;
}

/* The properties of systemd.resource-control(5), in the units of its D-Bus interface. */
static int append_limits(sd_bus_message *m, const struct limits_want *w)
{
    const struct {
        const char *name;
        uint64_t value;
    } props[] = {
        {"CPUQuotaPerSecUSec", or_max(w->nano_cpus / 1000)},
        {"CPUWeight", w->cpu_weight ? w->cpu_weight : 100},
        {"MemoryHigh", or_max(limits_memory_high(w->memory_bytes))},
        {"MemoryMax", or_max(w->memory_bytes)},
        {"MemorySwapMax", w->memory_bytes ? 0 : LIMITS_MAX},
        {"TasksMax", or_max(w->pids)},
    };
    /* the readings of the tenant come from these controllers' files, limited or not */
    static const char *const accounting[] = {"CPUAccounting", "MemoryAccounting", "TasksAccounting"};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(accounting) && r >= 0; i++)
        r = sd_bus_message_append(m, "(sv)", accounting[i], "b", 1);
    for (size_t i = 0; i < ARRAY_SIZE(props) && r >= 0; i++)
        r = append_u64(m, props[i].name, props[i].value);
    return r;
}

static int fill_start_transient(sd_bus_message *m, const struct slice_call *c)
{
    int r = sd_bus_message_append(m, "ss", c->unit, "fail");

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)", "Description", "s", "Limits of clawsup's tenants");
    if (r >= 0)
        r = append_limits(m, &c->want);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int fill_set(sd_bus_message *m, const struct slice_call *c)
{
    int r = sd_bus_message_append(m, "sb", c->unit, 1);

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = append_limits(m, &c->want);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int fill_unit(sd_bus_message *m, const struct slice_call *c)
{
    return sd_bus_message_append(m, "ss", c->unit, "fail");
}

static int fill_revert(sd_bus_message *m, const struct slice_call *c)
{
    return sd_bus_message_append(m, "as", 1, c->unit);
}

static const struct {
    const char *method;
    int (*fill)(sd_bus_message *m, const struct slice_call *c);
    bool job; /* answers with a job to wait for */
} steps[_STEP_MAX] = {
    [STEP_START_TRANSIENT] = {"StartTransientUnit", fill_start_transient, true},
    [STEP_SET] = {"SetUnitProperties", fill_set, false},
    [STEP_START] = {"StartUnit", fill_unit, true},
    [STEP_STOP] = {"StopUnit", fill_unit, true},
    [STEP_REVERT] = {"RevertUnitFiles", fill_revert, false},
};

/* ---------------------------------------------------------------- the walk */

/* What an error of a step means: the next step, _STEP_MAX for success, or -errno. */
static int after_error(const struct slice_call *c, const sd_bus_error *e)
{
    if (c->step == STEP_START_TRANSIENT && sd_bus_error_has_name(e, ERROR_EXISTS))
        return STEP_SET;
    if (c->step == STEP_STOP && sd_bus_error_has_name(e, ERROR_MISSING))
        return _STEP_MAX;
    return sd_bus_error_get_errno(e) > 0 ? -sd_bus_error_get_errno(e) : -EIO;
}

static int after_success(struct slice_call *c, sd_bus_message *m)
{
    const char *job;
    int r;

    if (!steps[c->step].job)
        return c->step == STEP_SET ? STEP_START : _STEP_MAX;
    r = sd_bus_message_read(m, "o", &job);
    if (r < 0)
        return r;
    if (strlen(job) >= sizeof(c->job))
        return -EBADMSG;
    (void)snprintf(c->job, sizeof(c->job), "%s", job);
    return (int)c->step; /* stays here until JobRemoved */
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct slice_call *c = userdata;
    const sd_bus_error *e = sd_bus_message_get_error(m);
    const char *text = e && e->message ? e->message : NULL;
    int r = e ? after_error(c, e) : after_success(c, m);

    (void)ret_error;
    if (r == _STEP_MAX) {
        call_finish(c, 0, "");
        return 0;
    }
    if (r >= 0 && r != (int)c->step) {
        text = NULL;
        r = call_advance(c, (enum slice_step)r);
    }
    if (r < 0)
        call_finish(c, r, text ? text : strerror(-r));
    return 0;
}

static int call_advance(struct slice_call *c, enum slice_step step)
{
    sd_bus_message *m = NULL;
    int r;

    c->step = step;
    c->slot = sd_bus_slot_unref(c->slot);
    r = sd_bus_message_new_method_call(
        c->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, steps[step].method);
    if (r >= 0)
        r = steps[step].fill(m, c);
    if (r >= 0)
        r = sd_bus_call_async(c->bus, &c->slot, m, on_reply, c, CALL_TIMEOUT_US);
    sd_bus_message_unref(m);
    return r < 0 ? r : 0;
}

static bool is_our_unit(const char *unit)
{
    size_t n = strlen(unit);

    if (strcmp(unit, SLICE_PARENT) == 0)
        return true;
    return n < 160 && n > strlen("clawsup-.slice") && str_startswith(unit, "clawsup-") &&
           strcmp(unit + n - 6, ".slice") == 0 &&
           strspn(unit, "abcdefghijklmnopqrstuvwxyz0123456789-\\.") == n;
}

static int call_new(
    struct slice_bus *b, const char *unit, slice_fn fn, void *userdata, struct slice_call **ret)
{
    _cleanup_(call_freep) struct slice_call *c = NULL;
    int r;

    if (!is_our_unit(unit))
        return -EINVAL;
    if (b->n_calls >= CALLS_MAX)
        return -EBUSY;
    r = bus_connect(b);
    if (r < 0)
        return r;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->owner = b;
    c->bus = sd_bus_ref(b->bus);
    c->fn = fn;
    c->userdata = userdata;
    (void)snprintf(c->unit, sizeof(c->unit), "%s", unit);
    c->next = b->head;
    b->head = c;
    b->n_calls++;
    r = sd_event_add_time_relative(
        b->event, &c->deadline, CLOCK_MONOTONIC, CALL_TIMEOUT_US, USEC_PER_SEC, on_deadline, c);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

int slice_apply(struct slice_bus *b, const char *unit, const struct limits_want *w, slice_fn fn,
    void *userdata, struct slice_call **ret)
{
    _cleanup_(call_freep) struct slice_call *c = NULL;
    int r = call_new(b, unit, fn, userdata, &c);

    if (r < 0)
        return r;
    c->want = *w;
    r = call_advance(c, STEP_START_TRANSIENT);
    if (r < 0)
        return r;
    if (ret)
        *ret = c;
    TAKE_PTR(c);
    return 0;
}

int slice_stop(struct slice_bus *b, const char *unit, const char *dir, slice_fn fn, void *userdata,
    struct slice_call **ret)
{
    _cleanup_(call_freep) struct slice_call *c = NULL;
    struct cgroup_sample s;
    int r;

    if (cgroup_read(dir, &s) >= 0 && s.populated)
        return -EBUSY;
    r = call_new(b, unit, fn, userdata, &c);
    if (r < 0)
        return r;
    r = call_advance(c, STEP_STOP);
    if (r < 0)
        return r;
    if (ret)
        *ret = c;
    TAKE_PTR(c);
    return 0;
}
