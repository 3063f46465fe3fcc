# SPDX-License-Identifier: Apache-2.0
"""etcdseal vault: what it prints, by its structure, and what it refuses. Whether a server takes the
commands, and whether the policy suffices, is tested with a real one in tests/system."""

import json
import re
import subprocess

import pytest
import yaml

POLICY = ["vault", "policy"]
KUBE = [*POLICY, "--transit-key", "kube"]
LOGINS = ["approle", "cert", "jwt", "token", "none"]
RIGHTS = {"transit/encrypt/kube": "update", "transit/decrypt/kube": "update",
          "transit/keys/kube": "read"}
SELF = {"auth/token/lookup-self": "read", "auth/token/renew-self": "update",
        "auth/token/revoke-self": "update", "sys/capabilities-self": "update"}


def section(auth, more=""):
    return f'vault: {{ addresses: [ "unix:/s" ], key: kube, {more} auth: {auth} }}\n'


APPROLE = "{ approle: { role_id_file: /etc/r, secret_id_file: /etc/s } }"


@pytest.fixture
def run(tool):
    def go(*words, config="{}\n"):
        tool.config.write_text(config)
        return tool.unchanged(*words)
    return go


def rights(policy):
    found = re.findall(r'^path "([^"]+)" \{ capabilities = \["([a-z]+)"\] \}$', policy, re.M)
    assert len(found) == len(policy.splitlines())
    return dict(found)


def commands(script):
    """The commands of a script, by the shell's own words; `bao` and whatever else only say how they
    were called."""
    said = "".join(f"{name}() {{ local IFS=$'\\t'; printf '%s\\n' \"{name}\t$*\" >&3; }}\n"
                   for name in ("bao", "vault", "systemd-creds", "deliver"))
    body = re.sub(r"^deliver\(\) \{\n.*?^\}\n", "", script, flags=re.M | re.S)
    done = subprocess.run(["bash", "-euc", f"exec 3>&1\n{said}\n{body}"], capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""
    return [line.split("\t") for line in done.stdout.splitlines()]


def heredoc(script):
    return re.search(r"<<'EOF'\n(.*?)^EOF$", script, re.M | re.S).group(1)


@pytest.mark.parametrize("login", LOGINS)
def test_the_policy_is_the_least(run, login):
    found = run(*KUBE, "--auth", login).ok()
    assert rights(heredoc(found.out)) == RIGHTS
    assert run(*KUBE, "--auth", login, "--no-default-policy").ok().out != found.out
    wide = heredoc(run(*KUBE, "--auth", login, "--no-default-policy").ok().out)
    assert rights(wide) == RIGHTS | SELF
    for word in ("create", "delete", "sudo", "list", "*"):
        assert word not in wide


@pytest.mark.parametrize("program, name, variable", [("bao", "OpenBao", "BAO_NAMESPACE"),
                                                     ("vault", "Vault", "VAULT_NAMESPACE")])
def test_approle(run, program, name, variable):
    config = section(APPROLE, "mount: kms/transit, namespace: team/a,")
    out = run(*POLICY, "--program", program, config=config).ok().out
    assert out.startswith(f"# What etcdseald needs of {name}: Transit key kube at kms/transit")
    assert f"\nexport {variable}=team/a\n" in out
    role = "auth/approle/role/etcdseal-kube"
    assert sorted(commands(out)) == sorted([
        [program, "secrets", "enable", "-path=kms/transit", "transit"],
        [program, "write", "-f", "kms/transit/keys/kube", "type=aes256-gcm96"],
        [program, "write", "kms/transit/config/keys", "disable_upsert=true"],
        [program, "policy", "write", "etcdseal-kube", "-"],
        [program, "auth", "enable", "-path=approle", "approle"],
        [program, "write", role, "token_policies=etcdseal-kube", "token_type=service", "token_period=1h",
         "secret_id_num_uses=0", "secret_id_ttl=2160h"],
        [program, "read", "-field=role_id", f"{role}/role-id"],
        ["deliver", "/etc/r"],
        [program, "write", "-f", "-field=secret_id", f"{role}/secret-id"],
        ["deliver", "/etc/s"],
    ])
    assert "bound_cidrs=" in out
    other = "vault" if program == "bao" else "bao"
    assert not re.search(rf"^{other} ", out, re.M)


def test_secret_ids_that_are_wrapped_or_credentials(run):
    config = section('{ approle: { role_id_file: "credential:bao-role", secret_id_file: /etc/s, '
                     "secret_id_wrapped: true, mount: nodes } }")
    out = run(*POLICY, config=config).ok().out
    found = commands(out)
    assert ["systemd-creds", "encrypt", "--name=bao-role", "-", "/etc/credstore.encrypted/bao-role"] in found
    assert "LoadCredentialEncrypted=bao-role" in out
    assert ["bao", "write", "-f", "-wrap-ttl=1h", "-field=wrapping_token",
            "auth/nodes/role/etcdseal-kube/secret-id"] in found
    assert ["bao", "auth", "enable", "-path=nodes", "approle"] in found


@pytest.mark.parametrize("more, extra", [([], []),
                                         (["--no-default-policy"], ["token_no_default_policy=true"])])
def test_other_logins(run, more, extra):
    knobs = ["token_policies=etcdseal-kube", "token_type=service", "token_period=1h", *extra]
    found = commands(run(*KUBE, "--auth", "cert", *more).ok().out)
    assert found[-1] == ["bao", "write", "auth/cert/certs/etcdseal-kube", "certificate=@ca.pem",
                         "allowed_common_names=node-*", *knobs]
    found = commands(run(*KUBE, "--auth", "jwt", *more).ok().out)
    assert found[-1] == ["bao", "write", "auth/jwt/role/etcdseal", "role_type=jwt", "user_claim=sub",
                         "bound_audiences=openbao", "bound_subject=NODE", *knobs]
    out = run(*KUBE, "--auth", "token", *more).ok().out
    assert ["bao", "token", "create", "-orphan", "-period=24h", "-policy=etcdseal-kube",
            *(["-no-default-policy"] if more else []), "-field=token"] in commands(out)
    out = run(*KUBE, "--auth", "none", *more).ok().out
    assert not any("auth" in words for words in commands(out))
    assert "token_policies=etcdseal-kube" in out


def test_names_of_the_configuration(run):
    cert = "{ cert: { cert_file: /c, key_file: /k, role: nodes, mount: tls } }"
    assert "auth/tls/certs/nodes " in run(*POLICY, config=section(cert)).ok().out
    jwt = "{ jwt: { role: nodes, file: /j, mount: spiffe } }"
    out = run(*POLICY, config=section(jwt)).ok().out
    assert "auth/spiffe/role/nodes " in out and "\n# /j\n" in out


def test_options_come_before_the_configuration(run):
    config = section(APPROLE, "mount: kms, namespace: team,")
    out = run(*POLICY, "--transit-key", "other", "--mount", "a/b", "--auth", "token", config=config).ok().out
    assert set(rights(heredoc(out))) == {"a/b/encrypt/other", "a/b/decrypt/other", "a/b/keys/other"}
    assert "approle" not in out and "BAO_NAMESPACE=team" in out
    same = run(*POLICY, "--auth", "approle", config=config).ok().out
    assert same == run(*POLICY, config=config).ok().out


def test_documents(run):
    script = run(*KUBE, "--auth", "approle").ok().out
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = read(run(*KUBE, "--auth", "approle", "-o", form).ok().out)
        assert found == {"name": "etcdseal-kube", "policy": heredoc(script), "commands": script}


@pytest.mark.parametrize("login", LOGINS)
def test_lines_can_be_read(run, login):
    for line in run(*KUBE, "--auth", login).ok().out.splitlines():
        assert len(line) <= 100, line


def test_what_is_missing(run):
    for words in ([], ["--transit-key", "kube"], ["--auth", "approle"], ["--mount", "transit"]):
        run(*POLICY, *words).refused(2, "has no section vault", "--transit-key", "--auth")


@pytest.mark.parametrize("option, value", [
    ("--transit-key", "a/b"), ("--transit-key", "a b"), ("--transit-key", "$(x)"),
    ("--transit-key", "a;b"), ("--transit-key", ".."), ("--transit-key", "-a"), ("--transit-key", "k" * 129),
    ("--transit-key", "*"), ("--transit-key", "+"), ("--transit-key", "a\nb"),
    ("--mount", "/a"), ("--mount", "a/"), ("--mount", "a//b"), ("--mount", "a/../b"), ("--mount", "a'b"),
    ("--mount", "+/b"), ("--mount", "a/-b"), ("--mount", "m" * 129)])
def test_odd_names(run, option, value):
    key = [] if option == "--transit-key" else ["--transit-key=kube"]
    run(*POLICY, "--auth", "approle", *key, f"{option}={value}").refused(2, option, "expected")


def test_wrong_command_lines(run):
    run(*KUBE, "--auth", "kubernetes").refused(2, "approle")
    run(*KUBE, "--auth", "approle", "--program", "nomad").refused(2, "bao")
    run(*KUBE, "--auth", "approle", "x").refused(2, "unexpected argument 'x'")
    run(*KUBE, "--auth", "approle", "-o", "sarif").refused(2, "sarif")
    run("status", "--transit-key", "kube").refused(2, "--transit-key")
    run(*POLICY, config="nonsense: 1\n").refused(2, "nonsense")
