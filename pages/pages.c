/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes what is installed beside a program from the program's own tables: `pages KIND [FRAME]`
 * prints one file. Run by the build, never installed. Linked once with the tables of each program.
 */
#include "pages/pages.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "config/config.h"

#define FRAME_MAX 65536

#define EXIT_USAGE 2

static enum kerr make_man(struct bytes frame, struct buf *ret, struct kerrinfo *e)
{
    (void)frame;
    return opt_man(&options_page, ret, e);
}

static enum kerr make_bash(struct bytes frame, struct buf *ret, struct kerrinfo *e)
{
    return opt_bash(options_page.program, frame, ret, e);
}

static enum kerr make_zsh(struct bytes frame, struct buf *ret, struct kerrinfo *e)
{
    return opt_zsh(options_page.program, frame, ret, e);
}

static enum kerr make_config_man(struct bytes frame, struct buf *ret, struct kerrinfo *e)
{
    (void)frame;
    return config_man(ret, e);
}

static enum kerr make_config_schema(struct bytes frame, struct buf *ret, struct kerrinfo *e)
{
    (void)frame;
    return config_schema(ret, e);
}

static const struct {
    const char *name;
    enum kerr (*make)(struct bytes frame, struct buf *ret, struct kerrinfo *e);
} kinds[] = {
    {"man", make_man},
    {"bash", make_bash},
    {"zsh", make_zsh},
    {"config-man", make_config_man},
    {"config-schema", make_config_schema},
};

static enum kerr make(const char *kind, const char *frame_path, struct kerrinfo *e)
{
    AUTO_BUF frame = {0};
    AUTO_BUF page;
    buf_init(&page, OPT_MAN_MAX);
    enum kerr k = frame_path == NULL
                      ? KERR_OK
                      : file_read(NULL, frame_path, FRAME_MAX, FILE_READ_ANY, &frame, e);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && k == KERR_OK; i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            k = kinds[i].make(buf_view(&frame), &page, e);
        }
    }
    if (k == KERR_OK && page.len == 0) {
        k = kerr_set(e, KERR_USAGE, "no such page: %s", kind);
    }
    if (k == KERR_OK &&
        (fwrite(page.ptr, 1, page.len, stdout) != page.len || fflush(stdout) != 0)) {
        k = kerr_set(e, KERR_IO, "cannot write %s", kind);
    }
    return k;
}

int main(int argc, char **argv)
{
    struct kerrinfo e = {0};
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: pages KIND [FRAME]\n");
        return EXIT_USAGE;
    }
    enum kerr k = make(argv[1], argc == 3 ? argv[2] : NULL, &e);
    if (k != KERR_OK) {
        (void)fprintf(stderr, "pages: %s\n", e.text);
    }
    return kerr_exit_code(k);
}
