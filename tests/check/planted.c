/* SPDX-License-Identifier: Apache-2.0 */
/* Defects on purpose: a sanitizer build that lets one of them pass is not a check. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int shared;

static void *count(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 100000; i++) {
        shared = shared + 1;
    }
    return NULL;
}

static void race(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, count, NULL) == 0) {
        (void)count(NULL);
        (void)pthread_join(other, NULL);
    }
}

static void leak(void)
{
    void *volatile lost = malloc(100);
    lost = NULL;
}

static void overflow(void)
{
    char *volatile block = malloc(10);
    if (block != NULL) {
        block[10 + shared] = 1;
        free(block);
    }
}

static void undefined(void)
{
    volatile int most = INT_MAX;
    most = most + 1;
}

struct defect {
    const char *name;
    void (*plant)(void);
};

static const struct defect defects[] = {
    {"race", race},
    {"leak", leak},
    {"overflow", overflow},
    {"undefined", undefined},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof defects / sizeof *defects; i++) {
        if (argc == 2 && strcmp(argv[1], defects[i].name) == 0) {
            defects[i].plant();
            return 0;
        }
    }
    return 2;
}
