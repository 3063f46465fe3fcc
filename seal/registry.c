/* SPDX-License-Identifier: Apache-2.0 */
#include "seal/seal_ops.h"

const struct seal_ops *const seal_kinds[] = {
    &seal_passphrase,
    &seal_file,
    &seal_credential,
    &seal_vault,
};
const size_t seal_kinds_count = ARRAY_LEN(seal_kinds);
