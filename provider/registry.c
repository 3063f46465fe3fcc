/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/provider_ops.h"

const struct provider_ops *const provider_kinds[] = {
    &provider_local,
    &provider_vault,
};
const size_t provider_kinds_count = ARRAY_LEN(provider_kinds);
