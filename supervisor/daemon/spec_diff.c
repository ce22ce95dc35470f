/* spec_diff.c: see spec_diff.h. What the body leaves open is the image's, as the engine fills it in. */
#include "daemon/spec_diff.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "daemon/spec.h"

#define VALUE_SHOWN 120

static const json_t *at(const json_t *o, const char *a, const char *b)
{
    return json_object_get(json_object_get(o, a), b);
}

/* As people read it: a text bare, nothing as "none", the rest as JSON, cut. */
static void show(const json_t *v, char *out, size_t n)
{
    _cleanup_free_ char *text = NULL;

    if (json_is_string(v) && *json_string_value(v)) {
        (void)snprintf(out, n, "%s", json_string_value(v));
        return;
    }
    if (json_is_zero(v)) {
        (void)snprintf(out, n, "none");
        return;
    }
    text = json_is_object(v) || json_is_array(v) ? json_to_string(v) : json_dumps(v, JSON_ENCODE_ANY);
    (void)snprintf(out, n, "%s", text ? text : "?");
}

static void differ(json_t *out, const char *key, const json_t *old, const json_t *fresh)
{
    char a[VALUE_SHOWN], b[VALUE_SHOWN];

    if (json_equal(old, fresh) || (json_is_zero(old) && json_is_zero(fresh)))
        return;
    show(old, a, sizeof(a));
    show(fresh, b, sizeof(b));
    (void)json_array_append_new(out, json_sprintf("%s: %s -> %s", key, a, b));
}

/* ---------------------------------------------------------------- the process */

static void diff_process(const json_t *inspect, const json_t *body, const json_t *image, json_t *out)
{
    static const char *const keys[] = {"User", "WorkingDir", "Entrypoint", "Cmd"};
    const json_t *id = json_object_get(image, "Id");

    differ(out, "Image", at(inspect, "Config", "Image"), json_object_get(body, "Image"));
    if (image && !json_equal(json_object_get(inspect, "Image"), id) &&
        json_equal(at(inspect, "Config", "Image"), json_object_get(body, "Image")))
        differ(out, "Image (built anew under its name)", json_object_get(inspect, "Image"), id);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *fresh = json_object_get(body, keys[i]);
        /* A command is the image's only together with the image's entry point. */
        bool open = json_is_zero(fresh) &&
                    (strcmp(keys[i], "Cmd") != 0 || json_is_zero(json_object_get(body, "Entrypoint")));

        if (open && !image)
            continue; /* not known */
        differ(out, keys[i], at(inspect, "Config", keys[i]), open ? at(image, "Config", keys[i]) : fresh);
    }
}

/* ---------------------------------------------------------------- environment */

static const char *find_env(const json_t *list, const char *entry)
{
    size_t n = strcspn(entry, "="), i;
    const char *found = NULL;
    const json_t *v;

    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v);

        if (s && strncmp(s, entry, n) == 0 && (s[n] == '=' || s[n] == '\0'))
            found = s; /* the last one counts */
    }
    return found;
}

static void env_word(json_t *out, const char *entry, const char *word)
{
    (void)json_array_append_new(out, json_sprintf("Env %.*s: %s", (int)strcspn(entry, "="), entry, word));
}

static void diff_env(const json_t *old, const json_t *fresh, const json_t *images, json_t *out)
{
    const json_t *v;
    size_t i;

    json_array_foreach(fresh, i, v)
    {
        const char *s = json_string_value(v), *have = s ? find_env(old, s) : NULL;

        if (s && find_env(fresh, s) == s && (!have || strcmp(have, s) != 0))
            env_word(out, s, have ? "another value" : "new");
    }
    json_array_foreach(images, i, v)
    {
        const char *s = json_string_value(v), *have = s ? find_env(old, s) : NULL;

        if (s && !find_env(fresh, s) && (!have || strcmp(have, s) != 0))
            env_word(out, s, have ? "the image's value" : "new in the image");
    }
    json_array_foreach(old, i, v)
    {
        const char *s = json_string_value(v);

        if (s && !find_env(fresh, s) && !find_env(images, s))
            env_word(out, s, "gone");
    }
}

/* ---------------------------------------------------------------- the host's side */

/* {"TARGET": "SOURCE, read-only"} of HostConfig.Mounts and HostConfig.Binds. */
static json_t *mounts_of(const json_t *host)
{
    json_t *o = json_object(), *m;
    size_t i;

    json_array_foreach(json_object_get(host, "Mounts"), i, m)
    {
        const char *target = json_string_value(json_object_get(m, "Target"));
        const char *source = json_string_value(json_object_get(m, "Source"));

        if (target)
            (void)json_object_set_new(o, target,
                json_sprintf("%s%s", source ? source : "",
                    json_is_true(json_object_get(m, "ReadOnly")) ? " (ro)" : ""));
    }
    json_array_foreach(json_object_get(host, "Binds"), i, m)
    {
        const char *s = json_string_value(m), *colon = s ? strchr(s, ':') : NULL;

        if (colon)
            (void)json_object_set_new(o, colon + 1, json_sprintf("%.*s", (int)(colon - s), s));
    }
    return o;
}

static void diff_maps(json_t *out, const char *what, json_t *old, json_t *fresh)
{
    const char *key;
    json_t *v;
    char name[320];

    json_object_foreach(old, key, v)
    {
        (void)snprintf(name, sizeof(name), "%s %s", what, key);
        differ(out, name, v, json_object_get(fresh, key));
    }
    json_object_foreach(fresh, key, v)
    {
        (void)snprintf(name, sizeof(name), "%s %s", what, key);
        if (!json_object_get(old, key))
            differ(out, name, NULL, v);
    }
}

static void diff_host(const json_t *inspect, const json_t *body, json_t *out)
{
    static const char *const keys[] = {"Memory", "NanoCpus", "PidsLimit", "CgroupParent", "NetworkMode",
        "SecurityOpt", "Init", "RestartPolicy", "LogConfig"};
    const json_t *old = json_object_get(inspect, "HostConfig"), *fresh = json_object_get(body, "HostConfig");
    _cleanup_json_ json_t *a = mounts_of(old), *b = mounts_of(fresh);

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *x = json_object_get(old, keys[i]), *y = json_object_get(fresh, keys[i]);

        /* {"Name":"no"} and {"Name":"no","MaximumRetryCount":0} are the same. */
        if (strcmp(keys[i], "RestartPolicy") == 0)
            differ(out, keys[i], json_object_get(x, "Name"), json_object_get(y, "Name"));
        else
            differ(out, keys[i], x, y);
    }
    diff_maps(out, "Mount", a, b);
    diff_maps(out, "Port", json_object_get(old, "PortBindings"), json_object_get(fresh, "PortBindings"));
}

static void diff_networks(const json_t *inspect, const json_t *body, json_t *out)
{
    json_t *old = json_object_get(json_object_get(inspect, "NetworkSettings"), "Networks"), *v;
    json_t *fresh = json_object_get(json_object_get(body, "NetworkingConfig"), "EndpointsConfig");
    const char *name;

    json_object_foreach(old, name, v)
    {
        if (!json_object_get(fresh, name))
            (void)json_array_append_new(out, json_sprintf("Network %s: left", name));
    }
    json_object_foreach(fresh, name, v)
    {
        if (!json_object_get(old, name))
            (void)json_array_append_new(out, json_sprintf("Network %s: joined", name));
    }
}

static void diff_labels(const json_t *inspect, const json_t *body, json_t *out)
{
    json_t *old = json_object_get(json_object_get(inspect, "Config"), "Labels"), *v;
    const char *key;
    char name[320];

    json_object_foreach(json_object_get(body, "Labels"), key, v)
    {
        (void)snprintf(name, sizeof(name), "Label %s", key);
        if (strcmp(key, SPEC_LABEL_SAGA) != 0 && strcmp(key, SPEC_LABEL_HASH) != 0)
            differ(out, name, json_object_get(old, key), v);
    }
}

void spec_diff(const json_t *inspect, const json_t *body, const json_t *image, json_t *out)
{
    diff_process(inspect, body, image, out);
    diff_env(at(inspect, "Config", "Env"), json_object_get(body, "Env"), at(image, "Config", "Env"), out);
    diff_host(inspect, body, out);
    diff_networks(inspect, body, out);
    diff_labels(inspect, body, out);
}
