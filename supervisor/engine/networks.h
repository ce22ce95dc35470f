/* networks.h: the engine's networks as typed requests; see containers.h. */
#pragma once

#include "engine/engine.h"

/* GET /networks: a JSON array. `label` is "key" or "key=value", NULL for all. */
int networks_list(
    struct engine *e, const char *label, engine_fn fn, void *userdata, struct engine_call **ret);
int networks_inspect(
    struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);
/* `body` with Name, Driver, Internal, Labels...; 201 {"Id"}. Two networks may have one name: list first. */
int networks_create(
    struct engine *e, const json_t *body, engine_fn fn, void *userdata, struct engine_call **ret);
int networks_remove(struct engine *e, const char *id, engine_fn fn, void *userdata, struct engine_call **ret);
