/* disk_run.h: runs a program of e2fsprogs to its end and keeps what it said. Blocks: for a worker process
 * only, never on the loop. */
#pragma once

#include "base/defs.h"
#include "base/err.h"

/* The path of a program in the directories where distributions keep them; NULL: not installed. Static. */
const char *disk_program(const char *name);

/* Runs `argv` (argv[0] a path of disk_program()) with an empty environment, /dev/null as input. Returns the
 * exit status, 128 + N for signal N, or -errno when it could not be run. `text` takes the last line that it
 * wrote. */
int disk_run(char *const *argv, char *text, size_t n);
