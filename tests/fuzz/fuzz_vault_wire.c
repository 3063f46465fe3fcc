/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the provider vault reads of its own: an annotation, a ciphertext of mode direct, the state
 * file (as it is, and with a right checksum behind it). Whatever is believed is written again as
 * the same bytes; a refused state file is told in one line.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "provider/vault_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good) {
        abort();
    }
}

static void check_annotation(struct bytes value)
{
    struct vault_wire_kek kek;
    uint8_t again[VAULT_WIRE_ANNOTATION_MAX];
    size_t len = 0;
    if (vault_wire_read_annotation(value, &kek)) {
        check(vault_wire_put_annotation(&kek, again, &len, NULL) == KERR_OK);
        check(bytes_equal(bytes_of(again, len), value));
    }
}

static void check_seed(struct bytes ciphertext)
{
    struct vault_wire_seed seed;
    uint8_t head[VAULT_WIRE_DIRECT_HEAD];
    if (vault_wire_read_seed(ciphertext, &seed)) {
        vault_wire_put_head(&seed, head);
        check(bytes_equal(BYTES_OF(head), bytes_of(ciphertext.ptr, sizeof head)));
        check(seed.raw.ptr == ciphertext.ptr + sizeof head);
        check(seed.raw.len == ciphertext.len - sizeof head);
    }
}

static void check_state(struct bytes file)
{
    static char cluster_id[] = "test-1";
    static char mount[] = "transit";
    static char key[] = "kube";
    const struct config_vault config = {.cluster_id = cluster_id, .mount = mount, .key = key};
    struct vault_state s;
    struct kerrinfo e = {0};
    enum kerr k = vault_state_parse(&config, file, &s, &e);
    if (k == KERR_OK) {
        AUTO_BUF again = {0};
        check(vault_state_print(&config, &s, &again, &e) == KERR_OK);
        check(bytes_equal(buf_view(&again), file));
        return;
    }
    check(k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_CONFIG);
    check(e.text[0] != 0);
    for (const char *at = e.text; *at != 0; at++) {
        check(*at >= ' ' && *at <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[VAULT_STATE_FILE_MAX];
    check_annotation(bytes_of(data, size));
    check_seed(bytes_of(data, size));
    check_state(bytes_of(data, size));
    if (size > 0 && size <= sizeof file - HASH_BYTES) {
        memcpy(file, data, size);
        hash_sha256(bytes_of(data, size), file + size);
        check_state(bytes_of(file, size + HASH_BYTES));
    }
    return 0;
}
