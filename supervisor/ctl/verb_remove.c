/* verb_remove.c: `clawsup remove`: a tenant leaves: its file, its containers, its network, and with --purge
 * its data. The daemon removes what is the engine's; files are removed here, with the caller's own rights. */
#include "ctl/verbs.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "ctl/ask.h"
#include "ctl/locate.h"
#include "ctl/progress.h"
#include "ctl/text.h"

#define TIMEOUT_US (10 * USEC_PER_MINUTE)

static bool arg_yes, arg_purge;

/* What is known of the tenant on disk. */
struct target {
    const char *slug;
    char *file, *data_root; /* NULL: not known */
    char *aside;            /* FILE.removed */
    bool moved;
};

static void target_reset(struct target *t)
{
    free(t->file);
    free(t->data_root);
    free(t->aside);
}

/* From the configuration; when that is not valid, or does not have the tenant, from its usual name. */
static int look(const struct ctl *c, struct target *t)
{
    _cleanup_(config_freep) struct config *cfg = NULL;
    _cleanup_free_ char *dir = locate_tenants_dir(c->config_file);
    const struct config_tenant *ct = NULL;
    struct config_findings f = {0};

    if (config_load(c->config_file, &cfg, &f) >= 0)
        ct = config_find(cfg, t->slug);
    config_findings_free(&f);
    if (ct) {
        t->file = strdup(ct->file);
        t->data_root = ct->data_root ? strdup(ct->data_root) : NULL;
    } else if (dir && asprintf(&t->file, "%s/%s.conf", dir, t->slug) < 0) {
        t->file = NULL;
    }
    if (!dir || !t->file)
        return -ENOMEM;
    if (access(t->file, F_OK) < 0) {
        free(t->file);
        t->file = NULL;
        return 0;
    }
    return asprintf(&t->aside, "%s.removed", t->file) < 0 ? (t->aside = NULL, -ENOMEM) : 0;
}

/* ---------------------------------------------------------------- asking */

static int confirm(const struct ctl *c, const struct target *t)
{
    char question[512];

    if (arg_yes)
        return CTL_OK;
    if (!ask_possible())
        return ctl_fail(c, CTL_USAGE, "usage", "--yes answers for you",
            "nobody can be asked whether to remove %s", t->slug);
    (void)fprintf(
        stderr, "Removes the tenant %s: its containers, with its sandboxes, and its network.\n", t->slug);
    if (t->file)
        (void)fprintf(stderr, "Its file becomes %s.\n", arg_purge ? "nothing: it is deleted" : t->aside);
    if (!arg_purge) {
        (void)fprintf(
            stderr, "Its data stays%s%s.\n", t->data_root ? ": " : "", t->data_root ? t->data_root : "");
        (void)snprintf(question, sizeof(question), "Remove %s?", t->slug);
        return ask_yes(question) ? CTL_OK : ctl_fail(c, CTL_FAILED, "refused", NULL, "nothing was changed");
    }
    (void)snprintf(question, sizeof(question),
        "DELETES ALL ITS DATA in %.300s. Type the tenant's name to do that",
        t->data_root ? t->data_root : "?");
    {
        _cleanup_free_ char *answer = ask_text(question, "");

        return str_eq(answer, t->slug) ? CTL_OK
                                       : ctl_fail(c, CTL_FAILED, "refused", NULL, "nothing was changed");
    }
}

/* ---------------------------------------------------------------- out of the configuration */

static int leave_configuration(const struct ctl *c, struct target *t)
{
    _cleanup_json_ json_t *reply = NULL;
    int r;

    if (t->file && rename(t->file, t->aside) < 0)
        return ctl_fail(c, CTL_FAILED, "refused", errno == EACCES ? "be root" : NULL, "%s: %m", t->file);
    t->moved = t->file != NULL;
    r = ctl_call(c, ctl_request("reload", NULL), TIMEOUT_US, &reply);
    if (r != CTL_OK && t->moved) {
        (void)rename(t->aside, t->file);
        (void)fprintf(stderr, "  %s is in its place again; nothing was removed\n", t->file);
    }
    return r;
}

/* ---------------------------------------------------------------- data */

/* Everything below and itself; no link is followed, no mount is entered. */
static int delete_tree(const char *path, struct err *e)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);
    FTSENT *ent;
    int r = 0;

    if (!fts)
        return err_set(e, -errno, "%s: %m", path);
    while (r >= 0 && (errno = 0, ent = fts_read(fts))) {
        bool directory = ent->fts_info == FTS_DP;

        if (ent->fts_info == FTS_D)
            continue;
        if (ent->fts_info == FTS_DNR || ent->fts_info == FTS_ERR || ent->fts_info == FTS_NS)
            r = ent->fts_level == 0 && ent->fts_errno == ENOENT
                    ? 0
                    : err_set(e, -ent->fts_errno, "%s: %s", ent->fts_path, strerrordesc_np(ent->fts_errno));
        else if ((directory ? rmdir(ent->fts_accpath) : unlink(ent->fts_accpath)) < 0)
            r = err_set(e, -errno, "%s: %m%s", ent->fts_path,
                errno == EBUSY ? " (something is mounted there: umount it and remove what is behind it)"
                               : "");
    }
    if (r >= 0 && errno != 0)
        r = err_set(e, -errno, "%s: %m", path);
    (void)fts_close(fts);
    return r;
}

static int purge(const struct ctl *c, const struct target *t)
{
    struct err e = {.msg = ""};

    if (t->moved && unlink(t->aside) < 0)
        return ctl_fail(c, CTL_FAILED, "refused", NULL, "%s: %m", t->aside);
    if (delete_tree(t->data_root, &e) < 0)
        return ctl_fail(c, CTL_FAILED, "refused", "the tenant is removed, its data is not", "%s", e.msg);
    return CTL_OK;
}

/* ---------------------------------------------------------------- the verb */

static int report(const struct ctl *c, const struct target *t, const json_t *reply)
{
    _cleanup_json_ json_t *j = NULL;
    uint64_t n = text_u64(reply, "containers", 0);
    bool network = json_is_true(json_object_get(reply, "network"));

    if (c->json) {
        j = json_pack("{s:i, s:b, s:s, s:I, s:b, s:s*, s:s*, s:b}", "v", 1, "ok", 1, "tenant", t->slug,
            "containers", (json_int_t)n, "network", (int)network, "file",
            t->moved && !arg_purge ? t->aside : NULL, "data_root", t->data_root, "purged", (int)arg_purge);
        return j ? ctl_print_json(j, false) : CTL_FAILED;
    }
    (void)printf("%s removed: %" PRIu64 " container%s%s\n", t->slug, n, n == 1 ? "" : "s",
        network ? " and its network" : "");
    if (t->moved && !arg_purge)
        (void)printf("  its file is   %s\n", t->aside);
    if (t->data_root)
        (void)printf("  its data %s %s\n", arg_purge ? "was in " : "stays in", t->data_root);
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

static int remove_tenant(const struct ctl *c, struct target *t)
{
    _cleanup_json_ json_t *request = ctl_request("remove", t->slug), *reply = NULL;
    int r;

    if (look(c, t) < 0 || !request || json_object_set_new(request, "volumes", json_boolean(arg_purge)) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    if (arg_purge && !t->data_root)
        return ctl_fail(c, CTL_FAILED, "refused", "remove it without --purge and delete its data by hand",
            "where the data of %s is cannot be read from %s", t->slug, c->config_file);
    r = confirm(c, t);
    if (r == CTL_OK)
        r = leave_configuration(c, t);
    if (r == CTL_OK)
        r = progress_call(c, TAKE_PTR(request), TIMEOUT_US, &reply);
    if (r == CTL_OK && arg_purge)
        r = purge(c, t);
    return r == CTL_OK ? report(c, t, reply) : r;
}

/* Neither the daemon nor the files know it. */
static int check_known(const struct ctl *c, const char *slug)
{
    _cleanup_json_ json_t *request = ctl_request("status", slug), *reply = NULL;
    _cleanup_free_ char *dir = locate_tenants_dir(c->config_file), *aside = NULL;
    struct err e = {.msg = ""};
    int r = ctl_ask(c, request, CTL_TIMEOUT_US, &reply, &e);

    if (r < 0)
        return ctl_unreachable(c, r, &e);
    if (json_is_true(json_object_get(reply, "ok")) || !str_eq(text_of(reply, "code"), "unknown-tenant"))
        return CTL_OK;
    /* One that left but whose containers are still there, such as after an interrupted removal. */
    if (dir && asprintf(&aside, "%s/%s.conf.removed", dir, slug) >= 0 && access(aside, F_OK) == 0)
        return CTL_OK;
    return ctl_refused(c, request, reply);
}

static int run(struct ctl *c, char **args, int n)
{
    struct target t = {.slug = args[0]};
    int r;

    (void)n;
    if (!str_is_slug(args[0]))
        return ctl_fail(c, CTL_USAGE, "usage", "1 to 32 of a-z, 0-9 and single dashes inside",
            "'%s' is no name of a tenant", args[0]);
    r = check_known(c, args[0]);
    if (r == CTL_OK)
        r = remove_tenant(c, &t);
    target_reset(&t);
    return r;
}

static const struct ctl_option options[] = {
    {.name = "yes", .help = "do not ask", .flag = &arg_yes},
    {.name = "purge", .help = "delete its file, its data and anonymous volumes, too", .flag = &arg_purge},
};

const struct ctl_command verb_remove = {
    .name = "remove",
    .args = "TENANT",
    .summary = "stop and remove a tenant; its data stays unless --purge",
    .details =
        "Asks first. The tenant's file is renamed to NAME.conf.removed, the configuration is loaded, the\n"
        "gateway and the sandboxes are stopped and removed, then the network. An external gateway, which\n"
        "clawsup did not make, is left alone. With --purge the data root is deleted at the end: no link is\n"
        "followed and no mount is entered. Removing what is half removed goes on where it ended.",
    .examples = "  clawsup remove acme\n"
                "  clawsup remove acme --yes --purge\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
