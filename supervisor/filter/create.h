/* create.h: POST /containers/create: the client's body is read into a typed model under the tenant's policy,
 * and a new body is written from the model alone. No byte of the client's body reaches the engine unread.
 *
 * How a proxy uses it:
 *   json_load_strict(body, CREATE_BODY_MAX) -> create_parse() -> resolve model->image to its id:
 *   create_set_image() -> for each model->binds[i] have it staged: create_set_staged() -> create_render() ->
 *   POST -> respond_create() -> GET inspect -> create_verify(); on a mismatch delete the container.
 * PURE. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"
#include "filter/policy.h"
#include "filter/refusal.h"

#define CREATE_BODY_MAX ((size_t)256 * 1024)
#define CREATE_MOUNTS_MAX 32

/* The labels that clawsup writes. A client's label that folds to "clawsup.*" is dropped (one that names
 * another tenant is refused). All are written on every sandbox, so that none is inherited from an image. */
#define LABEL_TENANT "clawsup.tenant"
#define LABEL_ROLE "clawsup.role"
#define LABEL_NAME "clawsup.name"   /* the name the client gave */
#define LABEL_IMAGE "clawsup.image" /* the image reference the client gave */
#define LABEL_BINDS "clawsup.binds" /* JSON: the binds with their true sources; never shown to clients */
#define LABEL_PREFIX "clawsup."
#define ROLE_SANDBOX "sandbox"

/* A bind that the client asked for. */
struct create_bind {
    char *source;  /* clean absolute path on the host, as the client named it */
    char *root;    /* the allowlisted root (of policy.bind_mount_from) that covers it */
    char *target;  /* clean absolute path in the container */
    char *staged;  /* what the engine is given; NULL until create_set_staged() */
    bool readonly; /* "ro" */
    char relabel;  /* 'z', 'Z' or 0: SELinux relabelling that the client asked for; Mounts cannot carry it */
    /* 1 + the index of the bind in which its target lies, 0: in none. Such a one is mounted inside what is
     * staged for the other, where no link is followed; the engine never hears of it. */
    size_t inside;
};

struct create_tmpfs {
    char *target;
    uint64_t bytes;   /* 1 .. policy.tmpfs_bytes */
    unsigned mode;    /* permission bits, 01777 by default; never set-id */
    int64_t uid, gid; /* owner, -1: not given */
    bool exec;        /* the client asked for "exec"; always nosuid, nodev */
};

/* What will be asked of the engine: the client's wishes within the policy, with every forced value in place.
 * json_t members are built here from checked strings, never references into the client's document. */
struct create_model {
    /* who */
    char tenant[SLUG_MAX + 1];
    char *name;     /* the client's name (label clawsup.name) */
    char *image;    /* the allowlisted reference as the client wrote it; resolve this one */
    char *image_id; /* "sha256:<64 hex>"; NULL until create_set_image() */
    json_t *labels; /* object of strings: the client's own, without any clawsup.* */

    /* the process */
    json_t *entrypoint, *cmd;                                   /* arrays of strings, or NULL: the image's */
    json_t *env;                                                /* array of "K=V" (or "K") */
    char *user, *workdir, *hostname, *domainname, *stop_signal; /* "" when not given */
    int stop_timeout;                                           /* seconds, -1: not given */
    bool tty, open_stdin, stdin_once, attach_stdin, attach_stdout, attach_stderr;
    bool init, init_set, auto_remove, readonly_rootfs;
    unsigned console_height, console_width;

    /* mounts */
    struct create_bind binds[CREATE_MOUNTS_MAX];
    size_t n_binds;
    struct create_tmpfs tmpfs[CREATE_MOUNTS_MAX];
    size_t n_tmpfs;

    /* the cage */
    char *network_id;            /* NULL: NetworkMode none */
    char *network_name;          /* with network_id: the engine may answer with the name */
    char *cgroup_parent;         /* "" : the engine's default */
    char *runtime;               /* "" : the engine's default */
    json_t *security_opt;        /* array, "no-new-privileges" first */
    json_t *cap_add;             /* array: what the policy keeps of the default set; usually empty */
    uint64_t memory_bytes;       /* MemorySwap is the same */
    uint64_t memory_reservation; /* 0: none */
    uint64_t nano_cpus, pids, shm_bytes;
    int oom_score_adj; /* 0 .. 1000 */
    json_t *ulimits;   /* array of {Name, Soft, Hard}; always has "core" and "fsize" */
};

/* Reads the body. `name` is the client's name from the query (already checked by the caller). 0 and a model;
 * or a negative errno with `refusal` filled (-EINVAL 400, -EPERM 403, -EFBIG 413), or -ENOMEM
 * (refusal->status 0). */
int create_parse(const struct policy *p, const char *name, const json_t *body, struct create_model **ret,
    struct refusal *refusal) _must_check_;
struct create_model *create_model_free(struct create_model *m);
DEFINE_CLEANUP(struct create_model *, create_model_free)
#define _cleanup_create_model_ _cleanup_(create_model_freep)

/* The facts that only the proxy can find out. -EINVAL: not "sha256:" and 64 hex digits, not a clean path, no
 * such bind; -ENOMEM. */
int create_set_image(struct create_model *m, const char *id) _must_check_;
int create_set_staged(struct create_model *m, size_t bind, const char *path) _must_check_;

/* The engine would make a volume for each that the image declares (`image`: its inspect answer): refused
 * unless a mount of the model takes the place. 0, -EPERM with `refusal` filled, -ENOMEM. */
int create_check_image(
    const struct create_model *m, const json_t *image, struct refusal *refusal) _must_check_;

/* The new body, for API version 1.`api_minor`; caller frees. -ENODATA: an image id or a staged path is
 * missing (nothing is ever rendered with the client's own text in their place); -ENOMEM. */
int create_render(const struct create_model *m, unsigned api_minor, char **ret) _must_check_;

/* Compares the engine's inspect answer with the model: did we get what we asked for? 0, or -EBADMSG and `e`
 * names the first field that differs. Fields that the answer lacks count as different. */
int create_verify(const struct create_model *m, const json_t *inspect, struct err *e) _must_check_;

/* Reads LABEL_BINDS back from a container's labels (an object): for staging again before a start, and for
 * showing a client its own paths. *ret is an array of *ret_n (NULL and 0 when the label is absent); free it
 * with create_binds_free(). -EBADMSG: not what create_render() writes; -ENOMEM. */
int create_binds_from_labels(const json_t *labels, struct create_bind **ret, size_t *ret_n) _must_check_;
void create_binds_free(struct create_bind *b, size_t n);
/* Sorts outer ones before what lies in them, and fills `inside`. For models and labels that is done already.
 */
void create_binds_nest(struct create_bind *b, size_t n);
/* Where a bind inside another belongs: below the other's staged path. NULL when out of memory; caller frees.
 */
char *create_binds_path(const struct create_bind *binds, size_t i);
