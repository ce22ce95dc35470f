/* log.c: see log.h. The only global state of the base room. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int log_level = LOG_INFO;
static const char *log_name = "clawsup";
static log_sink_fn log_sink;

static const struct {
    const char *name;
    int priority;
} levels[] = {{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE}, {"info", LOG_INFO},
    {"debug", LOG_DEBUG}};

void log_set_level(int priority)
{
    log_level = priority;
}

int log_get_level(void)
{
    return log_level;
}

void log_set_name(const char *name)
{
    log_name = name;
}

void log_set_sink(log_sink_fn sink)
{
    log_sink = sink;
}

int log_level_from_string(const char *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (strcmp(s, levels[i].name) == 0)
            return levels[i].priority;
    return -EINVAL;
}

static const char *level_name(int priority)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (levels[i].priority == priority)
            return levels[i].name;
    return "error";
}

static void log_stderr(int priority, const struct log_fields *f, const char *text)
{
    char stamp[32] = "";
    struct timespec ts;
    struct tm tm;

    if (clock_gettime(CLOCK_REALTIME, &ts) == 0 && gmtime_r(&ts.tv_sec, &tm)) {
        size_t n = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(stamp + n, sizeof(stamp) - n, ".%03uZ", (unsigned)(ts.tv_nsec / 1000000));
    }
    if (f && f->tenant)
        (void)fprintf(stderr, "%s %s %s: %s%s%s: %s\n", stamp, log_name, level_name(priority), f->tenant,
            f->component ? "/" : "", f->component ? f->component : "", text);
    else
        (void)fprintf(stderr, "%s %s %s: %s\n", stamp, log_name, level_name(priority), text);
}

void log_full(int priority, const struct log_fields *f, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    if (priority > log_level)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    (log_sink ? log_sink : log_stderr)(priority, f, text);
}
