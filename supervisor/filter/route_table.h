/* route_table.h: the table behind route.h: patterns, methods, switches, parameters. Private to route*.c.
 * PURE. */
#pragma once

#include "filter/route.h"

enum route_kind {
    ROUTE_KIND_ALLOW,
    ROUTE_KIND_ABSENT, /* answered as an absent object, never forwarded */
    ROUTE_KIND_NEVER,  /* any method */
};

enum route_need {
    ROUTE_NEED_NOTHING,
    ROUTE_NEED_START,
    ROUTE_NEED_STOP,
    ROUTE_NEED_RESTART,
    ROUTE_NEED_EXEC,
    ROUTE_NEED_UPDATE,
    ROUTE_NEED_RENAME,
    ROUTE_NEED_ARCHIVE_PUT,
    ROUTE_NEED_EXPORT,
    ROUTE_NEED_IMAGE_PULL,
    ROUTE_NEED_NETWORK_READ,
    _ROUTE_NEED_MAX
};

enum route_type {
    ROUTE_TYPE_BOOL,      /* 0 1 true false in any case; "" is false */
    ROUTE_TYPE_ZERO,      /* only "", 0, false, null, [] and {}; dropped */
    ROUTE_TYPE_INT,       /* min..max, above or below: refused by policy */
    ROUTE_TYPE_TIME,      /* seconds, up to nine decimals */
    ROUTE_TYPE_TAIL,      /* "all" or a number */
    ROUTE_TYPE_SIGNAL,    /* name or number from the list */
    ROUTE_TYPE_PS_ARGS,   /* "", "-ef", "aux" */
    ROUTE_TYPE_CONDITION, /* of wait */
    ROUTE_TYPE_KEYS,      /* detach keys */
    ROUTE_TYPE_PATH,      /* a path inside the container */
    ROUTE_TYPE_TEXT,      /* anything: checked by its consumer, never forwarded */
};

struct route_param {
    const char *key;
    enum route_type type;
    bool forward;
    int missing; /* 0, or the status when the parameter is absent or empty: 400, 403 */
    int64_t min, max;
};

struct route_row {
    enum route_kind kind;
    enum route_id id;
    enum route_class class;
    enum http1_method method; /* NEVER rows: any */
    const char *pattern;      /* segments; "{}" is one or more segments of a reference, "*" any rest */
    enum route_ref ref;
    enum route_need need;
    enum route_body body;
    bool hijack, stream;
    const struct route_param *params; /* ends with key NULL; NULL: none */
};

extern const struct route_row route_rows[];
extern const size_t route_rows_n;

/* The row of an id; never NULL for a valid id. */
const struct route_row *route_table_find(enum route_id id);

/* Does `req` from segment `first` on match the pattern? Then *ret_ref and *ret_n are the segments of "{}". */
bool route_table_match(
    const struct route_row *row, const char *const *segments, size_t n, size_t *ret_ref, size_t *ret_ref_n);

/* Checks the request's parameters against the row and fills ret->args (route_query.c). Same returns as
 * route_decide(). */
int route_query_check(const struct http1_request *req, const struct route_row *row, const struct policy *p,
    struct route_match *ret, struct route_deny *deny);

/* Fills `deny`; returns the code for `status`. */
int route_refuse(struct route_deny *deny, int status, const char *rule, const char *fmt, ...) _printf_(4, 5);

/* [a-zA-Z0-9][...]: references of each kind, before anything is looked up. */
bool route_ref_is_valid(enum route_ref kind, const char *ref);
