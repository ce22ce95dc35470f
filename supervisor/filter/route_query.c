/* route_query.c: query parameters: which a route takes, which values, and their canonical form. Values that
 * have two readings are malformed; values that the tenant may not use are refused. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "filter/route_table.h"

#define TEXT_MAX 8192
#define PATH_VALUE_MAX 4095

/* Linux on x86 and arm, where the engine runs; numbers are indexes. */
static const char *const signals[] = {"", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL",
    "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
    "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS"};

static bool is_false(const char *s)
{
    return !*s || strcmp(s, "0") == 0 || strcasecmp(s, "false") == 0;
}

/* The engine folds the case of these words, and Python clients send "True". */
static int canon_bool(const char *s, char *out, size_t n)
{
    if (is_false(s))
        (void)snprintf(out, n, "0");
    else if (strcmp(s, "1") == 0 || strcasecmp(s, "true") == 0)
        (void)snprintf(out, n, "1");
    else
        return -EINVAL;
    return 1;
}

static int canon_zero(const char *s)
{
    static const char *const zeros[] = {"null", "[]", "{}"};

    if (is_false(s))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
        if (strcmp(s, zeros[i]) == 0)
            return 0;
    return -EACCES;
}

static int canon_int(const struct route_param *p, const char *s, char *out, size_t n)
{
    bool negative = *s == '-';
    int64_t value;
    uint64_t v;

    if (str_parse_u64(s + negative, INT32_MAX, &v) < 0)
        return -EINVAL;
    value = negative ? -(int64_t)v : (int64_t)v;
    if (value < p->min || value > p->max)
        return -EACCES;
    (void)snprintf(out, n, "%" PRId64, value);
    return 1;
}

/* "1700000000", "1700000000.123456789" */
static int canon_time(const char *s, char *out, size_t n)
{
    size_t whole = strspn(s, "0123456789"), frac = 0;

    if (whole == 0 || whole > 12)
        return -EINVAL;
    if (s[whole] == '.') {
        frac = strspn(s + whole + 1, "0123456789");
        if (frac == 0 || frac > 9)
            return -EINVAL;
        frac++;
    }
    if (s[whole + frac])
        return -EINVAL;
    (void)snprintf(out, n, "%s", s);
    return 1;
}

static int canon_tail(const char *s, char *out, size_t n)
{
    uint64_t v;

    if (strcmp(s, "all") == 0) {
        (void)snprintf(out, n, "all");
        return 1;
    }
    if (str_parse_u64(s, INT32_MAX, &v) < 0)
        return -EINVAL;
    (void)snprintf(out, n, "%" PRIu64, v);
    return 1;
}

static int canon_signal(const char *s, char *out, size_t n)
{
    const char *name = s;
    uint64_t v;

    if (str_parse_u64(s, UINT64_MAX, &v) == 0) {
        if (v == 0 || v >= ARRAY_SIZE(signals))
            return -EACCES;
        (void)snprintf(out, n, "SIG%s", signals[v]);
        return 1;
    }
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 1; i < ARRAY_SIZE(signals); i++)
        if (strcasecmp(name, signals[i]) == 0) {
            (void)snprintf(out, n, "SIG%s", signals[i]);
            return 1;
        }
    if (strcasecmp(name, "RTMIN+3") == 0) { /* systemd in a container stops on it */
        (void)snprintf(out, n, "SIGRTMIN+3");
        return 1;
    }
    return -EACCES;
}

static int canon_word(
    const char *s, const char *const *words, size_t n_words, int otherwise, char *out, size_t n)
{
    for (size_t i = 0; i < n_words; i++)
        if (strcmp(s, words[i]) == 0) {
            (void)snprintf(out, n, "%s", s);
            return 1;
        }
    return otherwise;
}

static int canon_keys(const char *s, char *out, size_t n)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@[]\\^_,-";

    if (strlen(s) > 64 || s[strspn(s, allowed)])
        return -EINVAL;
    (void)snprintf(out, n, "%s", s);
    return 1;
}

static int canon_text(const char *s, size_t max, char *out, size_t n)
{
    if (strlen(s) > max)
        return -EINVAL;
    (void)snprintf(out, n, "%s", s);
    return 1;
}

/* 1: `out` holds the canonical value; 0: as if it had not been given; -EINVAL malformed; -EACCES refused. */
static int canon(const struct route_param *p, const char *s, char *out, size_t n)
{
    static const char *const ps_args[] = {"-ef", "aux"};
    static const char *const conditions[] = {"not-running", "next-exit", "removed"};

    if (!*s && p->type != ROUTE_TYPE_BOOL)
        return 0;
    switch (p->type) {
    case ROUTE_TYPE_BOOL:
        return canon_bool(s, out, n);
    case ROUTE_TYPE_ZERO:
        return canon_zero(s);
    case ROUTE_TYPE_INT:
        return canon_int(p, s, out, n);
    case ROUTE_TYPE_TIME:
        return canon_time(s, out, n);
    case ROUTE_TYPE_TAIL:
        return canon_tail(s, out, n);
    case ROUTE_TYPE_SIGNAL:
        return canon_signal(s, out, n);
    case ROUTE_TYPE_PS_ARGS:
        return canon_word(s, ps_args, ARRAY_SIZE(ps_args), -EACCES, out, n);
    case ROUTE_TYPE_CONDITION:
        return canon_word(s, conditions, ARRAY_SIZE(conditions), -EINVAL, out, n);
    case ROUTE_TYPE_KEYS:
        return canon_keys(s, out, n);
    case ROUTE_TYPE_PATH:
        return canon_text(s, PATH_VALUE_MAX, out, n);
    case ROUTE_TYPE_TEXT:
        return canon_text(s, TEXT_MAX, out, n);
    }
    return -EINVAL;
}

static int add_arg(struct route_match *ret, const struct route_param *p, const char *value)
{
    struct route_arg *a = &ret->args[ret->n_args];

    if (ret->n_args == ROUTE_ARGS_MAX)
        return -E2BIG;
    a->value = strdup(value);
    if (!a->value)
        return -ENOMEM;
    a->key = p->key;
    a->forward = p->forward;
    ret->n_args++;
    return 0;
}

static int check_param(const struct http1_request *req, const struct route_param *p, struct route_match *ret,
    struct route_deny *deny)
{
    const char *value = http1_request_param(req, p->key);
    char out[TEXT_MAX + 1];
    int r = value ? canon(p, value, out, sizeof(out)) : 0;

    if (r == -EACCES)
        return route_refuse(deny, 403, p->type == ROUTE_TYPE_ZERO ? "query-zero" : "query-value",
            "the value of \"%s\" is not allowed", p->key);
    if (r < 0)
        return route_refuse(deny, 400, "query-value", "the value of \"%s\" is malformed", p->key);
    if (r == 0 && p->missing)
        return route_refuse(deny, p->missing, "query-missing", "the parameter \"%s\" is required", p->key);
    return r > 0 ? add_arg(ret, p, out) : 0;
}

static bool is_known(const struct route_param *params, const char *key)
{
    for (; params && params->key; params++)
        if (strcmp(params->key, key) == 0)
            return true;
    return false;
}

/* An image may be written whole in fromImage or split into fromImage and tag; without a tag the engine would
 * fetch all of them. Canonical: both, and together exactly as the allowlist has it. */
static int check_pull(const struct policy *p, struct route_match *ret, struct route_deny *deny)
{
    static const struct route_param tag_param = {.key = "tag", .forward = true};
    _cleanup_buf_ struct buf whole = {.limit = ROUTE_REF_LIMIT};
    struct route_arg *image = &ret->args[0]; /* fromImage: the row's first argument, and required */
    const char *tag = route_arg(ret, "tag"), *slash = strrchr(image->value, '/');
    const char *sep = strpbrk(slash ? slash : image->value, ":@");
    size_t name_len = sep ? (size_t)(sep - image->value) : strlen(image->value);
    _cleanup_free_ char *name = strndup(image->value, name_len);
    int r;

    if (!name)
        return -ENOMEM;
    if (sep && tag)
        return route_refuse(deny, 400, "query-value", "the image is given with two tags");
    if (!tag)
        tag = sep ? sep + 1 : "latest";
    r = buf_addf(&whole, "%s%c%s", name, strchr(tag, ':') ? '@' : ':', tag);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !route_ref_is_valid(ROUTE_REF_IMAGE, whole.data))
        return route_refuse(deny, 400, "query-value", "the image reference is malformed");
    if (!policy_list_has(&p->images, whole.data) &&
        (strcmp(tag, "latest") != 0 || !policy_list_has(&p->images, name)))
        return route_refuse(deny, 403, "image-allowlist", "the image is not in the tenant's list");
    if (ret->n_args < 2) {
        r = add_arg(ret, &tag_param, tag);
        if (r < 0)
            return r;
    }
    free(image->value);
    image->value = TAKE_PTR(name);
    return 0;
}

int route_query_check(const struct http1_request *req, const struct route_row *row, const struct policy *p,
    struct route_match *ret, struct route_deny *deny)
{
    int r;

    for (size_t i = 0; i < req->n_params; i++)
        if (!is_known(row->params, req->params[i].key))
            return route_refuse(
                deny, 403, "query-key", "the parameter \"%s\" is not allowed here", req->params[i].key);
    for (const struct route_param *q = row->params; q && q->key; q++) {
        r = check_param(req, q, ret, deny);
        if (r < 0)
            return r;
    }
    return row->id == ROUTE_IMAGE_PULL ? check_pull(p, ret, deny) : 0;
}
