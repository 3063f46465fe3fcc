/* SPDX-License-Identifier: Apache-2.0 */
/* The keystore's files, what its clear part says, and whether the daemon could open it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "doctor/facts.h"

static const char *const file_ends[] = {"", ".prev", ".unseal", ".accepted", ".lock", ".damaged"};

/* The disk that a file lies on: of a partition its whole disk; of file systems without a device of
 * their own (tmpfs, overlay, NFS) the file system. */
static dev_t medium_of(dev_t dev)
{
    char path[96];
    char text[32] = {0};
    unsigned whole_major = 0;
    unsigned whole_minor = 0;
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
    if (access(path, F_OK) != 0) {
        return dev;
    }
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        char *end = NULL;
        bool is_read = fgets(text, sizeof text, file) != NULL;
        (void)fclose(file);
        whole_major = is_read ? (unsigned)strtoul(text, &end, 10) : 0;
        whole_minor = is_read && *end == ':' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    }
    return whole_major == 0 ? dev : makedev(whole_major, whole_minor);
}

/* The key file that a SPEC names, or "". */
static const char *key_file_of(const struct seal_spec *spec)
{
    static const char file_word[] = "file=";
    if (spec->kind == SEAL_FILE) {
        return spec->arg;
    }
    return spec->kind == SEAL_PASSPHRASE && strncmp(spec->arg, file_word, 5) == 0 ? spec->arg + 5
                                                                                  : "";
}

static void gather_seal(struct facts *f, const struct seal_spec *spec)
{
    struct fact_keystore *k = &f->keystore;
    struct fact_seal *to = &k->seals[k->seal_count++];
    /* That of a vault is about what it depends on, no weakness that could be cured. */
    const char *warning = spec->kind == SEAL_VAULT ? NULL : seal_warning(spec, &f->q->place->env);
    const char *key = key_file_of(spec);
    size_t name = strcspn(spec->arg, ",");
    *to = (struct fact_seal){
        .slot = texts_keep(&f->texts, bytes_of_text(spec->slot)),
        .spec = texts_keep(&f->texts, bytes_of_text(spec->text)),
        .is_unattended = (seal_spec_caps(spec) & SEAL_CAN_OPEN_UNATTENDED) != 0,
        .warning = warning == NULL ? "" : warning,
        .credential =
            spec->kind == SEAL_CREDENTIAL ? texts_keep(&f->texts, bytes_of(spec->arg, name)) : "",
    };
    to->key = *key == 0 ? (struct fact_file){.path = "", .why = ""} : gather_file(f, key);
    to->is_beside = to->key.look == LOOK_DONE && k->folder.look == LOOK_DONE &&
                    medium_of(to->key.st.st_dev) == medium_of(k->folder.st.st_dev);
}

static void gather_seals(struct facts *f)
{
    struct fact_keystore *k = &f->keystore;
    const struct ks_place *place = f->q->place;
    struct seal_spec *owned = NULL;
    const struct seal_spec *specs = place->specs;
    size_t count = place->spec_count;
    struct kerrinfo why = {0};
    if (count == 0) {
        k->seals_code = ks_read_unseal(place->path, &owned, &count, &why);
        k->seals_error = texts_keep(&f->texts, bytes_of_text(why.text));
        specs = owned;
        count = k->seals_code == KERR_OK ? count : 0;
    }
    for (size_t i = 0; i < count && i < KS_SLOTS_MAX; i++) {
        gather_seal(f, &specs[i]);
    }
    for (size_t i = 0; owned != NULL && i < count; i++) {
        seal_spec_done(&owned[i]);
    }
    free(owned);
}

static void gather_clear(struct facts *f)
{
    struct fact_keystore *k = &f->keystore;
    AUTO_MODEL m = NULL;
    uint8_t hash[HASH_BYTES];
    char store_id[TEXT_UUID_BYTES] = "";
    struct kerrinfo why = {0};
    k->clear_code = ks_read_clear(k->path, &m, hash, &why);
    k->clear_error = texts_keep(&f->texts, bytes_of_text(why.text));
    if (k->clear_code != KERR_OK) {
        return;
    }
    text_uuid(m->store_id, store_id);
    k->store_id = texts_keep(&f->texts, bytes_of_text(store_id));
    k->generation = m->generation;
    k->written_at_s = m->written_at_s;
    k->slot_count = m->slot_count;
    for (size_t i = 0; i < m->slot_count; i++) {
        k->slots[i] = (struct fact_slot){
            .name = texts_keep(&f->texts, bytes_of_text(m->slots[i].name)),
            .tested_at_s = m->slots[i].tested_at_s,
            .is_accepted = true,
        };
    }
}

static void gather_opened(struct facts *f)
{
    struct fact_keystore *k = &f->keystore;
    AUTO_KS ks = NULL;
    struct kerrinfo why = {0};
    k->open_code = ks_open(f->q->place, NULL, &ks, &why);
    k->open_error = texts_keep(&f->texts, bytes_of_text(why.text));
    if (k->open_code != KERR_OK) {
        return;
    }
    const struct ks_model *m = ks_model(ks);
    for (size_t i = 0; i < m->slot_count && i < k->slot_count; i++) {
        k->slots[i].is_accepted = ks_accepts_slot(ks, &m->slots[i]);
    }
    for (size_t i = 0; i < m->key_count; i++) {
        char id[KS_KEY_ID_TEXT];
        if (m->keys[i].created_at_s > k->newest_key_s) {
            ks_key_id_text(m->keys[i].id, id);
            k->newest_key_s = m->keys[i].created_at_s;
            k->newest_key = texts_keep(&f->texts, bytes_of_text(id));
        }
    }
}

void gather_keystore(struct facts *f)
{
    struct fact_keystore *k = &f->keystore;
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    k->path = f->q->place->path;
    k->clear_error = k->open_error = k->seals_error = k->store_id = k->newest_key = "";
    k->folder = (struct fact_file){.path = "", .why = ""};
    if (file_split(k->path, &folder, &name, NULL) == KERR_OK) {
        k->folder = gather_file(f, folder);
    }
    for (size_t i = 0; i < ARRAY_LEN(file_ends); i++) {
        k->files[k->file_count++] =
            gather_file(f, texts_printf(&f->texts, "%s%s", k->path, file_ends[i]));
    }
    gather_seals(f);
    gather_clear(f);
    gather_opened(f);
}
