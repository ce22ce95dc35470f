/* denials.c: see denials.h. Must not trust a byte of a record. */
#include "daemon/denials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/rfc3339.h"
#include "base/uthash.h"

/* gcc's analyzer loses sight of the table where uthash found no memory for it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct group {
    char key[136]; /* "RULE ROUTE" */
    UT_hash_handle hh;
    char rule[64], route[64], method[16], path[128], reason[256]; /* the latest example */
    int status;
    uint64_t denied, reported;
    int64_t first_us, last_us;
};

struct denials {
    struct group *groups; /* in the order of their last hit: uthash keeps that of insertion */
    uint64_t forgotten;
    int64_t since_us;
};

struct denials *denials_new(int64_t now_us)
{
    struct denials *d = calloc(1, sizeof(*d));

    if (d)
        d->since_us = now_us;
    return d;
}

static void forget(struct denials *d, struct group *g)
{
    HASH_DEL(d->groups, g);
    free(g);
}

struct denials *denials_free(struct denials *d)
{
    if (!d)
        return NULL;
    while (d->groups)
        forget(d, d->groups);
    free(d);
    return NULL;
}

/* The member's text, cut to fit; what is no printable ASCII comes as '?'. "" when it is absent. */
static void take(const json_t *record, const char *key, char *out, size_t n)
{
    const char *s = json_string_value(json_object_get(record, key));

    (void)snprintf(out, n, "%s", s ? s : "");
    for (char *p = out; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

static struct group *group_new(const char *key, const char *rule, const char *route, int64_t now_us)
{
    struct group *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    (void)snprintf(g->key, sizeof(g->key), "%s", key);
    (void)snprintf(g->rule, sizeof(g->rule), "%s", rule);
    (void)snprintf(g->route, sizeof(g->route), "%s", route);
    g->first_us = now_us;
    return g;
}

/* The group, moved to the end of the order; made when it is new. NULL: out of memory. */
static struct group *find(struct denials *d, const char *rule, const char *route, int64_t now_us)
{
    char key[sizeof(((struct group *)0)->key)];
    struct group *g;

    (void)snprintf(key, sizeof(key), "%s %s", rule, route);
    HASH_FIND_STR(d->groups, key, g);
    if (g) {
        HASH_DEL(d->groups, g);
    } else if (HASH_COUNT(d->groups) >= DENIALS_MAX) {
        forget(d, d->groups);
        d->forgotten++;
    }
    if (!g)
        g = group_new(key, rule, route, now_us);
    if (!g)
        return NULL;
    HASH_ADD_STR(d->groups, key, g);
    if (!hash_refused(g))
        return g;
    free(g);
    d->forgotten++;
    return NULL;
}

int denials_record(struct denials *d, const json_t *record, int64_t now_us)
{
    const char *decision = json_string_value(json_object_get(record, "decision"));
    bool reported = decision && strcmp(decision, "report") == 0;
    json_int_t status = json_integer_value(json_object_get(record, "status"));
    char rule[sizeof(((struct group *)0)->rule)], route[sizeof(((struct group *)0)->route)];
    struct group *g;

    if (!reported && (!decision || strcmp(decision, "deny") != 0))
        return 0;
    take(record, "rule", rule, sizeof(rule));
    take(record, "route", route, sizeof(route));
    g = find(d, rule, route, now_us);
    if (!g)
        return -ENOMEM;
    g->denied += !reported;
    g->reported += reported;
    g->last_us = now_us;
    g->status = status >= 100 && status <= 599 ? (int)status : 0;
    take(record, "method", g->method, sizeof(g->method));
    take(record, "path", g->path, sizeof(g->path));
    take(record, "reason", g->reason, sizeof(g->reason));
    return 1;
}

/* ---------------------------------------------------------------- the list */

static int by_count(const void *a, const void *b)
{
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;
    uint64_t nx = x->denied + x->reported, ny = y->denied + y->reported;

    if (nx != ny)
        return nx < ny ? 1 : -1;
    return x->last_us < y->last_us ? 1 : x->last_us > y->last_us ? -1 : strcmp(x->key, y->key);
}

static json_t *time_json(int64_t at_us)
{
    char text[RFC3339_MAX];

    rfc3339_format(text, sizeof(text), (uint64_t)at_us);
    return json_string(text);
}

/* null for what is not known. */
static json_t *text_json(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

static json_t *group_json(const struct group *g, const char *line)
{
    return json_pack("{s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:s, s:o}", "rule", g->rule, "route",
        text_json(g->route), "denied", (json_int_t)g->denied, "reported", (json_int_t)g->reported, "first_at",
        time_json(g->first_us), "last_at", time_json(g->last_us), "method", text_json(g->method), "path",
        text_json(g->path), "status", g->status, "reason", g->reason, "allowed_by", text_json(line));
}

json_t *denials_to_json(
    const struct denials *d, size_t max, const char *(*remedy)(const char *rule, int status))
{
    _cleanup_json_ json_t *list = json_array();
    const struct group *all[DENIALS_MAX];
    size_t n = 0;

    for (const struct group *g = d->groups; g && n < ARRAY_SIZE(all); g = g->hh.next)
        all[n++] = g;
    if (n > 0)
        qsort(all, n, sizeof(all[0]), by_count);
    for (size_t i = 0; i < n && i < max; i++) {
        /* Only a switch reports, whatever the engine then answered. */
        int status = all[i]->reported > 0 ? 403 : all[i]->status;

        if (json_array_append_new(list, group_json(all[i], remedy(all[i]->rule, status))) < 0)
            return NULL;
    }
    return json_pack("{s:o, s:I, s:I, s:O}", "since", time_json(d->since_us), "groups", (json_int_t)n,
        "forgotten", (json_int_t)d->forgotten, "denials", list);
}
