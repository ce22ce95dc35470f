/* store.h: what must survive clawsupd: intents and results of actions (budgets are counted from them), holds,
 * quarantine, our own starts, the event log. SQLite, WAL, synchronous=FULL: a call that returned success is
 * on disk. All times are CLOCK_REALTIME microseconds that the caller passes in. Every call is short and one
 * transaction; none retries. Errors: -ENOSPC (disk full), -EROFS (read-only), -EBUSY (another process has
 * it), -EUCLEAN (damaged while in use: the next store_open moves it aside), -EIO, -ENOMEM, with text in `e`;
 * after a failure the database is as it was before the call, and works again when the cause is gone. One
 * process, one thread. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

struct store;

#define STORE_EVENTS_MAX 10000   /* the log keeps the newest */
#define STORE_TEXT_MAX 2048      /* reasons and texts are cut here, between characters */
#define STORE_SPEC_MAX (1 << 20) /* -E2BIG above */

/* Opens or creates STATE_DIR/state.db (the directory is made, mode 0700, if missing; the file has mode 0600).
 * A database that is corrupt is moved aside (state.db.corrupt-SECONDS) and a fresh one begun: 1 is returned
 * then, with text for the operator; 0 otherwise. -ENOENT/-EACCES... of the directory; -EBUSY: another process
 * has it; -EPROTONOSUPPORT: written by a newer clawsup, left alone. On failure *ret is still a store, which
 * tries to open again with every call and fails the same way until that works, so that the daemon can go on
 * and say so (NULL only when out of memory; every call takes NULL and gives -ENOMEM). Forgets actions with a
 * result that are older than 30 days. */
int store_open(const char *state_dir, int64_t now, struct store **ret, struct err *e) _must_check_;
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close)
#define _cleanup_store_ _cleanup_(store_closep)

/* INTENT before an action, RESULT after it. `type`, `level` and `result` are the recovery core's enums as
 * integers. */
int store_intent(struct store *s, int64_t now, const char *tenant, const char *component, int type, int level,
    const char *reason, int64_t *ret_id, struct err *e);
/* -ENOENT: no such intent, or it has a result already. */
int store_result(struct store *s, int64_t now, int64_t id, int result, const char *text, struct err *e);

struct store_action {
    int64_t id, at;                          /* at: of the intent */
    const char *tenant, *component, *reason; /* borrowed for the callback */
    int type, level;
    int result; /* -1: no result was written */
};
/* Oldest first, from `since` on; a negative return of `fn` ends the walk and is returned. */
typedef int (*store_action_fn)(const struct store_action *a, void *userdata);
int store_actions(struct store *s, int64_t since, store_action_fn fn, void *userdata, struct err *e);
/* Closes every intent without a result with this one: what they did was found out by inspection. */
int store_close_intents(struct store *s, int64_t now, int result, const char *text, struct err *e);

/* kind: "pause" or "hold"; until 0 removes it. Ends that have passed are still returned: the caller has the
 * clock. */
int store_set_hold(struct store *s, const char *tenant, const char *kind, int64_t until, struct err *e);
int store_get_hold(struct store *s, const char *tenant, const char *kind, int64_t *ret_until); /* 0: none */
/* since 0: released. */
int store_set_quarantine(struct store *s, const char *tenant, int64_t since, struct err *e);
int store_get_quarantine(struct store *s, const char *tenant, int64_t *ret_since); /* 0: none */

/* Records a start of clawsupd and counts those from `since` to `now`, this one included; forgets the others
 * (one after `now` was noted before the clock was set back). */
int store_start(struct store *s, int64_t now, int64_t since, uint32_t *ret_count, struct err *e);

struct store_event {
    int64_t seq, at;
    const char *tenant, *component, *kind,
        *text; /* borrowed for the callback; tenant and component may be NULL */
};
/* Pruned to the last 10,000. ret_seq may be NULL. */
int store_event_add(struct store *s, int64_t now, const char *tenant, const char *component, const char *kind,
    const char *text, int64_t *ret_seq, struct err *e);
typedef int (*store_event_fn)(const struct store_event *ev, void *userdata);
/* The last `limit` of a tenant (NULL: of all), not before `since`, oldest first. */
int store_events(struct store *s, const char *tenant, int64_t since, uint32_t limit, store_event_fn fn,
    void *userdata, struct err *e);

/* The create body captured from an adopted container while it was healthy, as JSON text; caller frees;
 * -ENOENT. */
int store_set_spec(struct store *s, const char *tenant, const char *json, struct err *e);
int store_get_spec(struct store *s, const char *tenant, char **ret, struct err *e);

/* A text of our own under a key, kept until it is written anew; caller frees; -ENOENT. */
int store_set_note(struct store *s, const char *key, const char *text, struct err *e);
int store_get_note(struct store *s, const char *key, char **ret, struct err *e);
