/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare-server SOCKET: the least that answers KMS v2 over gRPC C core. One completion queue on one
 * thread, registered methods, one batch for each answer, the stream limit of etcdseald; protobuf-c
 * for the messages; AES-256-GCM under one key in memory with a random nonce for each call. No
 * checks, no log, no metrics: what is left is what the library and the cipher cost.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/kms/v2/api.pb-c.h"

#define STREAMS 100 /* rpc/rpc_server.c */
#define NONCE   12
#define TAG     16
#define SEED    256 /* largest plaintext */

enum method { STATUS, ENCRYPT, DECRYPT, METHODS };
static const char *const paths[METHODS] = {
    [STATUS] = "/v2.KeyManagementService/Status",
    [ENCRYPT] = "/v2.KeyManagementService/Encrypt",
    [DECRYPT] = "/v2.KeyManagementService/Decrypt",
};

/* One call at a time of one method: waits for a client, then for the end of the answer. */
struct slot {
    enum method method;
    bool is_ending;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    int was_cancelled;
};

static grpc_server *server;
static grpc_completion_queue *queue;
static void *registered[METHODS];
static struct slot slots[METHODS][STREAMS];
static EVP_CIPHER_CTX *sealing, *opening;
static uint8_t key_id[] = "bench", version[] = "v2", ok[] = "ok";
#define TEXT(a) ((ProtobufCBinaryData){sizeof(a) - 1, a})

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        (void)fprintf(stderr, "bare-server: %s failed\n", what);
        exit(1);
    }
}

static void start_crypto(void)
{
    uint8_t key[32];
    must(getrandom(key, sizeof key, 0) == (ssize_t)sizeof key, "getrandom");
    sealing = EVP_CIPHER_CTX_new();
    opening = EVP_CIPHER_CTX_new();
    must(EVP_EncryptInit_ex(sealing, EVP_aes_256_gcm(), NULL, key, NULL) == 1, "EVP_EncryptInit");
    must(EVP_DecryptInit_ex(opening, EVP_aes_256_gcm(), NULL, key, NULL) == 1, "EVP_DecryptInit");
}

/* nonce ‖ ciphertext ‖ tag */
static bool seal(ProtobufCBinaryData in, uint8_t to[NONCE + SEED + TAG])
{
    int len = 0;
    return in.len <= SEED && getrandom(to, NONCE, 0) == NONCE &&
           EVP_EncryptInit_ex(sealing, NULL, NULL, NULL, to) == 1 &&
           EVP_EncryptUpdate(sealing, to + NONCE, &len, in.data, (int)in.len) == 1 &&
           EVP_EncryptFinal_ex(sealing, to + NONCE + len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_GCM_GET_TAG, TAG, to + NONCE + in.len) == 1;
}

static bool open_sealed(ProtobufCBinaryData in, uint8_t to[SEED])
{
    int len = 0;
    if (in.len < NONCE + TAG || in.len > NONCE + SEED + TAG) {
        return false;
    }
    int text = (int)in.len - NONCE - TAG;
    return EVP_DecryptInit_ex(opening, NULL, NULL, NULL, in.data) == 1 &&
           EVP_DecryptUpdate(opening, to, &len, in.data + NONCE, text) == 1 &&
           EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_GCM_SET_TAG, TAG, in.data + NONCE + text) == 1 &&
           EVP_DecryptFinal_ex(opening, to + len, &len) == 1;
}

static grpc_byte_buffer *packed(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    (void)protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static grpc_byte_buffer *status(void)
{
    V2__StatusResponse r = V2__STATUS_RESPONSE__INIT;
    r.version = TEXT(version);
    r.healthz = TEXT(ok);
    r.key_id = TEXT(key_id);
    return packed(&r.base);
}

static bool is_ours(ProtobufCBinaryData id)
{
    return id.len == sizeof key_id - 1 && memcmp(id.data, key_id, id.len) == 0;
}

/* NULL: the call is refused. */
static grpc_byte_buffer *encrypt(size_t len, const uint8_t *data)
{
    uint8_t sealed[NONCE + SEED + TAG];
    V2__EncryptResponse r = V2__ENCRYPT_RESPONSE__INIT;
    V2__EncryptRequest *m = v2__encrypt_request__unpack(NULL, len, data);
    bool is_good = m != NULL && seal(m->plaintext, sealed);
    if (is_good) {
        r.ciphertext = (ProtobufCBinaryData){NONCE + m->plaintext.len + TAG, sealed};
        r.key_id = TEXT(key_id);
    }
    v2__encrypt_request__free_unpacked(m, NULL);
    return is_good ? packed(&r.base) : NULL;
}

static grpc_byte_buffer *decrypt(size_t len, const uint8_t *data)
{
    uint8_t opened[SEED];
    V2__DecryptResponse r = V2__DECRYPT_RESPONSE__INIT;
    V2__DecryptRequest *m = v2__decrypt_request__unpack(NULL, len, data);
    bool is_good = m != NULL && is_ours(m->key_id) && open_sealed(m->ciphertext, opened);
    if (is_good) {
        r.plaintext = (ProtobufCBinaryData){m->ciphertext.len - NONCE - TAG, opened};
    }
    v2__decrypt_request__free_unpacked(m, NULL);
    return is_good ? packed(&r.base) : NULL;
}

static grpc_byte_buffer *answer(const struct slot *s)
{
    grpc_byte_buffer_reader reader;
    if (s->method == STATUS) {
        return status();
    }
    if (s->request == NULL || grpc_byte_buffer_reader_init(&reader, s->request) == 0) {
        return NULL;
    }
    grpc_slice message = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t len = GRPC_SLICE_LENGTH(message);
    const uint8_t *data = GRPC_SLICE_START_PTR(message);
    grpc_byte_buffer *response = s->method == ENCRYPT ? encrypt(len, data) : decrypt(len, data);
    grpc_slice_unref(message);
    return response;
}

static void await(struct slot *s)
{
    s->is_ending = false;
    must(grpc_server_request_registered_call(server, registered[s->method], &s->call, &s->deadline,
                                             &s->metadata, &s->request, queue, queue,
                                             s) == GRPC_CALL_OK,
         "grpc_server_request_registered_call");
}

static void reply(struct slot *s)
{
    s->response = answer(s);
    grpc_slice details = grpc_slice_from_static_string("refused");
    bool is_good = s->response != NULL;
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = is_good ? GRPC_STATUS_OK
                                                            : GRPC_STATUS_INVALID_ARGUMENT,
                                          .status_details = is_good ? NULL : &details}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &s->was_cancelled},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = s->response},
    };
    s->is_ending = true;
    must(grpc_call_start_batch(s->call, ops, is_good ? 4 : 3, s, NULL) == GRPC_CALL_OK,
         "grpc_call_start_batch");
}

static void end(struct slot *s)
{
    grpc_byte_buffer_destroy(s->request);
    grpc_byte_buffer_destroy(s->response); /* NULL is fine */
    s->request = s->response = NULL;
    grpc_metadata_array_destroy(&s->metadata);
    grpc_metadata_array_init(&s->metadata);
    grpc_call_unref(s->call);
}

static grpc_arg number(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static void start_server(const char *path)
{
    char target[200];
    (void)snprintf(target, sizeof target, "unix:%s", path);
    grpc_arg rows[] = {number(GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS),
                       number(GRPC_ARG_HTTP2_BDP_PROBE, 0)}; /* both as in etcdseald */
    grpc_channel_args args = {sizeof rows / sizeof rows[0], rows};
    grpc_init();
    server = grpc_server_create(&args, NULL);
    queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, queue, NULL);
    for (size_t m = 0; m < METHODS; m++) {
        registered[m] = grpc_server_register_method(server, paths[m], NULL,
                                                    GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    }
    grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
    must(grpc_server_add_http2_port(server, target, insecure) != 0, path);
    grpc_server_credentials_release(insecure);
    grpc_server_start(server);
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: bare-server SOCKET:");
    start_crypto();
    start_server(argv[1]);
    for (size_t m = 0; m < METHODS; m++) {
        for (size_t i = 0; i < STREAMS; i++) {
            slots[m][i].method = (enum method)m;
            grpc_metadata_array_init(&slots[m][i].metadata);
            await(&slots[m][i]);
        }
    }
    for (;;) { /* until a signal ends it */
        grpc_event event =
            grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct slot *s = event.tag;
        if (!s->is_ending) {
            reply(s);
        } else {
            end(s);
            await(s);
        }
    }
}
