/* recorder.h: the decision records of a proxy that runs alone: JSON lines on standard output. Never waited
 * for: what a slow reader does not take is dropped and counted, and the count becomes a record of its own:
 * {"type":"dropped","time_us":...,"tenant":"a","records":N}. */
#pragma once

#include "base/buf.h"
#include "base/defs.h"
#include "proxy/proxy.h"

#define RECORDER_QUEUE_MAX ((size_t)1024 * 1024)

struct recorder;

/* A descriptor for standard output that is non-blocking without making it so for others who share it
 * (standard error, a terminal). Before root is given up. -errno. */
int recorder_open(void);

/* Takes `fd` over, also on failure. -errno. */
int recorder_new(struct proxy *p, int fd, struct recorder **ret) _must_check_;
/* Writes what can be written without waiting. */
struct recorder *recorder_free(struct recorder *r);

/* One line without its end. */
void recorder_record(struct recorder *r, const struct buf *record);
