/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/envelope.h"

#include <stdlib.h>
#include <string.h>

static const char purpose[] = "etcdseal kms v2 dek seed";

static int by_name(const void *a, const void *b)
{
    const struct provider_annotation *x = a;
    const struct provider_annotation *y = b;
    size_t common = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = common == 0 ? 0 : memcmp(x->name.ptr, y->name.ptr, common);
    if (order != 0) {
        return order;
    }
    return x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

static enum kerr put_annotations(const struct provider_annotations *annotations, struct writer *w,
                                 struct kerrinfo *e)
{
    struct provider_annotations sorted = *annotations;
    qsort(sorted.rows, sorted.count, sizeof sorted.rows[0], by_name);
    write_u16(w, (uint16_t)sorted.count);
    for (size_t i = 0; i < sorted.count; i++) {
        if (i > 0 && bytes_equal(sorted.rows[i].name, sorted.rows[i - 1].name)) {
            return kerr_set(e, KERR_INPUT, "an annotation's name stands twice");
        }
        write_lv16(w, sorted.rows[i].name);
        write_lv16(w, sorted.rows[i].value);
    }
    return KERR_OK;
}

static size_t aad_size(struct bytes store_id, struct bytes key_id,
                       const struct provider_annotations *annotations)
{
    size_t size = 1 + 2 + strlen(purpose) + 1 + 2 + store_id.len + 2 + key_id.len + 2;
    for (size_t i = 0; i < annotations->count; i++) {
        size += 4 + annotations->rows[i].name.len + annotations->rows[i].value.len;
    }
    return size;
}

enum kerr envelope_aad(enum suite suite, struct bytes store_id, struct bytes key_id,
                       const struct provider_annotations *annotations, struct buf *ret,
                       struct kerrinfo *e)
{
    AUTO_BUF out;
    size_t size = aad_size(store_id, key_id, annotations);
    buf_init(&out, size);
    uint8_t *to;
    enum kerr k = buf_extend(&out, size, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    struct writer w = writer_on(to, size);
    write_u8(&w, ENVELOPE_FORMAT);
    write_lv16(&w, bytes_of_text(purpose));
    write_u8(&w, (uint8_t)suite);
    write_lv16(&w, store_id);
    write_lv16(&w, key_id);
    k = put_annotations(annotations, &w, e);
    if (k == KERR_OK && (w.failed || w.len != size)) {
        k = kerr_set(e, KERR_BUG, "the associated data does not fit its computed size");
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct buf){0};
    }
    return k;
}
