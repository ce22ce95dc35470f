/* ctl.h: what every verb of `clawsup` shares: the command table's row, the global options, the call to the
 * daemon with its errors told to the user. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"

/* Exit codes. The first three are those of `status`; other verbs use 0 and 1 for done and refused. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_DEGRADED = 1,
    CTL_QUARANTINED = 2,
    CTL_UNREACHABLE = 3,
    CTL_USAGE = 64,
};

#define CTL_TIMEOUT_US (5 * USEC_PER_SEC)

/* A long option, "--name" or "--name=ARG". Either `flag` or `value` receives it. */
struct ctl_option {
    const char *name;
    const char *arg; /* what stands for the argument in the help; NULL: a flag */
    const char *help;
    bool *flag;
    const char **value;
};

struct ctl;
struct ctl_command {
    const char *name;
    const char *args; /* "TENANT [COMPONENT]" */
    const char *summary;
    const char *details;  /* paragraphs for --help */
    const char *examples; /* lines for --help */
    const struct ctl_option *options;
    size_t n_options;
    int min_args, max_args;
    int (*run)(struct ctl *c, char **args, int n); /* returns the exit code */
};

struct ctl {
    const struct ctl_command *command;
    const char *socket_path; /* of clawsupd's control socket */
    const char *config_file; /* of --config; else the default path */
    bool config_given;
    bool json, plain, no_heading;
    bool colour; /* decided from the terminal, NO_COLOR and --plain */
};

/* Prints "clawsup VERB: text", and the hint below it when there is one; with --json also the error object on
 * standard output. Returns `exit_code`. */
int ctl_fail(const struct ctl *c, int exit_code, const char *code, const char *hint, const char *fmt, ...)
    _printf_(5, 6);

/* {"v":1,"verb":...}; `tenant` may be NULL. NULL when out of memory. */
json_t *ctl_request(const char *verb, const char *tenant);

/* Sends `request` (taken; NULL is out of memory) and waits for the one answer. 0 and *ret_reply with
 * "ok":true; otherwise the user was told and the exit code is returned. */
int ctl_call(const struct ctl *c, json_t *request, uint64_t timeout_us, json_t **ret_reply);

/* The same without telling the user anything: 0 and an answer, whether its "ok" is true or not; or -errno of
 * the client with text in `e`. `request` is borrowed. */
int ctl_ask(
    const struct ctl *c, const json_t *request, uint64_t timeout_us, json_t **ret_reply, struct err *e);

/* Tells the user about an answer with "ok":false to `request` (both borrowed). Returns the exit code. */
int ctl_refused(const struct ctl *c, const json_t *request, const json_t *reply);
int ctl_unreachable(const struct ctl *c, int r, const struct err *e);

/* The daemon's answer to `version`, or NULL when there is none; the user is told nothing. */
json_t *ctl_daemon_version(const struct ctl *c);

/* Prints `j` with indentation, or on one line. Returns CTL_OK or CTL_FAILED. */
int ctl_print_json(const json_t *j, bool one_line);

/* Index of the name closest to `s`, or that begins with it; -1 when none is close. */
int ctl_closest(const char *s, const char *const *names, size_t n);
