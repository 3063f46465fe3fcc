/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_object.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define PREFIXES_BYTES 200

const char *const audit_object_forms[] = {[VALUE_FORM_NONE] = NULL,
                                          [VALUE_PROTOBUF] = "protobuf",
                                          [VALUE_JSON] = "json",
                                          [VALUE_CBOR] = "cbor"};

/* Names of EncryptedDEKSourceType of KMS v2. */
static const char *const source_types[] = {"AES_GCM_KEY", "HKDF_SHA256_XNONCE_AES_GCM_SEED"};

/* ---- what is told ---- */

const char *audit_object_state(const struct audit_report *r)
{
    const struct audit_object *o = r->audit->object;
    return audit_object_live(o) != NULL ? "live"
           : r->source->is_partial      ? "unknown"
           : o->count > 0               ? "deleted"
                                        : "absent";
}

const struct audit_resource *audit_object_resource(const struct audit *a)
{
    return a->object->key.len == 0 ? NULL : &a->resources[a->object->resource];
}

const char *audit_object_source_type(const struct audit_version *v)
{
    uint64_t type = v->v.kms.source_type;
    return v->v.class_of != VALUE_KMSV2     ? NULL
           : type < ARRAY_LEN(source_types) ? source_types[type]
                                            : "unknown";
}

bool audit_version_has_key_id(const struct audit_version *v)
{
    return v->has_value && v->v.class_of == VALUE_KMSV2;
}

/* A KMS' name; of the others, whose `provider` is the key's name, the key. */
bool audit_version_is_local(const struct audit_version *v)
{
    return v->has_value && value_is_encrypted(v->v.class_of) && v->v.class_of != VALUE_KMSV2 &&
           v->v.class_of != VALUE_KMSV1;
}

struct bytes audit_version_provider(const struct audit_version *v)
{
    return audit_version_is_local(v) ? bytes_of_text(value_class_names[v->v.class_of])
                                     : v->v.provider;
}

struct bytes audit_version_key(const struct audit_version *v)
{
    return audit_version_is_local(v) ? v->v.provider : v->v.kms.key_id;
}

/* Encrypted by what writes now, as far as that is known; NULL: it is not. */
const char *audit_version_stale(const struct audit *a, const struct audit_version *v)
{
    return v->is_stale ? "yes" : audit_object_resource(a)->is_stale_known ? "no" : NULL;
}

bool audit_object_is_told(const struct audit_finding *f)
{
    return f->rule != AUDIT_RULE_NOTHING_EXPECTED;
}

/* ---- when it is not there ---- */

enum kerr audit_object_absent(const struct audit *a, struct kerrinfo *e)
{
    const struct audit_object *o = a->object;
    char prefixes[PREFIXES_BYTES] = "";
    size_t len = 0;
    if (audit_object_live(o) != NULL) {
        return KERR_OK;
    }
    if (o->count > 0) {
        return kerr_set(e, KERR_DENIED,
                        "%s: deleted at revision %" PRIu64 "; what is left of it is older",
                        a->wanted.object, o->versions[0].revision);
    }
    for (size_t i = 0; i < a->prefix_count && len < sizeof prefixes; i++) {
        char one[PREFIXES_BYTES / 2];
        text_escape(a->prefixes[i], one, sizeof one);
        len += (size_t)snprintf(prefixes + len, sizeof prefixes - len, "%s%s", i == 0 ? "" : ", ",
                                one);
    }
    const char *check = o->has_name_space ? "is its name right?"
                        : o->has_resource
                            ? "the resource is there, that namespace is not in it: is "
                              "the namespace right, or missing?"
                            : "is it the plural with its group, such as secrets or "
                              "widgets.example.com, and the namespace given, and is "
                              "the API server's --etcd-prefix another (--prefix)?";
    return kerr_set(e, KERR_DENIED, "%s: no such key below %s; %s", a->wanted.object, prefixes,
                    check);
}
