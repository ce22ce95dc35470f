/* logs_daemon.c: what clawsupd and the proxy say of a tenant: the journal's entries with its name where they
 * can be read, else the events that the daemon remembers. */
#include "ctl/logs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/text.h"

#define EVENTS_MAX 10000
#define EVENTS_TIMEOUT_US (5 * USEC_PER_SEC)

static bool is_wanted(const struct logs_options *o, const char *component)
{
    return !o->component || strcmp(o->component, "clawsupd") == 0 || strcmp(o->component, component) == 0;
}

/* ---------------------------------------------------------------- the journal */

static int field(sd_journal *j, const char *name, char *out, size_t n)
{
    const void *data;
    size_t len, skip = strlen(name) + 1;
    int r = sd_journal_get_data(j, name, &data, &len);

    out[0] = '\0';
    if (r >= 0 && len >= skip)
        (void)snprintf(out, n, "%.*s", (int)MIN(len - skip, n - 1), (const char *)data + skip);
    return r;
}

static void take_entry(struct logs *l)
{
    char text[2048], component[64], source[96];
    uint64_t at = 0;

    (void)sd_journal_get_realtime_usec(l->journal, &at);
    (void)field(l->journal, "MESSAGE", text, sizeof(text));
    (void)field(l->journal, "CLAWSUP_COMPONENT", component, sizeof(component));
    if (at < l->o->since_us || !is_wanted(l->o, component))
        return;
    (void)snprintf(source, sizeof(source), "clawsupd%s%s", *component ? "/" : "", component);
    logs_take(l, at, source, "journal", text);
}

static int open_journal(struct logs *l)
{
    char match[80];
    int r = sd_journal_open(&l->journal, SD_JOURNAL_LOCAL_ONLY);

    if (r < 0)
        return r;
    (void)snprintf(match, sizeof(match), "CLAWSUP_TENANT=%s", l->o->tenant);
    r = sd_journal_add_match(l->journal, match, 0);
    if (r >= 0)
        r = sd_journal_seek_tail(l->journal);
    /* Nothing at all: no journal here, or none that we may read. */
    return r < 0 ? r : sd_journal_previous_skip(l->journal, MAX(l->o->lines, (uint64_t)1));
}

static void read_journal(struct logs *l)
{
    while (sd_journal_next(l->journal) > 0)
        take_entry(l);
}

/* ---------------------------------------------------------------- the daemon's events */

static int read_events(struct logs *l, uint64_t lines)
{
    _cleanup_json_ json_t *request = ctl_request("events", l->o->tenant), *reply = NULL;
    const json_t *list;
    int r;

    if (!request ||
        json_object_set_new(request, "lines", json_integer((json_int_t)MIN(lines, (uint64_t)EVENTS_MAX))) < 0)
        return -ENOMEM;
    r = ctl_ask(l->o->c, request, EVENTS_TIMEOUT_US, &reply, NULL);
    if (r < 0)
        return r;
    if (!json_is_true(json_object_get(reply, "ok")))
        return -ENOENT;
    list = json_object_get(reply, "events");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *ev = json_array_get(list, i);
        const char *component = text_of(ev, "component");
        uint64_t at = 0, seq = text_u64(ev, "seq", 0);
        char source[96], text[1024];

        if (seq <= l->last_seq)
            continue;
        l->last_seq = seq;
        (void)text_time(ev, "at", &at);
        if (at < l->o->since_us || !is_wanted(l->o, component))
            continue;
        (void)snprintf(source, sizeof(source), "clawsupd%s%.60s", *component ? "/" : "", component);
        (void)snprintf(text, sizeof(text), "%.30s: %s", text_of(ev, "kind"), text_of(ev, "text"));
        logs_take(l, at, source, "event", text);
    }
    return 0;
}

/* ---------------------------------------------------------------- both */

int logs_daemon_start(struct logs *l)
{
    int r = open_journal(l);

    if (r > 0) {
        l->have_journal = true;
        take_entry(l);
        read_journal(l);
        return 0;
    }
    sd_journal_close(l->journal);
    l->journal = NULL;
    return read_events(l, l->o->lines);
}

void logs_daemon_more(struct logs *l)
{
    if (l->have_journal) {
        if (sd_journal_process(l->journal) >= 0)
            read_journal(l);
    } else {
        (void)read_events(l, EVENTS_MAX / 10);
    }
}

void logs_daemon_stop(struct logs *l)
{
    sd_journal_close(l->journal);
    l->journal = NULL;
}
