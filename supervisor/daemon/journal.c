/* journal.c: see journal.h. Holds the one global that a log sink needs: the identifier. Must not format
 * outside text: fields are sent as they are, by length. */
#include "daemon/journal.h"

#include <stdio.h>
#include <string.h>
#define SD_JOURNAL_SUPPRESS_LOCATION 1 /* the place in this file would be the same for each entry */
#include <systemd/sd-journal.h>

#include "base/str.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *journal_identifier = "clawsupd";

static void add_field(struct journal_entry *e, const char *name, const char *value)
{
    size_t left = sizeof(e->text) - e->len;
    char *at = e->text + e->len;
    int n;

    if (!value || e->n >= JOURNAL_FIELDS_MAX)
        return;
    n = snprintf(at, left, "%s=%s", name, value);
    if (n < 0 || (size_t)n >= left)
        return;
    e->iov[e->n++] = (struct iovec){.iov_base = at, .iov_len = (size_t)n};
    e->len += (size_t)n + 1;
}

void journal_fill(struct journal_entry *e, const char *identifier, int priority, const struct log_fields *f,
    const char *text)
{
    char number[16];

    e->n = e->len = 0;
    (void)snprintf(number, sizeof(number), "%d", priority);
    add_field(e, "MESSAGE", text);
    add_field(e, "PRIORITY", number);
    add_field(e, "SYSLOG_IDENTIFIER", identifier);
    if (!f)
        return;
    add_field(e, "MESSAGE_ID", f->message_id);
    add_field(e, "CLAWSUP_TENANT", f->tenant);
    add_field(e, "CLAWSUP_COMPONENT", f->component);
    add_field(e, "CLAWSUP_ACTION_ID", f->action_id);
}

static void journal_sink(int priority, const struct log_fields *f, const char *text)
{
    struct journal_entry e;

    journal_fill(&e, journal_identifier, priority, f, text);
    /* journald's stream takes "<N>" as the priority of a line: the entry loses its fields, not its text. */
    if (sd_journal_sendv(e.iov, (int)e.n) < 0)
        (void)fprintf(stderr, "<%d>%s%s%s\n", priority, f && f->tenant ? f->tenant : "",
            f && f->tenant ? ": " : "", text);
}

bool journal_stream_is(const char *value, const struct stat *st)
{
    char want[64];

    (void)snprintf(
        want, sizeof(want), "%llu:%llu", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
    return str_eq(value, want);
}

int journal_setup(const char *identifier)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;

    /* sd_journal_sendv() says nothing when there is no journald: lines would be lost. */
    if (!stream || fstat(STDERR_FILENO, &st) < 0 || !journal_stream_is(stream, &st) ||
        access(JOURNAL_SOCKET, W_OK) < 0)
        return 0;
    journal_identifier = identifier;
    log_set_sink(journal_sink);
    return 1;
}
