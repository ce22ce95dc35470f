/* internal.h: what engine.c shows to events.c. For this room only. */
#pragma once

#include "engine/engine.h"
#include "engine/transfer.h"

struct events; /* events.c */

struct call_spec {
    const char *method, *path;
    const json_t *body;
    uint64_t timeout_us;   /* 0: none */
    bool unversioned;      /* no version in front, so nothing to wait for */
    transfer_data_fn data; /* a stream; NULL: not one */
    engine_fn fn;
    void *userdata;
};

/* engine_request() with everything that it can do; same errors. `data` and `fn` get the same userdata. */
int engine_start(struct engine *e, const struct call_spec *s, struct engine_call **ret);

sd_event *engine_event_loop(const struct engine *e);

/* Brackets around a listener's callback: it may free the engine, which then lives until the last leave.
 * engine_leave() returns true when it was freed meanwhile: touch nothing any more. */
void engine_enter(struct engine *e);
bool engine_leave(struct engine *e);

/* The engine may be another one now: ask for its version again. */
void engine_forget_version(struct engine *e);

/* The engine's slot for its subscription. */
struct events **engine_events(struct engine *e);
const struct events *engine_events_const(const struct engine *e);
struct events *events_free(struct events *ev);

#define ENGINE_ANSWER_MAX (16 * 1024 * 1024)
