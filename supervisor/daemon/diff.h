/* diff.h: `diff` of the control socket: what a reload would change, and where what runs is not what the
 * configuration says. Changes nothing. */
#pragma once

#include "daemon/control.h"

/* A verb's handler. */
int diff_verb(struct control_request *req, void *userdata);
