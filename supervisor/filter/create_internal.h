/* create_internal.h: what the create_*.c files share. Not for others. */
#pragma once

#include "filter/create.h"
#include "filter/fields.h"

/* One reading: the model under construction and the wishes that can only be judged together. */
struct create_ctx {
    const struct policy *policy;
    struct create_model *m;
    int64_t memory, memory_reservation, nano_cpus, cpu_quota, cpu_period, pids, shm;
    bool dropped[POLICY_LIST_MAX]; /* of policy->cap_keep: the client drops it */
    const char *network_mode;      /* borrowed from the body; NULL: not given */
    const char *endpoint;          /* the one key of EndpointsConfig; NULL: none */
    const json_t *volumes;         /* the object of Volumes; NULL: not given */
};

/* The tables of each part. */
extern const struct field_table create_host_table;

/* Config (create_config.c) */
int create_read_labels(void *ctx, const json_t *v, const struct field_at *at);
int create_read_image(void *ctx, const json_t *v, const struct field_at *at);
int create_read_hostname(void *ctx, const json_t *v, const struct field_at *at);
int create_read_domainname(void *ctx, const json_t *v, const struct field_at *at);
int create_read_stop_signal(void *ctx, const json_t *v, const struct field_at *at);
int create_read_stop_timeout(void *ctx, const json_t *v, const struct field_at *at);
int create_read_healthcheck(void *ctx, const json_t *v, const struct field_at *at);

/* Mounts (create_mounts.c) */
int create_read_binds(void *ctx, const json_t *v, const struct field_at *at);
int create_read_mounts(void *ctx, const json_t *v, const struct field_at *at);
int create_read_tmpfs(void *ctx, const json_t *v, const struct field_at *at);
int create_read_volumes(void *ctx, const json_t *v, const struct field_at *at);
/* Volumes may only repeat the targets of mounts, as some clients do; it is never written. */
int create_settle_volumes(const struct create_ctx *c, struct refusal *refusal) _must_check_;
/* Where the mounts lie to one another and to a file system that the container may change. */
int create_settle_mounts(const struct create_ctx *c, struct refusal *refusal) _must_check_;

/* Weight (create_weight.c): what every list of containers repeats. */
int create_settle_weight(const struct create_ctx *c, struct refusal *refusal) _must_check_;

/* Limits (create_limits.c) */
int create_read_ulimits(void *ctx, const json_t *v, const struct field_at *at);
/* Turns the wishes into limits within the policy. */
int create_settle_limits(struct create_ctx *c, struct refusal *refusal) _must_check_;

/* Security (create_security.c) */
int create_read_cap_drop(void *ctx, const json_t *v, const struct field_at *at);
int create_read_security_opt(void *ctx, const json_t *v, const struct field_at *at);
/* Forced capabilities and security options. */
int create_settle_security(struct create_ctx *c) _must_check_;

/* Network (create_network.c) */
int create_read_network_mode(void *ctx, const json_t *v, const struct field_at *at);
int create_read_networking(void *ctx, const json_t *v, const struct field_at *at);
int create_settle_network(struct create_ctx *c, struct refusal *refusal) _must_check_;

/* {"/tmp": "rw,nosuid,..."}: as rendered, and as the engine must show it. NULL when out of memory. */
json_t *create_tmpfs_json(const struct create_model *m);
/* The labels as rendered: the client's and ours. NULL when out of memory. */
json_t *create_labels_json(const struct create_model *m);
/* The value of LABEL_BINDS; caller frees. NULL when out of memory. */
char *create_binds_label(const struct create_model *m);
