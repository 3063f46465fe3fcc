/* SPDX-License-Identifier: Apache-2.0 */
/* Modes and owners that our own files should have: judged by the checks, set by --fix. Private to
 * doctor. */
#ifndef ETCDSEAL_DOCTOR_WANTED_H
#define ETCDSEAL_DOCTOR_WANTED_H

#include "doctor/facts.h"

enum wanted_kind {
    WANTED_CONFIG,
    WANTED_KEYSTORE_FOLDER,
    WANTED_KEYSTORE_FILE,
    WANTED_KEY_FILE,
    WANTED_SOCKET_FOLDER,
    WANTED_SOCKET,
};

struct wanted {
    bool is_owner_wrong;
    bool is_mode_wrong;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

/* What the file should be; false when it is. Pure. */
bool wanted_of(const struct facts *f, enum wanted_kind kind, const struct fact_file *file,
               struct wanted *ret);

#endif
