/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/rpc_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

static void wipe_and_free(void *ptr, size_t len)
{
    secret_wipe(ptr, len);
    free(ptr);
}

static void just_free(void *ptr, size_t len)
{
    (void)len;
    free(ptr);
}

grpc_byte_buffer *rpc_message_copy(struct bytes message, bool is_secret)
{
    uint8_t *copy = malloc(message.len + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, message.len == 0 ? copy : message.ptr, message.len);
    grpc_slice slice =
        grpc_slice_new_with_len(copy, message.len, is_secret ? wipe_and_free : just_free);
    grpc_byte_buffer *made = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return made;
}
