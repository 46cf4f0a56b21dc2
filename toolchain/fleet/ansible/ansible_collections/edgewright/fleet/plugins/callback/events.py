"""What happened on which host, as lines of JSON in a file: for programs that start Ansible."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: events
type: notification
short_description: Events as lines of JSON
description:
  - Appends one line per result of a task to a file, with C(host), C(task), C(outcome) and C(message).
options:
  path:
    description: The file. Empty writes nothing.
    type: path
    default: ""
    env:
      - name: EDGEWRIGHT_EVENTS
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "edgewright.fleet.events"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, result: Any, outcome: str) -> None:
        path = self.get_option("path")
        if not path:
            return
        found = result._result if isinstance(result._result, dict) else {}
        words = (found.get(key) for key in ("stderr", "module_stderr", "module_stdout", "msg", "reason"))
        text = str(next(filter(None, words), ""))
        hidden = bool(found.get("_ansible_no_log") or result._task.no_log)
        event = {
            "host": result._host.get_name(),
            "task": str(result._task.get_name()).rpartition(" : ")[2],
            "outcome": outcome,
            "message": "hidden" if hidden else text[-2000:],
        }
        with open(path, "a", encoding="utf-8", opener=_private) as stream:
            stream.write(json.dumps(event) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._write(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._write(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """The host could not be reached."""
        self._write(result, "unreachable")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
