/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An older report of anybody's: whatever it holds, it can be compared with another in both
 * directions, each row is in exactly one pair, and nothing has changed since itself.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/audit_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good) {
        abort();
    }
}

/* `has_changes`: whether there may be some. */
static void walk(const struct audit_pair *p, bool may_change)
{
    struct audit_change change;
    size_t at = 0;
    bool is_changed = false;
    while (audit_diff_next(p, &at, &change)) {
        is_changed = true;
        check(change.field != NULL && (change.before != NULL || change.after != NULL));
    }
    check(may_change || !is_changed);
    check(strlen(audit_pair_state(p)) > 2);
}

static void compare(const struct json_value *before, const struct json_value *after,
                    bool may_change)
{
    AUTO_AUDIT_DIFF d = {.before = NULL};
    check(audit_diff_make(before, after, &d, NULL) == KERR_OK);
    for (size_t i = 0; i < AUDIT_DIFF_LISTS; i++) {
        const char *name = audit_diff_lists[i].name;
        size_t counts[2] = {0};
        for (size_t j = 0; j < d.lists[i].count; j++) {
            const struct audit_pair *p = &d.lists[i].pairs[j];
            counts[0] += !audit_pair_is_new(p);
            counts[1] += !audit_pair_is_gone(p);
            check(may_change || (p->before == p->after && !audit_pair_has_changes(p)));
            walk(p, may_change);
        }
        check(counts[0] == json_count(json_member(before, name)));
        check(counts[1] == json_count(json_member(after, name)));
    }
    struct audit_pair totals = audit_diff_part(&d, "totals");
    if (totals.after != NULL) {
        walk(&totals, may_change);
    }
}

static enum kerr parse(const void *data, size_t size, struct json_doc **ret, struct kerrinfo *e)
{
    AUTO_BUF text;
    buf_init(&text, size + 1);
    check(buf_put(&text, bytes_of(data, size), NULL) == KERR_OK);
    return audit_diff_parse(&text, "old.json", ret, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char other_text[] =
        "{\"schema\":\"etcdseal.audit/1\",\"totals\":{\"keys\":1,\"plaintext\":1},\"resources\":["
        "{\"resource\":\"secrets\",\"keys\":1,\"verdict\":\"PLAINTEXT\"}],\"key_ids\":["
        "{\"class\":\"kmsv2\",\"provider\":\"a\",\"key_id\":\"b\",\"objects\":1}],"
        "\"findings_count\":1,\"findings\":[{\"rule\":\"plaintext\",\"etcd_key\":\"/a\"}]}";
    AUTO_JSON doc = NULL;
    AUTO_JSON other = NULL;
    struct kerrinfo e = {0};
    enum kerr k = parse(data, size, &doc, &e);
    if (k != KERR_OK) {
        check((k == KERR_INPUT || k == KERR_LIMIT) && strstr(e.text, "old.json") != NULL);
        return 0;
    }
    check(parse(other_text, sizeof other_text - 1, &other, NULL) == KERR_OK);
    compare(json_root(doc), json_root(doc), false);
    compare(json_root(doc), json_root(other), true);
    compare(json_root(other), json_root(doc), true);
    return 0;
}
