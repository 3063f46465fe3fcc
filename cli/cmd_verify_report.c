/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal audit verify-report: whose signature lies beside a report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/minisign.h"
#include "cli/out.h"

#define COMMENT_BYTES (4 * MINISIGN_COMMENT_MAX)

static enum kerr read_signature(const char *file, char **ret_name, struct buf *ret,
                                struct kerrinfo *e)
{
    if (asprintf(ret_name, "%s" MINISIGN_SUFFIX, file) < 0) {
        *ret_name = NULL;
        return kerr_set(e, KERR_NOMEM, "no memory for a path");
    }
    return file_read(NULL, *ret_name, MINISIGN_FILE_MAX, FILE_READ_ANY, ret, e);
}

static enum kerr hash_file(const char *path, uint8_t to[static HASH_BLAKE2B_BYTES],
                           struct kerrinfo *e)
{
    AUTO_MAP map = FILE_MAP_NONE;
    struct hash_blake2b hash;
    enum kerr k = file_map_open(path, &map, e);
    hash_blake2b_begin(&hash);
    hash_blake2b_add(&hash, map.data);
    hash_blake2b_end(&hash, to);
    return k;
}

enum kerr cmd_verify_report(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    const char *file = call->args[0];
    struct minisign_public key;
    uint8_t hash[HASH_BLAKE2B_BYTES];
    AUTO_TEXT name = NULL;
    AUTO_TEXT comment = NULL;
    AUTO_BUF signature = {0};
    if (o->public_key == NULL) {
        return kerr_set(e, KERR_USAGE, "say whose signature it must be, with --public-key PUB");
    }
    enum kerr k = minisign_read_public(o->public_key, &key, e);
    k = k == KERR_OK ? read_signature(file, &name, &signature, e) : k;
    k = k == KERR_OK ? hash_file(file, hash, e) : k;
    k = k == KERR_OK ? minisign_verify(&key, buf_view(&signature), name, hash, &comment, e) : k;
    if (k != KERR_OK) {
        return k == KERR_DENIED ? KERR_IO : k; /* exit code 1 is for findings */
    }
    char id[MINISIGN_ID_TEXT];
    char shown[COMMENT_BYTES + 1];
    minisign_id_text(&key, id);
    for (char *tab = strchr(comment, '\t'); tab != NULL; tab = strchr(tab, '\t')) {
        *tab = ' ';
    }
    text_escape(bytes_of_text(comment), shown, sizeof shown);
    return out_line(e, "signed by %s: %s", id, shown);
}
