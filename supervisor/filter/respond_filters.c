/* respond_filters.c: the `filters` of lists and events: parsed against a table per list and applied by
 * ourselves, on own objects only. The engine never sees a client's filter. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "filter/fields.h"
#include "filter/glob.h"
#include "filter/respond_internal.h"

#define FILTERS_TEXT_MAX ((size_t)16 * 1024)
#define VALUES_MAX 64
#define VALUE_MAX 512

struct respond_filters {
    json_t *map; /* key -> array of strings */
};

/* Which filters each list understands. */
static const char *const container_keys[] = {
    "ancestor", "before", "exited", "health", "id", "label", "name", "network", "since", "status", NULL};
static const char *const image_keys[] = {"dangling", "label", "reference", NULL};
static const char *const event_keys[] = {"container", "event", "image", "label", "type", NULL};
static const char *const *const keys_of[_RESPOND_LIST_MAX] = {
    [RESPOND_CONTAINERS] = container_keys,
    [RESPOND_IMAGES] = image_keys,
    [RESPOND_EVENTS] = event_keys,
};

static bool is_known(enum respond_list kind, const char *key)
{
    for (const char *const *k = keys_of[kind]; *k; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

static int add_value(json_t *values, const char *s, struct refusal *refusal)
{
    if (strlen(s) > VALUE_MAX || !fields_is_clean(s) || json_array_size(values) >= VALUES_MAX)
        return refusal_set(refusal, 400, "list.filters", "a filter has too many or malformed values");
    return json_array_append_new(values, json_string(s)) < 0 ? -ENOMEM : 0;
}

/* ["a", "b"], or {"a": true, "b": true} as old clients write it. */
static int read_values(json_t *in, json_t *values, struct refusal *refusal)
{
    int r = 0;

    if (json_is_array(in)) {
        for (size_t i = 0; r >= 0 && i < json_array_size(in); i++) {
            const char *s = json_string_value(json_array_get(in, i));

            r = s ? add_value(values, s, refusal)
                  : refusal_set(refusal, 400, "list.filters", "a filter's value must be a string");
        }
        return r;
    }
    if (!json_is_object(in))
        return refusal_set(refusal, 400, "list.filters", "a filter must be an array of strings");
    for (void *it = json_object_iter(in); it && r >= 0; it = json_object_iter_next(in, it)) {
        if (!json_is_boolean(json_object_iter_value(it)))
            return refusal_set(refusal, 400, "list.filters", "a filter's value must be true or false");
        if (json_is_true(json_object_iter_value(it)))
            r = add_value(values, json_object_iter_key(it), refusal);
    }
    return r;
}

static int read_filter(
    struct respond_filters *f, enum respond_list kind, const char *key, json_t *in, struct refusal *refusal)
{
    _cleanup_json_ json_t *values = json_array();
    int r;

    if (!values)
        return -ENOMEM;
    if (!is_known(kind, key))
        return refusal_set(refusal, 403, "list.filters", "filter %.64s is not supported", key);
    r = read_values(in, values, refusal);
    if (r < 0 || json_array_size(values) == 0)
        return r;
    if ((strcmp(key, "before") == 0 || strcmp(key, "since") == 0) && json_array_size(values) > 1)
        return refusal_set(refusal, 400, "list.filters", "only one %s is possible", key);
    return respond_put(f->map, key, TAKE_PTR(values));
}

static struct respond_filters *filters_new(void)
{
    struct respond_filters *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->map = json_object();
    return f->map ? f : respond_filters_free(f);
}

int respond_filters_parse(
    enum respond_list kind, const char *text, struct respond_filters **ret, struct refusal *refusal)
{
    _cleanup_respond_filters_ struct respond_filters *f = filters_new();
    _cleanup_json_ json_t *o = NULL;
    struct err e = {{0}};
    int r = 0;

    if (refusal)
        *refusal = (struct refusal){0};
    if (!f)
        return -ENOMEM;
    if (text && *text) {
        r = json_load_strict(text, strlen(text), FILTERS_TEXT_MAX, &o, &e);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            return refusal_set(refusal, 400, "list.filters", "filters: %s", e.msg);
        if (!json_is_object(o))
            return refusal_set(refusal, 400, "list.filters", "filters must be an object");
    }
    for (void *it = json_object_iter(o); it && r >= 0; it = json_object_iter_next(o, it))
        r = read_filter(f, kind, json_object_iter_key(it), json_object_iter_value(it), refusal);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(f);
    return 0;
}

struct respond_filters *respond_filters_free(struct respond_filters *f)
{
    if (!f)
        return NULL;
    json_decref(f->map);
    free(f);
    return NULL;
}

const char *respond_filters_value(const struct respond_filters *f, const char *key)
{
    return f ? json_string_value(json_array_get(json_object_get(f->map, key), 0)) : NULL;
}

/* ---------------------------------------------------------------- matching: one function per key */
typedef bool (*match_fn)(const char *want, const struct respond_subject *s);

static bool match_id(const char *want, const struct respond_subject *s)
{
    return s->id && *want && str_startswith(s->id, want);
}

/* The engine's rule: an expression that matches anywhere in the name, with or without its slash. */
static bool match_name(const char *want, const struct respond_subject *s)
{
    char pattern[VALUE_MAX + 32], slashed[256];
    _cleanup_glob_ struct glob *g = NULL;

    if (!s->name)
        return false;
    (void)snprintf(slashed, sizeof(slashed), "/%s", s->name);
    if (strcmp(want, s->name) == 0 || strcmp(want, slashed) == 0)
        return true;
    (void)snprintf(pattern, sizeof(pattern), "regex:.*(?:%s).*", want);
    if (glob_new(pattern, &g, NULL) < 0)
        return strstr(slashed, want) != NULL;
    return glob_match(g, s->name) || glob_match(g, slashed);
}

static bool match_image(const char *want, const struct respond_subject *s)
{
    static const char sha[] = "sha256:";
    size_t n = s->image ? strlen(s->image) : 0;

    if (!*want)
        return false;
    if (s->image_id &&
        (str_startswith(s->image_id, want) ||
            (str_startswith(s->image_id, sha) && str_startswith(s->image_id + strlen(sha), want))))
        return true;
    /* "img" stands for "img:latest", whichever side says so. */
    return s->image &&
           (strcmp(s->image, want) == 0 ||
               (str_startswith(want, s->image) && strcmp(want + n, ":latest") == 0) ||
               (str_startswith(s->image, want) && strcmp(s->image + strlen(want), ":latest") == 0));
}

static bool match_status(const char *want, const struct respond_subject *s)
{
    return str_eq(s->state, want);
}

/* Status is "Exited (137) 2 hours ago". */
static bool match_exited(const char *want, const struct respond_subject *s)
{
    const char *code = s->status && str_startswith(s->status, "Exited (") ? s->status + 8 : NULL;

    return code && *want && str_startswith(code, want) && code[strlen(want)] == ')';
}

/* Sandboxes have no health check; only a gateway's row could say otherwise, and it is in no list. */
static bool match_health(const char *want, const struct respond_subject *s)
{
    (void)s;
    return strcmp(want, "none") == 0;
}

static bool match_network(const char *want, const struct respond_subject *s)
{
    json_t *nets = (json_t *)(uintptr_t)s->networks; /* the iteration API takes a mutable object */

    for (void *it = json_object_iter(nets); it; it = json_object_iter_next(nets, it))
        if (strcmp(json_object_iter_key(it), want) == 0 ||
            str_eq(respond_text(json_object_iter_value(it), "NetworkID"), want))
            return true;
    return false;
}

static bool match_container(const char *want, const struct respond_subject *s)
{
    return match_id(want, s) || str_eq(s->name, *want == '/' ? want + 1 : want);
}

/* "health_status" stands for "health_status: healthy" too. */
static bool match_event(const char *want, const struct respond_subject *s)
{
    size_t n = strlen(want);

    return s->event && strncmp(s->event, want, n) == 0 && (s->event[n] == '\0' || s->event[n] == ':');
}

static bool match_type(const char *want, const struct respond_subject *s)
{
    (void)s;
    return strcmp(want, "container") == 0;
}

static bool match_label(const char *want, const json_t *labels)
{
    size_t n = strcspn(want, "=");
    char key[VALUE_MAX + 1];
    const char *value;

    memcpy(key, want, n);
    key[n] = '\0';
    value = strcmp(key, LABEL_BINDS) == 0 ? NULL : respond_text(labels, key);
    return value && (want[n] == '\0' || strcmp(value, want + n + 1) == 0);
}

static bool match_labels(const struct respond_filters *f, const json_t *labels)
{
    const json_t *values = json_object_get(f->map, "label");

    for (size_t i = 0; i < json_array_size(values); i++)
        if (!match_label(json_string_value(json_array_get(values, i)), labels))
            return false;
    return true;
}

/* One of the key's values matches, or the key was not given. */
static bool match_any(
    const struct respond_filters *f, const char *key, match_fn match, const struct respond_subject *s)
{
    const json_t *values = json_object_get(f->map, key);
    size_t n = json_array_size(values);

    for (size_t i = 0; i < n; i++)
        if (match(json_string_value(json_array_get(values, i)), s))
            return true;
    return n == 0;
}

bool respond_filters_is_empty(const struct respond_filters *f)
{
    return !f || json_object_size(f->map) == 0;
}

bool respond_filters_match(const struct respond_filters *f, const struct respond_subject *s)
{
    static const struct {
        const char *key;
        match_fn match;
    } matchers[] = {{"id", match_id}, {"name", match_name}, {"ancestor", match_image}, {"image", match_image},
        {"status", match_status}, {"exited", match_exited}, {"health", match_health},
        {"network", match_network}, {"container", match_container}, {"event", match_event},
        {"type", match_type}};

    if (!f)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(matchers); i++)
        if (!match_any(f, matchers[i].key, matchers[i].match, s))
            return false;
    return match_labels(f, s->labels);
}

/* "repo:tag", "repo", or a glob over either. */
static bool match_reference(const char *want, const json_t *tags)
{
    _cleanup_glob_ struct glob *g = NULL;

    if (str_startswith(want, "regex:") || glob_new(want, &g, NULL) < 0)
        return false;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i)), *colon = tag ? strrchr(tag, ':') : NULL;
        char repo[256];

        if (!tag)
            continue;
        if (glob_match(g, tag))
            return true;
        if (!colon || strchr(colon, '/') || (size_t)(colon - tag) >= sizeof(repo))
            continue;
        memcpy(repo, tag, (size_t)(colon - tag));
        repo[colon - tag] = '\0';
        if (glob_match(g, repo))
            return true;
    }
    return false;
}

bool respond_filters_match_image(const struct respond_filters *f, const json_t *tags, const json_t *labels)
{
    const json_t *references = f ? json_object_get(f->map, "reference") : NULL;
    const char *dangling = respond_filters_value(f, "dangling");
    bool found = json_array_size(references) == 0;

    if (!f)
        return true;
    /* Every image that is shown has a tag. */
    if (dangling && (strcmp(dangling, "true") == 0 || strcmp(dangling, "1") == 0))
        return false;
    for (size_t i = 0; !found && i < json_array_size(references); i++)
        found = match_reference(json_string_value(json_array_get(references, i)), tags);
    return found && match_labels(f, labels);
}
