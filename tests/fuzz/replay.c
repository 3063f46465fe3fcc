/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives each file of a folder to a fuzz target, for builds without libFuzzer: `fuzz_NAME FOLDER`.
 * Prints how many there were; none at all is a failure, because then nothing was tested.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

/* Larger seeds would not be small files. */
#define SEED_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional in libFuzzer, so weak here. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

/* False when the file cannot be read. */
static bool replay_one(const struct file_dir *folder, const char *name)
{
    struct kerrinfo e;
    kerr_clear(&e);
    AUTO_BUF data;
    buf_init(&data, SEED_MAX);
    if (file_read(folder, name, SEED_MAX, FILE_READ_ANY, &data, &e) != KERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", name, e.text);
        return false;
    }
    /* A block of exactly its size, so that a byte read beyond is seen. */
    uint8_t *exact = malloc(data.len + (data.len == 0));
    if (exact == NULL) {
        return false;
    }
    for (size_t i = 0; i < data.len; i++) {
        exact[i] = data.ptr[i];
    }
    (void)LLVMFuzzerTestOneInput(exact, data.len);
    free(exact);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    struct kerrinfo e;
    kerr_clear(&e);
    AUTO_DIR folder = FILE_DIR_NONE;
    if (file_dir_open(argv[1], &folder, &e) != KERR_OK) {
        (void)fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    DIR *names = opendir(argv[1]);
    if (names == NULL) {
        perror(argv[1]);
        return 1;
    }
    unsigned count = 0;
    unsigned failed = 0;
    for (struct dirent *d = readdir(names); d != NULL; d = readdir(names)) {
        if (d->d_name[0] != '.') {
            count++;
            failed += !replay_one(&folder, d->d_name);
        }
    }
    (void)closedir(names);
    (void)printf("%u seeds replayed, %u failed\n", count, failed);
    return count > 0 && failed == 0 ? 0 : 1;
}
