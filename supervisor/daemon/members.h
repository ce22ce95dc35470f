/* members.h: the containers of a tenant, gateway and sandboxes, and that each stays within its limits: inside
 * of the tenant's cgroup, not above the caps. What was changed from outside is put right; with limits.enforce
 * = "strict" a container that cannot be put right is stopped. */
#pragma once

#include "daemon/manager.h"

struct members;

struct members *members_new(struct tenant *t); /* NULL: out of memory */
struct members *members_free(struct members *s);
DEFINE_CLEANUP(struct members *, members_free)

/* An event of the engine about any container. */
void members_event(struct manager *m, const struct engine_event *ev);
/* The truth of a relist: GET /containers/json?all=1. */
void members_listed(struct tenant *t, const json_t *list);
/* Every few seconds: compares the limits in force in each container's cgroup. Reads a few files each. */
void members_check(struct tenant *t);

/* The name of the container whose cgroup has this name below the tenant's, or NULL; borrowed. */
const char *members_name_of_cgroup(const struct members *s, const char *child);

/* A gateway that can only be put right by making it anew, or could not be put right at all. `why` is for
 * people. */
void members_gateway_violates(struct tenant *t, const char *why);
