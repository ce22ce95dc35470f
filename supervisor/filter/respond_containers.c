/* respond_containers.c: the list of containers. Every row is checked again, whatever was asked of the engine,
 * and written anew. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/respond_internal.h"
#include "filter/route.h"

/* What the functions of one answer share. */
struct list {
    const struct respond_view *view;
    const struct respond_containers_query *query;
    const struct jdoc *doc;
    uint32_t *own; /* the own rows */
    size_t n_own;
};

/* Both marks that a row can carry: the registry and the label. */
static bool is_own(const struct list *l, uint32_t row)
{
    const struct jdoc *d = l->doc;
    uint32_t at = JDOC_NONE, id_at = jdoc_get_next(d, row, "Id", &at);
    uint32_t labels = jdoc_get_next(d, row, "Labels", &at);
    char id[65];

    return respond_read_id(d, id_at, id) &&
           jdoc_equals(d, jdoc_get(d, labels, LABEL_TENANT), l->view->policy->tenant) &&
           l->view->owns(l->view->userdata, id);
}

static int find_own(struct list *l)
{
    size_t n = jdoc_size(l->doc, 0);

    l->own = calloc(n + 1, sizeof(*l->own));
    if (!l->own)
        return -ENOMEM;
    for (uint32_t i = jdoc_first(l->doc, 0); i != JDOC_NONE; i = jdoc_next(l->doc, 0, i))
        if (is_own(l, i))
            l->own[l->n_own++] = i;
    return 0;
}

/* ---- before and since */
static bool has_name(const struct list *l, uint32_t row, const char *ref)
{
    uint32_t names = jdoc_get(l->doc, row, "Names");

    for (uint32_t i = jdoc_first(l->doc, names); i != JDOC_NONE; i = jdoc_next(l->doc, names, i)) {
        size_t len;
        const char *s = respond_own_name(l->view->policy, l->doc, i, &len);

        if (s && len == strlen(ref) && memcmp(s, ref, len) == 0)
            return true;
    }
    return false;
}

/* What `before` and `since` may name: an own row by id, name or unique id prefix. Its index, or -ENOENT. */
static int find_row(const struct list *l, const char *ref)
{
    int found = -ENOENT;

    if (*ref == '/')
        ref++;
    for (size_t i = 0; i < l->n_own; i++)
        if (jdoc_equals(l->doc, jdoc_get(l->doc, l->own[i], "Id"), ref) || has_name(l, l->own[i], ref))
            return (int)i;
    for (size_t i = 0; i < l->n_own && *ref; i++) {
        size_t len;
        const char *id = jdoc_string(l->doc, jdoc_get(l->doc, l->own[i], "Id"), &len);

        if (len < strlen(ref) || strncmp(id, ref, strlen(ref)) != 0)
            continue;
        if (found >= 0)
            return -ENOENT;
        found = (int)i;
    }
    return found;
}

/* The index that a bound names; *ret stays without one. Rows are newest first, so that an index says more
 * than their creation times, which are whole seconds. */
static int find_bound(const struct list *l, const char *key, size_t *ret, struct refusal *refusal)
{
    const char *ref = respond_filters_value(l->query->filters, key);
    char text[704];
    int i;

    if (!ref)
        return 0;
    i = find_row(l, ref);
    if (i >= 0) {
        *ret = (size_t)i;
        return 0;
    }
    route_absent_message(text, sizeof(text), ROUTE_REF_CONTAINER, ref);
    return refusal_set(refusal, 404, "list.filters", "%s", text);
}

/* ---- rows */
static void write_names(const struct list *l, struct jout *o, uint32_t names)
{
    jout_open(o, '[');
    for (uint32_t i = jdoc_first(l->doc, names); i != JDOC_NONE; i = jdoc_next(l->doc, names, i))
        (void)respond_write_name(o, l->view->policy, l->doc, i);
    jout_close(o, ']');
}

static void write_row(const struct list *l, struct jout *o, uint32_t row)
{
    static const char *const keys[] = {"ImageID", "Command", "Created", "Ports", "State", "Status", "Health"};
    const struct jdoc *d = l->doc;
    uint32_t at = JDOC_NONE, id = jdoc_get_next(d, row, "Id", &at),
             names = jdoc_get_next(d, row, "Names", &at);
    uint32_t image = jdoc_get_next(d, row, "Image", &at), labels = jdoc_get_next(d, row, "Labels", &at);
    uint32_t host = jdoc_get_next(d, row, "HostConfig", &at),
             net = jdoc_get_next(d, row, "NetworkSettings", &at);

    jout_open(o, '{');
    jout_key(o, "Id");
    jout_value(o, d, id);
    jout_key(o, "Names");
    write_names(l, o, names);
    jout_key(o, "Image");
    respond_write_image(o, d, labels, image);
    respond_copy(o, d, row, keys, ARRAY_SIZE(keys));
    jout_key(o, "Labels");
    respond_write_labels(o, d, labels);
    jout_key(o, "HostConfig");
    jout_open(o, '{');
    jout_key(o, "NetworkMode");
    respond_write_network_mode(o, l->view->policy, d, jdoc_get(d, host, "NetworkMode"));
    jout_close(o, '}');
    jout_key(o, "NetworkSettings");
    jout_open(o, '{');
    jout_key(o, "Networks");
    respond_write_networks(o, l->view->policy, d, jdoc_get(d, net, "Networks"));
    jout_close(o, '}');
    jout_key(o, "Mounts");
    respond_write_mounts(o, d, jdoc_get_next(d, row, "Mounts", &at), labels, false);
    jout_close(o, '}');
}

/* By what the client gets to see of the row. 1, 0, or -ENOMEM. */
static int matches(const struct list *l, const char *text, size_t len)
{
    _cleanup_json_ json_t *row = NULL;
    const char *name;
    struct respond_subject s;

    if (respond_filters_is_empty(l->query->filters))
        return 1;
    row = json_loadb(text, len, 0, NULL);
    if (!row)
        return -ENOMEM;
    name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    s = (struct respond_subject){.id = respond_text(row, "Id"),
        .name = name ? name + 1 : NULL,
        .image = respond_text(row, "Image"),
        .image_id = respond_text(row, "ImageID"),
        .state = respond_text(row, "State"),
        .status = respond_text(row, "Status"),
        .labels = json_object_get(row, "Labels"),
        .networks = json_object_get(json_object_get(row, "NetworkSettings"), "Networks")};
    return respond_filters_match(l->query->filters, &s);
}

static bool is_running(const struct list *l, uint32_t row)
{
    uint32_t state = jdoc_get(l->doc, row, "State");

    return jdoc_equals(l->doc, state, "running") || jdoc_equals(l->doc, state, "paused") ||
           jdoc_equals(l->doc, state, "restarting");
}

static int write_rows(const struct list *l, size_t begin, size_t end, struct buf *out)
{
    const struct respond_containers_query *q = l->query;
    bool all = q->all || q->limit > 0 || respond_filters_value(q->filters, "status");
    struct jout o = {.out = out};
    unsigned n = 0;

    jout_open(&o, '[');
    for (size_t i = begin; i < end && (q->limit == 0 || n < q->limit) && o.error >= 0; i++) {
        size_t before = out->len, from = before + o.comma;
        bool comma = o.comma;
        int r;

        if (!all && !is_running(l, l->own[i]))
            continue;
        write_row(l, &o, l->own[i]);
        if (o.error < 0)
            return o.error;
        r = matches(l, out->data + from, out->len - from);
        if (r < 0)
            return r;
        if (r == 0) {
            buf_truncate(out, before);
            o.comma = comma;
        }
        n += r > 0;
    }
    jout_close(&o, ']');
    return o.error;
}

int respond_containers(const struct respond_view *v, const struct respond_containers_query *q,
    const struct jdoc *rows, struct buf *out, struct refusal *refusal)
{
    struct list l = {.view = v, .query = q, .doc = rows};
    size_t begin = 0, before = SIZE_MAX, end;
    int r;

    if (refusal)
        *refusal = (struct refusal){0};
    if (!jdoc_is(rows, 0, JDOC_ARRAY))
        return -EBADMSG;
    r = find_own(&l);
    end = l.n_own;
    if (r >= 0)
        r = find_bound(&l, "since", &end, refusal);
    if (r >= 0)
        r = find_bound(&l, "before", &before, refusal);
    if (before != SIZE_MAX)
        begin = before + 1;
    if (r >= 0)
        r = write_rows(&l, begin, end, out);
    free(l.own);
    return r;
}
