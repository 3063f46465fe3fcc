/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/minisign.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/text.h"

#define ALGORITHM        "Ed" /* of keys */
#define ALGORITHM_HASHED "ED" /* of signatures of a hash */
#define ALGORITHM_BYTES  2
#define TRUSTED          "trusted comment: "

/* algorithm 2, id 8, public key 32 */
#define PUBLIC_BYTES (ALGORITHM_BYTES + MINISIGN_ID_BYTES + PUBKEY_BYTES)
/* algorithm 2, id 8, signature 64 */
#define SIGNATURE_BYTES (ALGORITHM_BYTES + MINISIGN_ID_BYTES + PUBKEY_SIGNATURE)
/* algorithms 3·2, salt 32, limits 2·8, id 8, seed 32, public key 32, checksum 32 */
#define SECRET_BYTES  158
#define SECRET_KDF_AT 2
#define SECRET_ID_AT  54
#define CHECKED_BYTES (PUBKEY_SIGNATURE + MINISIGN_COMMENT_MAX)

/* Takes a line off the text, without its end; false when there is none. */
static bool take_line(struct bytes *text, struct bytes *ret)
{
    const uint8_t *end = text->len == 0 ? NULL : memchr(text->ptr, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
    size_t whole = end == NULL ? len : len + 1;
    *ret = bytes_of(text->ptr, len > 0 && text->ptr[len - 1] == '\r' ? len - 1 : len);
    bool is_there = text->len > 0;
    *text = bytes_of(text->ptr + whole, text->len - whole);
    return is_there;
}

/* The second line: the first is a comment that nobody signed. */
static struct bytes second_line(struct bytes *text)
{
    struct bytes line = {0};
    (void)take_line(text, &line);
    return take_line(text, &line) ? line : bytes_of(NULL, 0);
}

/* ---- keys ---- */

enum kerr minisign_parse_public(struct bytes text, const char *name, struct minisign_public *ret,
                                struct kerrinfo *e)
{
    uint8_t raw[PUBLIC_BYTES];
    size_t len = 0;
    enum kerr k = base64_read(second_line(&text), raw, sizeof raw, &len, NULL);
    if (k != KERR_OK || len != sizeof raw || memcmp(raw, ALGORITHM, ALGORITHM_BYTES) != 0) {
        return kerr_set(e, KERR_INPUT,
                        "%s is no public key of minisign; expected is a file of two lines, such as "
                        "'minisign -G' makes",
                        name);
    }
    memcpy(ret->id, raw + ALGORITHM_BYTES, sizeof ret->id);
    memcpy(ret->key, raw + ALGORITHM_BYTES + sizeof ret->id, sizeof ret->key);
    return KERR_OK;
}

enum kerr minisign_read_public(const char *path, struct minisign_public *ret, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    enum kerr k = file_read(NULL, path, MINISIGN_FILE_MAX, FILE_READ_ANY, &text, e);
    return k == KERR_OK ? minisign_parse_public(buf_view(&text), path, ret, e) : k;
}

/* Of what minisign keeps of a key with a password nothing but the seed and the id is needed. */
static enum kerr take_secret(const struct secret *raw, const char *name,
                             struct minisign_secret *ret, struct kerrinfo *e)
{
    static const uint8_t none[ALGORITHM_BYTES] = {0};
    const uint8_t *bytes = secret_view(raw).ptr;
    if (memcmp(bytes + SECRET_KDF_AT, none, sizeof none) != 0) {
        return kerr_set(e, KERR_UNSUP,
                        "%s is encrypted with a password, and nobody is there to be asked for it; "
                        "'minisign -G -W' makes a key without one",
                        name);
    }
    const uint8_t *seed = bytes + SECRET_ID_AT + MINISIGN_ID_BYTES;
    memcpy(ret->is.id, bytes + SECRET_ID_AT, sizeof ret->is.id);
    enum kerr k = secret_from_bytes(bytes_of(seed, PUBKEY_SEED), &ret->seed, e);
    k = k == KERR_OK ? pubkey_sign_public(ret->seed, ret->is.key, e) : k;
    if (k == KERR_OK && memcmp(ret->is.key, seed + PUBKEY_SEED, PUBKEY_BYTES) != 0) {
        k = kerr_set(e, KERR_INPUT, "%s is damaged: its public half belongs to another key", name);
    }
    return k;
}

enum kerr minisign_parse_secret(struct bytes text, const char *name, struct minisign_secret *ret,
                                struct kerrinfo *e)
{
    AUTO_SECRET raw = NULL;
    enum kerr k = base64_read_secret(second_line(&text), SECRET_BYTES, &raw, NULL);
    if (k == KERR_NOMEM) {
        return kerr_set(e, k, "no memory for the key of %s", name);
    }
    if (k != KERR_OK || secret_len(raw) != SECRET_BYTES ||
        memcmp(secret_view(raw).ptr, ALGORITHM, ALGORITHM_BYTES) != 0) {
        return kerr_set(e, KERR_INPUT,
                        "%s is no secret key of minisign; expected is a file of two lines, such as "
                        "'minisign -G -W' makes",
                        name);
    }
    return take_secret(raw, name, ret, e);
}

enum kerr minisign_read_secret(const char *path, struct minisign_secret *ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    enum kerr k = file_read_key(path, 0, MINISIGN_FILE_MAX, &text, e);
    return k == KERR_OK ? minisign_parse_secret(secret_view(text), path, ret, e) : k;
}

void minisign_secret_done(struct minisign_secret *s)
{
    secret_free(s->seed);
    s->seed = NULL;
}

void minisign_id_text(const struct minisign_public *p, char to[static MINISIGN_ID_TEXT])
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < MINISIGN_ID_BYTES; i++) {
        uint8_t byte = p->id[MINISIGN_ID_BYTES - 1 - i]; /* a little-endian number */
        to[2 * i] = digits[byte >> 4];
        to[2 * i + 1] = digits[byte & 15];
    }
    to[2 * MINISIGN_ID_BYTES] = 0;
}

/* ---- signatures ---- */

static bool is_one_line(const char *comment)
{
    for (const char *p = comment; *p != 0; p++) {
        if ((unsigned char)*p < 0x20 && *p != '\t') {
            return false;
        }
    }
    return true;
}

/* What the second signature is over. */
static size_t put_checked(const uint8_t *signature, struct bytes comment,
                          uint8_t to[static CHECKED_BYTES])
{
    memcpy(to, signature, PUBKEY_SIGNATURE);
    if (comment.len > 0) {
        memcpy(to + PUBKEY_SIGNATURE, comment.ptr, comment.len);
    }
    return PUBKEY_SIGNATURE + comment.len;
}

enum kerr minisign_sign(const struct minisign_secret *s,
                        const uint8_t hash[static HASH_BLAKE2B_BYTES], const char *comment,
                        struct buf *ret, struct kerrinfo *e)
{
    uint8_t raw[SIGNATURE_BYTES];
    uint8_t checked[CHECKED_BYTES];
    uint8_t global[PUBKEY_SIGNATURE];
    char texts[2][BASE64_CHARS(SIGNATURE_BYTES) + 1];
    uint8_t *signature = raw + ALGORITHM_BYTES + MINISIGN_ID_BYTES;
    if (strlen(comment) > MINISIGN_COMMENT_MAX) {
        return kerr_set(e, KERR_LIMIT, "a comment of a signature has at most %zu bytes",
                        MINISIGN_COMMENT_MAX);
    }
    if (!is_one_line(comment)) {
        return kerr_set(e, KERR_BUG, "a comment of a signature with a control character");
    }
    memcpy(raw, ALGORITHM_HASHED, ALGORITHM_BYTES);
    memcpy(raw + ALGORITHM_BYTES, s->is.id, MINISIGN_ID_BYTES);
    enum kerr k = pubkey_sign_plain(s->seed, bytes_of(hash, HASH_BLAKE2B_BYTES), signature, e);
    if (k != KERR_OK) {
        return k;
    }
    size_t len = put_checked(signature, bytes_of_text(comment), checked);
    k = pubkey_sign_plain(s->seed, bytes_of(checked, len), global, e);
    base64_write(BYTES_OF(raw), texts[0]);
    base64_write(BYTES_OF(global), texts[1]);
    return k == KERR_OK
               ? buf_printf(ret, e,
                            "untrusted comment: signature from etcdseal\n%s\n" TRUSTED "%s\n%s\n",
                            texts[0], comment, texts[1])
               : k;
}

struct signature_file {
    uint8_t raw[SIGNATURE_BYTES];
    struct bytes comment;
    uint8_t global[PUBKEY_SIGNATURE];
};

static bool parse_signature(struct bytes text, struct signature_file *ret)
{
    size_t len = 0;
    struct bytes line = second_line(&text);
    if (base64_read(line, ret->raw, sizeof ret->raw, &len, NULL) != KERR_OK ||
        len != sizeof ret->raw || memcmp(ret->raw, ALGORITHM_HASHED, ALGORITHM_BYTES) != 0) {
        return false;
    }
    size_t skip = strlen(TRUSTED);
    if (!take_line(&text, &line) || line.len < skip || memcmp(line.ptr, TRUSTED, skip) != 0 ||
        line.len - skip > MINISIGN_COMMENT_MAX) {
        return false;
    }
    ret->comment = bytes_of(line.ptr + skip, line.len - skip);
    return take_line(&text, &line) &&
           base64_read(line, ret->global, sizeof ret->global, &len, NULL) == KERR_OK &&
           len == sizeof ret->global;
}

static enum kerr check_id(const struct minisign_public *p, const struct signature_file *f,
                          const char *name, struct kerrinfo *e)
{
    struct minisign_public other;
    char texts[2][MINISIGN_ID_TEXT];
    memcpy(other.id, f->raw + ALGORITHM_BYTES, sizeof other.id);
    if (memcmp(p->id, other.id, sizeof other.id) == 0) {
        return KERR_OK;
    }
    minisign_id_text(p, texts[0]);
    minisign_id_text(&other, texts[1]);
    return kerr_set(e, KERR_INTEGRITY, "%s is a signature of key %s, not of %s", name, texts[1],
                    texts[0]);
}

enum kerr minisign_verify(const struct minisign_public *p, struct bytes signature, const char *name,
                          const uint8_t hash[static HASH_BLAKE2B_BYTES], char **ret_comment,
                          struct kerrinfo *e)
{
    struct signature_file f;
    uint8_t checked[CHECKED_BYTES];
    if (!parse_signature(signature, &f)) {
        return kerr_set(e, KERR_FORMAT,
                        "%s is no signature of minisign over a hash; expected are four lines",
                        name);
    }
    const uint8_t *first = f.raw + ALGORITHM_BYTES + MINISIGN_ID_BYTES;
    enum kerr k = check_id(p, &f, name, e);
    if (k == KERR_OK && !pubkey_verify_plain(p->key, bytes_of(hash, HASH_BLAKE2B_BYTES), first)) {
        k = kerr_set(e, KERR_INTEGRITY, "%s is not of this file, or the file was changed", name);
    }
    size_t len = put_checked(first, f.comment, checked);
    if (k == KERR_OK && !pubkey_verify_plain(p->key, bytes_of(checked, len), f.global)) {
        k = kerr_set(e, KERR_INTEGRITY, "the trusted comment of %s was changed", name);
    }
    return k == KERR_OK ? text_dup(f.comment, ret_comment, e) : k;
}
