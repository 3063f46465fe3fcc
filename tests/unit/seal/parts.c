/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/seal/parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void parts_start(struct parts *p)
{
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    *p = (struct parts){
        .folder = test_folder_new(),
        .env = {.owner = geteuid(), .group = getegid(), .cost = passphrase_cost_min},
    };
    random_fill(p->binding, sizeof p->binding);
    assert_ok(&e, secret_random(SEAL_SECRET_BYTES, &p->secret, &e));
}

void parts_end(struct parts *p)
{
    secret_free(p->secret);
    test_folder_remove(p->folder);
}

struct seal_spec parts_spec(const struct parts *p, const char *format)
{
    struct kerrinfo e = {0};
    struct seal_spec spec = {0};
    AUTO_BUF text;
    const char *full = NULL;
    buf_init(&text, 4096);
    for (const char *at = format; *at != 0; at++) {
        bool is_folder = strncmp(at, "%s", 2) == 0;
        assert_ok(&e, buf_put(&text, is_folder ? bytes_of_text(p->folder) : bytes_of(at, 1), &e));
        at += is_folder;
    }
    assert_ok(&e, buf_text(&text, &full, &e));
    assert_ok(&e, seal_spec_parse(full, &spec, &e));
    return spec;
}

void parts_text_file(const struct parts *p, const char *name, const char *text)
{
    test_write_file(p->folder, name, bytes_of_text(text));
}

void parts_file(const struct parts *p, const char *name, size_t len, unsigned mode)
{
    char *path = test_path(p->folder, name);
    char *data = malloc(len + 1);
    assert_non_null(data);
    memset(data, 'k', len);
    test_write_file(p->folder, name, bytes_of(data, len));
    assert_int_equal(chmod(path, (mode_t)mode), 0);
    free(data);
    free(path);
}

struct seal_record parts_wrap(const struct parts *p, const struct seal_spec *spec)
{
    struct kerrinfo e = {0};
    struct seal_record record = {0};
    assert_ok(&e, seal_wrap(spec, &p->env, BYTES_OF(p->binding), p->secret, &record, &e));
    return record;
}

void parts_assert_opens(const struct parts *p, const struct seal_spec *spec,
                        const struct seal_record *record)
{
    struct kerrinfo e = {0};
    AUTO_SECRET out = NULL;
    assert_ok(&e, seal_unwrap(spec, &p->env, BYTES_OF(p->binding), record, &out, &e));
    assert_true(secret_equal(out, p->secret));
}

enum kerr parts_try(const struct parts *p, const struct seal_spec *spec,
                    const struct seal_record *record, struct kerrinfo *e)
{
    AUTO_SECRET out = NULL;
    enum kerr k = seal_unwrap(spec, &p->env, BYTES_OF(p->binding), record, &out, e);
    assert_true((k == KERR_OK) == (out != NULL));
    return k;
}
