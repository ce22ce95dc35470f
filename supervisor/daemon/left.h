/* left.h: tenants that left the configuration: what clawsup made for them is stopped, also when they left
 * while no clawsupd ran. Nothing is removed. */
#pragma once

#include "daemon/manager.h"

/* At our start, before the first list: finds those that the last clawsupd knew and that are gone. */
void left_begin(struct manager *m);
/* A reload took it out. */
void left_add(struct manager *m, const char *slug, uint64_t stop_timeout_us);
/* The tenants of the configuration in force are remembered. */
void left_save(struct manager *m);
/* The engine's list of all containers: stops those that run, and forgets who has none. */
void left_sweep(struct manager *m, const json_t *list);
