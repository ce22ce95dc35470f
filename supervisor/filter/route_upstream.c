/* route_upstream.c: the one target that the engine is asked for, from typed parts. Takes nothing from the
 * client's bytes but checked arguments, and encodes even those. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "filter/names.h"
#include "filter/route_table.h"

static const char *const names[_ROUTE_MAX] = {
    [ROUTE_PING] = "ping",
    [ROUTE_VERSION] = "version",
    [ROUTE_INFO] = "info",
    [ROUTE_CONTAINER_LIST] = "container-list",
    [ROUTE_IMAGE_LIST] = "image-list",
    [ROUTE_EVENTS] = "events",
    [ROUTE_CONTAINER_CREATE] = "container-create",
    [ROUTE_CONTAINER_INSPECT] = "container-inspect",
    [ROUTE_CONTAINER_TOP] = "container-top",
    [ROUTE_CONTAINER_LOGS] = "container-logs",
    [ROUTE_CONTAINER_STATS] = "container-stats",
    [ROUTE_CONTAINER_CHANGES] = "container-changes",
    [ROUTE_CONTAINER_EXPORT] = "container-export",
    [ROUTE_ARCHIVE_GET] = "archive-get",
    [ROUTE_ARCHIVE_HEAD] = "archive-head",
    [ROUTE_ARCHIVE_PUT] = "archive-put",
    [ROUTE_CONTAINER_START] = "container-start",
    [ROUTE_CONTAINER_STOP] = "container-stop",
    [ROUTE_CONTAINER_KILL] = "container-kill",
    [ROUTE_CONTAINER_RESTART] = "container-restart",
    [ROUTE_CONTAINER_PAUSE] = "container-pause",
    [ROUTE_CONTAINER_UNPAUSE] = "container-unpause",
    [ROUTE_CONTAINER_WAIT] = "container-wait",
    [ROUTE_CONTAINER_RESIZE] = "container-resize",
    [ROUTE_CONTAINER_ATTACH] = "container-attach",
    [ROUTE_CONTAINER_REMOVE] = "container-remove",
    [ROUTE_CONTAINER_UPDATE] = "container-update",
    [ROUTE_CONTAINER_RENAME] = "container-rename",
    [ROUTE_EXEC_CREATE] = "exec-create",
    [ROUTE_EXEC_START] = "exec-start",
    [ROUTE_EXEC_RESIZE] = "exec-resize",
    [ROUTE_EXEC_INSPECT] = "exec-inspect",
    [ROUTE_IMAGE_INSPECT] = "image-inspect",
    [ROUTE_IMAGE_HISTORY] = "image-history",
    [ROUTE_IMAGE_PULL] = "image-pull",
    [ROUTE_NETWORK_INSPECT] = "network-inspect",
};

const char *route_name(enum route_id id)
{
    return (unsigned)id < _ROUTE_MAX ? names[id] : "unknown";
}

/* Everything but RFC 3986's unreserved characters becomes %XX. */
static int add_encoded(struct buf *out, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

    while (*s) {
        size_t n = strspn(s, plain);

        TRY(buf_add(out, s, n));
        for (s += n; *s && !strchr(plain, *s); s++)
            TRY(buf_addf(out, "%%%02X", (unsigned)(unsigned char)*s));
    }
    return 0;
}

static int add_param(struct buf *out, bool *first, const char *key, const char *value)
{
    TRY(buf_addf(out, "%c%s=", *first ? '?' : '&', key));
    *first = false;
    return add_encoded(out, value);
}

/* The path of the row with the reference in place of "{}". */
static int add_path(struct buf *out, const struct route_row *row, const struct route_upstream *u)
{
    const char *p = row->pattern, *ref = strstr(p, "{}");

    if (!ref)
        return buf_adds(out, p);
    if (!u->ref)
        return -EINVAL;
    if (row->ref == ROUTE_REF_IMAGE ? !route_ref_is_valid(ROUTE_REF_IMAGE, u->ref) : !str_is_hex(u->ref, 64))
        return -EINVAL;
    TRY(buf_add(out, p, (size_t)(ref - p)));
    TRY(buf_adds(out, u->ref));
    return buf_adds(out, ref + 2);
}

/* Our own label filter: the engine already leaves out what is not the tenant's. */
static int add_filters(
    struct buf *out, bool *first, const struct route_row *row, const struct route_upstream *u)
{
    char json[160];

    if (!u->tenant || !str_is_slug(u->tenant))
        return -EINVAL;
    (void)snprintf(json, sizeof(json), "{\"label\":[\"clawsup.tenant=%s\"]%s}", u->tenant,
        row->id == ROUTE_EVENTS ? ",\"type\":[\"container\"]" : "");
    return add_param(out, first, "filters", json);
}

static int add_query(
    struct buf *out, const struct route_row *row, const struct route_match *m, const struct route_upstream *u)
{
    bool first = true;

    if (row->id == ROUTE_CONTAINER_CREATE || row->id == ROUTE_CONTAINER_RENAME) {
        if (!u->name || !names_is_valid(u->name, NAMES_ENGINE_MAX))
            return -EINVAL;
        TRY(add_param(out, &first, "name", u->name));
    }
    if (row->id == ROUTE_CONTAINER_LIST) {
        const char *limit = route_arg(m, "limit");

        /* With a limit the engine shows stopped containers too; the limit itself is applied to our rows. */
        if (u->all || route_arg_bool(m, "all", false) || (limit && limit[0] != '-' && limit[0] != '0'))
            TRY(add_param(out, &first, "all", "1"));
    }
    for (size_t i = 0; i < m->n_args; i++)
        if (m->args[i].forward)
            TRY(add_param(out, &first, m->args[i].key, m->args[i].value));
    if (row->id == ROUTE_CONTAINER_LIST || row->id == ROUTE_EVENTS)
        TRY(add_filters(out, &first, row, u));
    return 0;
}

static int write_path(struct buf *out, const struct route_match *m, const struct route_upstream *u)
{
    const struct route_row *row = route_table_find(m->id);

    if (!row || row->class == ROUTE_CLASS_SYNTH)
        return -EINVAL;
    if (row->id == ROUTE_PING) /* works whatever the engine's versions are */
        return buf_adds(out, "/_ping");
    if (u->minor < ROUTE_MINOR_MIN || u->minor > 99)
        return -EINVAL;
    TRY(buf_addf(out, "/v1.%u/", u->minor));
    TRY(add_path(out, row, u));
    return add_query(out, row, m, u);
}

int route_upstream_path(struct buf *out, const struct route_match *m, const struct route_upstream *u)
{
    size_t before = out->len;
    int r = write_path(out, m, u);

    if (r < 0)
        buf_truncate(out, before);
    return r;
}
