/* test_uthash.c: a table without memory refuses, and the process lives. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/defs.h"

static int left; /* allocations that succeed */

static void *scarce(size_t n)
{
    return left-- > 0 ? malloc(n) : NULL;
}

#define uthash_malloc(n) scarce(n)
#include "base/uthash.h"

struct item {
    char key[16];
    UT_hash_handle hh;
};

/* Whichever allocation fails, the first or that of a larger table, what is in it stays usable. */
Test(uthash, no_memory)
{
    static struct item items[4096];

    for (int n = 0; n < 8; n++) {
        struct item *table = NULL, *found;
        size_t in = 0;

        left = n;
        for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
            (void)snprintf(items[i].key, sizeof(items[i].key), "%zu", i);
            HASH_ADD_STR(table, key, &items[i]);
            if (hash_refused(&items[i]))
                break;
            in++;
        }
        cr_assert_eq(HASH_COUNT(table), in);
        cr_assert_lt(in, ARRAY_SIZE(items), "%d allocations were enough", n);
        for (size_t i = 0; i < in; i++) {
            HASH_FIND_STR(table, items[i].key, found);
            cr_assert_eq(found, &items[i]);
        }
        HASH_CLEAR(hh, table);
    }
}
