/* clock.h: the kernel's clocks in microseconds. What decides takes the time as a value instead. */
#pragma once

#include <time.h>

#include "base/defs.h"

/* 0 if the kernel has no such clock. */
uint64_t clock_now(clockid_t id);
