/* config_schema.h: one table of keys per group. It drives reading, defaults, comparison, the errors for
 * unknown keys and the manual page. Internal to the room; the manual's test and `clawsup init` read
 * it too. */
#pragma once

#include "base/defs.h"
#include "config/config.h"

struct config_setting_t; /* libconfig's */
struct config_reader;
struct config_key;

enum config_key_type {
    CONFIG_KEY_STRING,   /* char * */
    CONFIG_KEY_BOOL,     /* bool */
    CONFIG_KEY_U32,      /* uint32_t */
    CONFIG_KEY_U64,      /* uint64_t */
    CONFIG_KEY_DURATION, /* uint64_t, microseconds */
    CONFIG_KEY_SIZE,     /* uint64_t, bytes */
    CONFIG_KEY_CPUS,     /* uint64_t, 1e-9 CPUs */
    CONFIG_KEY_ENUM,     /* an enum whose values are the positions in `names` */
    CONFIG_KEY_STRV,     /* struct config_strv */
    CONFIG_KEY_LIST,     /* struct policy_list */
    CONFIG_KEY_GROUP,    /* `group`, read into the struct at `offset` */
    CONFIG_KEY_CUSTOM,   /* `read` */
    _CONFIG_KEY_TYPE_MAX
};

/* Where `offset` counts from. */
enum config_base { CONFIG_BASE_GROUP, CONFIG_BASE_TENANT, CONFIG_BASE_POLICY, _CONFIG_BASE_MAX };

enum config_key_flag {
    CONFIG_KEY_UNLIMITED = 1 << 0,  /* "unlimited" is allowed and gives 0 */
    CONFIG_KEY_PER_TENANT = 1 << 1, /* has no meaning in `defaults` */
    CONFIG_KEY_RESTART = 1 << 2,    /* host-wide: a change needs a restart of clawsupd */
    CONFIG_KEY_INHERIT = 1 << 3,    /* the tenant's recovery again: what is not written is the tenant's */
};

/* Returns NULL for a valid text, else what would be valid (static text). */
typedef const char *(*config_check_fn)(const char *value);
typedef void (*config_read_fn)(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
typedef bool (*config_equal_fn)(const void *a, const void *b);

struct config_schema {
    const char *name; /* "gateway.health" */
    const char *help; /* one sentence for the manual */
    const struct config_key *keys;
    size_t n;
};

struct config_key {
    const char *name;
    enum config_key_type type;
    enum config_base base;
    size_t offset;
    unsigned flags;
    enum config_change change;         /* 0: that of the enclosing group */
    uint64_t min, max;                 /* numbers: range; lists: max entries */
    const char *const *names;          /* enum: values, NULL at the end */
    const struct config_schema *group; /* group, and the entries of a custom list of groups */
    config_check_fn check;             /* strings and entries of lists */
    config_read_fn read;               /* custom */
    config_equal_fn equal;             /* custom; NULL: compared elsewhere */
    const char *def;                   /* applied through the table, except for custom keys */
    const char *def_help;              /* a default that depends on other values, in words */
    const char *form;                  /* an example of the right side */
    const char *help;                  /* for the manual */
};

extern const struct config_schema config_schema_host;
extern const struct config_schema config_schema_tenant;
extern const struct config_schema config_schema_component;

/* Which changes lie between two structs that the schema describes (keys without a class give `change`). */
unsigned config_schema_changes(
    const struct config_schema *s, const void *a, const void *b, enum config_change change);

/* Writes the table's defaults into `base` (and `tenant`, `tenant->policy` for keys that live there). -ENOMEM.
 */
int config_schema_defaults(const struct config_schema *s, void *base, struct config_tenant *tenant);

/* config_diff.c: the values at `a` and `b` are the same; groups and policy lists never are. */
bool config_key_equal(const struct config_key *k, const void *a, const void *b);
