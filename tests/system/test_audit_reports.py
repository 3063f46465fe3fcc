# SPDX-License-Identifier: Apache-2.0
"""The reports of etcdseal audit where they are read: the page in a real browser, in both themes, on
paper and on a small screen; the metrics by promtool and by a real Prometheus's parser. What is audited
lies in a real etcd, under names that want to be more than names. The forms by themselves:
tests/cli/test_audit_forms.py."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from parts import places
from parts.browser import Browser
from parts.etcd import Etcd
from parts.tool import Tool

SECRET = "/registry/secrets/"
NAMES = ["<script>document.title='owned'</script>", "\"><img src=x onerror=alert(1)>", "</main></body>",
         "a&lt;b", "\u202egnp.exe", "\x1b[31mred", "x" * 240]
CURRENT = "es1-gtk3azrwww3g7fw62dfvxcolwy"
OLD = "es1-wlkkyquabikpyrzpiiab2qjkxa"
CONFIG = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [
    {"resources": ["secrets", "configmaps"], "providers": [
        {"kms": {"apiVersion": "v2", "name": "etcdseal", "endpoint": "unix:///run/etcdseal/kms.sock"}},
        {"identity": {}}]}]}

# Text and the colours that it has and stands on, by what the browser works out.
TEXTS = """(() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const parse = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    let behind = element, colour = [0, 0, 0, 0];
    while (behind && colour[3] === 0) {
      colour = parse(getComputedStyle(behind).backgroundColor);
      if (colour.length === 3) colour.push(1);
      behind = behind.parentElement;
    }
    found.push([walker.currentNode.data.trim().slice(0, 40), parse(getComputedStyle(element).color), colour]);
  }
  return found;
})()"""


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def sealed(key_id, seed):
    body = field(1, b"d" * 80) + field(2, key_id) + field(3, seed.ljust(74, b"s")) + b"\x28\x01"
    return b"k8s:enc:kms:v2:etcdseal:" + body


def plaintext(kind, body=b"m" * 16):
    return b"k8s\0" + field(1, field(1, "v1") + field(2, kind)) + field(2, body)


class Audited:
    """A snapshot of a real etcd, audited once into a folder."""

    def __init__(self, workspace, names):
        etcd = Etcd(workspace)
        for i in range(40):
            etcd.put(f"{SECRET}shop/payment-{i}", plaintext("Secret"))
            etcd.put(f"{SECRET}shop/payment-{i}", sealed(CURRENT, b"%d" % (i % 3)))
        for i in range(9):
            etcd.put(f"{SECRET}shop/older-{i}", sealed(OLD, b"o"))
            etcd.put(f"/registry/pods/shop/pod-{i}", plaintext("Pod"))
            etcd.put(f"/registry/configmaps/shop/config-{i}", plaintext("ConfigMap"))
        etcd.put("/registry/namespaces/default", plaintext("Namespace"))
        for name in names:
            etcd.put(f"{SECRET}default/{name}", plaintext("Secret"))
            etcd.put(f"/registry/{name.replace('/', '')}/a", plaintext("Odd"))
        snapshot = workspace.path("etcd.snapshot")
        subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, "snapshot", "save", snapshot],
                       check=True, capture_output=True)
        self.folder = workspace.path("report")
        config = workspace.write("enc.yaml", json.dumps(CONFIG))
        self.ran = Tool().run("audit", "--snapshot", snapshot, "--encryption-config", config, "--current-key",
                              CURRENT, "--digest", "--demand", "all-encrypted", "--demand", "no-residue",
                              "--report-dir", self.folder)
        assert self.ran.code == 1, self.ran.err
        self.report = json.loads((self.folder / "report.json").read_text())
        self.page = self.folder / "report.html"


@pytest.fixture(scope="module")
def hostile(module_workspace):
    return Audited(module_workspace, NAMES)


@pytest.fixture(scope="module")
def browser(module_workspace):
    with Browser(module_workspace.path("browser")) as made:
        yield made


def luminance(colour):
    parts = [c / 255 / 12.92 if c <= 10.31475 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_page_is_nothing_but_a_page(browser, hostile):
    """Whatever objects are called: no element of theirs, no request, no complaint, no dialog."""
    browser.look()
    browser.open(hostile.page)
    assert len(browser.told("Network.requestWillBeSent")) == 1
    assert browser.told("Log.entryAdded") == [] and browser.told("Runtime.exceptionThrown") == []
    assert browser.told("Page.javascriptDialogOpening") == []
    assert browser.run("document.querySelectorAll('script, img, link, iframe, object, form').length") == 0
    assert browser.run("document.title").startswith("PARTIAL with RESIDUE: ")
    text = browser.run("document.body.textContent")
    for name in ("<script>document.title='owned'</script>", "onerror=alert(1)>", "</main></body>", "a&lt;b",
                 "\\xe2\\x80\\xaegnp.exe", "\\x1b[31mred"):
        assert name in text, name
    assert browser.run("document.querySelectorAll('main, header, footer, nav').length") == 4
    assert browser.run("document.compatMode") == "CSS1Compat"
    # The policy does forbid what it says: a script that is put in does not run.
    browser.run("document.body.append(Object.assign(document.createElement('script'), "
                "{textContent: 'window.ran = true'}))")
    assert browser.run("window.ran === undefined")
    assert any("Content Security Policy" in entry["entry"]["text"] for entry in browser.told("Log.entryAdded"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(browser, hostile, scheme):
    browser.open(hostile.page)
    browser.look(scheme)
    browser.run("document.querySelectorAll('details').forEach((d) => d.open = true)")
    texts = browser.run(TEXTS)
    assert len(texts) > 200
    for text, colour, behind in texts:
        assert contrast(colour, behind) >= 4.5, (text, colour, behind)
    paper = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (luminance([float(c) for c in re.findall("[0-9]+", paper)]) > 0.5) == (scheme == "light")


@pytest.mark.parametrize("width", [340, 768, 1600])
def test_it_fits_each_width(browser, hostile, width):
    """Wide tables scroll by themselves, the page does not."""
    browser.open(hostile.page)
    browser.look(width=width)
    browser.run("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.look()


def test_who_can_not_see_it(browser, hostile):
    """What the browser hands to a screen reader: landmarks with names, headings in order, table heads,
    and the bars in words."""
    browser.look()
    browser.open(hostile.page)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {}
    for node in nodes:
        if not node.get("ignored"):
            roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert len(roles["main"]) == len(roles["banner"]) == len(roles["contentinfo"]) == 1
    assert roles["navigation"] == ["Sections"]
    assert set(roles["region"]) >= {"Coverage by resource", "Keys", "What is left over", "Findings"}
    assert "encrypted 40, encrypted, but stale 9, plaintext 7" in roles["image"]
    assert len(roles["columnheader"]) > 20 and len(roles["rowheader"]) >= 6
    levels = browser.run("[...document.querySelectorAll('h1, h2, h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert browser.run("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper(browser, hostile, workspace, scheme):
    """Black on white whatever the theme is, with the lists unfolded and nothing cut off."""
    browser.open(hostile.page)
    browser.look(scheme, media="print")
    for text, colour, behind in browser.run(TEXTS):
        assert luminance(behind) > 0.9 and contrast(colour, behind) >= 4.5, (text, colour, behind)
    browser.look(scheme)
    path = workspace.path("report.pdf")
    browser.print(path)
    text = subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True, text=True).stdout
    assert "PARTIAL with RESIDUE" in " ".join(text.split()) and CURRENT in text.replace("\n", "")
    for i in range(9):
        assert f"/registry/secrets/shop/older-{i}" in text
    pages = text.count("\f")
    assert 2 <= pages <= 12, pages
    assert "How it was made" in text and "Coverage by resource" in text and "Sections" not in text


def test_the_metrics_pass_promtool(hostile):
    text = (hostile.folder / "report.prom").read_text()
    done = subprocess.run([places.real_part("promtool"), "check", "metrics"], input=text, capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert 'etcdseal_audit_objects{resource="secrets",class="kmsv2"} 49' in text


def minisign(*words, stdin=""):
    return subprocess.run(["minisign", *map(str, words)], input=stdin, capture_output=True, text=True)


def test_signatures_of_both(workspace):
    """What we sign the real minisign verifies, what it signs we verify; a key with a password is
    refused."""
    etcd = Etcd(workspace)
    etcd.put(f"{SECRET}a/b", sealed(CURRENT, b"1"))
    snapshot = workspace.path("signed.snapshot")
    subprocess.run([places.real_part("etcdctl"), "--endpoints", etcd.url, "snapshot", "save", snapshot],
                   check=True, capture_output=True)
    public, secret, folder = (workspace.path(name) for name in ("key.pub", "key.sec", "signed"))
    assert minisign("-G", "-W", "-p", public, "-s", secret).returncode == 0
    Tool().run("audit", "--snapshot", snapshot, "--report-dir", folder, "--sign", secret).ok()
    for path in folder.iterdir():
        if path.suffix == ".minisig":
            continue
        done = minisign("-V", "-p", public, "-m", path)
        assert done.returncode == 0 and "Signature and comment signature verified" in done.stdout
        assert f"file:{path.name}" in done.stdout and "verdict:ENCRYPTED" in done.stdout
        Tool().run("audit", "verify-report", path, "--public-key", public).ok()
    report = folder / "report.html"
    assert minisign("-S", "-W", "-s", secret, "-m", report, "-t", "by hand").returncode == 0
    assert Tool().run("audit", "verify-report", report, "--public-key", public).ok().out.endswith(": by hand\n")
    with open(report, "a") as file:
        file.write(" ")
    assert minisign("-V", "-p", public, "-m", report).returncode != 0
    Tool().run("audit", "verify-report", report, "--public-key", public).refused(4, "changed")
    locked = workspace.path("locked.sec")
    assert minisign("-G", "-f", "-p", public, "-s", locked, stdin="word\nword\n").returncode == 0
    Tool().run("audit", "--snapshot", snapshot, "--report-dir", folder, "--sign", locked).refused(
        3, "password")


def test_the_picture_of_the_docs(browser, workspace):
    """ETCDSEAL_TEST_PICTURE=docs/audit-report.png makes it anew."""
    made = Audited(workspace, ["from-before", "left-behind"])
    browser.open(made.page)
    browser.look(width=1120, height=1000)
    path = Path(os.environ.get("ETCDSEAL_TEST_PICTURE") or workspace.path("picture.png"))
    browser.picture(path)
    assert 10_000 < path.stat().st_size < 200_000
