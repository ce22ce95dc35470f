/* replay.c: runs a fuzz target over files (or directories of files) without a fuzzer, so that the normal
 * suite replays every corpus. Exits 1 if a file cannot be read. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, unsigned *count)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ uint8_t *exact = NULL;
    size_t len = 0;
    int r = fd_read_file(path, 64 << 20, &text, &len);

    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
        return r;
    }
    /* a copy of the exact size, so that a sanitizer sees the first byte past the end */
    exact = malloc(len ? len : 1);
    if (!exact)
        return -1;
    memcpy(exact, text, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    (*count)++;
    return 0;
}

static int replay_dir(const char *path, unsigned *count)
{
    DIR *d = opendir(path);
    char file[4096];
    int r = 0;

    if (!d)
        return replay_file(path, count);
    for (struct dirent *e = readdir(d); e && r >= 0; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        r = replay_file(file, count);
    }
    (void)closedir(d);
    return r;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++)
        if (replay_dir(argv[i], &count) < 0)
            return 1;
    (void)printf("%s: %u inputs\n", argv[0], count);
    return 0;
}
