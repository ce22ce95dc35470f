/* main.c: `clawsup`: the command table, the global options, the help. What a verb does is in its own file. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/locate.h"
#include "ctl/options.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

static const struct ctl_command *const commands[] = {&verb_status, &verb_top, &verb_events, &verb_logs,
    &verb_denials, &verb_init, &verb_deploy, &verb_diff, &verb_remove, &verb_restart, &verb_redeploy,
    &verb_pause, &verb_resume, &verb_release, &verb_reload, &verb_upgrade, &verb_check_config, &verb_explain,
    &verb_import_compose, &verb_capacity, &verb_doctor, &verb_version};

static const char *arg_socket, *arg_config;
static bool arg_json, arg_plain, arg_no_heading, arg_help, arg_version;

static const struct ctl_option global_options[] = {
    {.name = "socket", .arg = "PATH", .help = "control socket of clawsupd", .value = &arg_socket},
    {.name = "config", .arg = "FILE", .help = "clawsup.conf; default " LOCATE_CONFIG, .value = &arg_config},
    {.name = "json", .help = "JSON instead of text", .flag = &arg_json},
    {.name = "plain", .help = "no colour, fields separated by tabs", .flag = &arg_plain},
    {.name = "no-heading", .help = "no line with the columns' names", .flag = &arg_no_heading},
    {.name = "help", .help = "this text", .flag = &arg_help},
    {.name = "version", .help = "version of clawsup", .flag = &arg_version},
};

static void print_options(const struct ctl_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "--%s%s%s", options[i].name, options[i].arg ? " " : "",
            options[i].arg ? options[i].arg : "");
        (void)printf("  %-18s %s\n", name, options[i].help);
    }
}

static int help_main(void)
{
    (void)printf("Usage: clawsup [OPTION...] VERB [ARGUMENT...]\n\n"
                 "Looks after the agents' tenants of this host.\n\nVerbs:\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        (void)printf("  %-14s %s\n", commands[i]->name, commands[i]->summary);
    (void)printf("\nOptions:\n");
    print_options(global_options, ARRAY_SIZE(global_options));
    (void)printf(
        "\nExamples:\n  clawsup status\n  clawsup status acme\n  clawsup VERB --help\n\n"
        "Exit status: 0 done (status: all healthy), 1 failed or refused (status: degraded),\n"
        "2 status: something is quarantined, 3 clawsupd does not answer, 64 usage. See clawsup(1).\n");
    return CTL_OK;
}

static int help_verb(const struct ctl_command *v)
{
    (void)printf("Usage: clawsup %s%s%s [OPTION...]\n\n%c%s.\n", v->name, *v->args ? " " : "", v->args,
        v->summary[0] - 'a' + 'A', v->summary + 1);
    if (v->details)
        (void)printf("\n%s\n", v->details);
    (void)printf("\nOptions:\n");
    print_options(v->options, v->n_options);
    print_options(global_options, ARRAY_SIZE(global_options));
    if (v->examples)
        (void)printf("\nExamples:\n%s", v->examples);
    return CTL_OK;
}

static const struct ctl_command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* What people type who come from systemctl, docker or kubectl. */
static const char *other_word(const char *name)
{
    static const struct {
        const char *word, *verb;
    } rows[] = {{"ls", "status"}, {"list", "status"}, {"ps", "status"}, {"show", "status"}, {"get", "status"},
        {"describe", "status"}, {"info", "status"}, {"rm", "remove"}, {"delete", "remove"},
        {"down", "remove"}, {"up", "deploy"}, {"add", "deploy"}, {"apply", "deploy"}, {"start", "restart"},
        {"new", "init"}, {"create", "init"}, {"stop", "pause"}, {"hold", "pause"}, {"unpause", "resume"},
        {"unquarantine", "release"}, {"validate", "check-config"}, {"lint", "check-config"},
        {"test", "check-config"}, {"why", "explain"}, {"can-i", "explain"}, {"refused", "denials"},
        {"history", "events"}, {"journal", "logs"}, {"watch", "status"}, {"stats", "top"},
        {"convert", "import-compose"}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].word, name) == 0 && find_command(rows[i].verb))
            return rows[i].verb;
    return NULL;
}

static int unknown_verb(const struct ctl *c, const char *name)
{
    const char *names[ARRAY_SIZE(commands)], *other = other_word(name);
    char hint[64] = "clawsup --help lists the verbs";
    int at;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        names[i] = commands[i]->name;
    at = other ? -1 : ctl_closest(name, names, ARRAY_SIZE(names));
    if (other || at >= 0)
        (void)snprintf(hint, sizeof(hint), "did you mean '%s'?", other ? other : names[at]);
    return ctl_fail(c, CTL_USAGE, "usage", hint, "unknown verb '%s'", name);
}

/* --socket, CLAWSUP_SOCKET, then what the configuration says. NULL: out of memory. */
static char *socket_path(const struct ctl *c)
{
    const char *env = getenv("CLAWSUP_SOCKET");

    if (arg_socket)
        return strdup(arg_socket);
    if (env && *env)
        return strdup(env);
    return locate_socket(c->config_file);
}

static int run_verb(struct ctl *c, struct options *o)
{
    _cleanup_free_ char *path = NULL;
    const struct ctl_command *v = c->command;
    char hint[160];

    (void)snprintf(hint, sizeof(hint), "usage: clawsup %s%s%s", v->name, *v->args ? " " : "", v->args);
    if (o->n_args < v->min_args)
        return ctl_fail(c, CTL_USAGE, "usage", hint, "an argument is missing");
    if (o->n_args > v->max_args)
        return ctl_fail(c, CTL_USAGE, "usage", hint, "too many arguments: '%s'", o->args[v->max_args]);
    path = socket_path(c);
    if (!path)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    c->socket_path = path;
    return v->run(c, o->args, o->n_args);
}

static int run(int argc, char **argv)
{
    struct options o = {.global = global_options, .n_global = ARRAY_SIZE(global_options)};
    struct ctl c = {.config_file = LOCATE_CONFIG};
    struct err e = {.msg = ""};
    const char *verb = options_word(&o, argc, argv, 0);
    int r;

    if (verb && strcmp(verb, "help") == 0) {
        arg_help = true;
        verb = options_word(&o, argc, argv, 1);
    }
    /* The options of a verb are known once the verb is; all may stand anywhere. */
    if (verb) {
        c.command = find_command(verb);
        if (!c.command)
            return unknown_verb(&c, verb);
        o.own = c.command->options;
        o.n_own = c.command->n_options;
    }
    r = options_parse(&o, argc, argv, &e);
    c.json = arg_json;
    if (r < 0)
        return ctl_fail(&c, CTL_USAGE, "usage", NULL, "%s", e.msg);
    c.plain = arg_plain;
    c.no_heading = arg_no_heading;
    c.colour = !c.plain && text_colour_wanted();
    c.config_given = arg_config != NULL;
    if (arg_config)
        c.config_file = arg_config;
    if (arg_version) {
        (void)printf("clawsup %s\n", CLAWSUP_VERSION);
        return CTL_OK;
    }
    if (arg_help)
        return c.command ? help_verb(c.command) : help_main();
    if (!c.command)
        return ctl_fail(&c, CTL_USAGE, "usage", "clawsup --help lists the verbs", "a verb is missing");
    return run_verb(&c, &o);
}

int main(int argc, char **argv)
{
    /* Text in UTF-8 also where no locale is set; numbers stay as in C. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    return run(argc, argv);
}
