/* capture.h: what an adopted gateway looked like when it was last healthy, kept in the store, so that one
 * that somebody removed can be made again as it was. Nothing is made here. */
#pragma once

#include "daemon/manager.h"

/* An inspect answer of status 200: kept if it is an external gateway's and the gateway is healthy. */
void capture_inspected(struct component *c, const json_t *inspect);
/* True if there is something to make the component's container from though it is gone. */
bool capture_exists(const struct component *c);
/* The create body and the container's name; -ENOENT: never seen healthy; -EUCLEAN, -ENOMEM, -EIO. */
int capture_load(
    const struct component *c, json_t **ret_body, char *ret_name, size_t name_size, struct err *e);
