/* metrics_text.h: shared by metrics.c and metrics_text.c only. */
#pragma once

#include "daemon/metrics.h"

/* Upper bounds of a histogram's buckets in microseconds, ended by 0. */
const uint64_t *metrics_bounds(enum metrics_histogram h);
