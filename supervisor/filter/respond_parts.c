/* respond_parts.c: what the container list and inspect have in common: the parts that are copied, and those
 * that the client gets to know under another name or not at all. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/names.h"
#include "filter/respond_internal.h"

bool respond_read_id(const struct jdoc *d, uint32_t value, char ret[static 65])
{
    size_t len;
    const char *s = jdoc_string(d, value, &len);

    if (!s || len != 64)
        return false;
    memcpy(ret, s, 64);
    ret[64] = '\0';
    return str_is_hex(ret, 64);
}

void respond_copy(
    struct jout *o, const struct jdoc *d, uint32_t object, const char *const *keys, size_t n_keys)
{
    uint32_t at = JDOC_NONE;

    for (size_t i = 0; i < n_keys; i++) {
        uint32_t value = jdoc_get_next(d, object, keys[i], &at);

        if (value == JDOC_NONE)
            continue;
        jout_key(o, keys[i]);
        jout_value(o, d, value);
    }
}

void respond_write_labels(struct jout *o, const struct jdoc *d, uint32_t labels)
{
    uint32_t from = jdoc_is(d, labels, JDOC_OBJECT) ? labels : JDOC_NONE;

    jout_open(o, '{');
    for (uint32_t i = jdoc_first(d, from); i != JDOC_NONE; i = jdoc_next(d, from, i)) {
        if (jdoc_equals(d, i, LABEL_BINDS))
            continue;
        jout_key_of(o, d, i);
        jout_value(o, d, i + 1);
    }
    jout_close(o, '}');
}

void respond_write_image(struct jout *o, const struct jdoc *d, uint32_t labels, uint32_t image)
{
    uint32_t name = jdoc_get(d, labels, LABEL_IMAGE);

    if (jdoc_is(d, name, JDOC_STRING))
        jout_value(o, d, name);
    else if (jdoc_is(d, image, JDOC_STRING))
        jout_value(o, d, image);
    else
        jout_string(o, "");
}

const char *respond_own_name(const struct policy *p, const struct jdoc *d, uint32_t name, size_t *ret_len)
{
    size_t len, prefix = p->names == POLICY_NAMES_NAMESPACED && p->name_prefix ? strlen(p->name_prefix) : 0;
    const char *s = jdoc_string(d, name, &len);

    if (!s || memchr(s, '\\', len))
        return NULL;
    if (len > 0 && *s == '/') {
        s++;
        len--;
    }
    if (prefix > 0 && len >= prefix && memcmp(s, p->name_prefix, prefix) == 0) {
        s += prefix;
        len -= prefix;
    }
    if (memchr(s, '/', len))
        return NULL;
    *ret_len = len;
    return s;
}

bool respond_write_name(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t name)
{
    char text[NAMES_ENGINE_MAX + 1] = "/";
    size_t len;
    const char *s = respond_own_name(p, d, name, &len);

    if (!s || len > NAMES_ENGINE_MAX)
        return false;
    memcpy(text + 1, s, len);
    jout_stringn(o, text, len + 1);
    return true;
}

/* ---- mounts */
static const struct create_bind *find_staged(const struct create_bind *b, size_t n, const char *source)
{
    for (size_t i = 0; source && i < n; i++)
        if (b[i].staged && strcmp(b[i].staged, source) == 0)
            return &b[i];
    return NULL;
}

static void write_mount(struct jout *o, const struct jdoc *d, uint32_t mount, const struct create_bind *binds,
    size_t n, bool keep)
{
    static const char *const before[] = {"Type"}, *const after[] = {"Destination", "Target", "Mode", "RW",
                                                      "ReadOnly", "Propagation", "BindOptions",
                                                      "TmpfsOptions"};
    uint32_t at = jdoc_get(d, mount, "Source");
    _cleanup_json_ json_t *source = n > 0 && at != JDOC_NONE ? jdoc_to_json(d, at) : NULL;
    const struct create_bind *b = find_staged(binds, n, json_string_value(source));

    jout_open(o, '{');
    respond_copy(o, d, mount, before, ARRAY_SIZE(before));
    if (at != JDOC_NONE)
        jout_key(o, "Source");
    if (b)
        jout_string(o, b->source);
    else if (at != JDOC_NONE && keep)
        jout_value(o, d, at);
    else if (at != JDOC_NONE)
        jout_string(o, "");
    respond_copy(o, d, mount, after, ARRAY_SIZE(after));
    jout_close(o, '}');
}

/* A label that cannot be read leaves no source to show. */
static int read_binds(const struct jdoc *d, uint32_t labels, struct create_bind **ret, size_t *ret_n)
{
    _cleanup_json_ json_t *o = NULL;
    int r;

    if (jdoc_get(d, labels, LABEL_BINDS) == JDOC_NONE)
        return 0;
    o = jdoc_to_json(d, labels);
    r = o ? create_binds_from_labels(o, ret, ret_n) : -ENOMEM;
    return r == -ENOMEM ? r : 0;
}

static void write_bool(struct jout *o, const char *key, bool value)
{
    jout_key(o, key);
    jout_raw(o, value ? "true" : "false", value ? 4 : 5);
}

static void write_text(struct jout *o, const char *key, const char *value)
{
    jout_key(o, key);
    jout_string(o, value);
}

/* A bind inside another, which the engine does not list, as it would. */
static void write_inner_mount(struct jout *o, const struct create_bind *b, bool host)
{
    const char mode[] = {b->relabel, '\0'};

    jout_open(o, '{');
    write_text(o, "Type", "bind");
    write_text(o, "Source", b->source);
    write_text(o, host ? "Target" : "Destination", b->target);
    if (host) {
        write_bool(o, "ReadOnly", b->readonly);
        jout_key(o, "BindOptions");
        jout_open(o, '{');
        write_text(o, "Propagation", "rprivate");
        jout_close(o, '}');
    } else {
        write_text(o, "Mode", mode);
        write_bool(o, "RW", !b->readonly);
        write_text(o, "Propagation", "rprivate");
    }
    jout_close(o, '}');
}

static void write_mounts(
    struct jout *o, const struct jdoc *d, uint32_t mounts, uint32_t labels, bool keep, bool host)
{
    uint32_t from = jdoc_is(d, mounts, JDOC_ARRAY) ? mounts : JDOC_NONE;
    struct create_bind *binds = NULL;
    size_t n = 0;

    if (read_binds(d, labels, &binds, &n) < 0)
        o->error = -ENOMEM;
    jout_open(o, '[');
    for (uint32_t i = jdoc_first(d, from); i != JDOC_NONE; i = jdoc_next(d, from, i))
        write_mount(o, d, i, binds, n, keep);
    for (size_t i = 0; i < n; i++)
        if (binds[i].inside)
            write_inner_mount(o, &binds[i], host);
    jout_close(o, ']');
    create_binds_free(binds, n);
}

void respond_write_mounts(struct jout *o, const struct jdoc *d, uint32_t mounts, uint32_t labels, bool keep)
{
    write_mounts(o, d, mounts, labels, keep, false);
}

void respond_write_host_mounts(
    struct jout *o, const struct jdoc *d, uint32_t mounts, uint32_t labels, bool keep)
{
    write_mounts(o, d, mounts, labels, keep, true);
}

/* ---- networks */
static bool is_own_network(const struct policy *p, const struct jdoc *d, uint32_t name)
{
    return p->network_id && (jdoc_equals(d, name, p->network_id) ||
                                (p->network_name && jdoc_equals(d, name, p->network_name)));
}

bool respond_shows_network(const struct policy *p, const struct jdoc *d, uint32_t key)
{
    uint32_t id = jdoc_get(d, key + 1, "NetworkID");
    size_t len = 0;

    if (jdoc_equals(d, key, "none"))
        return true;
    /* A network of our name with another id is not ours. */
    if (jdoc_string(d, id, &len) && len > 0)
        return p->network_id && jdoc_equals(d, id, p->network_id);
    return is_own_network(p, d, key);
}

void respond_write_networks(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t networks)
{
    uint32_t from = jdoc_is(d, networks, JDOC_OBJECT) ? networks : JDOC_NONE;

    jout_open(o, '{');
    for (uint32_t i = jdoc_first(d, from); i != JDOC_NONE; i = jdoc_next(d, from, i)) {
        if (!respond_shows_network(p, d, i))
            continue;
        jout_key_of(o, d, i);
        jout_value(o, d, i + 1);
    }
    jout_close(o, '}');
}

void respond_write_network_mode(struct jout *o, const struct policy *p, const struct jdoc *d, uint32_t mode)
{
    size_t len;

    if (!jdoc_string(d, mode, &len) || jdoc_equals(d, mode, "none"))
        jout_string(o, "none");
    else if (is_own_network(p, d, mode))
        jout_string(o, p->network_name ? p->network_name : p->network_id);
    else
        jout_string(o, "");
}
