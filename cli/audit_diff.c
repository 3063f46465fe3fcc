/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* ---- reading ---- */

/* jansson takes no NUL in texts, and a key in etcd may hold one. Both reports are changed alike. */
static void replace_nuls(uint8_t *text, size_t len)
{
    static const char nul[] = "\\u0000";
    static const char instead[] = "\\ufffd";
    uint8_t *at = text;
    while ((at = memmem(at, len - (size_t)(at - text), nul, sizeof nul - 1)) != NULL) {
        memcpy(at, instead, sizeof instead - 1);
    }
}

enum kerr audit_diff_parse(struct buf *text, const char *name, struct json_doc **ret,
                           struct kerrinfo *e)
{
    AUTO_JSON doc = NULL;
    const char *schema = NULL;
    replace_nuls(text->ptr, text->len);
    enum kerr k = json_read_large(buf_view(text), AUDIT_DIFF_MAX, &doc, e);
    if (k != KERR_OK) {
        kerr_prefix(e, "%s", name);
        return k;
    }
    if (!json_as_text(json_member(json_root(doc), "schema"), &schema) ||
        strcmp(schema, AUDIT_SCHEMA) != 0) {
        return kerr_set(e, KERR_INPUT,
                        "%s is no report of schema " AUDIT_SCHEMA
                        "; expected is what 'etcdseal audit -o json' wrote",
                        name);
    }
    *ret = doc;
    doc = NULL;
    return KERR_OK;
}

enum kerr audit_diff_read(const char *path, struct json_doc **ret, struct kerrinfo *e)
{
    AUTO_BUF text = {0};
    struct kerrinfo why = {0};
    enum kerr k = file_read(NULL, path, AUDIT_DIFF_MAX, FILE_READ_ANY, &text, &why);
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s%s", why.text,
                        k == KERR_LIMIT ? "; with --max-findings a report is smaller" : "");
    }
    return audit_diff_parse(&text, path, ret, e);
}

/* The report of now is written as JSON and read again, so that both sides went the same way. */
enum kerr audit_diff_now(const struct audit_report *r, struct json_doc **ret, struct kerrinfo *e)
{
    struct audit_sink to = {.is_kept = true};
    buf_init(&to.text, AUDIT_DIFF_MAX);
    enum kerr k = audit_write_json(r, &to, e);
    if (k == KERR_LIMIT) {
        kerr_clear(e);
        k = kerr_set(e, k,
                     "too many findings to compare: the report would be over %zu MiB; "
                     "--max-findings makes it smaller",
                     AUDIT_DIFF_MAX >> 20);
    }
    k = k == KERR_OK ? audit_diff_parse(&to.text, "the report of now", ret, e) : k;
    buf_done(&to.text);
    return k;
}

/* ---- pairs ---- */

struct entry {
    const char *names[AUDIT_DIFF_NAMES];
    const struct json_value *row;
};

static const char *text_of(const struct json_value *row, const char *field)
{
    const char *text = "";
    (void)json_as_text(json_member(row, field), &text);
    return text;
}

const struct audit_diff_names audit_diff_lists[AUDIT_DIFF_LISTS] = {
    [AUDIT_DIFF_RESOURCES] = {"resources", {"resource"}},
    [AUDIT_DIFF_KEY_IDS] = {"key_ids", {"class", "provider", "key_id"}},
    [AUDIT_DIFF_FINDINGS] = {"findings", {"rule", "resource", "etcd_key"}},
};

/* A finding about an object is the same while its message changes; one about a resource has its
 * message, which says which provider it is; what is left over is found once for each rule. */
static void name_row(enum audit_diff_list which, struct entry *to)
{
    const char *const *fields = audit_diff_lists[which].fields;
    for (size_t i = 0; fields[i] != NULL; i++) {
        to->names[i] = text_of(to->row, fields[i]);
    }
    if (which == AUDIT_DIFF_FINDINGS && *to->names[2] == 0 && *to->names[1] != 0) {
        to->names[2] = text_of(to->row, "message");
    }
}

static int compare(const void *a, const void *b)
{
    const struct entry *one = a;
    const struct entry *other = b;
    int order = 0;
    for (size_t i = 0; i < AUDIT_DIFF_NAMES && order == 0; i++) {
        order = strcmp(one->names[i], other->names[i]);
    }
    return order;
}

static size_t read_entries(const struct json_value *report, enum audit_diff_list which,
                           struct entry *to)
{
    const struct json_value *rows = json_member(report, audit_diff_lists[which].name);
    size_t count = json_count(rows);
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct entry){.names = {"", "", ""}, .row = json_at(rows, i, NULL)};
        name_row(which, &to[i]);
    }
    qsort(to, count, sizeof *to, compare);
    return count;
}

static size_t join(const struct entry *before, size_t before_count, const struct entry *after,
                   size_t after_count, struct audit_pair *to)
{
    size_t i = 0;
    size_t j = 0;
    size_t count = 0;
    while (i < before_count || j < after_count) {
        int order = i == before_count ? 1 : j == after_count ? -1 : compare(&before[i], &after[j]);
        to[count++] = (struct audit_pair){.before = order <= 0 ? before[i].row : NULL,
                                          .after = order >= 0 ? after[j].row : NULL};
        i += order <= 0;
        j += order >= 0;
    }
    return count;
}

static enum kerr pair_up(struct audit_diff *d, enum audit_diff_list which, struct kerrinfo *e)
{
    size_t most = json_count(json_member(d->before, audit_diff_lists[which].name)) +
                  json_count(json_member(d->after, audit_diff_lists[which].name));
    struct entry *rows = calloc(most + 1, sizeof *rows);
    struct audit_pair *pairs = calloc(most + 1, sizeof *pairs);
    d->lists[which].pairs = pairs;
    if (rows == NULL || pairs == NULL) {
        free(rows);
        return kerr_set(e, KERR_NOMEM, "no memory to compare %zu rows", most);
    }
    size_t before = read_entries(d->before, which, rows);
    size_t after = read_entries(d->after, which, rows + before);
    d->lists[which].count = join(rows, before, rows + before, after, pairs);
    free(rows);
    return KERR_OK;
}

static bool has_all_findings(const struct json_value *report)
{
    uint64_t count = 0;
    return json_as_u64(json_member(report, "findings_count"), &count) &&
           count == json_count(json_member(report, "findings"));
}

enum kerr audit_diff_make(const struct json_value *before, const struct json_value *after,
                          struct audit_diff *ret, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    *ret = (struct audit_diff){.before = before, .after = after};
    ret->has_all_findings = has_all_findings(before) && has_all_findings(after);
    for (unsigned i = 0; i < AUDIT_DIFF_LISTS && k == KERR_OK; i++) {
        k = pair_up(ret, (enum audit_diff_list)i, e);
    }
    return k;
}

void audit_diff_done(struct audit_diff *d)
{
    for (size_t i = 0; i < AUDIT_DIFF_LISTS; i++) {
        free(d->lists[i].pairs);
        d->lists[i].pairs = NULL;
    }
}

/* ---- changes ---- */

bool audit_diff_is_plain(const struct json_value *v)
{
    enum json_kind kind = json_kind(v);
    uint64_t number = 0;
    return kind == JSON_IS_TEXT || kind == JSON_IS_BOOL || kind == JSON_IS_NULL ||
           json_as_u64(v, &number);
}

static bool is_equal(const struct json_value *a, const struct json_value *b)
{
    const char *texts[2];
    uint64_t numbers[2];
    bool truths[2];
    if (json_as_text(a, &texts[0]) && json_as_text(b, &texts[1])) {
        return strcmp(texts[0], texts[1]) == 0;
    }
    if (json_as_u64(a, &numbers[0]) && json_as_u64(b, &numbers[1])) {
        return numbers[0] == numbers[1];
    }
    if (json_as_bool(a, &truths[0]) && json_as_bool(b, &truths[1])) {
        return truths[0] == truths[1];
    }
    return json_kind(a) == JSON_IS_NULL && json_kind(b) == JSON_IS_NULL;
}

/* Of a key in use it is another one after each write. */
static bool is_age(const char *field)
{
    return strcmp(field, "oldest_revision") == 0 || strcmp(field, "newest_revision") == 0;
}

static bool is_change(const struct audit_pair *p, const struct audit_change *c)
{
    uint64_t number = 0;
    if (is_age(c->field)) {
        return false;
    }
    if (p->before == NULL || p->after == NULL) {
        const struct json_value *there = p->before == NULL ? c->after : c->before;
        return json_as_u64(there, &number) && number > 0;
    }
    return audit_diff_is_plain(c->before) && audit_diff_is_plain(c->after) &&
           !is_equal(c->before, c->after);
}

bool audit_diff_next(const struct audit_pair *p, size_t *at, struct audit_change *ret)
{
    const struct json_value *fields = p->after == NULL ? p->before : p->after;
    while (*at < json_count(fields)) {
        (void)json_at(fields, (*at)++, &ret->field);
        if (ret->field == NULL) {
            return false;
        }
        ret->before = json_member(p->before, ret->field);
        ret->after = json_member(p->after, ret->field);
        if (is_change(p, ret)) {
            return true;
        }
    }
    return false;
}

bool audit_pair_has_changes(const struct audit_pair *p)
{
    struct audit_change change;
    size_t at = 0;
    return audit_pair_is_new(p) || audit_pair_is_gone(p) || audit_diff_next(p, &at, &change);
}

const char *audit_pair_state(const struct audit_pair *p)
{
    return audit_pair_is_new(p) ? "new" : audit_pair_is_gone(p) ? "gone" : "changed";
}

struct audit_pair audit_diff_part(const struct audit_diff *d, const char *name)
{
    return (struct audit_pair){json_member(d->before, name), json_member(d->after, name)};
}
