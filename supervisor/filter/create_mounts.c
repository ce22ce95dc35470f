/* create_mounts.c: binds and tmpfs of a create body, from Binds, Mounts and Tmpfs alike, into the model.
 * Whether a source exists and what its links are is not decided here: a bind is given to the engine only as
 * staged. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "filter/create_internal.h"
#include "filter/process.h"

#define PATH_TEXT_MAX 4095
#define TMPFS_MODE_DEFAULT 01777U
#define TMPFS_ID_MAX UINT64_C(4294967294)

/* Where a mount may not go: the engine's and the runtime's own files. */
static int check_target(struct create_ctx *c, const char *t, const struct field_at *at)
{
    static const char *const never[] = {"/proc", "/sys", "/dev", "/etc"};
    bool taken = false;

    if (!str_is_clean_path(t) || strcmp(t, "/") == 0 || strpbrk(t, ":,"))
        return refusal_set(at->refusal, 403, at->rule,
            "mount target %.96s must be absolute, below / and without empty, \".\" or \"..\" parts", t);
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        if (str_path_covers(never[i], t))
            return refusal_set(
                at->refusal, 403, at->rule, "mount targets under %s are not allowed", never[i]);
    for (size_t i = 0; i < c->m->n_binds; i++)
        taken |= strcmp(c->m->binds[i].target, t) == 0;
    for (size_t i = 0; i < c->m->n_tmpfs; i++)
        taken |= strcmp(c->m->tmpfs[i].target, t) == 0;
    if (taken)
        return refusal_set(at->refusal, 400, at->rule, "two mounts at %.96s", t);
    return 0;
}

/* A copy without the one trailing slash that people write; caller frees. */
static char *path_copy(const char *s, size_t n)
{
    if (n > 1 && s[n - 1] == '/' && s[n - 2] != '/')
        n--;
    return strndup(s, n);
}

/* Takes the strings of `b` over on success. */
static int add_bind(struct create_ctx *c, struct create_bind *b, const struct field_at *at)
{
    const char *root;
    int r;

    if (b->source[0] != '/')
        return refusal_set(
            at->refusal, 403, at->rule, "source %.96s: named volumes are not allowed", b->source);
    if (!str_is_clean_path(b->source))
        return refusal_set(at->refusal, 403, at->rule,
            "source %.96s must be without empty, \".\" or \"..\" parts", b->source);
    root = policy_bind_root(c->policy, b->source);
    if (!root)
        return refusal_set(
            at->refusal, 403, at->rule, "source %.96s is outside the tenant's directories", b->source);
    r = check_target(c, b->target, at);
    if (r < 0)
        return r;
    if (c->m->n_binds >= CREATE_MOUNTS_MAX)
        return refusal_set(at->refusal, 413, at->rule, "more than %d binds", CREATE_MOUNTS_MAX);
    b->root = strdup(root);
    if (!b->root)
        return -ENOMEM;
    c->m->binds[c->m->n_binds++] = *b;
    *b = (struct create_bind){0};
    return 0;
}

static void bind_drop(struct create_bind *b)
{
    free(b->source);
    free(b->target);
    free(b->root);
}

static bool word_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && strncmp(s, word, n) == 0;
}

/* "ro,z": each kind once. */
static int read_bind_options(const char *s, struct create_bind *b, const struct field_at *at)
{
    bool mode = false, label = false, propagation = false;

    while (true) {
        size_t n = strcspn(s, ",");
        bool *seen = NULL;

        if (word_is(s, n, "ro") || word_is(s, n, "rw")) {
            seen = &mode;
            b->readonly = s[1] == 'o';
        } else if (word_is(s, n, "z") || word_is(s, n, "Z")) {
            seen = &label;
            b->relabel = *s;
        } else if (word_is(s, n, "rprivate") || word_is(s, n, "consistent") || word_is(s, n, "cached") ||
                   word_is(s, n, "delegated")) {
            seen = &propagation;
        } else {
            return refusal_set(
                at->refusal, 403, at->rule, "bind option \"%.*s\" is not allowed", (int)MIN(n, 32U), s);
        }
        if (*seen)
            return refusal_set(at->refusal, 400, at->rule, "bind options contradict each other");
        *seen = true;
        if (s[n] == '\0')
            return 0;
        s += n + 1;
    }
}

/* "SRC:DST" or "SRC:DST:OPTIONS" */
static int read_bind(struct create_ctx *c, const json_t *v, const struct field_at *at)
{
    struct create_bind b = {0};
    const char *s, *options = NULL;
    size_t n_source, n_target;
    int r = fields_text(v, 2 * PATH_TEXT_MAX, at, &s);

    if (r < 0)
        return r;
    n_source = strcspn(s, ":");
    if (n_source == 0 || s[n_source] == '\0')
        return refusal_set(at->refusal, 400, at->rule, "a bind is SOURCE:TARGET[:OPTIONS]");
    n_target = strcspn(s + n_source + 1, ":");
    if (s[n_source + 1 + n_target] == ':')
        options = s + n_source + 1 + n_target + 1;
    if (n_target == 0 || (options && strchr(options, ':')))
        return refusal_set(at->refusal, 400, at->rule, "a bind is SOURCE:TARGET[:OPTIONS]");
    r = options ? read_bind_options(options, &b, at) : 0;
    if (r < 0)
        return r;
    b.source = path_copy(s, n_source);
    b.target = path_copy(s + n_source + 1, n_target);
    r = b.source && b.target ? add_bind(c, &b, at) : -ENOMEM;
    bind_drop(&b);
    return r;
}

int create_read_binds(void *ctx, const json_t *v, const struct field_at *at)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(v); i++)
        r = read_bind(ctx, json_array_get(v, i), at);
    return r;
}

/* Takes the target over on success. */
static int add_tmpfs(struct create_ctx *c, struct create_tmpfs *t, const struct field_at *at)
{
    int r = check_target(c, t->target, at);

    if (r < 0)
        return r;
    if (c->m->n_tmpfs >= CREATE_MOUNTS_MAX)
        return refusal_set(at->refusal, 413, at->rule, "more than %d tmpfs", CREATE_MOUNTS_MAX);
    if (t->bytes == 0 || t->bytes > c->policy->tmpfs_bytes)
        t->bytes = c->policy->tmpfs_bytes;
    c->m->tmpfs[c->m->n_tmpfs++] = *t;
    t->target = NULL;
    return 0;
}

/* One element of Mounts while it is read. */
struct mount {
    const char *type, *source, *target;
    bool readonly;
    bool has_bind_options, has_tmpfs_options;
    int64_t bytes;
    unsigned mode;
};

static int read_mount_type(void *ctx, const json_t *v, const struct field_at *at)
{
    return fields_text(v, 16, at, &((struct mount *)ctx)->type);
}

static int read_mount_source(void *ctx, const json_t *v, const struct field_at *at)
{
    return fields_text(v, PATH_TEXT_MAX, at, &((struct mount *)ctx)->source);
}

static int read_mount_target(void *ctx, const json_t *v, const struct field_at *at)
{
    return fields_text(v, PATH_TEXT_MAX, at, &((struct mount *)ctx)->target);
}

static int read_mount_readonly(void *ctx, const json_t *v, const struct field_at *at)
{
    (void)at;
    ((struct mount *)ctx)->readonly = json_is_true(v);
    return 0;
}

static int read_propagation(void *ctx, const json_t *v, const struct field_at *at)
{
    const char *s = json_string_value(v);

    (void)ctx;
    if (*s && strcmp(s, "rprivate") != 0)
        return refusal_set(at->refusal, 403, at->rule, "propagation %.16s is not allowed", s);
    return 0;
}

static int read_bind_struct(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Propagation", FIELD_STRING, read_propagation},
        {"NonRecursive", FIELD_ZERO, NULL},
        {"CreateMountpoint", FIELD_ZERO, NULL},
        {"ReadOnlyNonRecursive", FIELD_ZERO, NULL},
        {"ReadOnlyForceRecursive", FIELD_ZERO, NULL},
    };
    static const struct field_table table = {"create.BindOptions", rows, ARRAY_SIZE(rows), NULL};

    ((struct mount *)ctx)->has_bind_options = json_object_size(v) > 0;
    return fields_read(&table, v, ctx, at->refusal);
}

static int read_tmpfs_bytes(void *ctx, const json_t *v, const struct field_at *at)
{
    struct mount *m = ctx;

    m->bytes = json_integer_value(v);
    if (m->bytes < 0)
        return refusal_set(at->refusal, 400, at->rule, "SizeBytes is negative");
    return 0;
}

static int read_tmpfs_mode(void *ctx, const json_t *v, const struct field_at *at)
{
    int64_t mode;
    int r = fields_range(v, 0, 01777, at, &mode);

    if (r < 0)
        return r;
    ((struct mount *)ctx)->mode = mode ? (unsigned)mode : TMPFS_MODE_DEFAULT;
    return 0;
}

static int read_tmpfs_struct(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"SizeBytes", FIELD_INT, read_tmpfs_bytes},
        {"Mode", FIELD_INT, read_tmpfs_mode},
        {"Options", FIELD_ZERO, NULL},
    };
    static const struct field_table table = {"create.TmpfsOptions", rows, ARRAY_SIZE(rows), NULL};

    ((struct mount *)ctx)->has_tmpfs_options = json_object_size(v) > 0;
    return fields_read(&table, v, ctx, at->refusal);
}

static int accept_mount(struct create_ctx *c, const struct mount *m, const struct field_at *at)
{
    int r;

    if (strcmp(m->type, "bind") == 0 && !m->has_tmpfs_options) {
        struct create_bind b = {.readonly = m->readonly,
            .source = path_copy(m->source, strlen(m->source)),
            .target = path_copy(m->target, strlen(m->target))};

        r = b.source && b.target ? add_bind(c, &b, at) : -ENOMEM;
        bind_drop(&b);
        return r;
    }
    if (strcmp(m->type, "tmpfs") == 0 && !m->has_bind_options) {
        struct create_tmpfs t = {.target = path_copy(m->target, strlen(m->target)),
            .bytes = (uint64_t)m->bytes,
            .mode = m->mode,
            .uid = -1,
            .gid = -1};

        if (*m->source || m->readonly)
            r = refusal_set(at->refusal, 400, at->rule, "a tmpfs has no source and is writable");
        else
            r = t.target ? add_tmpfs(c, &t, at) : -ENOMEM;
        free(t.target);
        return r;
    }
    return refusal_set(at->refusal, 403, at->rule, "mounts of type \"%.16s\" are not allowed", m->type);
}

int create_read_mounts(void *ctx, const json_t *v, const struct field_at *at)
{
    static const struct field rows[] = {
        {"Type", FIELD_STRING, read_mount_type},
        {"Source", FIELD_STRING, read_mount_source},
        {"Target", FIELD_STRING, read_mount_target},
        {"ReadOnly", FIELD_BOOL, read_mount_readonly},
        {"Consistency", FIELD_STRING, NULL},
        {"BindOptions", FIELD_OBJECT, read_bind_struct},
        {"VolumeOptions", FIELD_ZERO, NULL},
        {"ImageOptions", FIELD_ZERO, NULL},
        {"TmpfsOptions", FIELD_OBJECT, read_tmpfs_struct},
        {"ClusterOptions", FIELD_ZERO, NULL},
    };
    static const struct field_table table = {"create.Mounts", rows, ARRAY_SIZE(rows), NULL};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(v); i++) {
        struct mount m = {.type = "", .source = "", .target = "", .mode = TMPFS_MODE_DEFAULT};

        r = fields_read(&table, json_array_get(v, i), &m, at->refusal);
        if (r >= 0)
            r = accept_mount(ctx, &m, at);
    }
    return r;
}

/* "64m", "1048576": as the kernel's memparse(), without its other suffixes. */
static int parse_tmpfs_size(const char *s, uint64_t *ret)
{
    char digits[24];
    size_t n = strspn(s, "0123456789");
    unsigned shift = 0;
    uint64_t v;

    if (n == 0 || n >= sizeof(digits))
        return -EINVAL;
    if (s[n] != '\0') {
        const char *units = "kmg", *u = strchr(units, s[n] | 0x20);

        if (!u || s[n + 1] != '\0')
            return -EINVAL;
        shift = 10 * (unsigned)(u - units + 1);
    }
    memcpy(digits, s, n);
    digits[n] = '\0';
    if (str_parse_u64(digits, UINT64_MAX >> shift, &v) < 0)
        return -EINVAL;
    *ret = v << shift;
    return 0;
}

static int parse_octal(const char *s, unsigned max, unsigned *ret)
{
    unsigned v = 0;

    if (!*s || strlen(s) > 5)
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '7')
            return -EINVAL;
        v = v * 8 + (unsigned)(*s - '0');
    }
    if (v > max)
        return -ERANGE;
    *ret = v;
    return 0;
}

static int parse_id(const char *s, int64_t *ret)
{
    uint64_t v;

    if (str_parse_u64(s, TMPFS_ID_MAX, &v) < 0)
        return -EINVAL;
    *ret = (int64_t)v;
    return 0;
}

/* One of "exec", "size=64m" ... `word` is NUL-terminated. */
static int read_tmpfs_option(const char *word, struct create_tmpfs *t, const struct field_at *at)
{
    static const char *const forced[] = {"rw", "nosuid", "nodev", "noexec", ""};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(forced); i++)
        if (strcmp(word, forced[i]) == 0) {
            t->exec = t->exec && strcmp(word, "noexec") != 0;
            return 0;
        }
    if (strcmp(word, "exec") == 0)
        t->exec = true;
    else if (str_startswith(word, "size="))
        r = parse_tmpfs_size(word + strlen("size="), &t->bytes);
    else if (str_startswith(word, "mode="))
        r = parse_octal(word + strlen("mode="), 01777, &t->mode);
    else if (str_startswith(word, "uid="))
        r = parse_id(word + strlen("uid="), &t->uid);
    else if (str_startswith(word, "gid="))
        r = parse_id(word + strlen("gid="), &t->gid);
    else
        return refusal_set(at->refusal, 403, at->rule, "tmpfs option %.32s is not allowed", word);
    if (r < 0)
        return refusal_set(at->refusal, 400, at->rule, "tmpfs option %.32s is malformed", word);
    return 0;
}

static int read_tmpfs_options(const char *s, struct create_tmpfs *t, const struct field_at *at)
{
    char word[64];
    int r = 0;

    while (r >= 0) {
        size_t n = strcspn(s, ",");

        if (n >= sizeof(word))
            return refusal_set(at->refusal, 400, at->rule, "a tmpfs option is too long");
        memcpy(word, s, n);
        word[n] = '\0';
        r = read_tmpfs_option(word, t, at);
        if (s[n] == '\0')
            break;
        s += n + 1;
    }
    return r;
}

int create_read_tmpfs(void *ctx, const json_t *v, const struct field_at *at)
{
    json_t *o = (json_t *)(uintptr_t)v; /* the iteration API takes a mutable object */
    int r = 0;

    for (void *it = json_object_iter(o); it && r >= 0; it = json_object_iter_next(o, it)) {
        const char *target = json_object_iter_key(it), *options;
        struct create_tmpfs t = {.mode = TMPFS_MODE_DEFAULT, .uid = -1, .gid = -1};

        if (!json_is_string(json_object_iter_value(it)) || !fields_is_clean(target))
            return refusal_set(at->refusal, 400, at->rule, "Tmpfs maps paths to option strings");
        r = fields_text(json_object_iter_value(it), 512, at, &options);
        if (r >= 0)
            r = read_tmpfs_options(options, &t, at);
        if (r < 0)
            return r;
        t.target = path_copy(target, strlen(target));
        r = t.target ? add_tmpfs(ctx, &t, at) : -ENOMEM;
        free(t.target);
    }
    return r;
}

int create_read_volumes(void *ctx, const json_t *v, const struct field_at *at)
{
    (void)at;
    ((struct create_ctx *)ctx)->volumes = v;
    return 0;
}

/* `own`: a mount of the engine's; a bind inside another is part of that one's. */
static bool is_target(const struct create_model *m, const char *path, bool own)
{
    for (size_t i = 0; i < m->n_binds; i++)
        if (strcmp(m->binds[i].target, path) == 0)
            return !own || !m->binds[i].inside;
    for (size_t i = 0; i < m->n_tmpfs; i++)
        if (strcmp(m->tmpfs[i].target, path) == 0)
            return true;
    return false;
}

/* A member of `o` that is no mount's target, or has a value; NULL: there is none. */
static int find_volume(const struct create_model *m, const json_t *volumes, bool own, const char **ret)
{
    json_t *o = (json_t *)(uintptr_t)volumes; /* the iteration API takes a mutable object */

    *ret = NULL;
    for (void *it = json_object_iter(o); it && !*ret; it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);
        _cleanup_free_ char *path = path_copy(key, strlen(key));

        if (!path)
            return -ENOMEM;
        if (!json_is_zero(json_object_iter_value(it)) || !is_target(m, path, own))
            *ret = key;
    }
    return 0;
}

/* Docker's Python library names the target of each bind here too. Any other path would be a volume of its
 * own. */
int create_settle_volumes(const struct create_ctx *c, struct refusal *refusal)
{
    const char *path;
    int r = find_volume(c->m, c->volumes, false, &path);

    return r >= 0 && path ? refusal_set(refusal, 403, "create.Volumes", "volume %.96s is not allowed", path)
                          : r;
}

int create_check_image(const struct create_model *m, const json_t *image, struct refusal *refusal)
{
    const char *path;
    int r = find_volume(m, json_object_get(json_object_get(image, "Config"), "Volumes"), true, &path);

    return r >= 0 && path ? refusal_set(refusal, 403, "create.Image",
                                "the image declares a volume at %.96s: mount a tmpfs or a bind there", path)
                          : r;
}
