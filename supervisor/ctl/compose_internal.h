/* compose_internal.h: what the files compose*.c share. */
#pragma once

#include "ctl/compose.h"

struct compose {
    const struct compose_options *options;
    char *dir;       /* of the file, absolute */
    json_t *root;    /* variables replaced; every scalar a string or null */
    json_t *lines;   /* path -> line */
    json_t *vars;    /* of the env file */
    json_t *missing; /* names of variables that nobody sets */
    json_t *notes;   /* of the tenant at hand; borrowed while it is being read */
    const char *project;
    int oom;
};

struct compose_service {
    const char *name;
    const json_t *body;
};

/* A tenant at hand: its parts and what it becomes. */
struct compose_tenant {
    struct compose_service gateway, proxy; /* proxy.name NULL: there is none */
    char slug[64];
    json_t *out, *out_gateway, *out_health, *out_proxy, *out_allow, *out_limits, *out_sandbox; /* borrowed */
    const char *data_root; /* borrowed from out */
};

/* compose.c: a note about `path` (services.x.y); put: sets a member, taking the value; both remember that
 * memory ran out in c->oom. */
void compose_note(struct compose *c, const char *path, const char *fmt, ...) _printf_(3, 4);
void compose_put(struct compose *c, json_t *o, const char *key, json_t *value);
void compose_append(struct compose *c, json_t *list, json_t *value);
/* Note about the member `key` of a service. */
void compose_note_key(
    struct compose *c, const struct compose_service *s, const char *key, const char *fmt, ...) _printf_(4, 5);

/* The text of a member, or NULL. */
const char *compose_text(const json_t *o, const char *key);
bool compose_is_true(const char *s);
/* environment, as a list of KEY=VALUE or a map: calls fn for each; value NULL: taken from the shell. */
typedef void (*compose_env_fn)(struct compose *c, const char *key, const char *value, void *userdata);
void compose_each_env(struct compose *c, const struct compose_service *s, compose_env_fn fn, void *userdata);
/* Value of one variable of the service's environment; NULL. */
const char *compose_env(const struct compose_service *s, const char *key);
/* "a,b" to an array. */
json_t *compose_split(const char *list, const char *separators);

/* compose_value.c */
struct compose_volume {
    char type[16]; /* bind, volume, tmpfs */
    char source[1024], target[1024];
    bool read_only;
};
/* One entry of volumes, short or long form. -EINVAL: neither. A relative source stays relative. */
int compose_volume(const json_t *entry, struct compose_volume *ret);

struct compose_port {
    char address[64];                   /* "" : all */
    unsigned host, container, host_end; /* host 0: chosen by the engine; host_end: of a range */
    bool udp;
};
int compose_port(const json_t *entry, struct compose_port *ret);

/* A command as Compose takes it: a list, or text that is split like a shell would. NULL when malformed. */
json_t *compose_command(const json_t *v);
/* "10s", "1m30s", "90" (seconds) to a duration that clawsup reads; false when it is none. */
bool compose_duration(const char *s, char *out, size_t n);
/* "512m", "1.5gb", "1073741824" to a size that clawsup reads. */
bool compose_size(const char *s, char *out, size_t n);
/* An absolute, clean path: relative ones begin at the project's directory. NULL: has ~ or leaves the root. */
char *compose_path(const struct compose *c, const char *path);

/* compose_gateway.c, compose_rest.c, compose_proxy.c */
void compose_gateway(struct compose *c, struct compose_tenant *t);
void compose_limits(struct compose *c, struct compose_tenant *t);
void compose_rest(struct compose *c, struct compose_tenant *t);
void compose_proxy(struct compose *c, struct compose_tenant *t);
bool compose_is_proxy(const struct compose_service *s);
bool compose_mounts_engine(const json_t *service);
