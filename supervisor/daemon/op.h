/* op.h: one action of the recovery core as it is carried out: a chain of engine calls, each ending in the
 * next step. A tenant has at most one, and beside it the relaunch of its embedded proxy. The op writes its
 * INTENT before the first effect and its RESULT after the last. */
#pragma once

#include "daemon/manager.h"
#include "recovery/saga.h"

struct op {
    struct tenant *tenant;
    struct component *component;
    struct rec_action action;
    int64_t intent; /* row in the store; 0: the store could not be written */
    uint64_t started_us;
    struct engine_call *call;
    void (*next)(struct op *op, const struct engine_answer *a);
    sd_event_source *timer;
    void (*after)(struct op *op);            /* continuation of the timer */
    bool keep_on_engine_loss;                /* the saga sees every answer itself */
    size_t at;                               /* in the tenant's components, for what goes through them */
    uint64_t restarted_us[CONFIG_PARTS_MAX]; /* by part: when a restart of all came to it; 0: not yet */

    /* op_guard.c */
    char start_id[65];
    void (*started)(struct op *op, const struct engine_answer *a);
    void (*tampered)(struct op *op, const char *why);
    bool guarded; /* a restart is a stop, a look and a start */

    /* op_port.c */
    char port_where[96];
    unsigned port;
    bool port_in_engine; /* the engine's own book has it, not the kernel */

    /* redeploy */
    struct saga saga;
    struct saga_facts facts; /* of one that is picked up again */
    char old_id[65], new_id[65], name_id[65], name[256];
    json_t *body;     /* of the new container; owned */
    json_t *networks; /* that it is still to be connected to, by name; owned */
    bool old_running;
    uint64_t verify_until_us;
    char problem[MESSAGE_MAX]; /* what made the saga turn back */
};

/* Takes the action on; its first step runs from the loop, never from inside the caller. On failure the core
 * has been told already. */
void op_start(struct tenant *t, const struct rec_action *a);
/* Picks up a redeploy that was interrupted by the end of a clawsupd or of the engine: NAME.old or NAME.new
 * exists. Not an action of the core; nothing happens while an action is in flight, or too soon after the last
 * try. */
void op_resume_redeploy(struct component *c);
/* Forgets an op without a result: the daemon ends, or the tenant leaves. The intent stays open in the store.
 */
struct op *op_free(struct op *op);

/* True while `op` (may be NULL) stops or starts the component. */
bool op_touches(const struct op *op, const struct component *c);

/* ---- for the chains */
/* Issues a request; `fn` gets the answer if the engine gave one, otherwise the op ends with
 * REC_DONE_ENGINE_GONE. */
void op_call(struct op *op, void (*fn)(struct op *op, const struct engine_answer *a), const char *method,
    const json_t *body, uint64_t timeout_us, const char *fmt, ...) _printf_(6, 7);
void op_wait(struct op *op, uint64_t delay_us, void (*fn)(struct op *op));
/* Ends the op, frees it, and tells the core and the store. */
void op_finish(struct op *op, enum rec_done result, const char *fmt, ...) _printf_(3, 4);

/* How the engine is asked for a container: by id or name. NULL: found by label, and not there. */
const char *op_reference(const struct component *c);
/* Ends the op: an external container is not there, and is not for us to make. */
void op_finish_absent(struct op *op);
/* The engine went away during the call. Not so when it answers others meanwhile: then the call itself has
 * failed, and counts, or a container that cannot be stopped would be tried for ever. */
bool op_engine_gone(const struct op *op, const struct engine_answer *a);
/* Why the answer to an inspect is of no use. */
const char *op_inspect_problem(const struct engine_answer *a);

#define OP_TIMEOUT_US (30 * USEC_PER_SEC)
/* Stop time-out plus 15 s: a shorter deadline would report a good stop as failed. */
uint64_t op_stop_deadline(const struct op *op);
/* The tenant's gateway may be created under this cgroup. */
const char *op_cgroup_parent(const struct op *op);

/* op_guard.c */
/* Starts a container that has run before, unless it has put a link in the way of its own mounts: then
 * `tampered` goes on. */
void op_start_container(struct op *op, const char *id,
    void (*started)(struct op *op, const struct engine_answer *a),
    void (*tampered)(struct op *op, const char *why));
/* True for an inspected container whose mounts depend on directories that it can change. */
bool op_guard_matters(const json_t *inspect);
/* 0, or -EPERM with text. The container must be stopped. */
int op_guard_check(const json_t *inspect, struct err *e);

/* op_port.c */
/* The start was answered with: a published port is taken. True: it was, and the op ends by itself, with the
 * one who has it named. */
bool op_port_taken(struct op *op, const struct engine_answer *a);
/* Address and port in the engine's words. -ENOENT: the message is about something else; -EBADMSG. */
int op_port_of(const char *message, char *ret_where, size_t size, unsigned *ret_port);

/* op_bringup.c */
void op_bring_up(struct op *op);
/* Makes sure that the tenant's bridge exists, then goes on with `then`. */
void op_network(struct op *op, void (*then)(struct op *op));
/* op_restart.c */
void op_restart(struct op *op);
void op_restart_all(struct op *op);
/* op_redeploy.c */
void op_redeploy(struct op *op);
void op_redeploy_resume(struct op *op);
