/* route.h: which requests exist for a tenant: one table of routes, their methods, their parameters, the
 * switch that each needs. Turns a parsed head into a typed match or a refusal, and a match into the one
 * target that the engine is asked for. Decides nothing about objects: whose container a reference is, the
 * registry says. PURE. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "filter/http1.h"
#include "filter/policy.h"

enum route_id {
    ROUTE_PING,
    ROUTE_VERSION,
    ROUTE_INFO,
    ROUTE_CONTAINER_LIST,
    ROUTE_IMAGE_LIST,
    ROUTE_EVENTS,
    ROUTE_CONTAINER_CREATE,
    ROUTE_CONTAINER_INSPECT,
    ROUTE_CONTAINER_TOP,
    ROUTE_CONTAINER_LOGS,
    ROUTE_CONTAINER_STATS,
    ROUTE_CONTAINER_CHANGES,
    ROUTE_CONTAINER_EXPORT,
    ROUTE_ARCHIVE_GET,
    ROUTE_ARCHIVE_HEAD,
    ROUTE_ARCHIVE_PUT,
    ROUTE_CONTAINER_START,
    ROUTE_CONTAINER_STOP,
    ROUTE_CONTAINER_KILL,
    ROUTE_CONTAINER_RESTART,
    ROUTE_CONTAINER_PAUSE,
    ROUTE_CONTAINER_UNPAUSE,
    ROUTE_CONTAINER_WAIT,
    ROUTE_CONTAINER_RESIZE,
    ROUTE_CONTAINER_ATTACH,
    ROUTE_CONTAINER_REMOVE,
    ROUTE_CONTAINER_UPDATE,
    ROUTE_CONTAINER_RENAME,
    ROUTE_EXEC_CREATE,
    ROUTE_EXEC_START,
    ROUTE_EXEC_RESIZE,
    ROUTE_EXEC_INSPECT,
    ROUTE_IMAGE_INSPECT,
    ROUTE_IMAGE_HISTORY,
    ROUTE_IMAGE_PULL,
    ROUTE_NETWORK_INSPECT,
    _ROUTE_MAX
};

enum route_class {
    ROUTE_CLASS_HEALTH,   /* forwarded fresh: proves the whole path */
    ROUTE_CLASS_SYNTH,    /* answered from our own model */
    ROUTE_CLASS_LIST,     /* asked with our filter, every row checked and rebuilt */
    ROUTE_CLASS_OWN_READ, /* on an own container or exec */
    ROUTE_CLASS_OWN_ACT,
    ROUTE_CLASS_BODY,   /* body parsed into a model and rebuilt */
    ROUTE_CLASS_OPT_IN, /* images, networks, export, archive upload */
    _ROUTE_CLASS_MAX
};

enum route_ref {
    ROUTE_REF_NONE,
    ROUTE_REF_CONTAINER,
    ROUTE_REF_EXEC,
    ROUTE_REF_IMAGE,
    ROUTE_REF_NETWORK,
    ROUTE_REF_VOLUME, /* these two only ever as absent */
    ROUTE_REF_PLUGIN,
};

enum route_body {
    ROUTE_BODY_NONE,
    ROUTE_BODY_JSON, /* at most ROUTE_JSON_LIMIT bytes */
    ROUTE_BODY_TAR,  /* streamed */
};

#define ROUTE_JSON_LIMIT ((uint64_t)256 * 1024)
#define ROUTE_ARGS_MAX 12
#define ROUTE_REF_LIMIT 512
#define ROUTE_MINOR_MIN 24 /* the oldest client version accepted: v1.24 */
/* The engine's versions 1.NN that the typed models of this room were written for. */
#define ROUTE_ENGINE_MINOR_MIN 41U
#define ROUTE_ENGINE_MINOR_MAX 52U

/* A checked parameter in canonical form: booleans "0" or "1", numbers without leading zeros, signals as
 * "SIGTERM". */
struct route_arg {
    const char *key; /* static */
    char *value;     /* owned */
    bool forward;    /* goes into the engine's query; otherwise it is ours to apply (list filters, names) */
};

struct route_match {
    enum route_id id;
    enum route_class class;
    enum http1_method method;
    unsigned minor; /* NN of the client's /v1.NN; 0: unversioned (treat as the pinned version) */
    enum route_ref ref_kind;
    char *ref; /* what the client called the object: container name, id or prefix; exec id (64 hex);
                  image reference (may hold slashes); network. Owned; NULL without one */
    enum route_body body;
    bool hijack; /* attach and exec start: may become a tunnel */
    bool stream; /* the answer may last: logs, stats, events, wait, archive, export, attach, exec start */
    struct route_arg args[ROUTE_ARGS_MAX];
    size_t n_args;
    /* The rule that would have refused it, and the switch ("update") that would allow it, both static, when
     * the policy only reports; else NULL. */
    const char *report_rule, *report_switch;
};

/* Why not, ready to answer and to record. */
struct route_deny {
    int status;       /* 400, 403, 404, 405 */
    const char *rule; /* static, for the decision record: "route-never", "query-key", "allow-start" ... */
    const char
        *route; /* static, for the same: a route's name, or the pattern of one that no tenant has; NULL */
    char message[704]; /* the whole text for the client, "clawsup: " included where it is ours */
};

/* Decides on a parsed head. `minor_max` is the pinned version's NN (1.NN is what the engine is asked with).
 *   0          *ret is filled; free with route_match_done()
 *   -EACCES    403: unknown or never allowed, a switch is off, a value that policy refuses
 *   -ENOENT    404: a reference that cannot name anything of this tenant (engine's own text)
 *   -EINVAL    400: malformed, unknown version, a body where none belongs or none where one does
 *   -ENOTSUP   405: the path exists with another method
 *   -ENOMEM
 * With allow_gateway_exec (or a policy that only reports) but without allow_exec the exec routes match: the
 * caller refuses containers other than the gateway. */
int route_decide(const struct http1_request *req, const struct policy *p, unsigned minor_max,
    struct route_match *ret, struct route_deny *deny) _must_check_;
void route_match_done(struct route_match *m);
#define _cleanup_route_match_ _cleanup_(route_match_done)

/* The canonical value of a parameter, or NULL when the client gave none. */
const char *route_arg(const struct route_match *m, const char *key);
/* The same for a boolean. */
bool route_arg_bool(const struct route_match *m, const char *key, bool fallback);

/* The one text for an object that is absent or foreign; `n` 704 is always enough for a `ref` that came from a
 * match. */
void route_absent_message(char *out, size_t n, enum route_ref kind, const char *ref);

/* What the engine is asked with. */
struct route_upstream {
    unsigned minor;     /* of the pinned version */
    const char *ref;    /* container, exec, network: 64 lower-case hex; image: a reference or sha256 id */
    const char *name;   /* create and rename: the engine's name */
    const char *tenant; /* lists and events: the slug of our own label filter */
    bool all;           /* container list: ask for stopped ones too, whatever the client's "all" says */
};

/* Appends "/v1.NN/containers/<64hex>/start?..." from typed parts only. SYNTH routes have no upstream form.
 * -EINVAL: a part that is missing or of the wrong class (a bug of the caller: deny), -ENOMEM, -E2BIG. */
int route_upstream_path(
    struct buf *out, const struct route_match *m, const struct route_upstream *u) _must_check_;

/* Says in the match that the request goes on although the switch is off. */
void route_report(struct route_match *m, const char *rule, const char *name);
/* The sentence about a switch: "update is not allowed for this tenant (allow.update is off)". */
void route_switch_message(char *out, size_t n, const char *name);

/* "container-start" ..., for records and metrics; "unknown" out of range. */
const char *route_name(enum route_id id);
