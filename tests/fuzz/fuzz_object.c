/* SPDX-License-Identifier: Apache-2.0 */
/* Name and namespace of any object lie in what was given. */
#include <stdlib.h>

#include "stored/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct bytes part, const uint8_t *data, size_t size)
{
    if (part.len > 0 && (part.ptr < data || part.ptr + part.len > data + size)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct object_names names;
    if (object_names_read(bytes_of(data, size), &names) != (names.name.len > 0)) {
        abort();
    }
    within(names.name, data, size);
    within(names.name_space, data, size);
    return 0;
}
