/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/ks_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct ks_new_slot make_slot(const struct ks_fixture *f, const char *slot,
                                    struct seal_spec *spec)
{
    char text[512];
    struct kerrinfo e = {0};
    (void)snprintf(text, sizeof text, "%s=file:%s/%s.key", slot, f->top, slot);
    assert_ok(&e, seal_spec_parse(text, spec, &e));
    return (struct ks_new_slot){.spec = spec, .role = KS_ROLE_NODE};
}

struct ks_new_slot ks_fixture_third(const struct ks_fixture *f, struct seal_spec *spec)
{
    return make_slot(f, "third", spec);
}

void ks_fixture_start(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    *f = (struct ks_fixture){.top = test_folder_new()};
    f->folder = test_path(f->top, "store");
    f->path = test_path(f->folder, "keystore");
    f->slots[0] = make_slot(f, "boot", &f->specs[0]);
    f->slots[1] = make_slot(f, "spare", &f->specs[1]);
    f->place = (struct ks_place){
        .path = f->path,
        .env = {.owner = geteuid(), .group = getegid(), .cost = passphrase_cost_min},
    };
}

void ks_fixture_init(struct ks_fixture *f, size_t slot_count)
{
    struct kerrinfo e = {0};
    ks_fixture_start(f);
    assert_ok(&e, ks_init(&f->place, f->slots, slot_count, SUITE_XAES_256_GCM, f->first_key, &e));
}

void ks_fixture_end(struct ks_fixture *f)
{
    seal_spec_done(&f->specs[0]);
    seal_spec_done(&f->specs[1]);
    test_folder_remove(f->top);
    free(f->folder);
    free(f->path);
}

struct ks *ks_fixture_open(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    struct ks *ks = NULL;
    assert_ok(&e, ks_open(&f->place, NULL, &ks, &e));
    return ks;
}

uint64_t ks_fixture_generation(struct ks_fixture *f)
{
    AUTO_KS ks = ks_fixture_open(f);
    return ks_model(ks)->generation;
}
