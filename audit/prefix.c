/* SPDX-License-Identifier: Apache-2.0 */
/* Where Kubernetes' keys begin: as it was said, else found in the keys; and what is doubtful about
 * what was said. */
#include <stdio.h>
#include <string.h>

#include "audit/tables.h"
#include "base/text.h"

#define SHOWN_BYTES 100

/* ---- found in the keys ---- */

/* Of prefixes that were given: which have keys, and are there keys of another one. */
static enum kerr note_given(struct audit *a, struct bytes key, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    struct bytes prefix;
    bool is_given = false;
    for (size_t i = 0; i < a->prefix_count; i++) {
        bool is_below = bytes_begin_with(key, a->prefixes[i]);
        t->prefix_has_keys[i] = t->prefix_has_keys[i] || is_below;
        is_given = is_given || is_below;
    }
    if (is_given || t->other_prefix.len > 0 || !resource_prefix_of(key, &prefix)) {
        return KERR_OK;
    }
    enum kerr k = tables_keep(a, &prefix, e);
    t->other_prefix = k == KERR_OK ? prefix : t->other_prefix;
    return k;
}

/* An object may be called as the namespaces are, in a namespace of the name "namespaces": then what
 * stands before it is no prefix, but a resource below one. */
static bool is_resource_below(struct bytes prefix, struct bytes root)
{
    struct resource_key found;
    return resource_of_key(prefix, root, &found) && found.is_group_known;
}

static void drop_below(struct audit *a, struct bytes root)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->prefix_count; i++) {
        if (!is_resource_below(a->prefixes[i], root)) {
            a->prefixes[kept++] = a->prefixes[i];
        }
    }
    a->prefix_count = kept;
}

static enum kerr note_found(struct audit *a, struct bytes key, struct kerrinfo *e)
{
    struct bytes prefix;
    if (!resource_prefix_of(key, &prefix) ||
        is_resource_below(prefix, bytes_of_text(TABLES_PREFIX))) {
        return KERR_OK;
    }
    for (size_t i = 0; i < a->prefix_count; i++) {
        if (bytes_equal(a->prefixes[i], prefix) || is_resource_below(prefix, a->prefixes[i])) {
            return KERR_OK;
        }
    }
    drop_below(a, prefix);
    if (a->prefix_count == AUDIT_PREFIXES_MAX) {
        return kerr_set(e, KERR_LIMIT,
                        "more than %d prefixes: name those to be looked at with "
                        "--prefix",
                        AUDIT_PREFIXES_MAX);
    }
    enum kerr k = tables_keep(a, &prefix, e);
    if (k == KERR_OK) {
        a->prefixes[a->prefix_count++] = prefix;
    }
    return k;
}

bool prefix_is_news(const struct audit *a, struct bytes key)
{
    struct bytes prefix;
    if (a->wanted.prefix_count > 0) {
        return a->wanted.prefix_count > 1 || !bytes_begin_with(key, a->prefixes[0]);
    }
    return resource_prefix_of(key, &prefix);
}

bool prefix_is_settled(const struct audit *a)
{
    return a->wanted.prefix_count > 0 ? a->tables->prefix_has_keys[0]
                                      : a->tables->has_default_prefix;
}

enum kerr audit_note_key(struct audit *a, struct bytes key, struct kerrinfo *e)
{
    struct audit_tables *t = a->tables;
    const struct bytes preset = bytes_of_text(TABLES_PREFIX);
    t->has_default_prefix =
        t->has_default_prefix || (key.len > preset.len && bytes_begin_with(key, preset));
    return a->wanted.prefix_count > 0 ? note_given(a, key, e) : note_found(a, key, e);
}

enum kerr audit_take_prefixes(struct audit *a, struct kerrinfo *e)
{
    const struct audit_tables *t = a->tables;
    if (a->prefix_count == 0 && t->has_default_prefix) {
        a->prefixes[a->prefix_count++] = bytes_of_text(TABLES_PREFIX);
    }
    if (a->prefix_count == 0) {
        return kerr_set(
            e, KERR_NOTFOUND,
            "no key of Kubernetes in it: neither PREFIX/namespaces/default nor anything "
            "below " TABLES_PREFIX "; name the API server's --etcd-prefix with "
            "--prefix");
    }
    return KERR_OK;
}

/* ---- what is doubtful ---- */

void prefix_has_keys(struct audit *a, struct bytes prefix)
{
    struct audit_tables *t = a->tables;
    for (size_t i = 0; i < a->prefix_count; i++) {
        t->prefix_has_keys[i] = t->prefix_has_keys[i] || bytes_begin_with(a->prefixes[i], prefix);
    }
}

static bool is_within(struct bytes prefix, struct bytes *ret_root)
{
    const struct bytes preset = bytes_of_text(TABLES_PREFIX);
    *ret_root = preset;
    return (prefix.len > preset.len && bytes_begin_with(prefix, preset)) ||
           resource_is_within(prefix, ret_root);
}

static void say_within(struct bytes prefix, struct bytes root, char *to, size_t to_size)
{
    char shown[SHOWN_BYTES];
    char begin[SHOWN_BYTES];
    text_escape(prefix, shown, sizeof shown);
    text_escape(root, begin, sizeof begin);
    (void)snprintf(to, to_size,
                   "--prefix %s lies within Kubernetes' keys, it is not where they begin: what is "
                   "below is taken for other resources; say --prefix %s, whose report has a row "
                   "for each resource",
                   shown, begin);
}

static void say_empty(const struct audit_tables *t, struct bytes prefix, char *to, size_t to_size)
{
    char shown[SHOWN_BYTES];
    char other[SHOWN_BYTES];
    struct bytes found = t->other_prefix.len > 0 ? t->other_prefix : bytes_of_text(TABLES_PREFIX);
    bool has_other = t->other_prefix.len > 0 || t->has_default_prefix;
    text_escape(prefix, shown, sizeof shown);
    text_escape(found, other, sizeof other);
    (void)snprintf(to, to_size, "--prefix %s: no key begins with it%s%s%s", shown,
                   has_other ? ", and others begin with "
                             : "; is it the API server's --etcd-prefix?",
                   has_other ? other : "", has_other ? ": leave the option out, or name that" : "");
}

bool audit_prefix_doubt(const struct audit *a, size_t at, char *to, size_t to_size)
{
    const struct audit_tables *t = a->tables;
    struct bytes root;
    if (at >= a->wanted.prefix_count) {
        return false;
    }
    struct bytes prefix = a->prefixes[at];
    if (is_within(prefix, &root)) {
        say_within(prefix, root, to, to_size);
        return true;
    }
    if (!t->prefix_has_keys[at]) {
        say_empty(t, prefix, to, to_size);
    }
    return !t->prefix_has_keys[at];
}
