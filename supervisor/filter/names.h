/* names.h: which container names a tenant may use, and how they map to the engine's names. A name alone never
 * decides ownership: the label and the registry belong to it. PURE.
 *
 * scoped:     the client's name is the engine's name; it must match the tenant's pattern.
 * namespaced: the client says NAME, the engine sees PREFIX NAME; lists, inspect and events show NAME. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "filter/policy.h"

#define NAMES_CLIENT_MAX 63  /* bytes of a name after the prefix */
#define NAMES_ENGINE_MAX 191 /* bytes of the engine's name, prefix and all */

struct names; /* the compiled rules of one policy; keeps its own copies */

/* -EINVAL (a pattern that does not compile, a prefix that is no name), -ENOMEM. */
int names_new(const struct policy *p, struct names **ret, struct err *e) _must_check_;
struct names *names_free(struct names *n);
DEFINE_CLEANUP(struct names *, names_free)
#define _cleanup_names_ _cleanup_(names_freep)

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most `max` bytes. */
bool names_is_valid(const char *name, size_t max);

/* 4 to 64 hexadecimal digits (either case) and nothing else: the engine could take it for an id. */
bool names_looks_like_id(const char *name);

/* For create and rename: checks the client's name (without a leading '/') and writes the engine's name.
 * -EINVAL: empty, malformed or too long (400).
 * -EPERM: looks like an id, does not match the pattern, is reserved ("openclaw-gw-", "clawsup-"), or belongs
 * to another tenant's longer prefix (403). `e` names the rule. */
int names_to_engine(const struct names *n, const char *client, char ret[static NAMES_ENGINE_MAX + 1],
    struct err *e) _must_check_;

/* The name rule of ownership for a name that the engine reports ("/NAME" or "NAME"): would this tenant have
 * been given it? False for names with a slash inside (legacy links). */
bool names_is_own(const struct names *n, const char *engine_name);

/* The client's view of an own engine name ("/NAME" or "NAME"), without '/'. -ENOENT when it is not own. */
int names_from_engine(
    const struct names *n, const char *engine_name, char ret[static NAMES_ENGINE_MAX + 1]) _must_check_;
