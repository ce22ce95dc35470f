/* update.h: POST /containers/{id}/update, off by default: limits may be lowered within the tenant's caps,
 * nothing else. PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "filter/policy.h"
#include "filter/refusal.h"

#define UPDATE_BODY_MAX ((size_t)16 * 1024)

struct update_model {
    uint64_t memory_bytes, nano_cpus, pids; /* 0: left as it is */
};

/* Memory, NanoCpus and PidsLimit must be 1 .. the policy's cap when given; an explicit PidsLimit of 0 or -1
 * (unlimited), every other value and any restart policy is 403. -EINVAL 400, -EPERM 403. */
int update_parse(const struct policy *p, const json_t *body, struct update_model *ret,
    struct refusal *refusal) _must_check_;
/* MemorySwap always goes with Memory: lowering one alone would allow the difference as swap. */
int update_render(const struct update_model *u, char **ret) _must_check_;
