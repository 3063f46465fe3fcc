/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of a healthy host, to be changed at will, and what the judges find in them. */
#ifndef ETCDSEAL_TESTS_UNIT_DOCTOR_HEALTHY_H
#define ETCDSEAL_TESTS_UNIT_DOCTOR_HEALTHY_H

#include "doctor/verdict.h"

#define NOW  1795420000
#define HASH "sha256:1111111111111111111111111111111111111111111111111111111111111111"

extern const char manifest[];   /* of the kube-apiserver */
extern const char encryption[]; /* its EncryptionConfiguration */
extern struct facts f;
extern struct config *config; /* of q; healthy_vault makes another */
extern struct doctor_question q;
extern struct doctor_report report; /* of the last judge() */
extern struct texts texts;

struct fact_file file_of(const char *path, mode_t mode, uid_t uid);
struct fact_unit unit_of(const char *name);
/* Parts of the host made whole again. */
void healthy_keystore(void);
void healthy_daemon(void);
void healthy_vault(void); /* makes it one with provider vault and no keystore */

void judge(void);
void tell(void); /* prints what is found or unknown */
/* Exactly one finding, of this id, that says these words and has all that a finding has. */
void found(const char *id, const char *words);
/* Nothing found, and this row alone unknown. */
void unknown(const char *id, const char *words);

/* For cmocka: of a group, and of each test. */
int start(void **state);
int finish(void **state);
int healthy(void **state);
int done(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, healthy, done)

#endif
