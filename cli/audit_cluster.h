/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --cluster: what to audit and with what, taken from where a distribution keeps it on this node, so
 * that nobody has to type the paths of a source, its certificates and the EncryptionConfiguration.
 * It fills in options that were not given: what stands on the command line wins.
 *
 *   kubeadm  the flags of kube-apiserver's static pod: --etcd-servers, --etcd-cafile,
 *            --etcd-certfile, --etcd-keyfile, --etcd-prefix, --encryption-provider-config
 *   k3s,     below the data folder: etcd's certificates when it has an etcd, else kine's file;
 *   rke2     cred/encryption-config.json, or the file of kube-apiserver-arg
 *
 * Sources: https://docs.k3s.io/datastore, https://docs.rke2.io/datastore/backup_restore, the pod
 * that kubeadm writes.
 */
#ifndef ETCDSEAL_CLI_AUDIT_CLUSTER_H
#define ETCDSEAL_CLI_AUDIT_CLUSTER_H

#include "cli/options.h"
#include "config/apiserver.h"

#define AUDIT_CLUSTER_TEXTS 16

struct audit_cluster {
    struct options options; /* those that were given, with what was found */
    struct apiserver_spec *spec;
    char *texts[AUDIT_CLUSTER_TEXTS];
    size_t text_count;
};

/* Without --cluster a copy of `o`. Clean with audit_cluster_done even on failure. NOTFOUND when the
 * distribution is not here, USAGE when auto finds several or the keys are kept elsewhere, CONFIG
 * for files that are not what they should be; none that speaks of what an audit found. */
enum kerr audit_cluster_open(const struct options *o, struct audit_cluster *ret,
                             struct kerrinfo *e) MUST_CHECK;
void audit_cluster_done(struct audit_cluster *c);
#define AUTO_AUDIT_CLUSTER AUTO(audit_cluster_done) struct audit_cluster

#endif
