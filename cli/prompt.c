/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a signalfd: with the signals blocked and read as events, no handler and no global are needed
 * to put the terminal right before the program dies of them.
 */
#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

#define TRIES_MAX 3

struct terminal {
    int fd;
    int signal_fd;
    bool is_changed;
    struct termios before;
    sigset_t mask_before;
};

static void terminal_close(struct terminal *t)
{
    if (t->is_changed) {
        (void)tcsetattr(t->fd, TCSAFLUSH, &t->before);
        (void)sigprocmask(SIG_SETMASK, &t->mask_before, NULL);
        t->is_changed = false;
    }
    file_close_at(&t->signal_fd);
    file_close_at(&t->fd);
}

#define AUTO_TERMINAL AUTO(terminal_close) struct terminal

static enum kerr terminal_open(struct terminal *t, bool is_new, struct kerrinfo *e)
{
    t->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (t->fd >= 0) {
        return KERR_OK;
    }
    return kerr_set(e, is_new ? KERR_USAGE : KERR_SEALED,
                    "there is no terminal to ask for the passphrase on: give NAME=passphrase:fd=N "
                    "and pass it by descriptor N");
}

static enum kerr terminal_hide(struct terminal *t, struct kerrinfo *e)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        (void)sigaddset(&set, signals[i]);
    }
    struct termios hidden;
    if (tcgetattr(t->fd, &t->before) != 0) {
        return kerr_errno(e, errno, "cannot ask on the terminal");
    }
    hidden = t->before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    hidden.c_lflag |= ICANON | ISIG;
    if (sigprocmask(SIG_BLOCK, &set, &t->mask_before) != 0) {
        return kerr_errno(e, errno, "cannot ask on the terminal");
    }
    t->is_changed = true;
    /* Stopping (SIGTSTP) stays blocked: it comes when the terminal is as it was. */
    (void)sigdelset(&set, SIGTSTP);
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (t->signal_fd < 0 || tcsetattr(t->fd, TCSAFLUSH, &hidden) != 0) {
        return kerr_errno(e, errno, "cannot ask on the terminal");
    }
    return KERR_OK;
}

static void put(const struct terminal *t, struct bytes text)
{
    while (text.len > 0) {
        ssize_t n = write(t->fd, text.ptr, text.len);
        if (n <= 0) {
            return; /* nobody reads: the answer will show it */
        }
        text = bytes_of(text.ptr + n, text.len - (size_t)n);
    }
}

static void put_text(const struct terminal *t, const char *text)
{
    put(t, bytes_of_text(text));
}

/* Dies of the signal that waits, with the terminal as it was. */
static enum kerr give_way(struct terminal *t, struct kerrinfo *e)
{
    struct signalfd_siginfo info;
    if (read(t->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        put_text(t, "\n");
        terminal_close(t);
        (void)raise((int)info.ssi_signo);
    }
    return kerr_set(e, KERR_SEALED, "interrupted");
}

/* One line without its end. A full line is read whole even if it is too long. */
static enum kerr read_line(struct terminal *t, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET line = NULL;
    size_t len = 0;
    enum kerr k = secret_new(SEAL_PASSPHRASE_MAX + 1, &line, e);
    while (k == KERR_OK) {
        struct pollfd events[] = {{t->fd, POLLIN, 0}, {t->signal_fd, POLLIN, 0}};
        if (poll(events, ARRAY_LEN(events), -1) < 0 && errno != EINTR) {
            return kerr_errno(e, errno, "cannot read from the terminal");
        }
        if ((events[1].revents & POLLIN) != 0) {
            return give_way(t, e);
        }
        uint8_t *to = secret_bytes(line) + (len < SEAL_PASSPHRASE_MAX ? len : SEAL_PASSPHRASE_MAX);
        ssize_t n = events[0].revents == 0 ? -1 : read(t->fd, to, 1);
        if (n == 0 || (n < 0 && events[0].revents != 0 && errno != EINTR)) {
            return kerr_set(e, KERR_SEALED, "the terminal was closed before an answer");
        }
        if (n == 1 && *to == '\n') {
            break;
        }
        len += n == 1;
    }
    if (k == KERR_OK && len > SEAL_PASSPHRASE_MAX) {
        return kerr_set(e, KERR_LIMIT, "a passphrase of more than %d bytes", SEAL_PASSPHRASE_MAX);
    }
    if (k == KERR_OK) {
        /* A secret has at least one byte; an empty line is known by it being the terminator. */
        secret_truncate(line, len == 0 ? 1 : len);
        secret_bytes(line)[0] = len == 0 ? '\n' : secret_bytes(line)[0];
        *ret = secret_take(&line);
    }
    return k;
}

static bool is_empty(const struct secret *line)
{
    return secret_len(line) == 1 && secret_view(line).ptr[0] == '\n';
}

static enum kerr ask_line(struct terminal *t, const char *prompt, const char *hint,
                          struct secret **ret, struct kerrinfo *e)
{
    put_text(t, prompt);
    put_text(t, hint);
    put_text(t, ": ");
    enum kerr k = read_line(t, ret, e);
    if (k == KERR_OK) {
        put_text(t, "\n");
    }
    return k;
}

enum kerr prompt_make(struct secret **ret, struct kerrinfo *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    AUTO_SECRET made = NULL;
    enum kerr k = secret_random(PROMPT_MADE_BYTES, &made, e);
    if (k != KERR_OK) {
        return k;
    }
    uint8_t *at = secret_bytes(made);
    for (size_t i = 0; i < PROMPT_MADE_BYTES; i++) {
        bool is_gap = i % (PROMPT_GROUP_SIZE + 1) == PROMPT_GROUP_SIZE;
        at[i] = (uint8_t)(is_gap ? '-' : letters[at[i] & 31]);
    }
    *ret = secret_take(&made);
    return KERR_OK;
}

static enum kerr make_and_show(const struct terminal *t, struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = prompt_make(ret, e);
    if (k == KERR_OK) {
        put_text(t, "\n    ");
        put(t, secret_view(*ret));
        put_text(t, "\n\nThis passphrase is shown once and stored nowhere. Write it down now, "
                    "on paper, and keep it\napart from this machine and its backups.\n\n");
    }
    return k;
}

/* *ret stays NULL when the answer was not good and one may try again. */
static enum kerr ask_new_once(struct terminal *t, const char *prompt, struct secret **ret,
                              struct kerrinfo *e)
{
    AUTO_SECRET first = NULL;
    AUTO_SECRET second = NULL;
    enum kerr k = ask_line(t, prompt, " (Enter: have a strong one made)", &first, e);
    if (k == KERR_OK && is_empty(first)) {
        return make_and_show(t, ret, e);
    }
    if (k == KERR_OK && secret_len(first) < SEAL_PASSPHRASE_MIN) {
        char text[64];
        (void)snprintf(text, sizeof text, "At least %d bytes, please.\n", SEAL_PASSPHRASE_MIN);
        put_text(t, text);
        return KERR_OK;
    }
    if (k == KERR_OK) {
        k = ask_line(t, prompt, ", again", &second, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (!secret_equal(first, second)) {
        put_text(t, "The two differ.\n");
        return KERR_OK;
    }
    *ret = secret_take(&first);
    return KERR_OK;
}

static enum kerr ask_new(struct terminal *t, const char *prompt, struct secret **ret,
                         struct kerrinfo *e)
{
    AUTO_SECRET answer = NULL;
    enum kerr k = KERR_OK;
    for (int i = 0; i < TRIES_MAX && k == KERR_OK && answer == NULL; i++) {
        k = ask_new_once(t, prompt, &answer, e);
    }
    if (k == KERR_OK && answer == NULL) {
        return kerr_set(e, KERR_INPUT, "no passphrase was agreed on; nothing was changed");
    }
    if (k == KERR_OK) {
        *ret = secret_take(&answer);
    }
    return k;
}

enum kerr prompt_ask(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                     struct kerrinfo *e)
{
    (void)ctx;
    AUTO_TERMINAL t = {.fd = -1, .signal_fd = -1};
    enum kerr k = terminal_open(&t, is_new, e);
    if (k == KERR_OK) {
        k = terminal_hide(&t, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (is_new) {
        return ask_new(&t, prompt, ret, e);
    }
    AUTO_SECRET line = NULL;
    k = ask_line(&t, prompt, "", &line, e);
    if (k == KERR_OK && is_empty(line)) {
        k = kerr_set(e, KERR_SEALED, "no passphrase was entered");
    }
    if (k == KERR_OK) {
        *ret = secret_take(&line);
    }
    return k;
}

void prompt_busy(void *ctx, const char *slot)
{
    const struct prompt *p = ctx;
    if (!p->is_quiet && isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "working on the passphrase of slot %s...\n", slot);
    }
}
