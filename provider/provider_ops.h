/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation table of a provider; included by the providers, registry.c and provider.c only. To
 * add one: a file <name>.c with its table, a row in registry.c, its rows in config.def, and the
 * contract tests (tests/unit/provider/test_contract.c) green.
 *
 * Each function type keeps the contract of the function of the same name in provider.h; provider.c
 * has checked the inputs, and turns codes that are not listed there into BUG.
 */
#ifndef ETCDSEAL_PROVIDER_PROVIDER_OPS_H
#define ETCDSEAL_PROVIDER_PROVIDER_OPS_H

#include "provider/provider.h"

/* Fills the zeroed context of ctx_bytes; on failure `close` is called on it all the same. */
typedef enum kerr provider_open_fn(void *ctx, const struct config *config, struct kerrinfo *e);
typedef void provider_close_fn(void *ctx);
/* One thread at a time; may block. */
typedef enum kerr provider_refresh_fn(void *ctx, bool *ret_changed, struct kerrinfo *e);
typedef bool provider_watch_fn(const void *ctx, const char **ret_folder, const char **ret_name);
/* Fills all but `name`. */
typedef void provider_info_fn(void *ctx, struct provider_info *ret);
typedef bool provider_due_fn(void *ctx, uint64_t *ret_ms);
typedef enum kerr provider_current_fn(void *ctx, char *to, const char **ret_health,
                                      struct kerrinfo *e);
typedef enum kerr provider_wrap_fn(void *ctx, const struct provider_turn *turn,
                                   struct bytes plaintext, struct provider_wrapped *ret,
                                   struct kerrinfo *e);
typedef enum kerr provider_unwrap_fn(void *ctx, const struct provider_turn *turn,
                                     struct bytes key_id, struct bytes ciphertext,
                                     const struct provider_annotations *annotations,
                                     struct secret **ret, const char **ret_state,
                                     struct kerrinfo *e);

struct provider_ops {
    const char *name;
    const char *key_prefix; /* how its key ids begin, and nobody else's */
    enum config_provider kind;
    bool may_wait; /* wrap or unwrap may end with WAITS */
    size_t ctx_bytes;
    provider_open_fn *open;
    provider_close_fn *close;
    provider_refresh_fn *refresh;
    provider_watch_fn *watch;
    provider_due_fn *due;
    provider_info_fn *info;
    provider_current_fn *current;
    provider_wrap_fn *wrap;
    provider_unwrap_fn *unwrap;
};

extern const struct provider_ops *const provider_kinds[];
extern const size_t provider_kinds_count;

extern const struct provider_ops provider_local;
extern const struct provider_ops provider_vault;

/* A provider over any tables, the first of which wraps; provider_open chooses by the configuration.
 * Tests pass their own. */
#define PROVIDER_PARTS_MAX 4
enum kerr provider_open_with(const struct provider_ops *const *ops, size_t count,
                             const struct config *config, struct provider **ret,
                             struct kerrinfo *e) MUST_CHECK;

#endif
