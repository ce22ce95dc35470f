/* mountinfo.h: the lines of /proc/PID/mountinfo (proc_pid_mountinfo(5)). PURE: works on text. */
#pragma once

#include "base/defs.h"

struct mountinfo {
    char mount_point[256]; /* octal escapes resolved */
    char fs_type[32];
    char source[256];
    char super_options[512]; /* "rw,prjquota" */
};

/* Takes the next line from *text and moves *text past it. 1: an entry, 0: the end. Lines that are malformed
 * or longer than the fields are passed over. */
int mountinfo_next(const char **text, struct mountinfo *ret);

/* True if the comma-separated `list` has `word`. */
bool mountinfo_has_option(const char *list, const char *word);
