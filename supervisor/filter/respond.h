/* respond.h: what a client gets to see: answers of the engine rebuilt by allowlist, answers made by
 * ourselves, and the lists' filters. Every function takes the engine's JSON and gives a new document; nothing
 * is passed through by default. The two answers that clients ask for all the time, the list of containers and
 * inspect, are written as they are read; on failure what is in `out` then is of no use. PURE. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/jdoc.h"
#include "filter/policy.h"
#include "filter/refusal.h"

/* Whose answers these are. `owns` says if a full id (64 hex) is in the tenant's registry. */
typedef bool (*respond_owns_fn)(void *userdata, const char *id);
struct respond_view {
    const struct policy *policy;
    respond_owns_fn owns;
    void *userdata;
};

/* ---- errors: complete bodies with the engine's own final newline; caller frees; NULL when out of memory
 * ---- */
char *respond_message(const char *message); /* {"message":MESSAGE} */
/* The texts of absent objects are route_absent_message()'s. */
char *respond_refusal(const struct refusal *r); /* {"message":"clawsup: REASON"}; for 404: REASON alone */
/* An error answer of the engine about an own object, rebuilt: its message only, with engine names mapped
 * back. */
char *respond_engine_error(const struct respond_view *v, const json_t *body);
/* Such a message alone, as text: engine names mapped back, no path of the engine's storage or of the staging.
 */
char *respond_engine_text(const struct respond_view *v, const char *text);

/* ---- synthesised ---- */
struct respond_engine {
    const char *version;     /* engine's Version, "20.10.24" */
    const char *api_version; /* the pinned one, "1.41" */
    const char *min_api_version;
    const char *arch;                     /* "amd64" */
    unsigned containers, running, paused; /* own ones */
};
int respond_version(const struct policy *p, const struct respond_engine *e, json_t **ret) _must_check_;
int respond_info(const struct policy *p, const struct respond_engine *e, json_t **ret) _must_check_;

/* ---- filters of lists and events ---- */
enum respond_list { RESPOND_CONTAINERS, RESPOND_IMAGES, RESPOND_EVENTS, _RESPOND_LIST_MAX };
struct respond_filters;
/* `text` is the decoded value of `filters` (NULL: none): {"label":["a=b"]} or the old {"label":{"a=b":true}}.
 * An unknown or unsupported key is 403, malformed text 400. */
int respond_filters_parse(enum respond_list kind, const char *text, struct respond_filters **ret,
    struct refusal *refusal) _must_check_;
struct respond_filters *respond_filters_free(struct respond_filters *f);
DEFINE_CLEANUP(struct respond_filters *, respond_filters_free)
#define _cleanup_respond_filters_ _cleanup_(respond_filters_freep)

/* ---- lists. The engine must be asked for everything of the tenant: all=1, no limit, no client filter, only
 * our own `filters={"label":["clawsup.tenant=SLUG"]}`. ---- */
struct respond_containers_query {
    bool all;                              /* query all=1; a limit implies it */
    unsigned limit;                        /* 0: none */
    const struct respond_filters *filters; /* may be NULL */
};
/* Own rows that pass, newest first as the engine gave them. A `before` or `since` that is not an own
 * container is -ENOENT with the engine's 404 text in `refusal`. -EBADMSG: not the engine's form. */
int respond_containers(const struct respond_view *v, const struct respond_containers_query *q,
    const struct jdoc *rows, struct buf *out, struct refusal *refusal) _must_check_;
/* Only rows with an allowlisted tag, only those tags. */
int respond_images(const struct respond_view *v, const struct respond_filters *f, const json_t *rows,
    json_t **ret) _must_check_;
/* One event. *ret stays NULL (and 0 is returned) for an event that the client must not or does not want to
 * see. */
int respond_event(const struct respond_view *v, const struct respond_filters *f, const json_t *event,
    json_t **ret) _must_check_;

/* ---- single objects; -EBADMSG: not the engine's form; -ENOMEM ---- */
/* `gateway`: it is the tenant's own gateway container, so Env is emptied. */
int respond_inspect(
    const struct respond_view *v, const struct jdoc *inspect, bool gateway, struct buf *out) _must_check_;
int respond_exec_inspect(const json_t *inspect, json_t **ret) _must_check_;
int respond_image_inspect(const struct respond_view *v, const json_t *image, json_t **ret) _must_check_;
int respond_image_history(const struct respond_view *v, const json_t *rows, json_t **ret) _must_check_;
int respond_network(const struct respond_view *v, const json_t *network, json_t **ret) _must_check_;
/* {"Id","Warnings"} of a create, and the id for the registry. -EBADMSG without a full id. */
int respond_create(const json_t *answer, char ret_id[65], json_t **ret) _must_check_;
/* {"Id"} of an exec create. */
int respond_exec_create(const json_t *answer, char ret_id[65], json_t **ret) _must_check_;

/* The name as the client knows it: without the leading slash, and without the prefix in namespaced mode.
 * Points into `engine_name`. */
const char *respond_client_name(const struct policy *p, const char *engine_name);
