/* registry.h: what belongs to this tenant: full ids of its containers with their names, and the execs that
 * were created through us. A reference is resolved here and nowhere else; the engine only ever sees the full
 * id. Pure data: no descriptor, no clock. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "filter/names.h"
#include "filter/policy.h"

#define REGISTRY_ID_LEN 64
#define REGISTRY_EXECS_MAX 1024

struct registry;

/* `p` and `n` must outlive it. */
int registry_new(const struct policy *p, const struct names *n, struct registry **ret) _must_check_;
struct registry *registry_free(struct registry *r);
DEFINE_CLEANUP(struct registry *, registry_free)
#define _cleanup_registry_ _cleanup_(registry_freep)

/* Adds or renames. `id` is 64 hex digits, `engine_name` without a slash. -EINVAL, -ENOMEM. */
int registry_add(struct registry *r, const char *id, const char *engine_name) _must_check_;
/* The engine has renamed it: a list that is on its way may still tell the old name. -ENOENT, -EINVAL. */
int registry_rename(struct registry *r, const char *id, const char *engine_name) _must_check_;
/* Remembers a staging path that goes when the container goes. -ENOENT (no such container), -ENOMEM. */
int registry_add_staged(struct registry *r, const char *id, const char *path) _must_check_;
/* True if it has staging paths that were not made, or asked for again, since this process started: the mounts
 * may be gone after a reboot. */
bool registry_needs_staging(const struct registry *r, const char *id);
void registry_set_staging_done(struct registry *r, const char *id);

/* True if directories or files of the host are mounted in it, staged or not. */
void registry_set_binds(struct registry *r, const char *id);
bool registry_has_binds(const struct registry *r, const char *id);

/* Called for each staging path of a container that leaves the registry. */
typedef void (*registry_unstage_fn)(void *ctx, const char *path);
void registry_set_unstage(struct registry *r, registry_unstage_fn fn, void *ctx);

/* Forgets a container, its staging paths and its execs. */
void registry_remove(struct registry *r, const char *id);

bool registry_has(const struct registry *r, const char *id);
/* True for a container that was own a while ago: ids are never used again, so its last events are still ours.
 */
bool registry_was_own(const struct registry *r, const char *id);
/* Never to be taken in again: it did not pass its check and could not be removed. */
void registry_ban(struct registry *r, const char *id);
size_t registry_count(const struct registry *r);

/* Resolves what a client wrote, in the engine's order: full id, exact name (the client's view of it), unique
 * id prefix of at least 4 digits; among own containers only. The full id, or NULL. Belongs to the registry.
 */
const char *registry_find(const struct registry *r, const char *ref);

/* Makes the registry what a list says: rows that carry the tenant's label, the sandbox role and an own name
 * are added, those not in the list are removed. registry_mark() is called when the list is asked for: what is
 * added, renamed or removed between the two is newer than the list and stays so. Rows under a name that is
 * reserved are left to their create. Returns how many entries changed, or -EBADMSG (not a list of containers;
 * nothing is removed), -ENOMEM. */
void registry_mark(struct registry *r);
int registry_sync(struct registry *r, const json_t *rows) _must_check_;
/* True if one row of a list (or the attributes of an event, with `name`) is an own sandbox: label, role and
 * name. */
bool registry_row_is_own(const struct registry *r, const json_t *labels, const char *engine_name);

/* Room for one more container, to be called `engine_name`: counts those being created. 0; -EDQUOT: too many;
 * -EEXIST: the name is being created already; -ENOMEM. */
int registry_reserve(struct registry *r, const char *engine_name) _must_check_;
void registry_release(struct registry *r, const char *engine_name);
/* The id of the own container that the engine knows by this name; NULL. */
const char *registry_find_engine_name(const struct registry *r, const char *engine_name);

/* ---- execs; the oldest is forgotten when there are too many. The engine keeps one that was created and
 * never started for as long as its container, whole command line and environment: so they are counted. */
#define REGISTRY_EXECS_IDLE_MAX 128 /* per container, the gateway's included */
struct registry_exec {
    char id[REGISTRY_ID_LEN + 1];
    char container[REGISTRY_ID_LEN + 1];
    bool started;
};
/* Room for one more in `container`: 0, or -EDQUOT. To be called before the engine is asked; given back only
 * when the engine made none, and by registry_exec_start(). */
int registry_exec_reserve(struct registry *r, const char *container) _must_check_;
void registry_exec_release(struct registry *r, const char *container);
int registry_exec_add(struct registry *r, const char *id, const char *container) _must_check_;
/* The execs one by one, in no order, forgotten ones (id "") among them; NULL behind the last. */
const struct registry_exec *registry_exec_at(const struct registry *r, size_t i);
/* NULL: not one of ours. */
const struct registry_exec *registry_exec_find(const struct registry *r, const char *id);
/* Marks it as started: 0; -ENOENT: not ours; -EALREADY: it was started before. */
int registry_exec_start(struct registry *r, const char *id) _must_check_;
