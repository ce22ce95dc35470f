/* config_read.h: the reader that walks libconfig settings along a schema and collects findings. Internal. */
#pragma once

#include "base/defs.h"
#include "config/config_schema.h"

/* Where each key of a tenant was written, for checks that look at several of them. */
struct config_loc {
    char *path;       /* "gateway.publish[1]" */
    const char *file; /* borrowed */
    unsigned line;
};
struct config_locs {
    struct config_loc *items;
    size_t n;
};
void config_locs_free(struct config_locs *l);
/* The last place where `path`, or else the nearest group around it, was written; NULL if nowhere. */
const struct config_loc *config_locs_find(const struct config_locs *l, const char *path);
/* The last place where exactly `path` was written; NULL if nowhere. */
const struct config_loc *config_locs_exact(const struct config_locs *l, const char *path);

struct config_reader {
    const char *file; /* being read; outlives `locs` */
    struct config_findings *findings;
    struct config_locs *locs;     /* NULL: not recorded */
    struct config_tenant *tenant; /* NULL for host-wide keys */
    bool in_defaults;
    int oom;        /* sticky: -ENOMEM */
    char path[256]; /* of the key being read */
};

/* Adds "FILE:LINE: text" once; the same finding twice (defaults are read for each tenant) is kept once. */
int config_findings_add(struct config_findings *f, const char *file, unsigned line, const char *fmt, ...)
    _printf_(4, 5);
/* The same with the reader's file and "PATH: " before the text; out of memory is remembered in `oom`. */
void config_finding(struct config_reader *r, const struct config_setting_t *s, const char *fmt, ...)
    _printf_(3, 4);

/* Path components while walking: push returns what pop takes. */
size_t config_path_push(struct config_reader *r, const char *name);
size_t config_path_push_index(struct config_reader *r, size_t index);
void config_path_pop(struct config_reader *r, size_t mark);
void config_loc_record(struct config_reader *r, const struct config_setting_t *s);

/* Reads a libconfig group along `schema` into `base`. */
void config_read_group(struct config_reader *r, const struct config_setting_t *s,
    const struct config_schema *schema, void *base);

/* A text value for a message: quoted, control bytes as '?', cut at 64 bytes. */
struct config_quoted {
    char text[80];
};
struct config_quoted config_quote(const char *value);
unsigned config_line(const struct config_setting_t *s);
/* The text of a scalar string setting, or NULL and a finding. */
const char *config_read_text(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k);
/* Walks an array or list: the count of entries, or -EINVAL and a finding (too many, or not a list). */
int config_read_count(struct config_reader *r, const struct config_setting_t *s, const struct config_key *k);
/* Sets a scalar key from its text form: 0, -EINVAL (malformed), -ERANGE, -ENOMEM. */
int config_key_set(const struct config_key *k, void *at, const char *text);

void config_strv_free(struct config_strv *v);
int config_strv_add(struct config_strv *v, const char *s);
