/* registry.c: see registry.h. A tenant has a handful of containers (policy.max_containers), so an array and
 * plain loops are faster and smaller than a hash table. */
#include "proxy/registry.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "filter/create.h"

#define PREFIX_MIN 4
#define PAST_MAX 256
#define BANNED_MAX 64

struct container {
    char id[REGISTRY_ID_LEN + 1];
    char name[NAMES_ENGINE_MAX + 1];         /* the engine's, without the slash */
    char client[NAMES_ENGINE_MAX + 1];       /* the name by which the client knows it */
    json_t *staged;                          /* array of paths; NULL: none */
    unsigned idle_execs;                     /* created, not started */
    bool seen, renamed, staging_done, binds; /* seen, renamed: since the mark */
};

struct registry {
    const struct policy *policy;
    const struct names *names;
    struct container *items;
    size_t n, cap;
    char **creating; /* engine names of creates that have not ended */
    size_t n_creating;
    char past[PAST_MAX][REGISTRY_ID_LEN + 1]; /* rings */
    char banned[BANNED_MAX][REGISTRY_ID_LEN + 1];
    uint64_t past_mark[PAST_MAX]; /* how many lists had been asked for when it went */
    uint64_t marks;
    size_t next_past, next_banned;
    struct registry_exec *execs; /* a ring */
    size_t n_execs, next_exec;
    unsigned idle_execs; /* of the gateway, which is no entry */
    registry_unstage_fn unstage;
    void *unstage_ctx;
};

int registry_new(const struct policy *p, const struct names *n, struct registry **ret)
{
    struct registry *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->policy = p;
    r->names = n;
    *ret = r;
    return 0;
}

static void container_done(struct container *c)
{
    json_decref(c->staged);
}

struct registry *registry_free(struct registry *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; i < r->n; i++)
        container_done(&r->items[i]);
    for (size_t i = 0; i < r->n_creating; i++)
        free(r->creating[i]);
    free(r->creating);
    free(r->items);
    free(r->execs);
    free(r);
    return NULL;
}

void registry_set_unstage(struct registry *r, registry_unstage_fn fn, void *ctx)
{
    r->unstage = fn;
    r->unstage_ctx = ctx;
}

static struct container *find_id(const struct registry *r, const char *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->items[i].id, id) == 0)
            return &r->items[i];
    return NULL;
}

static int container_name(const struct registry *r, struct container *c, const char *engine_name)
{
    int k = names_from_engine(r->names, engine_name, c->client);

    if (k < 0 || strlen(engine_name) > NAMES_ENGINE_MAX)
        return -EINVAL;
    memcpy(c->name, engine_name, strlen(engine_name) + 1);
    return 0;
}

int registry_add(struct registry *r, const char *id, const char *engine_name)
{
    struct container *c;
    int k;

    if (!str_is_hex(id, REGISTRY_ID_LEN))
        return -EINVAL;
    c = find_id(r, id);
    if (c) {
        c->seen = true;
        return c->renamed || strcmp(c->name, engine_name) == 0 ? 0 : container_name(r, c, engine_name);
    }
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct container *items = reallocarray(r->items, cap, sizeof(*items));

        if (!items)
            return -ENOMEM;
        r->items = items;
        r->cap = cap;
    }
    c = &r->items[r->n];
    *c = (struct container){.seen = true};
    memcpy(c->id, id, REGISTRY_ID_LEN + 1);
    k = container_name(r, c, engine_name);
    if (k >= 0)
        r->n++;
    return k;
}

int registry_add_staged(struct registry *r, const char *id, const char *path)
{
    struct container *c = find_id(r, id);

    if (!c)
        return -ENOENT;
    if (!c->staged)
        c->staged = json_array();
    for (size_t i = 0; i < json_array_size(c->staged); i++)
        if (strcmp(json_string_value(json_array_get(c->staged, i)), path) == 0)
            return 0;
    return json_array_append_new(c->staged, json_string(path)) < 0 ? -ENOMEM : 0;
}

void registry_set_binds(struct registry *r, const char *id)
{
    struct container *c = find_id(r, id);

    if (c)
        c->binds = true;
}

bool registry_has_binds(const struct registry *r, const char *id)
{
    const struct container *c = find_id(r, id);

    return c && c->binds;
}

int registry_rename(struct registry *r, const char *id, const char *engine_name)
{
    struct container *c = find_id(r, id);

    if (!c)
        return -ENOENT;
    c->renamed = true;
    return container_name(r, c, engine_name);
}

static void forget_execs(struct registry *r, const char *container)
{
    for (size_t i = 0; i < r->n_execs; i++)
        if (strcmp(r->execs[i].container, container) == 0)
            r->execs[i] = (struct registry_exec){0};
}

void registry_remove(struct registry *r, const char *id)
{
    struct container *c = find_id(r, id), gone;

    if (!c)
        return;
    gone = *c;
    *c = r->items[--r->n];
    memcpy(r->past[r->next_past % PAST_MAX], gone.id, sizeof(gone.id));
    r->past_mark[r->next_past++ % PAST_MAX] = r->marks;
    forget_execs(r, gone.id);
    for (size_t i = 0; i < json_array_size(gone.staged) && r->unstage; i++)
        r->unstage(r->unstage_ctx, json_string_value(json_array_get(gone.staged, i)));
    container_done(&gone);
}

bool registry_has(const struct registry *r, const char *id)
{
    return find_id(r, id) != NULL;
}

bool registry_was_own(const struct registry *r, const char *id)
{
    for (size_t i = 0; i < PAST_MAX; i++)
        if (strcmp(r->past[i], id) == 0)
            return true;
    return false;
}

/* True for one that went after the list on its way was asked for, which may still name it. */
static bool went_since_mark(const struct registry *r, const char *id)
{
    for (size_t i = 0; i < PAST_MAX; i++)
        if (r->past_mark[i] == r->marks && strcmp(r->past[i], id) == 0)
            return true;
    return false;
}

static bool is_banned(const struct registry *r, const char *id)
{
    for (size_t i = 0; i < BANNED_MAX; i++)
        if (strcmp(r->banned[i], id) == 0)
            return true;
    return false;
}

void registry_ban(struct registry *r, const char *id)
{
    if (str_is_hex(id, REGISTRY_ID_LEN) && !is_banned(r, id))
        memcpy(r->banned[r->next_banned++ % BANNED_MAX], id, REGISTRY_ID_LEN + 1);
}

bool registry_needs_staging(const struct registry *r, const char *id)
{
    const struct container *c = find_id(r, id);

    return c && json_array_size(c->staged) > 0 && !c->staging_done;
}

void registry_set_staging_done(struct registry *r, const char *id)
{
    struct container *c = find_id(r, id);

    if (c)
        c->staging_done = true;
}

size_t registry_count(const struct registry *r)
{
    return r->n;
}

const char *registry_find(const struct registry *r, const char *ref)
{
    const struct container *found = NULL;
    size_t len = strlen(ref);

    if (len == REGISTRY_ID_LEN)
        found = find_id(r, ref);
    for (size_t i = 0; i < r->n && !found; i++)
        if (strcmp(r->items[i].client, ref) == 0)
            found = &r->items[i];
    if (found)
        return found->id;
    if (len < PREFIX_MIN || len >= REGISTRY_ID_LEN || !str_is_hex(ref, len))
        return NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (strncmp(r->items[i].id, ref, len) != 0)
            continue;
        if (found)
            return NULL; /* ambiguous among our own */
        found = &r->items[i];
    }
    return found ? found->id : NULL;
}

bool registry_row_is_own(const struct registry *r, const json_t *labels, const char *engine_name)
{
    const char *tenant = json_string_value(json_object_get(labels, LABEL_TENANT));
    const char *role = json_string_value(json_object_get(labels, LABEL_ROLE));

    return tenant && strcmp(tenant, r->policy->tenant) == 0 && role && strcmp(role, ROLE_SANDBOX) == 0 &&
           engine_name && names_is_own(r->names, engine_name);
}

/* The row's own name: the engine gives "/NAME", and "/OTHER/ALIAS" for a legacy link. */
static const char *row_name(const json_t *row)
{
    const json_t *names = json_object_get(row, "Names");

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *s = json_string_value(json_array_get(names, i));

        if (s && s[0] == '/' && s[1] && !strchr(s + 1, '/'))
            return s + 1;
    }
    return NULL;
}

/* A bind whose source is no configured root was staged for us, by this proxy or the one before it. */
static int sync_binds(struct registry *r, const char *id, const json_t *mounts)
{
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *m = json_array_get(mounts, i);
        const char *type = json_string_value(json_object_get(m, "Type"));
        const char *source = json_string_value(json_object_get(m, "Source"));
        int k;

        if (!type || strcmp(type, "bind") != 0)
            continue;
        registry_set_binds(r, id);
        if (!source || policy_list_has(&r->policy->bind_mount_from, source))
            continue;
        k = registry_add_staged(r, id, source);
        if (k < 0)
            return k;
    }
    return 0;
}

/* The index of a reserved name; n_creating when there is none. */
static size_t is_creating(const struct registry *r, const char *engine_name)
{
    size_t i = 0;

    while (i < r->n_creating && strcmp(r->creating[i], engine_name) != 0)
        i++;
    return i;
}

static int sync_row(struct registry *r, const json_t *row)
{
    const char *id = json_string_value(json_object_get(row, "Id")), *name = row_name(row);
    bool known;
    int k;

    if (!id || !str_is_hex(id, REGISTRY_ID_LEN))
        return -EBADMSG;
    if (!registry_row_is_own(r, json_object_get(row, "Labels"), name) ||
        is_creating(r, name) < r->n_creating || is_banned(r, id) || went_since_mark(r, id))
        return 0;
    known = registry_has(r, id);
    k = registry_add(r, id, name);
    if (k >= 0)
        k = sync_binds(r, id, json_object_get(row, "Mounts"));
    return k < 0 ? k : !known;
}

void registry_mark(struct registry *r)
{
    r->marks++;
    for (size_t i = 0; i < r->n; i++)
        r->items[i].seen = r->items[i].renamed = false;
}

int registry_sync(struct registry *r, const json_t *rows)
{
    int changed = 0;

    if (!json_is_array(rows))
        return -EBADMSG;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        int k = sync_row(r, json_array_get(rows, i));

        if (k < 0)
            return k;
        changed += k;
    }
    for (size_t i = r->n; i-- > 0;)
        if (!r->items[i].seen) {
            registry_remove(r, r->items[i].id);
            changed++;
        }
    return changed;
}

int registry_reserve(struct registry *r, const char *engine_name)
{
    char **creating;

    if (r->n + r->n_creating >= r->policy->max_containers)
        return -EDQUOT;
    if (is_creating(r, engine_name) < r->n_creating)
        return -EEXIST;
    creating = reallocarray(r->creating, r->n_creating + 1, sizeof(*creating));
    if (!creating)
        return -ENOMEM;
    r->creating = creating;
    creating[r->n_creating] = strdup(engine_name);
    if (!creating[r->n_creating])
        return -ENOMEM;
    r->n_creating++;
    return 0;
}

void registry_release(struct registry *r, const char *engine_name)
{
    size_t i = is_creating(r, engine_name);

    if (i == r->n_creating)
        return;
    free(r->creating[i]);
    r->creating[i] = r->creating[--r->n_creating];
}

const char *registry_find_engine_name(const struct registry *r, const char *engine_name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->items[i].name, engine_name) == 0)
            return r->items[i].id;
    return NULL;
}

static struct registry_exec *exec_find(const struct registry *r, const char *id)
{
    if (!str_is_hex(id, REGISTRY_ID_LEN))
        return NULL;
    for (size_t i = 0; i < r->n_execs; i++)
        if (strcmp(r->execs[i].id, id) == 0)
            return &r->execs[i];
    return NULL;
}

static unsigned *idle_execs(struct registry *r, const char *container)
{
    struct container *c = find_id(r, container);

    return c ? &c->idle_execs : &r->idle_execs;
}

int registry_exec_reserve(struct registry *r, const char *container)
{
    unsigned *idle = idle_execs(r, container);

    if (*idle >= REGISTRY_EXECS_IDLE_MAX)
        return -EDQUOT;
    ++*idle;
    return 0;
}

void registry_exec_release(struct registry *r, const char *container)
{
    unsigned *idle = idle_execs(r, container);

    *idle -= *idle > 0;
}

int registry_exec_add(struct registry *r, const char *id, const char *container)
{
    struct registry_exec *x;

    if (!str_is_hex(id, REGISTRY_ID_LEN) || !str_is_hex(container, REGISTRY_ID_LEN))
        return -EINVAL;
    if (r->n_execs < REGISTRY_EXECS_MAX) {
        struct registry_exec *execs = r->execs;

        if (r->n_execs % 32 == 0)
            execs = reallocarray(r->execs, r->n_execs + 32, sizeof(*execs));
        if (!execs)
            return -ENOMEM;
        r->execs = execs;
        x = &r->execs[r->n_execs++];
    } else {
        x = &r->execs[r->next_exec];
        r->next_exec = (r->next_exec + 1) % REGISTRY_EXECS_MAX;
    }
    *x = (struct registry_exec){0};
    memcpy(x->id, id, sizeof(x->id));
    memcpy(x->container, container, sizeof(x->container));
    return 0;
}

const struct registry_exec *registry_exec_at(const struct registry *r, size_t i)
{
    return i < r->n_execs ? &r->execs[i] : NULL;
}

const struct registry_exec *registry_exec_find(const struct registry *r, const char *id)
{
    return exec_find(r, id);
}

int registry_exec_start(struct registry *r, const char *id)
{
    struct registry_exec *x = exec_find(r, id);

    if (!x)
        return -ENOENT;
    if (x->started)
        return -EALREADY;
    x->started = true;
    registry_exec_release(r, x->container);
    return 0;
}
