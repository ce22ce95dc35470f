/* create_binds.c: LABEL_BINDS: a container's binds with their true sources, written at create and read back
 * before each start and for each answer that shows mounts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "filter/create_internal.h"
#include "filter/process.h"

char *create_binds_label(const struct create_model *m)
{
    _cleanup_json_ json_t *a = json_array();

    for (size_t i = 0; a && i < m->n_binds; i++) {
        const struct create_bind *b = &m->binds[i];
        char relabel[2] = {b->relabel, '\0'};
        json_t *o =
            json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "source", b->source, "root", b->root, "staged",
                b->staged ? b->staged : "", "target", b->target, "readonly", b->readonly, "relabel", relabel);

        if (json_array_append_new(a, o) < 0)
            return NULL;
    }
    return a ? json_to_string(a) : NULL;
}

static bool is_below(const char *dir, const char *path)
{
    return strcmp(dir, path) != 0 && str_path_covers(dir, path);
}

void create_binds_nest(struct create_bind *b, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct create_bind one = b[i];
        size_t k = i;

        for (; k > 0 && strlen(b[k - 1].target) > strlen(one.target); k--)
            b[k] = b[k - 1];
        b[k] = one;
    }
    for (size_t i = 0; i < n; i++) {
        b[i].inside = 0;
        for (size_t k = 0; k < i; k++) /* the last that fits is the longest */
            if (is_below(b[k].target, b[i].target))
                b[i].inside = k + 1;
    }
}

char *create_binds_path(const struct create_bind *binds, size_t i)
{
    const struct create_bind *outer = &binds[binds[i].inside - 1];
    char *path;

    return asprintf(
               &path, "%s%s", outer->staged ? outer->staged : "", binds[i].target + strlen(outer->target)) < 0
               ? NULL
               : path;
}

/* One element; what was copied so far stays in `b`, whose owner frees it. */
static int bind_from_json(const json_t *o, struct create_bind *b)
{
    const char *source, *root, *staged, *target, *relabel;
    int readonly, r;

    if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:s, s:s, s:s, s:b, s:s}", "source", &source, "root",
            &root, "staged", &staged, "target", &target, "readonly", &readonly, "relabel", &relabel) < 0)
        return -EBADMSG;
    if (!str_is_clean_path(source) || !str_is_clean_path(root) || !str_path_covers(root, source) ||
        !str_is_clean_path(target) || (*staged && !str_is_clean_path(staged)))
        return -EBADMSG;
    b->readonly = readonly;
    b->relabel = relabel[0];
    r = str_set(&b->source, source);
    if (r >= 0)
        r = str_set(&b->root, root);
    if (r >= 0)
        r = str_set(&b->target, target);
    if (r >= 0 && *staged)
        r = str_set(&b->staged, staged);
    return r;
}

/* Fills `binds`; on failure they are the caller's to free all the same. */
static int binds_from_json(const json_t *a, struct create_bind *binds, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = bind_from_json(json_array_get(a, i), &binds[i]);
    return r;
}

int create_binds_from_labels(const json_t *labels, struct create_bind **ret, size_t *ret_n)
{
    const char *text = json_string_value(json_object_get(labels, LABEL_BINDS));
    _cleanup_json_ json_t *a = NULL;
    struct create_bind *binds;
    size_t n;
    int r = 0;

    *ret = NULL;
    *ret_n = 0;
    if (!text)
        return 0;
    r = json_load_strict(text, strlen(text), CREATE_BODY_MAX, &a, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    n = json_array_size(a);
    if (!json_is_array(a) || n > CREATE_MOUNTS_MAX)
        return -EBADMSG;
    if (n == 0)
        return 0;
    binds = calloc(n, sizeof(*binds));
    if (!binds)
        return -ENOMEM;
    r = binds_from_json(a, binds, n);
    if (r < 0) {
        create_binds_free(binds, n);
        return r;
    }
    create_binds_nest(binds, n);
    *ret = binds;
    *ret_n = n;
    return 0;
}
