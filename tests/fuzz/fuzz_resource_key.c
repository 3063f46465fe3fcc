/* SPDX-License-Identifier: Apache-2.0 */
/* etcd keys: parts lie in the key, and together make it up again where nothing was translated. */
#include <stdlib.h>
#include <string.h>

#include "stored/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void within(struct bytes part, struct bytes all)
{
    must(part.len == 0 || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    struct resource_key found;
    struct bytes prefix;
    char text[64];
    char plural[RESOURCE_KIND_MAX];
    if (resource_of_key(all, bytes_of_text("/registry/"), &found)) {
        must(found.resource.len > 0);
        within(found.name_space, all);
        within(found.name, all);
        resource_text(&found, text, sizeof text);
        must(strlen(text) < sizeof text);
    }
    if (resource_prefix_of(all, &prefix)) {
        within(prefix, all);
        must(prefix.ptr == data && prefix.ptr[prefix.len - 1] == '/');
    }
    size_t half = size / 2;
    if (resource_of_kind(bytes_of(data, half), bytes_of(data + half, size - half), plural,
                         &found)) {
        must(found.resource.len >= size - half && found.resource.len < sizeof plural);
        within(found.group, all);
    }
    return 0;
}
