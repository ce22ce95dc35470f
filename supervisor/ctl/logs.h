/* logs.h: the logs of a tenant from several places, in one order: its containers' through the engine, and
 * what clawsupd and the proxy say, from the journal or, where that cannot be read, from the daemon's events.
 * The engine and the journal are asked with the caller's own rights: nothing is shown to anybody who could
 * not see it with docker(1) and journalctl(1). */
#pragma once

#include "ctl/ctl.h"

struct logs_options {
    const struct ctl *c;
    const char *tenant;
    const char *component; /* NULL: all; "proxy", "gateway", "sandbox", or the name of another one */
    const char *engine_socket;
    uint64_t lines;    /* of each source */
    uint64_t since_us; /* 0: from the beginning */
    bool follow;
};

struct logs_entry {
    uint64_t at_us;     /* 0: not known */
    const char *source; /* "gateway", "clawsupd", ... */
    const char *stream; /* "stdout", "stderr", "journal", "event" */
    const char *text;
};
/* Negative ends it: the reader of our output is gone. */
typedef int (*logs_fn)(const struct logs_entry *e, void *userdata);

/* Runs until all is told, or with follow until interrupted. 0; -ENOENT: no source could be read, with the
 * reasons in `e`; -errno. What could not be read beside others is told on standard error. */
int logs_run(const struct logs_options *o, logs_fn fn, void *userdata, struct err *e);
