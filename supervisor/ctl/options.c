/* options.c: see options.h. Must not print. */
#include "ctl/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* The option that `word` ("--name" or "--name=VALUE") names, in both tables; NULL if there is none. */
static const struct ctl_option *find_option(const struct options *o, const char *word)
{
    size_t len = strcspn(word + 2, "=");

    for (size_t i = 0; i < o->n_own + o->n_global; i++) {
        const struct ctl_option *p = i < o->n_own ? &o->own[i] : &o->global[i - o->n_own];

        if (strlen(p->name) == len && strncmp(p->name, word + 2, len) == 0)
            return p;
    }
    return NULL;
}

static int unknown_option(const struct options *o, const char *word, struct err *e)
{
    const char *names[64];
    char name[64];
    size_t n = 0;
    int at;

    for (size_t i = 0; i < o->n_own && n < ARRAY_SIZE(names); i++)
        names[n++] = o->own[i].name;
    for (size_t i = 0; i < o->n_global && n < ARRAY_SIZE(names); i++)
        names[n++] = o->global[i].name;
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    at = str_startswith(name, "--") ? ctl_closest(name + 2, names, n) : -1;
    if (at >= 0)
        return err_set(e, -EINVAL, "unknown option '%s'; did you mean '--%s'?", name, names[at]);
    return err_set(e, -EINVAL, "unknown option '%s'", name);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Words that `argv[i]` takes: 2 for an option whose value follows it, else 1. */
static int words_of(const struct options *o, char **argv, int i)
{
    const struct ctl_option *p = str_startswith(argv[i], "--") ? find_option(o, argv[i]) : NULL;

    return p && p->value && !strchr(argv[i], '=') ? 2 : 1;
}

const char *options_word(const struct options *o, int argc, char **argv, int nth)
{
    bool only_words = false;

    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && is_option(argv[i]))
            i += words_of(o, argv, i) - 1;
        else if (nth-- == 0)
            return argv[i];
    }
    return NULL;
}

/* Takes the option at argv[*i]; *i ends at its last word. */
static int take_option(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *word = argv[*i], *value = strchr(word, '=');
    const struct ctl_option *p;

    if (strcmp(word, "-h") == 0)
        word = "--help";
    p = str_startswith(word, "--") ? find_option(o, word) : NULL;
    if (!p)
        return unknown_option(o, word, e);
    if (p->flag) {
        if (value)
            return err_set(e, -EINVAL, "option '--%s' takes no value", p->name);
        *p->flag = true;
        return 0;
    }
    if (value) {
        *p->value = value + 1;
        return 0;
    }
    if (*i + 1 >= argc)
        return err_set(e, -EINVAL, "option '--%s' needs a value: %s", p->name, p->arg);
    *p->value = argv[++*i];
    return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    bool only_words = false, verb_seen = false;

    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && is_option(argv[i])) {
            int r = take_option(o, argc, argv, &i, e);

            if (r < 0)
                return r;
        } else if (!verb_seen) {
            verb_seen = true;
        } else if (o->n_args >= OPTIONS_ARGS_MAX) {
            return err_set(e, -EINVAL, "too many arguments: '%s'", argv[i]);
        } else {
            o->args[o->n_args++] = argv[i];
        }
    }
    return 0;
}
