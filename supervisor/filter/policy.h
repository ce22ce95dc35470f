/* policy.h: what one tenant may do: the proxy's whole configuration. clawsupd writes it as JSON into a sealed
 * memfd, the proxy and `clawsup explain` read it back; in sidecar mode it is filled from the environment.
 * PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

enum policy_names { POLICY_NAMES_SCOPED, POLICY_NAMES_NAMESPACED, _POLICY_NAMES_MAX };

/* REPORT is for learning what a gateway needs: what only an opt-in switch stands against is forwarded and
 * recorded as "report". It loosens nothing else: whose object it is, what a create may ask for, which routes
 * and images exist are decided as ever. */
enum policy_filter { POLICY_FILTER_ENFORCE, POLICY_FILTER_REPORT, _POLICY_FILTER_MAX };

#define POLICY_LIST_MAX 32
#define POLICY_PATTERN_MAX 256

/* A list of strings, each owned. */
struct policy_list {
    char **items;
    size_t n;
};

struct policy {
    char tenant[SLUG_MAX + 1];
    struct policy_list
        other_tenants; /* slugs of the host's other tenants: a name that matches a longer prefix is refused */
    enum policy_names names;
    char *match_container_name; /* glob, or "regex:PCRE2"; default "openclaw-sbx-SLUG-*" */
    char *name_prefix;          /* namespaced mode: "openclaw-sbx-SLUG-" */
    bool allow_start, allow_stop, allow_restart, allow_exec;
    bool allow_update, allow_rename, allow_archive_put, allow_export, allow_image_pull, allow_network_read;
    bool allow_gateway_exec;            /* exec in the tenant's own gateway container; default off */
    enum policy_filter filter;          /* of the opt-in switches, those of these two lines */
    struct policy_list images;          /* allowlist of references, as the client writes them */
    struct policy_list bind_mount_from; /* clean absolute roots; the first is the workspace */
    char *gateway_name;  /* the tenant's own gateway container: inspect allowed, redacted; NULL: none */
    char *network_id;    /* full id (64 hex) of the tenant's network for sandboxes; NULL: only "none" */
    char *network_name;  /* the name by which clients may ask for it; NULL */
    char *cgroup_parent; /* slice or cgroupfs path forced on each sandbox; NULL: the engine's default */
    char *runtime;       /* forced Runtime; NULL: the engine's default */
    struct policy_list security_opt; /* added to "no-new-privileges": "seccomp=...", "apparmor=..." as the
                                        engine takes them */
    struct policy_list cap_keep;     /* of Docker's default set; usually empty: CapDrop ALL */
    struct policy_list users;        /* allowed User values; empty: any non-privileged syntax, "" included */
    bool readonly_rootfs;            /* force ReadonlyRootfs */
    uint64_t memory_bytes, nano_cpus, pids; /* caps per sandbox, all > 0 */
    uint64_t shm_bytes, tmpfs_bytes;        /* defaults 64 MiB and 256 MiB */
    uint64_t max_containers;                /* sandboxes at a time; > 0 */
    uint64_t max_connections;               /* client connections at a time; default 1024 */
    char api_version[8];                    /* "" = negotiate with the engine; else pinned, "1.41" */
};

/* Defaults of the above for `tenant` (a valid slug). NULL when out of memory. */
struct policy *policy_new(const char *tenant);
struct policy *policy_free(struct policy *p);
DEFINE_CLEANUP(struct policy *, policy_free)
#define _cleanup_policy_ _cleanup_(policy_freep)

int policy_list_add(struct policy_list *l, const char *s); /* copies; -ENOMEM, -E2BIG above POLICY_LIST_MAX */
bool policy_list_has(const struct policy_list *l, const char *s);

/* True if `ref` (a client's image reference) is on the allowlist: the same text, where a missing tag means
 * ":latest" on both sides. Digests and ids count only when they are listed themselves. */
bool policy_allows_image(const struct policy *p, const char *ref);
/* The root of bind_mount_from that covers `path` (a clean path), the longest one; NULL: none. */
const char *policy_bind_root(const struct policy *p, const char *path);

/* What an opt-in switch of `p` says: allow_update and the others that are off by default, never one of the
 * first four. */
enum policy_opt_in { POLICY_REFUSED, POLICY_REPORTED, POLICY_GRANTED };
enum policy_opt_in policy_opt_in(const struct policy *p, bool allowed);

/* Checks every field against the others: caps > 0, clean bind roots, patterns that compile, a pattern that
 * cannot match every name. -EINVAL with the field's name and what would be valid. */
int policy_validate(const struct policy *p, struct err *e);

/* The JSON form: every field, versioned ("version": 1); unknown or missing fields are errors, so that a proxy
 * never runs with half a policy. policy_from_json validates. -EINVAL, -ENOMEM. */
int policy_to_json(const struct policy *p, json_t **ret);
int policy_from_json(const json_t *j, struct policy **ret, struct err *e);
