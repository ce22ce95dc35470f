/* exec.h: the bodies of POST /containers/{id}/exec and POST /exec/{id}/start: read into a typed model,
 * written anew. PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "filter/policy.h"
#include "filter/refusal.h"

#define EXEC_BODY_MAX ((size_t)256 * 1024)
#define EXEC_START_BODY_MAX ((size_t)4096)

struct exec_model {
    json_t *cmd;                        /* array of strings, never empty */
    json_t *env;                        /* array of strings */
    char *user, *workdir, *detach_keys; /* "" when not given */
    bool tty, attach_stdin, attach_stdout, attach_stderr;
    unsigned console_height, console_width; /* 0: not given */
};

/* 0 and a model; or a negative errno with `refusal` filled (-EINVAL 400, -EPERM 403, -EFBIG 413); -ENOMEM.
 * Whether exec is allowed at all (policy.allow_exec, allow_gateway_exec) is the route's decision. */
int exec_parse(const struct policy *p, const json_t *body, struct exec_model **ret,
    struct refusal *refusal) _must_check_;
struct exec_model *exec_model_free(struct exec_model *m);
DEFINE_CLEANUP(struct exec_model *, exec_model_free)
#define _cleanup_exec_model_ _cleanup_(exec_model_freep)

/* The new body for API version 1.`api_minor`; caller frees. -ENOMEM. Detach is always false here: it is
 * decided at start. */
int exec_render(const struct exec_model *m, unsigned api_minor, char **ret) _must_check_;

struct exec_start {
    bool detach, tty;
    unsigned console_height, console_width; /* 0: not given */
};

/* `body` NULL: the request had none (all defaults). Same errors as exec_parse(). */
int exec_parse_start(const json_t *body, struct exec_start *ret, struct refusal *refusal) _must_check_;
int exec_render_start(const struct exec_start *s, unsigned api_minor, char **ret) _must_check_;
