/* hash.h: a fingerprint to notice change (of a policy, of a spec), not a defence against an adversary:
 * FNV-1a, 64 bits, http://www.isthe.com/chongo/tech/comp/fnv/. */
#pragma once

#include "base/defs.h"

#define HASH_HEX_SIZE 17

static inline void hash_hex(const void *data, size_t len, char ret[static HASH_HEX_SIZE])
{
    const unsigned char *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    for (int i = 15; i >= 0; i--, h >>= 4)
        ret[i] = "0123456789abcdef"[h & 15];
    ret[16] = '\0';
}
