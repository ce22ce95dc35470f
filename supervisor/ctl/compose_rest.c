/* compose_rest.c: limits of a gateway's service, and notes about the keys that have no counterpart. */
#include "ctl/compose_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* ---------------------------------------------------------------- limits and the rest */

/* Of mem_limit and the like, else of deploy.resources.limits. */
static const char *limit(const struct compose_tenant *t, const char *own, const char *deployed)
{
    const char *v = compose_text(t->gateway.body, own);
    const json_t *d =
        json_object_get(json_object_get(json_object_get(t->gateway.body, "deploy"), "resources"), "limits");

    return v ? v : compose_text(d, deployed);
}

void compose_limits(struct compose *c, struct compose_tenant *t)
{
    const char *cpus = limit(t, "cpus", "cpus"), *memory = limit(t, "mem_limit", "memory");
    const char *pids = limit(t, "pids_limit", "pids");
    char size[32];
    uint64_t n;

    if (cpus && str_parse_cpus(cpus, &n) >= 0)
        compose_put(c, t->out_limits, "cpus", json_real((double)n / 1e9));
    else if (cpus)
        compose_note_key(c, &t->gateway, "cpus", "not translated: \"%.40s\" is no number of CPUs", cpus);
    if (memory && compose_size(memory, size, sizeof(size)))
        compose_put(c, t->out_limits, "memory", json_string(size));
    else if (memory)
        compose_note_key(c, &t->gateway, "mem_limit", "not translated: \"%.40s\" is no size", memory);
    if (pids && str_parse_u64(pids, 4194304, &n) >= 0 && n > 0)
        compose_put(c, t->out_limits, "pids", json_integer((json_int_t)n));
    if (cpus || memory || pids)
        compose_note_key(c, &t->gateway, json_object_get(t->gateway.body, "deploy") ? "deploy" : "",
            "limits were the gateway's alone; limits.* here are for it and all its sandboxes together: raise "
            "them");
}

/* What clawsup does by itself, or what means nothing to it. */
static bool is_implied(const char *key)
{
    static const char *const keys[] = {"image", "build", "container_name", "command", "entrypoint", "user",
        "environment", "env_file", "volumes", "ports", "healthcheck", "cpus", "mem_limit", "pids_limit",
        "restart", "depends_on", "stop_grace_period", "security_opt", "cap_drop", "logging", "labels",
        "networks", "expose", "hostname", "init", "pull_policy", "stdin_open", "tty", "platform",
        "annotations"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return str_startswith(key, "x-");
}

static void deploy(struct compose *c, struct compose_tenant *t)
{
    const json_t *d = json_object_get(t->gateway.body, "deploy");
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)d, key, v)
    {
        char path[128];

        (void)snprintf(path, sizeof(path), "deploy.%.60s", key);
        if (strcmp(key, "resources") == 0) {
            if (json_object_get(v, "reservations"))
                compose_note_key(c, &t->gateway, "deploy.resources.reservations",
                    "not translated: clawsup limits, it does not reserve");
        } else if (strcmp(key, "restart_policy") != 0) {
            compose_note_key(c, &t->gateway, path, "not translated");
        }
    }
}

static bool is_internal(const struct compose *c, const json_t *networks)
{
    const json_t *all = json_object_get(c->root, "networks");
    size_t n = 0, internal = 0;
    const char *key;
    json_t *v;

    for (size_t i = 0; i < json_array_size(networks); i++, n++)
        internal += compose_is_true(
            compose_text(json_object_get(all, json_string_value(json_array_get(networks, i))), "internal"));
    json_object_foreach((json_t *)(uintptr_t)networks, key, v)
    {
        n++;
        internal += compose_is_true(compose_text(json_object_get(all, key), "internal"));
    }
    return n > 0 && internal == n;
}

void compose_rest(struct compose *c, struct compose_tenant *t)
{
    const char *grace = compose_text(t->gateway.body, "stop_grace_period"), *key;
    const json_t *networks = json_object_get(t->gateway.body, "networks");
    char text[32];
    json_t *v;

    if (grace && compose_duration(grace, text, sizeof(text)))
        compose_put(c, t->out_gateway, "stop_timeout", json_string(text));
    if (is_internal(c, networks))
        compose_put(c, t->out_gateway, "internal", json_true());
    else if (networks)
        compose_note_key(c, &t->gateway, "networks",
            "left out: the gateway gets a network of its own; it reaches other services through published "
            "ports");
    deploy(c, t);
    json_object_foreach((json_t *)(uintptr_t)t->gateway.body, key, v)
    {
        if (!is_implied(key) && strcmp(key, "deploy") != 0)
            compose_note_key(c, &t->gateway, key, "not translated%s",
                strcmp(key, "privileged") == 0 || strcmp(key, "cap_add") == 0 || strcmp(key, "devices") == 0
                    ? ": a gateway gets no more rights than it needs"
                : strcmp(key, "extends") == 0 ? ": write out what it extends"
                                              : "");
    }
}
