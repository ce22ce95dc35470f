/* journal.h: the log sink of clawsupd under systemd: journal entries with MESSAGE_ID and the CLAWSUP_ fields.
 * Without a journal, lines stay on stderr. */
#pragma once

#include <sys/stat.h>
#include <sys/uio.h>

#include "base/defs.h"
#include "base/log.h"

/* Installs the sink if stderr is the journal's stream (JOURNAL_STREAM names the device and inode of fd 2, see
 * systemd.exec(5)) and journald's socket is there. 1: installed, 0: stderr stays. A redirected stderr
 * (StandardError=file:, a shell inside a unit) is respected: the lines go where the operator wants them. */
int journal_setup(const char *identifier);

/* ---- for the tests */

/* True if `value` ("DEV:INODE" in decimal) names the file of `st`. */
bool journal_stream_is(const char *value, const struct stat *st);

#define JOURNAL_FIELDS_MAX 8
#define JOURNAL_TEXT_MAX 4096
struct journal_entry {
    struct iovec iov[JOURNAL_FIELDS_MAX];
    size_t n;
    char text[JOURNAL_TEXT_MAX];
    size_t len;
};
/* Lays out one entry; a field that does not fit any more is left out, MESSAGE comes first. */
void journal_fill(struct journal_entry *e, const char *identifier, int priority, const struct log_fields *f,
    const char *text);
