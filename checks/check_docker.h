/* check_docker.h: what an engine's inspect (GET /containers/{id}/json) says of a container, as typed facts.
 * PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"

enum docker_state {
    DOCKER_MISSING,
    DOCKER_CREATED,
    DOCKER_RUNNING,
    DOCKER_PAUSED,
    DOCKER_RESTARTING,
    DOCKER_REMOVING,
    DOCKER_EXITED,
    DOCKER_DEAD,
    _DOCKER_STATE_MAX
};
enum docker_health {
    DOCKER_HEALTH_NONE,
    DOCKER_HEALTH_STARTING,
    DOCKER_HEALTH_HEALTHY,
    DOCKER_HEALTH_UNHEALTHY,
    _DOCKER_HEALTH_MAX
};

struct docker_facts {
    char id[65];
    char name[256]; /* without the leading '/' */
    enum docker_state state;
    enum docker_health health;
    int exit_code;
    bool oom_killed;
    uint64_t restart_count;
    bool engine_restarts;  /* it has a restart policy: after an exit the engine may act first */
    int64_t started_at_us; /* CLOCK_REALTIME microseconds; 0 = never */
    int64_t finished_at_us;
    int pid;
};
/* -EINVAL when `inspect` has not the engine's shape. */
int docker_facts_from_inspect(const json_t *inspect, struct docker_facts *ret);
const char *docker_state_to_string(enum docker_state s);
const char *docker_health_to_string(enum docker_health h);
