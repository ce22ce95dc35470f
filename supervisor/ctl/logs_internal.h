/* logs_internal.h: what the files logs*.c share. */
#pragma once

#include <systemd/sd-event.h>
#include <systemd/sd-journal.h>

#include "ctl/logs.h"
#include "ctl/logs_line.h"
#include "engine/engine.h"
#include "engine/transfer.h"

#define LOGS_CONTAINERS_MAX 128

struct logs;

struct logs_container {
    struct logs *logs;
    char id[65], source[64];
    struct transfer *transfer; /* NULL: not being read */
    struct logs_stream stream;
    uint64_t last_us; /* time of the last line, to go on from */
    bool seen;        /* in the list at hand */
};

struct logs_held {
    uint64_t at_us, place;
    char *source, *text;
    const char *stream;
};

struct logs {
    const struct logs_options *o;
    logs_fn fn;
    void *userdata;
    sd_event *event;
    struct engine *engine;
    struct multi *multi;
    sd_event_source *timer;
    struct logs_container *containers[LOGS_CONTAINERS_MAX];
    size_t n_containers;
    size_t reading;           /* transfers under way */
    bool listed, list_failed; /* the engine's list was answered, or could not be */
    struct logs_held *held;   /* lines of the beginning, until they are sorted */
    size_t n_held;
    bool flushed;
    int r; /* the first error of ours */
    sd_journal *journal;
    bool have_journal;
    uint64_t last_seq; /* of events */
    struct err engine_why;
};

/* logs.c: one line; is held or shown. */
void logs_take(struct logs *l, uint64_t at_us, const char *source, const char *stream, const char *text);

/* logs_engine.c */
int logs_engine_start(struct logs *l);
void logs_engine_list(struct logs *l); /* again: new containers, and those that run again */
void logs_engine_stop(struct logs *l);

/* logs_daemon.c: journal or events */
int logs_daemon_start(struct logs *l);
void logs_daemon_more(struct logs *l);
void logs_daemon_stop(struct logs *l);
