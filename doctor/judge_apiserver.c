/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server is told, and what it says. */
#include <string.h>

#include "doctor/verdict.h"

static const char flag_name[] = "encryption-provider-config";
static const char reload_name[] = "encryption-provider-config-automatic-reload";

/* Where a flag is to be written. */
static const char *flag_cure(const struct facts *f, struct verdict *v, const char *flag)
{
    const struct apiserver_spec *s = facts_spec(f);
    if (s->source == APISERVER_K3S || s->source == APISERVER_RKE2) {
        return verdict_text(v, "in %s, under kube-apiserver-arg:  - %s; then restart it", s->file,
                            flag);
    }
    return verdict_text(v, "in %s, under command:  - --%s", s->file, flag);
}

static const char *value_of(const struct apiserver_spec *s, const char *name)
{
    const struct apiserver_flag *flag = s == NULL ? NULL : apiserver_flag(s, name);
    return flag == NULL ? "" : flag->value.text;
}

JUDGE(apiserver_found)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (a->is_file_forbidden) {
        verdict_unknown(v, "%s", a->file_error);
    } else if (*a->file_error != 0) {
        verdict_found(v, a->file_tried, "correct it, or name another file with --manifest FILE",
                      "%s", a->file_error);
    } else if (a->file == NULL && a->process == NULL) {
        verdict_unknown(v, "no kube-apiserver runs here and no file of kubeadm, k3s or RKE2 was "
                           "found; name one with --manifest FILE");
    } else if (a->file == NULL) {
        verdict_ok(v, "%s", a->process->file);
    } else if (a->process == NULL) {
        verdict_ok(v, "%s", a->file->file);
    } else {
        verdict_ok(v, "%s, %s", a->file->file, a->process->file);
    }
}

JUDGE(apiserver_flag)
{
    const struct fact_apiserver *a = &f->apiserver;
    const struct apiserver_spec *s = facts_spec(f);
    if (*a->config_inside == 0) {
        verdict_found(v, s->file, flag_cure(f, v, "encryption-provider-config=/PATH"),
                      "--%s is not among the flags", flag_name);
    } else if (*a->config_inside != '/') {
        verdict_found(v, verdict_place(v, &apiserver_flag(s, flag_name)->value),
                      flag_cure(f, v, "encryption-provider-config=/PATH"),
                      "--%s=%s is not an absolute path", flag_name, a->config_inside);
    } else if (f->q->encryption_config != NULL && *a->config_path != 0 &&
               strcmp(f->q->encryption_config, a->config_path) != 0) {
        verdict_found(v, verdict_place(v, &apiserver_flag(s, flag_name)->value),
                      flag_cure(f, v, "encryption-provider-config=/PATH"),
                      "--%s is %s on this host, not %s", flag_name, a->config_path,
                      f->q->encryption_config);
    } else {
        verdict_ok(v, "%s", a->config_inside);
    }
}

JUDGE(apiserver_running)
{
    const struct fact_apiserver *a = &f->apiserver;
    static const char *const names[] = {flag_name, reload_name};
    if (a->process == NULL || a->file == NULL) {
        verdict_skip(v, "%s", a->process == NULL ? "no process kube-apiserver" : "no file");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *now = value_of(a->process, names[i]);
        const char *wanted = value_of(a->file, names[i]);
        if (strcmp(now, wanted) != 0) {
            verdict_found(v, a->process->file,
                          a->file->source == APISERVER_MANIFEST
                              ? verdict_text(v,
                                             "the kubelet restarts it; else move %s out of its "
                                             "folder and back",
                                             a->file->file)
                              : "systemctl restart rke2-server.service",
                          "%s runs with --%s=%s, %s says '%s'", a->process->file, names[i], now,
                          a->file->file, wanted);
        }
    }
}

JUDGE(apiserver_reload)
{
    const struct apiserver_spec *s = facts_spec(f);
    if (strcmp(value_of(s, reload_name), "true") != 0) {
        const struct apiserver_flag *flag = apiserver_flag(s, reload_name);
        verdict_found(v, flag == NULL ? s->file : verdict_place(v, &flag->value),
                      flag_cure(f, v, "encryption-provider-config-automatic-reload=true"),
                      "--%s is %s", reload_name, flag == NULL ? "not set" : flag->value.text);
    }
}

/* Whether one of the checks below a path is the plugin's. Before 1.29 /livez had it too. */
static bool includes_kms(const char *path, unsigned minor)
{
    static const char *const whole[] = {"/healthz", "/readyz", "/livez"};
    size_t len = strcspn(path, "?");
    if (strstr(path, "exclude=kms-provider") != NULL) {
        return false;
    }
    if (strncmp(path, "/readyz/kms-provider", 20) == 0 ||
        strncmp(path, "/healthz/kms-provider", 21) == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (strlen(whole[i]) == len && strncmp(path, whole[i], len) == 0) {
            return i < 2 || (minor != 0 && minor < 29);
        }
    }
    return false;
}

JUDGE(apiserver_probes)
{
    static const enum apiserver_probe_kind killing[] = {APISERVER_LIVENESS, APISERVER_STARTUP};
    const struct apiserver_spec *s = f->apiserver.file;
    if (s == NULL || s->source != APISERVER_MANIFEST) {
        verdict_skip(v, "not a static pod's manifest");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(killing); i++) {
        const struct apiserver_value *path = &s->probes[killing[i]];
        if (path->text != NULL && includes_kms(path->text, f->apiserver.minor)) {
            verdict_found(v, verdict_place(v, path), "path: /livez?exclude=kms-providers",
                          "%s asks %s, which fails with the KMS plugin",
                          apiserver_probe_names[killing[i]], path->text);
        }
    }
}

JUDGE(rancher_encryption)
{
    const struct apiserver_spec *s = facts_spec(f);
    if (s->secrets_encryption.text != NULL) {
        verdict_found(
            v, verdict_place(v, &s->secrets_encryption),
            "remove secrets-encryption: true once every Secret has been rewritten under the "
            "KMS provider",
            "secrets-encryption is on beside --%s", flag_name);
    } else if (s->source != APISERVER_K3S && s->source != APISERVER_RKE2) {
        verdict_skip(v, "neither k3s nor RKE2");
    }
}

/* ---- what it answers ---- */

JUDGE(apiserver_answers)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (*a->url == 0) {
        verdict_unknown(v, "no address of the API server is known; give --apiserver URL");
    } else if (a->look != LOOK_DONE) {
        verdict_unknown(v, "%s", a->why);
    } else if (a->metrics_status != 200) {
        verdict_unknown(v, "%s answers /metrics with HTTP %u; give credentials that may read it",
                        a->url, a->metrics_status);
    } else {
        verdict_ok(v, "%s", a->url);
    }
}

JUDGE(apiserver_health)
{
    const struct fact_apiserver *a = &f->apiserver;
    const char *where = verdict_text(v, "%s/readyz/kms-providers", a->url);
    if (a->health == 404) {
        verdict_found(v, where, "restart the API server, with the flags that these checks ask for",
                      "the API server has no check kms-providers: it uses no KMS v2 provider");
    } else if (a->health != 200) {
        verdict_found(v, where, "etcdseal status; journalctl -u etcdseald.service", "HTTP %u: %s",
                      a->health, a->health_text);
    }
}

JUDGE(apiserver_config_loaded)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (*a->metrics.config_hash == 0) {
        verdict_skip(v, "the API server does not tell (before 1.34, or reload is off)");
    } else if (*a->config_hash == 0) {
        verdict_skip(v, "the file is not known");
    } else if (strcmp(a->metrics.config_hash, a->config_hash) != 0) {
        verdict_found(
            v, a->config_path,
            "wait a minute for the reload; if it stays: look for encryption-provider-config "
            "in the API server's log",
            "the API server has loaded %.23s..., the file is %.23s...", a->metrics.config_hash,
            a->config_hash);
    }
}

/* ---- the key ---- */

/* The API server's newest key id hash of our provider; NULL when it has not told one. */
static const struct metrics_provider *seen(const struct facts *f)
{
    const struct encryption_provider *ours = f->apiserver.ours;
    return ours == NULL || ours->name.text == NULL
               ? NULL
               : metrics_provider(&f->apiserver.metrics, ours->name.text);
}

static bool is_agreed(const struct facts *f)
{
    const struct metrics_provider *p = seen(f);
    return p != NULL && strcmp(p->hash, f->daemon.key_id_hash) == 0;
}

static bool is_fresh(const struct facts *f)
{
    return f->now_s < f->daemon.loaded_at_s + FACTS_AGREE_S;
}

JUDGE(key_agreement_pending)
{
    const struct metrics_provider *p = seen(f);
    if (p != NULL && !is_agreed(f) && is_fresh(f)) {
        verdict_found(v, f->apiserver.url, "look again in three minutes",
                      "provider %s still has key %.23s..., the daemon has given %.23s... for under "
                      "three minutes",
                      p->name, p->hash, f->daemon.key_id_hash);
    }
}

JUDGE(key_agreement)
{
    const struct metrics_provider *p = seen(f);
    if (f->apiserver.ours == NULL) {
        verdict_skip(v, "no provider is known that leads to our socket");
    } else if (p == NULL) {
        verdict_found(v, f->apiserver.url, "look at apiserver-health again in a minute",
                      "the API server has told no key id of provider %s",
                      f->apiserver.ours->name.text);
    } else if (!is_agreed(f)) {
        verdict_found(v, f->apiserver.url,
                      "etcdseal status; then look for kms in the API server's log",
                      "provider %s has key %.23s..., the daemon gives %.23s...", p->name, p->hash,
                      f->daemon.key_id_hash);
    } else {
        verdict_ok(v, "%.23s...", p->hash);
    }
}

static void judge_other(const struct facts *f, const struct fact_other *other, struct verdict *v)
{
    const char *name = f->apiserver.ours->name.text;
    if (*other->why != 0) {
        verdict_found(v, other->url,
                      "see that it answers there, and that who asks may read /metrics",
                      "could not be asked: %s", other->why);
    } else if (*other->hash == 0) {
        verdict_found(v, other->url, "etcdseal doctor on that node",
                      "has told no key id of provider %s", name);
    } else if (strcmp(other->hash, f->daemon.key_id_hash) != 0) {
        verdict_found(
            v, other->url,
            "etcdseal status on both nodes: the same keystore, or the same vault.mount, key, "
            "cluster_id and epoch",
            "provider %s has key %.23s..., the daemon of this node gives %.23s...", name,
            other->hash, f->daemon.key_id_hash);
    }
}

JUDGE(nodes_agree)
{
    const struct fact_apiserver *a = &f->apiserver;
    if (a->other_count == 0) {
        verdict_skip(v, "no other API server was named (--other-apiserver)");
        return;
    }
    if (a->ours == NULL || a->ours->name.text == NULL) {
        verdict_skip(v, "no provider is known that leads to our socket");
        return;
    }
    if (is_fresh(f)) {
        verdict_skip(v, "the daemon has given its key for under three minutes");
        return;
    }
    verdict_ok(v, "%zu more", a->other_count);
    for (size_t i = 0; i < a->other_count; i++) {
        judge_other(f, &a->others[i], v);
    }
}
