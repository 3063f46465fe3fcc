# SPDX-License-Identifier: Apache-2.0
"""Words, help, configuration and output: what holds for every command."""

import json
import re
import subprocess

import pytest
import yaml

from conftest import PASSPHRASE, needs_root, program

NOUNS = {
    "key": ["list", "stage", "promote", "disable", "enable", "destroy", "cancel-destroy",
            "compromise"],
    "seal": ["list", "add", "remove", "test"],
    "keystore": ["info", "verify", "backup", "restore"],
    "config": ["check", "print"],
    "encryption-config": ["check", "generate"],
}
SINGLE = ["init", "status", "doctor"]
COMMANDS = [[word] for word in SINGLE] + [[n, v] for n, verbs in NOUNS.items() for v in verbs]
LEVELS = [[]] + [[noun] for noun in NOUNS] + COMMANDS
ID = "es1-" + "a" * 26
ARGUMENTS = {"promote": [ID], "disable": [ID], "enable": [ID], "destroy": [ID],
             "cancel-destroy": [ID], "compromise": [ID], "add": ["file:/x"], "remove": ["boot"],
             "test": ["boot"], "backup": ["/x"], "restore": ["/x"]}


@pytest.mark.parametrize("level", LEVELS, ids=" ".join)
def test_help(tool, level):
    for word in ("--help", "-h"):
        ran = tool.run(*level, word).ok()
        assert ran.out.startswith(f"Usage: {' '.join(['etcdseal', *level])}") and not ran.err
        assert max(map(len, ran.out.splitlines())) <= 80
        assert "--help" in ran.out
    if level == []:
        assert all(re.search(rf"^  {word} ", ran.out, re.M) for word in [*NOUNS, *SINGLE])
    elif len(level) == 1 and level[0] in NOUNS:
        assert all(re.search(rf"^  {verb} ", ran.out, re.M) for verb in NOUNS[level[0]])


def test_help_says_what_is_given_up_without_the_daemon(tool):
    for verb in ("disable", "destroy"):
        assert "unreadable" in tool.run("key", verb, "--help").ok().out


def test_version(tool):
    assert re.fullmatch(r"etcdseal \d+\.\d+\.\d+\n", tool.run("--version").ok().out)


@pytest.mark.parametrize("words, told", [
    ([], ["init", "status", "--help"]),
    (["kee"], ["kee", "'key'"]),
    (["statsu"], ["'status'"]),
    (["key"], ["list", "compromise"]),
    (["key", "lst"], ["lst", "'list'"]),
    (["seal", "ad"], ["'add'"]),
    (["key", "list", "--nonsense"], ["--nonsense"]),
    (["key", "list", "--outptu=json"], ["--output"]),
    (["key", "list", "extra"], ["extra"]),
    (["key", "list", "-o", "xml"], ["table, wide, json, yaml"]),
    (["key", "list", "-o"], ["-o"]),
    (["key", "stage", "-o", "json"], ["--output", "key list"]),
    (["key", "stage", "--confirm", "x"], ["--confirm"]),
    (["key", "stage", "--suite", "rot13"], ["xaes-256-gcm, kbkdf-aes-256-gcm"]),
    (["key", "promote"], ["ID"]),
    (["key", "promote", "not-an-id"], ["not-an-id", "es1-"]),
    (["key", "promote", ID.upper()], ["no key id"]),
    (["key", "promote", ID + "a"], ["no key id"]),
    (["key", "disable", "\033[31mred"], [r"\x1b"]),
    (["key", "destroy", ID, "--confirm", ID], ["--after", "--backups"]),
    (["key", "destroy", ID, "--after", "7d", "--backups", "none"], ["--after", "--backups"]),
    (["key", "destroy", ID, "--after", "soon"], ["--after", "7d"]),
    (["key", "destroy", ID, "--after", "0"], ["--after"]),
    (["init"], ["--seal"]),
    (["init", "--seal"], ["--seal"]),
    (["init", "--seal", "rot13:"], ["rot13", "passphrase:"]),
    (["init", "--seal", "UPPER=file:/x"], ["UPPER"]),
    (["init", "--seal", "file:relative"], ["absolute"]),
    (["init", "--seal", "passphrase:fd=x"], ["fd="]),
    (["init", "--seal", "passphrase:file=relative"], ["ABSOLUTE"]),
    (["init", "--seal", "credential:../x"], ["credential"]),
    (["init", "--seal", "file:/a", "--seal", "file:/b"], ["two slots", "NAME=SPEC"]),
    (["init", "--seal", "file:/a", "--role", "king"], ["king", "recovery"]),
    (["init", "--seal", "file:/a", "--role", "other=node"], ["other=node"]),
    (["init", "--seal", "a=file:/a", "--seal", "b=file:/b", "--role", "node"], ["NAME=ROLE"]),
    (["init", "--seal", "a=file:/a", "--role", "a=node", "--role", "a=operator"], ["twice"]),
    (["init", "--seal", "file:/a", "--passphrase-cost", "none"], ["min, default, max"]),
    (["seal", "add"], ["SPEC"]),
    (["seal", "add", "nothing"], ["kinds are"]),
    (["seal", "test", "UPPER"], ["UPPER"]),
    (["keystore", "restore", "x", "--fingerprint", "12"], ["--fingerprint", "64"]),
    (["keystore", "restore", "x", "--fingerprint", "g" * 64], ["--fingerprint"]),
    (["keystore", "restore", "x", "--lose", "all"], ["--lose"]),
    (["keystore", "backup", "a", "b"], ["'b'"]),
    (["status", "--watch=yes"], ["--watch"]),
    (["config", "print", "--quiet", "--quiet"], ["twice"]),
], ids=lambda words: " ".join(words)[:40])
def test_wrong_words(store, words, told):
    store.unchanged(*words).refused(2, *told)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_unknown_options_and_too_many_arguments(store, command):
    arguments = ARGUMENTS.get(command[-1], [])
    store.unchanged(*command, *arguments, "--bogus").refused(2, "--bogus")
    store.unchanged(*command, *arguments, *["more"] * 2).refused(2, "'more'")


@pytest.mark.parametrize("spec", ["passphrase:hunter2hunter2", "hunter2hunter2",
                                  "ops=hunter2hunter2", "passphrase=hunter2hunter2",
                                  "ops=passphrase:Hunter2 hunter2hunter2"])
def test_a_passphrase_on_the_command_line_is_refused_and_not_repeated(store, spec):
    for words in (["init", "--seal", spec], ["seal", "add", spec],
                  ["key", "list", "--unseal", spec], ["keystore", "restore", "/x", "--seal", spec]):
        ran = store.unchanged(*words).refused(2)
        assert "hunter2" not in ran.err, ran.told()


def test_options_may_stand_anywhere(store):
    for words in (["-o", "json", "key", "list"], ["key", "-ojson", "list"],
                  ["key", "list", "-o=json"], ["key", "list", "--output=json", "-q"]):
        assert store.run(*words).json()["generation"] == 1


# --- where things are found ---------------------------------------------------------------------------


def test_configuration_is_found(store):
    plain = ["key", "list", "-o", "json"]
    by_env = store.run(*plain).json()
    assert store.run(*plain, "--config", store.config, config=False).json() == by_env
    assert store.run(*plain, "--keystore", store.keystore, config=False).json() == by_env
    # The option wins.
    store.run(*plain, "--config", store.config, env={"ETCDSEAL_CONFIG": "/nowhere"}).ok()


def test_a_named_configuration_must_be_there(store):
    for words in ([], ["--config", "/nowhere/x.yaml"]):
        store.unchanged("key", "list", *words, env={"ETCDSEAL_CONFIG": "/nowhere/x.yaml"}
                        ).refused(3, "/nowhere", "x.yaml")


def test_a_bad_configuration_is_told_with_its_place(store):
    store.config.write_text("keystore: { pth: /x }\n")
    for words in (["key", "list"], ["status"], ["config", "check"], ["config", "print"]):
        store.unchanged(*words).refused(2, f"{store.config}:1:")


def test_no_keystore(tool):
    for words in (["key", "list"], ["key", "stage"], ["seal", "list"], ["seal", "test", "boot"],
                  ["keystore", "verify"], ["keystore", "info"], ["keystore", "backup", "/x"]):
        ran = tool.unchanged(*words).refused(3, str(tool.keystore))
        assert "etcdseal init" in ran.err or words[1] in ("list", "info"), ran.told()


def test_unseal_of_the_configuration(store):
    """It replaces PATH.unseal, for its own keystore only."""
    store.configure(f"  unseal: {{ boot: 'file:{store.folder}/other.key' }}\n")
    store.unchanged("key", "list").refused(3, "other.key")
    store.run("key", "list", "--unseal", f"boot=file:{store.key_file}").ok()
    link = store.folder / "store" / ".." / "store" / "keystore"
    store.run("key", "list", "--keystore", link).ok()


def test_config_check(tool):
    assert tool.run("config", "check").ok().out == f"{tool.config}: ok\n"
    assert tool.run("config", "check", tool.config, config=False).ok().out == f"{tool.config}: ok\n"
    tool.unchanged("config", "check", "/nowhere/x.yaml").refused(3, "x.yaml")


@needs_root
def test_config_without_a_file(tool):
    """Whatever this machine has in /etc/etcdseal is hidden from it."""
    hide = '[ ! -d /etc/etcdseal ] || mount -t tmpfs tmpfs /etc/etcdseal; exec "$@"'
    tool.prefix = ["unshare", "--mount", "sh", "-ec", hide, "sh"]
    assert "defaults" in tool.run("config", "check", config=False).ok().out
    shown = yaml.safe_load(tool.run("config", "print", config=False).ok().out)
    assert shown["socket"]["path"] == "/run/etcdseal/kms.sock"


def test_config_print_reads_back(tool):
    shown = tool.run("config", "print").ok().out
    assert yaml.safe_load(shown)["keystore"]["path"] == str(tool.keystore)
    again = tool.folder / "again.yaml"
    again.write_text(shown)
    assert tool.run("config", "print", "--config", again).ok().out == shown


ENCRYPTION = """apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - kms: {{ apiVersion: v2, name: etcdseal, endpoint: "unix://{}" }}
      - identity: {{}}
"""


def test_config_check_with_an_encryption_configuration(tool):
    enc = tool.folder / "enc.yaml"
    words = ["config", "check", "--encryption-config", enc]
    enc.write_text(ENCRYPTION.format(f"{tool.folder}/kms.sock"))
    assert tool.run(*words).ok().out == f"{tool.config}: ok\n{enc}: ok\n"
    enc.write_text(ENCRYPTION.format("/run/other.sock"))
    ran = tool.run(*words)
    assert ran.code == 1 and f"unix://{tool.folder}/kms.sock" in ran.err
    enc.write_text("kind: Nonsense\n")
    assert tool.run(*words).code == 2
    enc.unlink()
    assert tool.run(*words).code == 3


# --- output ---------------------------------------------------------------------------------------------


LISTINGS = [["key", "list"], ["seal", "list"], ["keystore", "info"], ["keystore", "verify"]]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_json_and_yaml_say_the_same(two, words):
    as_json = two.run(*words, "-o", "json").json()
    text = two.run(*words, "-o", "yaml").ok().out
    assert yaml.safe_load(text) == as_json
    assert two.run(*words, "-o", "table").ok().out == two.run(*words).ok().out
    assert as_json["store_id"] and as_json["generation"] == 1
    assert two.run(*words, "-o", "json").out.count("\n") == 1


UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_key_list_fields(store):
    listing = store.listing()
    assert set(listing) == {"store_id", "generation", "keys"}
    (key,) = listing["keys"]
    assert set(key) == {"id", "state", "suite", "created_at", "promoted_at", "retired_at",
                        "disabled_at", "destroy_due_at", "destroyed_at", "compromised",
                        "compromised_at", "birth_epoch", "note"}
    assert re.fullmatch(r"es1-[a-z2-7]{26}", key["id"])
    assert key["state"] == "primary" and key["suite"] == "xaes-256-gcm"
    assert UTC.fullmatch(key["created_at"]) and UTC.fullmatch(key["promoted_at"])
    assert key["retired_at"] is None and key["compromised"] is False and key["note"] is None


def test_seal_list_fields(two):
    listing = two.run("seal", "list", "-o", "json").json()
    assert listing["verified"] is False
    boot, ops = listing["slots"]
    assert (boot["name"], boot["kind"], boot["role"]) == ("boot", "file", "node")
    assert (ops["name"], ops["kind"], ops["role"]) == ("ops", "passphrase", "recovery")
    assert boot["unseal"] == f"file:{two.key_file}" and boot["unattended"] is True
    assert ops["unseal"] == "passphrase:" and ops["unattended"] is False
    assert UTC.fullmatch(boot["tested_at"]) and ops["tested_at"] is None


def test_tables_are_aligned(two):
    for words in (["key", "list"], ["seal", "list"]):
        lines = two.run(*words).ok().out.splitlines()
        starts = [m.start() for m in re.finditer(r"(?:^|(?<=  ))\S", lines[0])]
        for line in lines[1:]:
            assert all(line[at] != " " and (at == 0 or line[at - 1] == " ") for at in starts), lines


def test_quiet_keeps_warnings_and_errors(tool):
    ran = tool.init("--quiet")
    assert "WARNING" in ran.err and "Make a copy" not in ran.err
    assert not tool.run("key", "stage", "-q").ok().err
    assert "etcdseal: " in tool.run("key", "promote", ID, "-q").err


def test_no_colour_without_a_terminal(tool):
    assert "\033" not in tool.init().err


def test_full_disk_on_standard_output(store):
    for words in (["key", "list"], ["key", "list", "-o", "json"], ["--help"], ["config", "print"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([program(), *words], stdout=full, stderr=subprocess.PIPE,
                                  text=True, env={"ETCDSEAL_CONFIG": str(store.config)})
        assert done.returncode == 3 and "standard output" in done.stderr, words


def test_nothing_secret_is_printed(two):
    key = two.key_file.read_bytes()
    for words in ([*w, "-o", "json"] for w in LISTINGS):
        ran = two.run(*words).ok()
        for text in (ran.out, ran.err):
            assert PASSPHRASE.decode() not in text and key.hex() not in text


def test_init_prints_json(tool):
    shown = json.loads(tool.init("-o", "json").out)
    assert shown["key_id"] == tool.key_in("primary") and shown["generation"] == 1
    assert [slot["name"] for slot in shown["slots"]] == ["boot"]
