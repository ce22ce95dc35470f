/* respond.c: see respond.h: error bodies, names, and the helpers of the other respond_*.c files. */
#include "filter/respond.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "filter/respond_internal.h"

#define MESSAGE_MAX 1024

/* The engine's encoder ends each document with a newline; ours does too, or an answer of ours could be told
 * from one of the engine's. */
char *respond_message(const char *message)
{
    _cleanup_json_ json_t *o = json_pack("{s:s}", "message", message);
    _cleanup_free_ char *text = o ? json_to_string(o) : NULL;
    _cleanup_buf_ struct buf b = {0};

    if (!text || buf_adds(&b, text) < 0 || buf_adds(&b, "\n") < 0)
        return NULL;
    return buf_take(&b);
}

char *respond_refusal(const struct refusal *r)
{
    _cleanup_buf_ struct buf b = {0};

    if (r->status == 404)
        return respond_message(r->reason);
    if (buf_addf(&b, "clawsup: %s", r->reason) < 0)
        return NULL;
    return respond_message(b.data);
}

char *respond_engine_error(const struct respond_view *v, const json_t *body)
{
    const char *s = json_string_value(json_object_get(body, "message")), *prefix = v->policy->name_prefix;
    _cleanup_buf_ struct buf b = {.limit = MESSAGE_MAX};

    if (!s)
        return respond_message("the engine gave no reason");
    while (*s) {
        /* Whole UTF-8 sequences, so that a cut leaves valid text. */
        size_t n = 1;

        if (v->policy->names == POLICY_NAMES_NAMESPACED && prefix && *prefix && str_startswith(s, prefix)) {
            s += strlen(prefix);
            continue;
        }
        while (((unsigned char)s[n] & 0xc0) == 0x80)
            n++;
        if (b.len + n > MESSAGE_MAX)
            break;
        if (buf_add(&b, s, n) < 0)
            return NULL;
        s += n;
    }
    return respond_message(b.data ? b.data : "");
}

const char *respond_client_name(const struct policy *p, const char *engine_name)
{
    if (*engine_name == '/')
        engine_name++;
    if (p->names == POLICY_NAMES_NAMESPACED && p->name_prefix && str_startswith(engine_name, p->name_prefix))
        engine_name += strlen(p->name_prefix);
    return engine_name;
}

json_t *respond_pick(const json_t *src, const char *const *keys, size_t n)
{
    _cleanup_json_ json_t *o = json_object();

    for (size_t i = 0; o && i < n; i++) {
        const json_t *v = json_object_get(src, keys[i]);

        if (v && json_object_set_new(o, keys[i], json_deep_copy(v)) < 0)
            return NULL;
    }
    return TAKE_PTR(o);
}

int respond_put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

const char *respond_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

json_t *respond_labels(const json_t *labels)
{
    json_t *o = json_is_object(labels) ? json_deep_copy(labels) : json_object();

    if (o)
        (void)json_object_del(o, LABEL_BINDS);
    return o;
}

const char *respond_image_name(const json_t *labels, const char *image)
{
    const char *name = respond_text(labels, LABEL_IMAGE);

    return name ? name : image;
}

static const struct create_bind *find_staged(const struct create_bind *b, size_t n, const char *source)
{
    for (size_t i = 0; source && i < n; i++)
        if (b[i].staged && strcmp(b[i].staged, source) == 0)
            return &b[i];
    return NULL;
}

/* A bind inside another, which the engine does not list, as it would. */
static json_t *inner_mount(const struct create_bind *b, bool host)
{
    const char mode[] = {b->relabel, '\0'};

    if (host)
        return json_pack("{s:s, s:s, s:s, s:b, s:{s:s}}", "Type", "bind", "Source", b->source, "Target",
            b->target, "ReadOnly", b->readonly, "BindOptions", "Propagation", "rprivate");
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "Type", "bind", "Source", b->source, "Destination",
        b->target, "Mode", mode, "RW", !b->readonly, "Propagation", "rprivate");
}

static json_t *mounts_json(const json_t *mounts, const json_t *labels, bool keep, bool host)
{
    static const char *const keys[] = {"Type", "Source", "Destination", "Target", "Mode", "RW", "ReadOnly",
        "Propagation", "BindOptions", "TmpfsOptions"};
    _cleanup_json_ json_t *out = json_array();
    struct create_bind *binds = NULL;
    size_t n = 0;

    /* A label that cannot be read leaves no source to show. */
    if (!out || create_binds_from_labels(labels, &binds, &n) == -ENOMEM)
        return NULL;
    for (size_t i = 0; out && i < json_array_size(mounts); i++) {
        json_t *o = respond_pick(json_array_get(mounts, i), keys, ARRAY_SIZE(keys));
        const char *source = respond_text(o, "Source");
        const struct create_bind *b = find_staged(binds, n, source);
        int r = o ? 0 : -ENOMEM;

        if (r >= 0 && source && (b || !keep))
            r = respond_put(o, "Source", json_string(b ? b->source : ""));
        if (r < 0 || json_array_append(out, o) < 0) {
            json_decref(out);
            out = NULL;
        }
        json_decref(o);
    }
    for (size_t i = 0; out && i < n; i++)
        if (binds[i].inside && json_array_append_new(out, inner_mount(&binds[i], host)) < 0) {
            json_decref(out);
            out = NULL;
        }
    create_binds_free(binds, n);
    return TAKE_PTR(out);
}

json_t *respond_mounts(const json_t *mounts, const json_t *labels, bool keep)
{
    return mounts_json(mounts, labels, keep, false);
}

json_t *respond_host_mounts(const json_t *mounts, const json_t *labels, bool keep)
{
    return mounts_json(mounts, labels, keep, true);
}

json_t *respond_networks(const struct policy *p, const json_t *networks)
{
    _cleanup_json_ json_t *out = json_object();
    json_t *in = (json_t *)(uintptr_t)networks; /* the iteration API takes a mutable object */

    for (void *it = out ? json_object_iter(in) : NULL; it; it = json_object_iter_next(in, it)) {
        const char *key = json_object_iter_key(it);
        const char *id = respond_text(json_object_iter_value(it), "NetworkID");
        bool own = p->network_id && (id && *id ? strcmp(id, p->network_id) == 0
                                               : str_eq(key, p->network_name) || str_eq(key, p->network_id));

        if (!own && strcmp(key, "none") != 0)
            continue;
        if (json_object_set_new(out, key, json_deep_copy(json_object_iter_value(it))) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}

const char *respond_network_mode(const struct policy *p, const char *mode)
{
    if (!mode || strcmp(mode, "none") == 0)
        return "none";
    if (p->network_id && (str_eq(mode, p->network_id) || str_eq(mode, p->network_name)))
        return p->network_name ? p->network_name : p->network_id;
    return "";
}

json_t *respond_allowed_tags(const struct policy *p, const json_t *tags)
{
    _cleanup_json_ json_t *out = json_array();

    for (size_t i = 0; out && i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));

        if (tag && policy_allows_image(p, tag) && json_array_append_new(out, json_string(tag)) < 0)
            return NULL;
    }
    return TAKE_PTR(out);
}
