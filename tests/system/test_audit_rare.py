# SPDX-License-Identifier: Apache-2.0
"""etcdseal audit on what a real kube-apiserver writes only when it is told to: KMS v1 and CBOR."""

from parts import kms_v1
from parts.apiserver import NAMESPACE
from parts.process import wait_until
from test_audit import MARKER, Cluster, check_against_etcd, classes, row_of

WIDGETS = f"/apis/example.com/v1/namespaces/{NAMESPACE}/widgets"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced",
             "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
             "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                 "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


def test_kms_v1(workspace):
    """Counted with its provider, and never asked: to prove it is told apart from KMS v2."""
    socket = workspace.path("v1.sock")
    plugin = kms_v1.serve(socket)
    try:
        cluster = Cluster(workspace, version="1.31", flags=["--feature-gates=KMSv1=true"],
                          **{"kms-v1": {"apiVersion": "v1", "name": "older", "endpoint": f"unix://{socket}"}})
        for names in (("kms-v1", "kms"), ("kms", "kms-v1")):
            path = cluster.serve(*names)
            for n in range(2):
                cluster.api.create_secret(f"{names[0]}-{n}", f"{MARKER}-{n}")
        snapshot = cluster.snapshot()
        report = cluster.audit(snapshot, "--encryption-config", path)
        check_against_etcd(cluster, snapshot, report)
        row = row_of(report, "secrets")
        assert classes(row) == {"kmsv1": 2, "kmsv2": 2}
        (old,) = [key for key in report["key_ids"] if key["class"] == "kmsv1"]
        assert (old["provider"], old["key_id"], old["objects"]) == ("older", None, 2)
        report = cluster.audit(snapshot, "--prove", "--encryption-config", path, code=1)
        row = row_of(report, "secrets")
        assert (row["proved"], row["unproved"], row["undecryptable"], row["stale"]) == (2, 2, 0, 2)
        (found,) = [f for f in report["findings"] if f["rule"] == "unproved"]
        assert "KMS v1" in found["message"]
    finally:
        cluster.api.stop()
        plugin.stop(None)


def test_cbor(workspace):
    """Custom resources as CBOR: of their class, and proved by opening, plain and encrypted."""
    cluster = Cluster(workspace, flags=["--feature-gates=CBORServingAndStorage=true"])
    cluster.serve("identity", "kms", resources=["secrets", "widgets.example.com"])
    assert cluster.api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)[0] == 201
    create_widget(cluster, "plain")
    path = cluster.serve("kms", "identity", resources=["secrets", "widgets.example.com"])
    create_widget(cluster, "sealed")
    key = f"/registry/example.com/widgets/{NAMESPACE}/"
    assert cluster.etcd.value(key + "plain").startswith(b"\xd9\xd9\xf7")  # RFC 8949, 3.4.6
    report = cluster.audit(cluster.snapshot(), "--prove", "--encryption-config", path, code=1)
    row = row_of(report, "widgets.example.com")
    assert classes(row) == {"plaintext": 1, "kmsv2": 1}
    assert (row["proved"], row["undecryptable"], row["verdict"]) == (1, 0, "PARTIAL")
    assert {(f["rule"], f["object"]) for f in report["findings"] if f["object"]} == {
        ("plaintext", f"{NAMESPACE}/plain")}


def create_widget(cluster, name):
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name},
              "spec": {"text": MARKER}}
    wait_until("it is created", lambda: cluster.api.call("POST", WIDGETS, widget)[0] == 201, 20)
