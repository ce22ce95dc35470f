/* respond_internal.h: what the respond_*.c files share. Not for others. */
#pragma once

#include "base/jout.h"
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

/* Those of `tags` that are on the allowlist. NULL when out of memory. */
json_t *respond_allowed_tags(const struct policy *p, const json_t *tags);

/* ---- answers that are written as they are read (respond_parts.c). What a value may not show is left out;
 * the rest is copied as the engine wrote it. ---- */
/* A full id; false when it is none. */
bool respond_read_id(const struct jdoc *d, uint32_t value, char ret[static 65]);
/* Those members of `object` that are in `keys`, which stand in about the engine's order. */
void respond_copy(
    struct jout *o, const struct jdoc *d, uint32_t object, const char *const *keys, size_t n_keys);
void respond_write_labels(struct jout *o, const struct jdoc *d, uint32_t labels);
/* The client's name of the image: LABEL_IMAGE, else `image`. */
void respond_write_image(struct jout *o, const struct jdoc *d, uint32_t labels, uint32_t image);
/* The name as the client knows it, without '/'; NULL for what no container of ours is called: an escape, or a
 * slash inside, as a legacy link has it. */
const char *respond_own_name(const struct policy *p, const struct jdoc *d, uint32_t name, size_t *ret_len);
/* It as "/NAME"; false, and nothing is written, when there is none. */
bool respond_write_name(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t name);
/* Mounts as the client knows them: staged sources replaced by the client's own paths, others by "" unless
 * `keep`. */
void respond_write_mounts(struct jout *o, const struct jdoc *d, uint32_t mounts, uint32_t labels, bool keep);
/* The same for HostConfig.Mounts, whose members have other names. */
void respond_write_host_mounts(
    struct jout *o, const struct jdoc *d, uint32_t mounts, uint32_t labels, bool keep);
/* Is it the tenant's business: "none", or its own network? `key` is a member of Networks. */
bool respond_shows_network(const struct policy *p, const struct jdoc *d, uint32_t key);
void respond_write_networks(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t networks);
void respond_write_network_mode(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t mode);

/* Adds an error text of the engine's without the paths of the host that lie in its storage or in our staging.
 * Works on decoded text and on text as it is written in JSON alike. -ENOMEM, -E2BIG. */
int respond_add_redacted(struct buf *b, const char *s, size_t len) _must_check_;

/* ---- filters (respond_filters.c) ---- */
/* What of one container or event the filters look at; NULL members match nothing. */
struct respond_subject {
    const char *id, *name; /* the client's name, without '/' */
    const char *image, *image_id, *state, *status;
    const char *event;      /* the action */
    const json_t *labels;   /* object */
    const json_t *networks; /* object by name */
};
/* True when there is nothing to match. */
bool respond_filters_is_empty(const struct respond_filters *f);
bool respond_filters_match(const struct respond_filters *f, const struct respond_subject *s);
/* For images: `tags` is what is left of RepoTags. */
bool respond_filters_match_image(const struct respond_filters *f, const json_t *tags, const json_t *labels);
/* The first value of before or since, or NULL. */
const char *respond_filters_value(const struct respond_filters *f, const char *key);
