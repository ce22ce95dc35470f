/* finding.c: see finding.h. Reads the file that a finding names, nothing else. */
#include "ctl/finding.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "config/config_describe.h"
#include "ctl/text.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define PATH_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_.[]"

static void copy(char *out, size_t n, const char *s, size_t len)
{
    (void)snprintf(out, n, "%.*s", (int)MIN(len, n - 1), s);
}

/* The line without the blanks around it; "" when it cannot be read. */
static void read_source(struct finding *f)
{
    _cleanup_free_ char *text = NULL;
    const char *p;
    size_t n;

    if (f->line == 0 || fd_read_file(f->file, FILE_MAX, &text, NULL) < 0)
        return;
    p = text;
    for (unsigned i = 1; i < f->line && p; i++) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (!p)
        return;
    p += strspn(p, " \t");
    n = strcspn(p, "\r\n");
    copy(f->source, sizeof(f->source), p, n);
}

/* `unknown key "intervall"; did you mean "interval"?`: the same line with the other key. */
static bool suggest_key(struct finding *f)
{
    const char *meant = strstr(f->text, "did you mean \""), *wrong = strstr(f->text, "unknown key \""), *at;
    char right[64], name[64];

    if (!meant || !wrong)
        return false;
    copy(right, sizeof(right), meant + 14, strcspn(meant + 14, "\""));
    copy(name, sizeof(name), wrong + 13, strcspn(wrong + 13, "\""));
    at = strstr(f->source, name);
    if (!*name || !at)
        (void)snprintf(f->suggestion, sizeof(f->suggestion), "%s = ...;", right);
    else
        (void)snprintf(f->suggestion, sizeof(f->suggestion), "%.*s%s%s", (int)(at - f->source), f->source,
            right, at + strlen(name));
    return true;
}

/* `...; write KEY = VALUE` */
static bool suggest_written(struct finding *f)
{
    const char *write = strstr(f->text, "write ");
    size_t n;

    if (!write || !strchr(write, '='))
        return false;
    n = strlen(write + 6);
    if (!strpbrk(write + 6, "[{(") && strstr(write + 6, ", ")) /* several are valid: the first */
        n = (size_t)(strstr(write + 6, ", ") - (write + 6));
    else if (!strpbrk(write + 6, "[{(") && strstr(write + 6, " or "))
        n = (size_t)(strstr(write + 6, " or ") - (write + 6));
    while (n > 0 && (write[6 + n - 1] == ';' || write[6 + n - 1] == '.'))
        n--;
    (void)snprintf(f->suggestion, sizeof(f->suggestion), "%.*s;", (int)MIN(n, (size_t)300), write + 6);
    return true;
}

void finding_parse(const char *s, struct finding *ret)
{
    struct config_description d = {.help = NULL};
    const char *colon = strchr(s, ':'), *rest;
    char *end;
    size_t n;

    *ret = (struct finding){.line = 0};
    if (!colon) {
        copy(ret->text, sizeof(ret->text), s, strlen(s));
        return;
    }
    copy(ret->file, sizeof(ret->file), s, (size_t)(colon - s));
    ret->line = (unsigned)strtoul(colon + 1, &end, 10);
    rest = str_startswith(end, ": ") ? end + 2 : colon + 1 + strspn(colon + 1, " ");
    n = strspn(rest, PATH_CHARS);
    if (n > 0 && rest[n] == ':' && rest[n + 1] == ' ') {
        copy(ret->path, sizeof(ret->path), rest, n);
        rest += n + 2;
    }
    copy(ret->text, sizeof(ret->text), rest, strlen(rest));
    read_source(ret);
    if (ret->path[0] && config_describe(ret->path, &d) >= 0)
        ret->help = d.help;
    if (suggest_key(ret) || suggest_written(ret) || !ret->help)
        return;
    copy(ret->suggestion, sizeof(ret->suggestion), d.assignment, strlen(d.assignment));
}

static void say(FILE *out, const char *before, const char *text)
{
    char safe[1024];

    text_safe(safe, sizeof(safe), text);
    (void)fprintf(out, "%s%s\n", before, safe);
}

void finding_print(const struct finding *f, bool colour, FILE *out)
{
    char at[560] = "", safe[560], line[32], try[32];

    if (f->line > 0)
        (void)snprintf(at, sizeof(at), "%s:%u: ", f->file, f->line);
    else if (f->file[0])
        (void)snprintf(at, sizeof(at), "%s: ", f->file);
    text_safe(safe, sizeof(safe), at);
    (void)fprintf(out, "%s%s%s%s%s", colour ? text_sgr(TEXT_BOLD) : "", safe, colour ? TEXT_RESET : "",
        f->path, f->path[0] ? ": " : "");
    say(out, "", f->text);
    if (f->source[0]) {
        (void)snprintf(line, sizeof(line), "%6u | ", f->line);
        say(out, line, f->source);
    }
    if (f->help)
        say(out, "         ", f->help);
    if (f->suggestion[0] && strcmp(f->suggestion, f->source) != 0) {
        (void)snprintf(
            try, sizeof(try), "%s   try%s | ", colour ? text_sgr(TEXT_GREEN) : "", colour ? TEXT_RESET : "");
        say(out, try, f->suggestion);
    }
}
