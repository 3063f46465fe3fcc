/* SPDX-License-Identifier: Apache-2.0 */
#include "stored/value_memo.h"

#include <stdlib.h>
#include <string.h>

#include "stored/heads.h"
#include "stored/wire.h"

#define TAIL_MAX 512
#define TAIL_MIN 32
#define DATA_MIN 60   /* of the source type that needs most; shorter data is looked at */
#define TAG_DATA 0x0a /* field 1 of EncryptedObject, bytes */
#define MIX      0x9e3779b97f4a7c15ULL
#define WORDS    8  /* of a tail, that are hashed */
#define PROBES   32 /* slots that are looked at: who chooses values can't make it more */

struct slot {
    uint64_t hash;
    size_t head;
    size_t tail_len;       /* 0: empty */
    struct stored_value v; /* views into the tail; without those into the rest of its value */
    uint8_t tail[TAIL_MAX];
};

struct value_memo {
    struct heads heads; /* "k8s:enc:kms:v2:NAME:" */
    size_t kept;
    struct slot slots[VALUE_MEMO_SLOTS];
};

/* A value as it was cut: which head it has, and what stands behind it. */
struct parts {
    size_t head;
    struct bytes data;
    struct bytes tail;
    uint64_t hash;
};

enum kerr value_memo_new(struct value_memo **ret, struct kerrinfo *e)
{
    *ret = calloc(1, sizeof **ret);
    return *ret == NULL ? kerr_set(e, KERR_NOMEM, "no memory for what values have in common")
                        : KERR_OK;
}

void value_memo_free(struct value_memo *m)
{
    free(m);
}

/* Behind the head: the data, if it comes first, and the rest. */
static bool cut(struct bytes payload, struct parts *ret)
{
    uint64_t len = 0;
    struct wire w = {.ptr = payload.ptr, .len = payload.len, .at = 1};
    if (payload.len == 0 || payload.ptr[0] != TAG_DATA || !wire_varint(&w, &len) ||
        len > w.len - w.at) {
        return false;
    }
    ret->data = bytes_of(w.ptr + w.at, (size_t)len);
    ret->tail = bytes_of(w.ptr + w.at + len, w.len - w.at - (size_t)len);
    return ret->tail.len >= TAIL_MIN && ret->tail.len <= TAIL_MAX;
}

/* By some bytes of the tail: most of an encrypted seed is as good as random. */
static uint64_t hash_of(size_t head, struct bytes tail)
{
    uint64_t h = tail.len + (head << 32);
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t word = 0;
        memcpy(&word, tail.ptr + (tail.len - sizeof word) * i / (WORDS - 1), sizeof word);
        h = (h ^ word) * MIX;
        h ^= h >> 32;
    }
    return h;
}

static bool is_in(const struct slot *s, const struct parts *p)
{
    return s->hash == p->hash && s->head == p->head && s->tail_len == p->tail.len &&
           memcmp(s->tail, p->tail.ptr, p->tail.len) == 0;
}

/* The slot that has it, or the empty one where it belongs; VALUE_MEMO_NONE: neither is near. */
static unsigned search(const struct value_memo *m, const struct parts *p)
{
    for (unsigned n = 0; n < PROBES; n++) {
        unsigned i = (unsigned)((p->hash + n) % VALUE_MEMO_SLOTS);
        if (m->slots[i].tail_len == 0 || is_in(&m->slots[i], p)) {
            return i;
        }
    }
    return VALUE_MEMO_NONE;
}

static bool is_found(const struct value_memo *m, unsigned slot)
{
    return slot != VALUE_MEMO_NONE && m->slots[slot].tail_len > 0;
}

static void forget(struct value_memo *m)
{
    for (unsigned i = 0; i < VALUE_MEMO_SLOTS; i++) {
        m->slots[i].tail_len = 0;
    }
    m->kept = 0;
}

/* A slot for what is to be kept, be it there already. */
static unsigned take_slot(struct value_memo *m, const struct parts *p)
{
    unsigned slot = search(m, p);
    if (slot == VALUE_MEMO_NONE || is_found(m, slot)) {
        return slot;
    }
    if (m->kept == VALUE_MEMO_KEPT) {
        forget(m);
        slot = search(m, p);
    }
    m->kept++;
    return slot;
}

static struct bytes moved(struct bytes view, const uint8_t *from, const uint8_t *to)
{
    return view.len == 0 ? view : bytes_of(to + (view.ptr - from), view.len);
}

static void take_over(const struct value_memo *m, const struct slot *s, struct bytes value,
                      const struct parts *p, struct stored_value *ret)
{
    size_t head_len = m->heads.rows[s->head].len;
    size_t named = head_len - s->v.provider.len - 1;
    *ret = s->v;
    ret->provider = bytes_of(value.ptr + named, s->v.provider.len);
    ret->payload = bytes_of(value.ptr + head_len, value.len - head_len);
    ret->named = bytes_of(value.ptr + named, value.len - named);
    ret->kms.data = p->data;
    ret->kms.key_id = moved(s->v.kms.key_id, s->tail, p->tail.ptr);
    ret->kms.source = moved(s->v.kms.source, s->tail, p->tail.ptr);
    ret->kms.annotations = moved(s->v.kms.annotations, s->tail, p->tail.ptr);
}

/* Whether what stands behind the data says all but the data, and nothing else. */
static bool is_usual(const struct stored_value *v, const struct parts *p)
{
    return v->class_of == VALUE_KMSV2 && v->fault == NULL && !v->kms.has_repeated &&
           !v->kms.has_unknown && v->kms.data.ptr == p->data.ptr && v->kms.data.len == p->data.len;
}

static unsigned keep(struct value_memo *m, struct bytes value, const struct stored_value *v)
{
    struct parts p;
    if (v->class_of != VALUE_KMSV2 || !cut(v->payload, &p) || !is_usual(v, &p)) {
        return VALUE_MEMO_NONE;
    }
    p.head = heads_find(&m->heads, value);
    if (p.head == HEADS_NONE) {
        size_t len = (size_t)(v->payload.ptr - value.ptr);
        p.head = heads_add(&m->heads, bytes_of(value.ptr, len));
    }
    if (p.head == HEADS_NONE) {
        return VALUE_MEMO_NONE;
    }
    p.hash = hash_of(p.head, p.tail);
    unsigned number = take_slot(m, &p);
    if (number == VALUE_MEMO_NONE) {
        return VALUE_MEMO_NONE;
    }
    struct slot *s = &m->slots[number];
    s->hash = p.hash;
    s->head = p.head;
    s->v = *v;
    s->v.kms.key_id = moved(v->kms.key_id, p.tail.ptr, s->tail);
    s->v.kms.source = moved(v->kms.source, p.tail.ptr, s->tail);
    s->v.kms.annotations = moved(v->kms.annotations, p.tail.ptr, s->tail);
    s->tail_len = p.tail.len;
    memcpy(s->tail, p.tail.ptr, p.tail.len);
    return number;
}

/* The slot that has it all. */
static unsigned find_value(const struct value_memo *m, struct bytes value, struct parts *ret)
{
    ret->head = heads_find(&m->heads, value);
    if (ret->head == HEADS_NONE) {
        return VALUE_MEMO_NONE;
    }
    size_t head_len = m->heads.rows[ret->head].len;
    if (!cut(bytes_of(value.ptr + head_len, value.len - head_len), ret) ||
        ret->data.len < DATA_MIN) {
        return VALUE_MEMO_NONE;
    }
    ret->hash = hash_of(ret->head, ret->tail);
    unsigned slot = search(m, ret);
    return is_found(m, slot) ? slot : VALUE_MEMO_NONE;
}

unsigned value_memo_read(struct value_memo *m, struct bytes value, struct stored_value *ret,
                         bool *ret_is_known)
{
    struct parts p;
    unsigned number = find_value(m, value, &p);
    *ret_is_known = number != VALUE_MEMO_NONE;
    if (*ret_is_known) {
        take_over(m, &m->slots[number], value, &p, ret);
        return number;
    }
    value_read(value, ret);
    return keep(m, value, ret);
}

bool value_read_like(struct bytes value, const struct stored_value *like, struct stored_value *ret)
{
    struct parts p;
    size_t named = strlen(VALUE_KMSV2_PREFIX);
    size_t head_len = named + like->provider.len + 1;
    if (value.len < head_len || !cut(bytes_of(value.ptr + head_len, value.len - head_len), &p) ||
        p.data.len < DATA_MIN) {
        return false;
    }
    *ret = *like;
    ret->payload = bytes_of(value.ptr + head_len, value.len - head_len);
    ret->named = bytes_of(value.ptr + named, value.len - named);
    ret->kms.data = p.data;
    return true;
}
