/* SPDX-License-Identifier: Apache-2.0 */
/* What the forms of one object's report have in common, worked out once. Pure. */
#ifndef ETCDSEAL_CLI_AUDIT_OBJECT_H
#define ETCDSEAL_CLI_AUDIT_OBJECT_H

#include "audit/object.h"
#include "cli/audit_report.h"

/* "live"; "deleted", with something left of it; "absent"; "unknown" when not all was read. */
const char *audit_object_state(const struct audit_report *r);
/* NULL: nothing of the object was found. */
const struct audit_resource *audit_object_resource(const struct audit *a);
/* Whether a finding is about the object, and not about what else was not looked at. */
bool audit_object_is_told(const struct audit_finding *f);
extern const char *const audit_object_forms[]; /* by enum value_form; NULL: not plaintext */

/* The name of its EncryptedDEKSourceType; NULL for what is not KMS v2. */
const char *audit_object_source_type(const struct audit_version *v);
bool audit_version_has_key_id(const struct audit_version *v); /* of KMS v2 */
/* Under a key of the EncryptionConfiguration, which has a name. */
bool audit_version_is_local(const struct audit_version *v);
/* A KMS provider's name, else "aescbc" and the like; empty: not encrypted. */
struct bytes audit_version_provider(const struct audit_version *v);
struct bytes audit_version_key(const struct audit_version *v); /* its id or its name */
/* "yes", "no"; NULL: not known. */
const char *audit_version_stale(const struct audit *a, const struct audit_version *v);

#endif
