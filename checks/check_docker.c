/* check_docker.c: see check_docker.h. No I/O, no clock, no locale. */
#include "checks/check_docker.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

/* `n` decimal digits at *p, moved past them. */
static int take_number(const char **p, size_t n, unsigned *ret)
{
    unsigned v = 0;

    for (size_t i = 0; i < n; i++) {
        char c = (*p)[i];

        if (c < '0' || c > '9')
            return -EINVAL;
        v = 10 * v + (unsigned)(c - '0');
    }
    *p += n;
    *ret = v;
    return 0;
}

static int take_char(const char **p, char c)
{
    if (**p != c)
        return -EINVAL;
    (*p)++;
    return 0;
}

/* ".123456789" (1 to 9 digits, optional as a whole) as microseconds. */
static int take_fraction(const char **p, unsigned *ret_us)
{
    unsigned us = 0, scale = 100000, n = 0;

    *ret_us = 0;
    if (**p != '.')
        return 0;
    for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, n++) {
        us += (unsigned)(**p - '0') * scale;
        scale /= 10;
    }
    if (n == 0 || n > 9)
        return -EINVAL;
    *ret_us = us;
    return 0;
}

/* "Z" or "+hh:mm"; seconds east of Greenwich. */
static int take_zone(const char **p, int64_t *ret)
{
    unsigned hours, minutes;
    char sign = **p;

    if (sign == 'Z') {
        (*p)++;
        *ret = 0;
        return 0;
    }
    if (sign != '+' && sign != '-')
        return -EINVAL;
    (*p)++;
    if (take_number(p, 2, &hours) < 0 || take_char(p, ':') < 0 || take_number(p, 2, &minutes) < 0 ||
        hours > 23 || minutes > 59)
        return -EINVAL;
    *ret = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
        return 29;
    return days[month - 1];
}

/* Days from 1970-01-01 in the Gregorian calendar; years count from March so that the leap day comes last. */
static int64_t days_since_epoch(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t m = month > 2 ? (int64_t)month - 3 : (int64_t)month + 9;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t)day - 1 - 719468;
}

int docker_time_parse(const char *s, int64_t *ret_us)
{
    unsigned year, month, day, hour, minute, second, us;
    const char *p = s;
    int64_t zone;

    if (take_number(&p, 4, &year) < 0 || take_char(&p, '-') < 0 || take_number(&p, 2, &month) < 0 ||
        take_char(&p, '-') < 0 || take_number(&p, 2, &day) < 0 || take_char(&p, 'T') < 0 ||
        take_number(&p, 2, &hour) < 0 || take_char(&p, ':') < 0 || take_number(&p, 2, &minute) < 0 ||
        take_char(&p, ':') < 0 || take_number(&p, 2, &second) < 0 || take_fraction(&p, &us) < 0 ||
        take_zone(&p, &zone) < 0 || *p)
        return -EINVAL;
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return -EINVAL;
    /* Go's zero time: it never happened. */
    if (year == 1) {
        *ret_us = 0;
        return 0;
    }
    int64_t seconds =
        days_since_epoch(year, month, day) * 86400 + (int64_t)(hour * 3600 + minute * 60 + second) - zone;
    *ret_us = seconds * (int64_t)USEC_PER_SEC + us;
    return 0;
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

static int get_time(const json_t *o, const char *key, int64_t *ret)
{
    const char *s;

    if (get_string(o, key, &s) < 0)
        return -EINVAL;
    if (!*s) {
        *ret = 0;
        return 0;
    }
    return docker_time_parse(s, ret);
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
    const char *id, *name;
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
    snprintf(f.id, sizeof(f.id), "%s", id);
    snprintf(f.name, sizeof(f.name), "%s", name);
    *ret = f;
    return 0;
}
