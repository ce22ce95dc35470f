/* settings.h: what the command line and, for a sidecar, the environment say. Every value is checked; an
 * unknown or malformed one stops the program with a sentence, because a proxy that guesses is no proxy.
 *
 * Each variable of a sidecar is also a flag: ALLOW_START=1 is --allow-start=1 (or --allow-start 1). A flag
 * wins: the variable is then not looked at. */
#pragma once

#include "base/defs.h"
#include "base/err.h"
#include "filter/policy.h"

#include <sys/types.h>

#define SETTINGS_LISTEN_MAX 16
#define SETTINGS_DEFAULT_LISTEN "tcp://127.0.0.1:2375"
#define SETTINGS_DEFAULT_ENGINE "/var/run/docker.sock"

enum settings_mode {
    SETTINGS_SIDECAR,
    SETTINGS_SUPERVISED,
    SETTINGS_HEALTHCHECK,
    SETTINGS_VERSION,
    SETTINGS_HELP,
    _SETTINGS_MODE_MAX
};

/* "unix:/run/clawsup/docker.sock[,mode=0660][,uid=N][,gid=N]" or "tcp://ADDRESS:PORT". */
struct settings_listen {
    bool tcp;
    char address[108]; /* the path, or an IPv4 or bracketless IPv6 address */
    uint16_t port;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct settings {
    enum settings_mode mode;
    unsigned n_listen_fds; /* supervised */
    char *engine_socket;
    int log_level;

    /* sidecar; a health check has the listeners only */
    struct settings_listen listen[SETTINGS_LISTEN_MAX];
    size_t n_listen;
    char *docker_gid; /* as given; NULL */
    bool allow_root_gid;
    struct policy *policy;
};

/* Reads argv, then (unless supervised) the environment. -EINVAL with text. settings_done() in any case. */
int settings_parse(
    int argc, char *const *argv, char *const *env, struct settings *ret, struct err *e) _must_check_;
void settings_done(struct settings *s);
#define _cleanup_settings_ _cleanup_(settings_done)

const char *settings_help(void);
