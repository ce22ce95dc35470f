/* ask.c: see ask.h. */
#include "ctl/ask.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool ask_possible(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static char *read_line(void)
{
    char *line = NULL, *s;
    size_t cap = 0;
    ssize_t n = getline(&line, &cap, stdin);

    if (n < 0) {
        free(line);
        return NULL;
    }
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        line[--n] = '\0';
    s = strdup(line + strspn(line, " \t"));
    free(line);
    return s;
}

char *ask_text(const char *question, const char *def)
{
    char *answer;

    (void)fprintf(stderr, "%s%s%s%s: ", question, *def ? " [" : "", def, *def ? "]" : "");
    (void)fflush(stderr);
    answer = read_line();
    if (!answer || *answer)
        return answer;
    free(answer);
    return strdup(def);
}

bool ask_yes(const char *question)
{
    _cleanup_free_ char *answer = NULL;

    (void)fprintf(stderr, "%s [y/N] ", question);
    (void)fflush(stderr);
    answer = read_line();
    return answer && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0);
}
