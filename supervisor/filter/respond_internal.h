/* respond_internal.h: what the respond_*.c files share. Not for others. */
#pragma once

#include "filter/create.h"
#include "filter/respond.h"

/* A new object with deep copies of those members of `src` that are in `keys`. NULL when out of memory. */
json_t *respond_pick(const json_t *src, const char *const *keys, size_t n);

/* Replaces or adds a member; takes the value over. 0 or -ENOMEM (a NULL value is out of memory too). */
int respond_put(json_t *o, const char *key, json_t *value) _must_check_;

const char *respond_text(const json_t *o, const char *key); /* the string member, or NULL */

/* The labels without LABEL_BINDS, a copy; {} when there are none. NULL when out of memory. */
json_t *respond_labels(const json_t *labels);

/* The client's name of the image: LABEL_IMAGE, else `image` itself. Borrowed. */
const char *respond_image_name(const json_t *labels, const char *image);

/* Mounts as the client knows them: staged sources replaced by the client's own paths, others by "" unless
 * `keep`. NULL when out of memory. */
json_t *respond_mounts(const json_t *mounts, const json_t *labels, bool keep);
/* The same for HostConfig.Mounts, whose members have other names. */
json_t *respond_host_mounts(const json_t *mounts, const json_t *labels, bool keep);

/* Only the networks that are the tenant's business: "none" and its own. NULL when out of memory. */
json_t *respond_networks(const struct policy *p, const json_t *networks);

/* The network mode as a client may see it. Borrowed. */
const char *respond_network_mode(const struct policy *p, const char *mode);

/* Those of `tags` that are on the allowlist. NULL when out of memory. */
json_t *respond_allowed_tags(const struct policy *p, const json_t *tags);

/* ---- filters (respond_filters.c) ---- */
/* What of one container or event the filters look at; NULL members match nothing. */
struct respond_subject {
    const char *id, *name; /* the client's name, without '/' */
    const char *image, *image_id, *state, *status;
    const char *event;      /* the action */
    const json_t *labels;   /* object */
    const json_t *networks; /* object by name */
};
bool respond_filters_match(const struct respond_filters *f, const struct respond_subject *s);
/* For images: `tags` is what is left of RepoTags. */
bool respond_filters_match_image(const struct respond_filters *f, const json_t *tags, const json_t *labels);
/* The first value of before or since, or NULL. */
const char *respond_filters_value(const struct respond_filters *f, const char *key);
