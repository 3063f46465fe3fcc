# SPDX-License-Identifier: Apache-2.0
"""Configurations that use every key of the section `vault`, one for each login."""

# Keys of the section without a default.
GIVEN = {"addresses": '[ "unix:/s" ]', "key": "k", "ca_file": "/c", "namespace": "n", "cluster_id": "i"}
LOGINS = {"none": "{}", "approle": "{ role_id_file: /r, secret_id_file: /s }",
          "cert": "{ cert_file: /c, key_file: /k, role: r }", "jwt": "{ role: r, file: /f }",
          "token": "{ file: /f }"}


def vault_files():
    given = ", ".join(f"{name}: {value}" for name, value in GIVEN.items())
    return [f"vault: {{ {given}, auth: {{ {name}: {keys} }} }}\n" for name, keys in LOGINS.items()]


def printed_leaves(printed, path=()):
    """Paths and values of what `config print` says, once YAML has read it."""
    for name, value in printed.items():
        if isinstance(value, dict) and value:
            yield from printed_leaves(value, path + (name,))
        else:
            yield path + (name,), value
