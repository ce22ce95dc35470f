/* verb_check_config.c: `clawsup check-config`: says about the files what a reload would say. Needs no daemon.
 */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "config/config.h"
#include "ctl/finding.h"

static int print_result_json(const char *path, const struct config *cfg, const struct config_findings *f)
{
    _cleanup_json_ json_t *list = json_array(), *explained = json_array();
    _cleanup_json_ json_t *j = NULL;

    for (size_t i = 0; i < f->n; i++) {
        struct finding one;

        finding_parse(f->items[i], &one);
        if (json_array_append_new(list, json_string(f->items[i])) < 0 ||
            json_array_append_new(
                explained, json_pack("{s:s, s:i, s:s, s:s, s:s, s:s?, s:s}", "file", one.file, "line",
                               (int)one.line, "key", one.path, "text", one.text, "source", one.source, "help",
                               one.help, "try", one.suggestion)) < 0)
            return CTL_FAILED;
    }
    j = json_pack("{s:i, s:b, s:s, s:i, s:O, s:O}", "v", 1, "ok", cfg != NULL, "file", path, "tenants",
        cfg ? (int)cfg->n_tenants : 0, "findings", list, "explained", explained);
    if (!j || ctl_print_json(j, false) != CTL_OK)
        return CTL_FAILED;
    return cfg ? CTL_OK : CTL_FAILED;
}

static int run(struct ctl *c, char **args, int n)
{
    const char *path = n > 0 ? args[0] : c->config_file;
    _cleanup_(config_freep) struct config *cfg = NULL;
    struct config_findings f = {0};
    int r = config_load(path, &cfg, &f), code = r < 0 ? CTL_FAILED : CTL_OK;

    if (c->json) {
        code = print_result_json(path, cfg, &f);
    } else if (r < 0) {
        for (size_t i = 0; i < f.n; i++) {
            struct finding one;

            finding_parse(f.items[i], &one);
            finding_print(&one, c->colour && isatty(STDERR_FILENO), stderr);
        }
        if (f.n == 0)
            (void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(-r));
        else
            (void)fprintf(stderr, "%zu finding%s\n", f.n, f.n == 1 ? "" : "s");
    } else {
        (void)printf("%s: ok, %zu tenant%s\n", path, cfg->n_tenants, cfg->n_tenants == 1 ? "" : "s");
    }
    config_findings_free(&f);
    return code;
}

const struct ctl_command verb_check_config = {
    .name = "check-config",
    .args = "[FILE]",
    .summary = "check the configuration without the daemon",
    .details = "Reads FILE (default: that of --config, else " CLAWSUP_SYSCONFDIR
               "/clawsup/clawsup.conf) and the files in\n"
               "tenants.d beside it. Every finding is printed as FILE:LINE: text, with the line it is about, "
               "what the\n"
               "key means and a line that would be valid. Exit status: 0 no findings, 1 some.",
    .examples = "  clawsup check-config\n"
                "  clawsup check-config ./clawsup.conf --json\n",
    .max_args = 1,
    .run = run,
};
