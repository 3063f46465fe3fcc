/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the program that pages.c is linked with: etcdseal.c or etcdseald.c. */
#ifndef ETCDSEAL_PAGES_PAGES_H
#define ETCDSEAL_PAGES_PAGES_H

#include "base/opt_man.h"

extern const struct opt_page options_page;

#endif
