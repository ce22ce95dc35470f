/* route.c: see route.h: from a parsed head to a typed match or a refusal. Looks at no object and no body. */
#include "filter/route.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "filter/route_table.h"

int route_refuse(struct route_deny *deny, int status, const char *rule, const char *fmt, ...)
{
    static const char prefix[] = "clawsup: ";
    va_list ap;

    deny->status = status;
    deny->rule = rule;
    memcpy(deny->message, prefix, sizeof(prefix));
    va_start(ap, fmt);
    (void)vsnprintf(deny->message + sizeof(prefix) - 1, sizeof(deny->message) - sizeof(prefix) + 1, fmt, ap);
    va_end(ap);
    switch (status) {
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 405:
        return -ENOTSUP;
    default:
        return -EINVAL;
    }
}

void route_absent_message(char *out, size_t n, enum route_ref kind, const char *ref)
{
    switch (kind) {
    case ROUTE_REF_EXEC:
        (void)snprintf(out, n, "No such exec instance: %s", ref);
        return;
    case ROUTE_REF_IMAGE:
        (void)snprintf(out, n, "No such image: %s", ref);
        return;
    case ROUTE_REF_NETWORK:
        (void)snprintf(out, n, "network %s not found", ref);
        return;
    case ROUTE_REF_VOLUME:
        (void)snprintf(out, n, "get %s: no such volume", ref);
        return;
    case ROUTE_REF_PLUGIN:
        (void)snprintf(out, n, "plugin \"%s\" not found", ref);
        return;
    case ROUTE_REF_NONE:
    case ROUTE_REF_CONTAINER:
        break;
    }
    (void)snprintf(out, n, "No such container: %s", ref);
}

static int refuse_absent(struct route_deny *deny, enum route_ref kind, const char *ref)
{
    deny->status = 404;
    deny->rule = "absent";
    route_absent_message(deny->message, sizeof(deny->message), kind, ref);
    return -ENOENT;
}

/* The engine's words: clients act on them. */
static int refuse_version(struct route_deny *deny, const char *version, unsigned minor_max, bool too_new)
{
    deny->status = 400;
    deny->rule = "version";
    if (too_new)
        (void)snprintf(deny->message, sizeof(deny->message),
            "client version %.8s is too new. Maximum supported API version is 1.%u", version, minor_max);
    else
        (void)snprintf(deny->message, sizeof(deny->message),
            "client version %.8s is too old. Minimum supported API version is 1.%d, please upgrade your "
            "client "
            "to a newer version",
            version, ROUTE_MINOR_MIN);
    return -EINVAL;
}

/* "v1.NN" as the first segment; anything else that the engine's router would take for a version is malformed.
 * Returns the number of segments it took. */
static int parse_version(
    const struct http1_request *req, unsigned minor_max, unsigned *ret_minor, struct route_deny *deny)
{
    const char *s = req->n_segments > 0 ? req->segments[0] : "";
    unsigned minor;

    *ret_minor = 0;
    if (s[0] != 'v' || s[1] == '\0' || s[1 + strspn(s + 1, "0123456789.")] != '\0')
        return 0;
    if (strlen(s) != 5 || !str_startswith(s, "v1.") || s[3] == '.' || s[4] == '.')
        return route_refuse(deny, 400, "version", "malformed API version in the path");
    minor = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
    if (minor < ROUTE_MINOR_MIN)
        return refuse_version(deny, s + 1, minor_max, false);
    if (minor > minor_max)
        return refuse_version(deny, s + 1, minor_max, true);
    *ret_minor = minor;
    return 1;
}

static bool name_class(const char *s, const char *more)
{
    for (const char *p = s; *p; p++) {
        bool alnum = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

        if (!alnum && (p == s || !strchr(more, *p)))
            return false;
    }
    return *s != '\0';
}

bool route_ref_is_valid(enum route_ref kind, const char *ref)
{
    size_t n = strlen(ref);

    switch (kind) {
    case ROUTE_REF_CONTAINER:
    case ROUTE_REF_NETWORK:
        return n <= 255 && name_class(ref, "_.-");
    case ROUTE_REF_EXEC:
        return str_is_hex(ref, 64);
    case ROUTE_REF_IMAGE:
        return n <= ROUTE_REF_LIMIT && name_class(ref, "_.-:@/") && !strstr(ref, "//") && ref[n - 1] != '/';
    case ROUTE_REF_NONE:
    case ROUTE_REF_VOLUME:
    case ROUTE_REF_PLUGIN:
        break;
    }
    return false;
}

/* Joins the segments of a reference with the slashes that stood between them. */
static int join_ref(const char *const *segments, size_t n, char **ret, struct route_deny *deny)
{
    char ref[ROUTE_REF_LIMIT + 1];
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(segments[i]);

        if (used + len + 1 >= sizeof(ref))
            return route_refuse(deny, 400, "reference", "the name in the path is too long");
        if (i > 0)
            ref[used++] = '/';
        memcpy(ref + used, segments[i], len);
        used += len;
    }
    *ret = strndup(ref, used);
    return *ret ? 0 : -ENOMEM;
}

static bool is_json_type(const char *content_type)
{
    static const char *const types[] = {
        "application/json", "text/plain"}; /* the latter: older docker clients */

    if (!content_type)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        size_t n = strlen(types[i]);

        if (strncasecmp(content_type, types[i], n) == 0 &&
            (content_type[n] == '\0' || content_type[n] == ';' || content_type[n] == ' '))
            return true;
    }
    return false;
}

static int check_body(const struct http1_request *req, const struct route_row *row, struct route_deny *deny)
{
    bool has_body = req->framing != HTTP1_BODY_NONE;

    if (row->body == ROUTE_BODY_NONE && has_body)
        return route_refuse(deny, 400, "body-unexpected", "this request takes no body");
    if (row->body != ROUTE_BODY_NONE && !has_body)
        return route_refuse(deny, 400, "body-missing", "this request needs a body");
    if (row->body == ROUTE_BODY_JSON && !is_json_type(req->content_type))
        return route_refuse(deny, 400, "content-type", "Content-Type must be application/json");
    return 0;
}

/* Switches of the policy, by what a row needs. What is on by default is granted or refused; only the opt-in
 * ones can be reported instead. */
static enum policy_opt_in is_granted(enum route_need need, const struct policy *p)
{
    switch (need) {
    case ROUTE_NEED_NOTHING:
        return POLICY_GRANTED;
    case ROUTE_NEED_START:
        return p->allow_start ? POLICY_GRANTED : POLICY_REFUSED;
    case ROUTE_NEED_STOP:
        return p->allow_stop ? POLICY_GRANTED : POLICY_REFUSED;
    case ROUTE_NEED_RESTART:
        return p->allow_restart ? POLICY_GRANTED : POLICY_REFUSED;
    case ROUTE_NEED_EXEC: /* whose container it is decides which of the two switches counts */
        return p->allow_exec || policy_opt_in(p, p->allow_gateway_exec) != POLICY_REFUSED ? POLICY_GRANTED
                                                                                          : POLICY_REFUSED;
    case ROUTE_NEED_UPDATE:
        return policy_opt_in(p, p->allow_update);
    case ROUTE_NEED_RENAME:
        return policy_opt_in(p, p->allow_rename);
    case ROUTE_NEED_ARCHIVE_PUT:
        return policy_opt_in(p, p->allow_archive_put);
    case ROUTE_NEED_EXPORT:
        return policy_opt_in(p, p->allow_export);
    case ROUTE_NEED_IMAGE_PULL:
        return policy_opt_in(p, p->allow_image_pull);
    case ROUTE_NEED_NETWORK_READ:
        return policy_opt_in(p, p->allow_network_read);
    case _ROUTE_NEED_MAX:
        break;
    }
    return POLICY_REFUSED;
}

void route_report(struct route_match *m, const char *rule, const char *name)
{
    m->report_rule = rule;
    m->report_switch = name;
}

void route_switch_message(char *out, size_t n, const char *name)
{
    (void)snprintf(out, n, "%s is not allowed for this tenant (allow.%s is off)", name, name);
}

static int check_switch(
    const struct route_row *row, const struct policy *p, struct route_match *m, struct route_deny *deny)
{
    static const struct {
        const char *rule, *what;
    } texts[_ROUTE_NEED_MAX] = {
        [ROUTE_NEED_NOTHING] = {"route", ""},
        [ROUTE_NEED_START] = {"allow-start", "start"},
        [ROUTE_NEED_STOP] = {"allow-stop", "stop"},
        [ROUTE_NEED_RESTART] = {"allow-restart", "restart"},
        [ROUTE_NEED_EXEC] = {"allow-exec", "exec"},
        [ROUTE_NEED_UPDATE] = {"allow-update", "update"},
        [ROUTE_NEED_RENAME] = {"allow-rename", "rename"},
        [ROUTE_NEED_ARCHIVE_PUT] = {"allow-archive-put", "archive_put"},
        [ROUTE_NEED_EXPORT] = {"allow-export", "export"},
        [ROUTE_NEED_IMAGE_PULL] = {"allow-image-pull", "image_pull"},
        [ROUTE_NEED_NETWORK_READ] = {"allow-network-read", "network_read"},
    };
    enum policy_opt_in granted = is_granted(row->need, p);
    char message[128];

    if (granted == POLICY_GRANTED)
        return 0;
    if (granted == POLICY_REPORTED) {
        route_report(m, texts[row->need].rule, texts[row->need].what);
        return 0;
    }
    /* To a client that may not see networks there are none; the record knows better. */
    if (row->need == ROUTE_NEED_NETWORK_READ && m->ref) {
        (void)refuse_absent(deny, row->ref, m->ref);
        if (str_eq(m->ref, p->network_id) || str_eq(m->ref, p->network_name))
            deny->rule = texts[row->need].rule;
        return -ENOENT;
    }
    route_switch_message(message, sizeof(message), texts[row->need].what);
    return route_refuse(deny, 403, texts[row->need].rule, "%s", message);
}

/* The first row that fits, or NULL and a refusal in *ret. A row that is never allowed beats the hint that
 * another method would do. */
static const struct route_row *find_row(const struct http1_request *req, size_t first, size_t *ret_ref,
    size_t *ret_ref_n, struct route_deny *deny, int *ret)
{
    const char *const *segments = req->segments + first;
    size_t n = req->n_segments - first;
    bool other_method = false;

    for (size_t i = 0; i < route_rows_n; i++) {
        const struct route_row *row = &route_rows[i];

        if (!route_table_match(row, segments, n, ret_ref, ret_ref_n))
            continue;
        if (row->kind == ROUTE_KIND_NEVER) {
            deny->route = row->pattern;
            *ret = route_refuse(deny, 403, "route-never", "this part of the API is not available to tenants");
            return NULL;
        }
        if (row->method == req->method)
            return row;
        /* A slash in the reference is more likely another path than an odd name. */
        other_method = other_method || *ret_ref_n <= 1;
    }
    *ret = other_method ? route_refuse(deny, 405, "method", "this path has no such method")
                        : route_refuse(deny, 403, "route-unknown", "no such path is available to tenants");
    return NULL;
}

static int fill_match(const struct http1_request *req, const struct policy *p, const struct route_row *row,
    struct route_match *m, struct route_deny *deny)
{
    int r;

    deny->route = row->kind == ROUTE_KIND_ALLOW ? route_name(row->id) : row->pattern;
    m->id = row->id;
    m->class = row->class;
    m->method = row->method;
    m->ref_kind = row->ref;
    m->body = row->body;
    m->hijack = row->hijack;
    m->stream = row->stream;
    if (row->kind == ROUTE_KIND_ABSENT)
        return refuse_absent(deny, row->ref, m->ref);
    r = check_switch(row, p, m, deny);
    if (r < 0)
        return r;
    r = check_body(req, row, deny);
    if (r < 0)
        return r;
    r = route_query_check(req, row, p, m, deny);
    if (r < 0)
        return r;
    if (m->ref && !route_ref_is_valid(row->ref, m->ref))
        return refuse_absent(deny, row->ref, m->ref);
    return 0;
}

int route_decide(const struct http1_request *req, const struct policy *p, unsigned minor_max,
    struct route_match *ret, struct route_deny *deny)
{
    _cleanup_route_match_ struct route_match m = {0};
    const struct route_row *row;
    size_t ref = 0, ref_n = 0;
    int first, r;

    *deny = (struct route_deny){.status = 403, .rule = "internal", .message = "clawsup: refused"};
    if (req->method == HTTP1_OPTIONS)
        return route_refuse(deny, 403, "route-never", "OPTIONS is not available to tenants");
    first = parse_version(req, minor_max, &m.minor, deny);
    if (first < 0)
        return first;
    row = find_row(req, (size_t)first, &ref, &ref_n, deny, &r);
    if (!row)
        return r;
    if (ref_n > 0) {
        r = join_ref(req->segments + first + ref, ref_n, &m.ref, deny);
        if (r < 0)
            return r;
    }
    r = fill_match(req, p, row, &m, deny);
    if (r < 0)
        return r;
    *ret = m;
    m = (struct route_match){0};
    return 0;
}

void route_match_done(struct route_match *m)
{
    free(m->ref);
    for (size_t i = 0; i < m->n_args; i++)
        free(m->args[i].value);
    *m = (struct route_match){0};
}

const char *route_arg(const struct route_match *m, const char *key)
{
    for (size_t i = 0; i < m->n_args; i++)
        if (strcmp(m->args[i].key, key) == 0)
            return m->args[i].value;
    return NULL;
}

bool route_arg_bool(const struct route_match *m, const char *key, bool fallback)
{
    const char *value = route_arg(m, key);

    return value ? strcmp(value, "1") == 0 : fallback;
}
