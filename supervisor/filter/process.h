/* process.h: how a process in a sandbox may be described: user, working directory, arguments, environment.
 * Shared by create and exec. PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "filter/fields.h"
#include "filter/policy.h"

#define PROCESS_ARGS_MAX 1024
#define PROCESS_ENV_MAX 512
#define PROCESS_ITEM_BYTES ((size_t)128 * 1024) /* the kernel's own limit for one argument */
#define PROCESS_TOTAL_BYTES ((size_t)192 * 1024)

/* All take the value (of the right JSON type) and give an owned copy in *ret, which they free first. 0,
 * -ENOMEM or refusal_set()'s. */

/* "", NAME, UID, either with ":GROUP". With a list of users in the policy: one of them, and "" is the first.
 */
int process_user(const struct policy *p, const json_t *v, const struct field_at *at, char **ret) _must_check_;
/* "" or absolute and clean, not under /proc, /dev or /sys: /proc/self/fd/N (also as /dev/fd/N) may be a
 * directory of the host that the runtime holds open (CVE-2024-21626). */
int process_workdir(const json_t *v, const struct field_at *at, char **ret) _must_check_;
/* An array of strings, or, as the engine accepts it too, one string. */
int process_argv(const json_t *v, const struct field_at *at, json_t **ret) _must_check_;
/* "NAME=VALUE" or "NAME", NAME not empty and without control bytes. */
int process_env(const json_t *v, const struct field_at *at, json_t **ret) _must_check_;
/* [height, width], each 0..10000. */
int process_console(
    const json_t *v, const struct field_at *at, unsigned *ret_height, unsigned *ret_width) _must_check_;
