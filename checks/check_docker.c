/* check_docker.c: see check_docker.h. No I/O, no clock, no locale. */
#include "checks/check_docker.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/rfc3339.h"
#include "base/str.h"

static const char *const states[_DOCKER_STATE_MAX] = {
    [DOCKER_MISSING] = "missing",
    [DOCKER_CREATED] = "created",
    [DOCKER_RUNNING] = "running",
    [DOCKER_PAUSED] = "paused",
    [DOCKER_RESTARTING] = "restarting",
    [DOCKER_REMOVING] = "removing",
    [DOCKER_EXITED] = "exited",
    [DOCKER_DEAD] = "dead",
};
static const char *const healths[_DOCKER_HEALTH_MAX] = {
    [DOCKER_HEALTH_NONE] = "none",
    [DOCKER_HEALTH_STARTING] = "starting",
    [DOCKER_HEALTH_HEALTHY] = "healthy",
    [DOCKER_HEALTH_UNHEALTHY] = "unhealthy",
};

const char *docker_state_to_string(enum docker_state s)
{
    return (unsigned)s < _DOCKER_STATE_MAX ? states[s] : "invalid";
}

const char *docker_health_to_string(enum docker_health h)
{
    return (unsigned)h < _DOCKER_HEALTH_MAX ? healths[h] : "invalid";
}

/* An absent string is "", another type is -EINVAL. */
static int get_string(const json_t *o, const char *key, const char **ret)
{
    const json_t *v = json_object_get(o, key);

    if (v && !json_is_null(v) && !json_is_string(v))
        return -EINVAL;
    *ret = json_is_string(v) ? json_string_value(v) : "";
    return 0;
}

static int get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret)
{
    const json_t *v = json_object_get(o, key);

    *ret = 0;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return -EINVAL;
    *ret = json_integer_value(v);
    return 0;
}

/* Absent, and Go's zero time (it never happened), are 0. */
static int get_time(const json_t *o, const char *key, int64_t *ret)
{
    const char *s;
    uint64_t us = 0;

    if (get_string(o, key, &s) < 0)
        return -EINVAL;
    if (*s && strcmp(s, "0001-01-01T00:00:00Z") != 0 && rfc3339_parse(s, &us) < 0)
        return -EINVAL;
    *ret = (int64_t)us;
    return 0;
}

static int find_name(const char *const *names, size_t n, const char *s, unsigned *ret)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], s) == 0) {
            *ret = i;
            return 0;
        }
    return -EINVAL;
}

static int read_state(const json_t *state, struct docker_facts *f)
{
    int64_t exit_code, pid;
    const char *status, *health;
    unsigned i;

    if (!json_is_object(state) || get_string(state, "Status", &status) < 0 ||
        find_name(states, ARRAY_SIZE(states), status, &i) < 0 || i == DOCKER_MISSING)
        return -EINVAL;
    f->state = (enum docker_state)i;
    if (get_string(json_object_get(state, "Health"), "Status", &health) < 0 ||
        find_name(healths, ARRAY_SIZE(healths), *health ? health : "none", &i) < 0)
        return -EINVAL;
    f->health = (enum docker_health)i;
    if (get_int(state, "ExitCode", INT_MIN, INT_MAX, &exit_code) < 0 ||
        get_int(state, "Pid", 0, INT_MAX, &pid) < 0 || get_time(state, "StartedAt", &f->started_at_us) < 0 ||
        get_time(state, "FinishedAt", &f->finished_at_us) < 0)
        return -EINVAL;
    f->exit_code = (int)exit_code;
    f->pid = (int)pid;
    f->oom_killed = json_is_true(json_object_get(state, "OOMKilled"));
    return 0;
}

int docker_facts_from_inspect(const json_t *inspect, struct docker_facts *ret)
{
    struct docker_facts f = {};
    const char *id, *name, *policy;
    int64_t restarts;

    if (!json_is_object(inspect) || get_string(inspect, "Id", &id) < 0 || !str_is_hex(id, 64) ||
        get_string(inspect, "Name", &name) < 0 || !*name)
        return -EINVAL;
    if (*name == '/')
        name++;
    if (strlen(name) >= sizeof(f.name))
        return -EINVAL;
    if (read_state(json_object_get(inspect, "State"), &f) < 0 ||
        get_int(inspect, "RestartCount", 0, INT64_MAX, &restarts) < 0)
        return -EINVAL;
    f.restart_count = (uint64_t)restarts;
    if (get_string(
            json_object_get(json_object_get(inspect, "HostConfig"), "RestartPolicy"), "Name", &policy) < 0)
        return -EINVAL;
    f.engine_restarts = *policy && strcmp(policy, "no") != 0;
    snprintf(f.id, sizeof(f.id), "%s", id);
    snprintf(f.name, sizeof(f.name), "%s", name);
    *ret = f;
    return 0;
}
