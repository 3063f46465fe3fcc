/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd keys of Kubernetes, taken apart: which resource, namespace and name. Views into the key;
 * group and name of a built-in resource come from a table, because its keys do not hold them. Pure.
 *
 * A key is PREFIX, such as "/registry/", and
 *   RESOURCE/[NAMESPACE/]NAME         of a built-in resource;
 *   GROUP/RESOURCE/[NAMESPACE/]NAME   of a custom one, whose group has a dot.
 *
 * Sources: pkg/kubeapiserver/default_storage_factory_builder.go of k8s.io/kubernetes (special
 * names) and the storage of each group.
 */
#ifndef ETCDSEAL_STORED_RESOURCE_H
#define ETCDSEAL_STORED_RESOURCE_H

#include "base/bytes.h"

struct resource_key {
    struct bytes resource;   /* as the API names it: "nodes", not "minions" */
    struct bytes group;      /* empty: the core group, or not known */
    struct bytes name_space; /* empty for what has none */
    struct bytes name;
    bool is_group_known; /* false for a resource without a dot that is in no table */
    bool is_bookkeeping; /* kube-apiserver's own, no object of its API: it never encrypts it */
};

/* False when the key does not begin with the prefix, or holds no resource behind it. `prefix` ends
 * with '/'. */
bool resource_of_key(struct bytes key, struct bytes prefix, struct resource_key *ret);

/* Appends the key of an object below the prefix: the other way round. An empty group is that of the
 * built-in resource of this name, or not known. LIMIT, NOMEM. */
enum kerr resource_put_key(const struct resource_key *r, struct bytes prefix, struct buf *to,
                           struct kerrinfo *e) MUST_CHECK;

/* "secrets", "widgets.example.com" with terminator; what does not fit is cut. */
void resource_text(const struct resource_key *r, char *to, size_t to_size);

/* The prefix of the cluster that a key shows: that of the keys of the namespaces `default` and
 * `kube-system`, which each cluster has. False for every other key. */
bool resource_prefix_of(struct bytes key, struct bytes *ret);

/* Whether a prefix goes on behind where a cluster's keys begin, into a built-in resource, as
 * "/registry/secrets/" does. *ret is its part up to there. */
bool resource_is_within(struct bytes prefix, struct bytes *ret);

/* Resource and group that an object says itself: {"apps/v1", "Deployment"} gives deployments, apps.
 * The plural is made as Kubernetes makes it; `to` gets its text and backs ret->resource. */
#define RESOURCE_KIND_MAX 128
bool resource_of_kind(struct bytes api_version, struct bytes kind,
                      char to[static RESOURCE_KIND_MAX], struct resource_key *ret);

#endif
