/* removal.h: `remove` of the control socket: the containers and the network that a tenant leaves behind when
 * it is no longer in the configuration. Data is not touched. */
#pragma once

#include "daemon/control.h"

struct manager;

/* A verb's handler. */
int removal_verb(struct control_request *req, void *userdata);
/* Forgets those under way, without an answer. */
void removals_forget(struct manager *m);
