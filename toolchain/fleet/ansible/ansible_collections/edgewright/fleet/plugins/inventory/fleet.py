"""Dynamic inventory: the devices of a fleet, as its database knows them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

DOCUMENTATION = r"""
name: fleet
short_description: Devices of an Edgewright fleet
description:
  - Asks C(edgewright fleet devices --json) and makes one host per device that is not revoked.
  - Groups are made of product, channel and labels, such as C(product_camera), C(channel_stable), C(site_lab).
  - What a device says of itself never becomes a setting of Ansible but for its address, which must be a plain host
    name or IP address. Labels are there as the data C(edgewright_labels). Nothing of it is evaluated as a template.
  - Groups of products and channels are made of what the fleet's database says. A label never makes or joins one.
  - A device with a name that means something else to Ansible, such as C(localhost), is left out, with a warning.
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: Must be C(edgewright.fleet.fleet).
    required: true
    choices: [edgewright.fleet.fleet]
  home:
    description: Folder of the fleet, as for C(edgewright fleet --home). By default the command's own.
    type: str
    default: ""
    env:
      - name: EDGEWRIGHT_FLEET_HOME
  command:
    description: How to call edgewright, for example in an environment of its own.
    type: list
    elements: str
    default: [edgewright]
    env:
      - name: EDGEWRIGHT_COMMAND
  address_label:
    description: Label with the address that SSH uses, C(HOST) or C(HOST:PORT). Devices without it go by their name.
    type: str
    default: address
  select:
    description: Only devices with all of these labels.
    type: dict
    default: {}
  timeout:
    description: Seconds that the command may take.
    type: int
    default: 60
"""

EXAMPLES = r"""
# fleet.edgewright.yml
plugin: edgewright.fleet.fleet
home: /srv/fleet
select:
  site: lab
keyed_groups:
  - key: edgewright_running
    prefix: version
"""

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,45}\]")
_FACTS = ("product", "channel", "running")
#: Groups that only the fleet decides about; and names that Ansible takes for itself: as a host's they redirect others.
_OURS = ("product_", "channel_")
_TAKEN = frozenset({"localhost", "127.0.0.1", "::1", "all", "ungrouped"})


class InventoryModule(BaseInventoryPlugin, Constructable):  # type: ignore[misc]
    """Devices become hosts."""

    NAME = "edgewright.fleet.fleet"

    def verify_file(self, path: str) -> bool:
        """Whether the file is meant for this plugin."""
        names = ("edgewright.yml", "edgewright.yaml")
        return bool(super().verify_file(path)) and path.endswith(names)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the configuration, ask the fleet, add hosts and groups."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        select = {str(key): str(value) for key, value in self.get_option("select").items()}
        for device in ask(self.get_option("command"), self.get_option("home"), self.get_option("timeout")):
            labels = device.get("labels") or {}
            if not device.get("revoked") and all(labels.get(key) == value for key, value in select.items()):
                self._add(device, labels)

    def _add(self, device: dict[str, Any], labels: dict[str, str]) -> None:
        name = str(device["device"])
        if name in _TAKEN:
            self.display.warning(f"the device {name!r} is left out: its name means something else to Ansible")
            return
        self.inventory.add_host(name)
        variables = {f"edgewright_{key}": device.get(key) for key in _FACTS}
        variables["edgewright_device"], variables["edgewright_labels"] = name, labels
        variables.update(address(labels.get(self.get_option("address_label"), "")))
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        for group in groups(device, labels, self.get_option("address_label")):
            self.inventory.add_child(self.inventory.add_group(group), name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def groups(device: dict[str, Any], labels: dict[str, str], leave_out: str) -> list[str]:
    """Of a device: by what the fleet knows, and by what the device says of itself, which cannot pass for the former."""
    known = [group_name(f"{key}_{device[key]}") for key in ("product", "channel") if device.get(key)]
    said = [group_name(f"{key}_{value}") for key, value in labels.items() if key != leave_out and value]
    return known + [name for name in said if not name.startswith(_OURS)]


def group_name(text: str) -> str:
    """A name that Ansible takes for a group."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)[:100]


def address(text: str) -> dict[str, Any]:
    """``HOST`` or ``HOST:PORT`` as Ansible's variables; nothing for anything that is neither."""
    host, colon, port = text.rpartition(":") if re.search(r":\d{1,5}$", text) else (text, "", "")
    if not text or not _HOST.fullmatch(host):
        return {}
    found: dict[str, Any] = {"ansible_host": host.strip("[]")}
    if colon:
        found["ansible_port"] = int(port)
    return found


def ask(command: list[str], home: str, timeout: int) -> list[dict[str, Any]]:
    """The devices, as the command line tells them.

    Raises:
        AnsibleParserError: it could not be started, failed, or did not answer in time.
    """
    argv = [*command, "fleet", *(["--home", home] if home else []), "devices", "--json"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnsibleParserError(f"{argv[0]} could not tell the devices of the fleet: {error}") from error
    if done.returncode:
        raise AnsibleParserError(f"edgewright ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    try:
        answer = json.loads(done.stdout)
        devices = answer["devices"] if isinstance(answer, dict) else answer
        return [dict(device) for device in devices]
    except (ValueError, KeyError, TypeError) as error:
        raise AnsibleParserError(f"edgewright printed no list of devices: {error}") from error
