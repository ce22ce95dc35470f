/* log.h: one wrapper for everything a program says. Lower layers return errors; only programs log.
 * Lines go to stderr ("<N>" prefixed under systemd when no journal sink is set), or to the sink of the
 * program. Outside text is passed as an argument, never as the format; control bytes in the result are
 * escaped. */
#pragma once

#include "base/defs.h"

#include <syslog.h>

struct log_fields {
    const char *message_id; /* 32 hex digits of the journal catalog, or NULL */
    const char *tenant;     /* CLAWSUP_TENANT, or NULL */
    const char *component;  /* CLAWSUP_COMPONENT, or NULL */
    const char *action_id;  /* CLAWSUP_ACTION_ID, or NULL */
};

/* Receives each line that passes the level; `text` has no newline and no control bytes. */
typedef void (*log_sink_fn)(int priority, const struct log_fields *f, const char *text);

void log_set_level(int priority); /* LOG_ERR .. LOG_DEBUG; default LOG_INFO */
int log_get_level(void);
void log_set_name(const char *name); /* the prefix on stderr; static storage */
void log_set_sink(log_sink_fn sink); /* NULL: stderr */

/* "error", "warning", "notice", "info", "debug" -> priority; -EINVAL. */
int log_level_from_string(const char *s);

void log_full(int priority, const struct log_fields *f, const char *fmt, ...) _printf_(3, 4);

#define log_error(...) log_full(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_full(LOG_DEBUG, NULL, __VA_ARGS__)
