/* locate.h: where the daemon's control socket, the tenants' files and the engine are. */
#pragma once

#include "base/defs.h"

#define LOCATE_CONFIG CLAWSUP_SYSCONFDIR "/clawsup/clawsup.conf"

/* RUNTIME_DIR/control.sock with the runtime_dir that `config_file` sets, else the default directory. Reads
 * that one setting only: a file that clawsupd would refuse must not hide the running clawsupd. Caller frees;
 * NULL when out of memory. */
char *locate_socket(const char *config_file);

/* TENANTS_DIR that `config_file` sets, else tenants.d beside it. Same rules. */
char *locate_tenants_dir(const char *config_file);
/* The engine's socket that it sets, else the default. Same rules. */
char *locate_engine_socket(const char *config_file);
