/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/vault.h"

struct row {
    const char *word;
    enum vault_class class;
    enum kerr code;
    const char *sentence;
    const char *cure;
};

static const struct row rows[VAULT_CAUSE_COUNT] = {
#define VAULT_CAUSE(name, word, class, code, sentence, cure)                                       \
    [VAULT_##name] = {word, VAULT_CLASS_##class, KERR_##code, sentence, cure},
#include "vault/cause.def"
#undef VAULT_CAUSE
};

const char *vault_cause_word(enum vault_cause c)
{
    return rows[c].word;
}

const char *vault_cause_sentence(enum vault_cause c)
{
    return rows[c].sentence;
}

const char *vault_cause_cure(enum vault_cause c)
{
    return rows[c].cure;
}

enum vault_class vault_cause_class(enum vault_cause c)
{
    return rows[c].class;
}

enum kerr vault_cause_code(enum vault_cause c)
{
    return rows[c].code;
}
