"""The acts of the demo."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from examples.fleet import network, services
from examples.fleet.bundles import WORDS, make_bundles
from examples.fleet.processes import Processes
from examples.fleet.story import Story
from profiles.errors import ToolCrashError
from toolchain.cli.commands.fleet.state import labels_text
from toolchain.fleet.store import Store
from toolchain.fleet.store.rows import DeviceRow, Kept

PRODUCT, CHANNEL = "keywords", "stable"
NAMES = ("cam-1", "cam-2", "cam-3")
#: Seconds that an act may take before the demo gives up.
PATIENCE = 60.0
#: Devices share two processors here, so "slower" is four times slower.
GATES = ["--most-slower", "3", "--slower", "3", "--device-soak", "2", "--soak", "2"]
_WAVES = ["--wave", "canary=ring:canary", "--wave", "everyone=100%"]
#: What the application on the devices says of a bundle: it knows so many words, no more and no fewer.
_HEALTH = """import json, os, sys
shape = json.load(open(os.environ["EDGEWRIGHT_BUNDLE"] + "/manifest.json"))["outputs"][0]["shape"]
sys.exit(f"the application knows {words} words, the network tells {{shape[-1]}} apart" if shape[-1] != {words} else 0)
"""


class Demo:
    """State of one performance."""

    def __init__(self, story: Story, folder: Path, processes: Processes, loopback: str) -> None:
        self.story, self.folder, self.processes, self.loopback = story, folder, processes, loopback
        self.home = folder / "fleet"
        self.seen: dict[str, tuple[object, ...]] = {}
        self.told = 0.0

    def play(self, *, short: bool, page: Path | None) -> int:
        """All acts; 0 if everything went as it should."""
        self._title()
        bundles = self._bundles(short)
        self._machines()
        store = Store(f"sqlite:///{self.home}/fleet.db")
        try:
            good = self._good(store, bundles)
            bad = [("wrong", "parity", "a build mixed up the weights")]
            if not short:
                bad += [
                    ("slow", "slower", "right numbers, but too slow"),
                    ("strange", "health", "fine by itself, but the application cannot use it"),
                ]
            results = [self._bad(store, bundles[name], good, reason, title) for name, reason, title in bad]
            return self._end(store, results, page)
        finally:
            store.close()

    def _title(self) -> None:
        where = (
            f"all on loopback, because {self.loopback}" if self.loopback else "each in a network namespace of its own"
        )
        self.story.title(
            "A fleet, from its first key to a release that is stopped",
            f"Three devices, {where}. Real nginx, OpenSSH, Ansible, agents and ONNX Runtime. Nothing stays behind.",
        )

    def _bundles(self, short: bool) -> dict[str, Path]:
        self.story.act("Bundles: what `edgewright build` makes of a model")
        found = make_bundles(self._room("work"), short=short)
        self.story.say(f"{len(found)} small bundles for ONNX Runtime, each with golden outputs")
        return found

    # The fleet and its machines.

    def _machines(self) -> None:
        self.story.act("A fleet: keys, a repository, a server")
        make = network.loopback if self.loopback else network.namespaces
        self.address, self.hosts = make(NAMES, self.processes)
        self.port = network.free_port() if self.loopback else 80
        self.url = f"http://{self.address}{'' if self.port == 80 else f':{self.port}'}/"
        self.fleet("init", "--url", self.url, "--checkin", f"{self.url}checkin/")
        self._serve()
        self.story.act("Devices: Ansible brings the agent to them over ssh")
        config = services.start_sshd(self.processes, self._room("ssh"), self.hosts)
        self._bootstrap(config)
        for host in self.hosts:
            folder = self.folder / "devices" / host.name
            argv = [*host.prefix, sys.executable, folder / "agent.pyz", "run", "--config", folder / "agent.toml"]
            self.processes.start(f"{host.name}-agent", argv, {"PYTHONPATH": ""})
        self.story.say("the agents run, as systemd would run them; nothing is released yet")

    def _serve(self) -> None:
        from toolchain.fleet.nginx.config import Settings

        port = network.free_port()
        argv = self.argv("serve", "--port", str(port), "--interval", "1", "--every", "1")
        services.await_port("127.0.0.1", port, self.processes.start("serve", argv), "serve", self.processes)
        settings = Settings(
            self.home / "repository", listen=(f"{self.address}:{self.port}",), upstream=f"127.0.0.1:{port}",
            folder=self.folder / "nginx", user="root" if os.geteuid() == 0 else "",
        )  # fmt: skip
        services.start_nginx(self.processes, self.folder / "nginx", settings, self.address, self.port)
        self.story.say(
            f"nginx serves the repository at {self.url}, and passes check-ins on to `edgewright fleet serve`"
        )

    def _bootstrap(self, ssh_config: Path) -> None:
        from toolchain.fleet.agent.zipapp import agent_zipapp
        from toolchain.fleet.ansible.playbook import PLAYBOOKS, play

        token = self.fleet("token", "--product", PRODUCT, "--uses", str(len(self.hosts)), secret=True).strip()
        self._room("devices")
        health = self.folder / "health.py"
        health.write_text(_HEALTH.format(words=WORDS))
        common = {
            "edgewright_agent_zipapp": str(agent_zipapp(self.folder / "agent.pyz")),
            "edgewright_agent_root": str(self.home / "root.json"),
            "edgewright_agent_python": sys.executable,
            "edgewright_agent_unit": False,
            "edgewright_agent_token": token,
            "edgewright_agent_settings": {"python": sys.executable, "measure_seconds": 0.3},
            "edgewright_product": PRODUCT,
            "edgewright_repository": self.url,
            "edgewright_checkin": f"{self.url}checkin/",
            "edgewright_interval": 1,
            "edgewright_health": [sys.executable, str(health)],
        }
        own = {
            host.name: {
                **common,
                "edgewright_agent_folder": str(self.folder / "devices" / host.name),
                "edgewright_labels": {
                    "ring": "canary" if number == 0 else "all",
                    "address": f"{host.address}:{host.port}",
                },
            }
            for number, host in enumerate(self.hosts)
        }
        hosts = services.inventory(self.folder / "hosts.yml", self.hosts, ssh_config, own)
        self.story.command("ansible-playbook -i hosts.yml edgewright.fleet.bootstrap")
        env = {
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=5s",
        }
        extra = {"edgewright_waves": ["100%"], "edgewright_facts": False}
        try:
            done = play(PLAYBOOKS / "bootstrap.yml", hosts, extra, timeout=120, env=env)
        finally:
            services.end_connections(self.folder / "cp")
        if done.failures:
            raise ToolCrashError("the devices could not be brought up", seen=str(done.failures))
        changed = sum(event.outcome == "changed" for event in done.events)
        self.story.say(
            f"{len(done.hosts)} devices have the agent, each with its own key, and are enrolled ({changed} changes)"
        )

    # Releases.

    def _good(self, store: Store, bundles: dict[str, Path]) -> int:
        """Releases that reach everybody; the version of the last one."""
        self.story.act("The first release goes to everybody")
        version = self._publish(bundles["first"], "the first one")
        self._start("--wave", "everyone=100%")
        self.watch(store, lambda kept: kept.rollout.plan.state == "complete", "the first release")
        if "better" in bundles:
            self.story.act("A better one: first to the canary, then to all")
            version = self._publish(bundles["better"], "a better one")
            self._start(*_WAVES)
            self.watch(store, lambda kept: kept.rollout.plan.state == "complete", "the better release")
        return version

    def _bad(self, store: Store, bundle: Path, good: int, reason: str, title: str) -> str:
        """A release that must be stopped; returns what went otherwise, or nothing."""
        self.story.act(f"A bad one: {title}")
        version = self._publish(bundle, title)
        self._start(*_WAVES)
        rows = self.watch(store, lambda kept: kept.rollout.plan.state == "aborted", title)
        tried = {row.device: row.reason for row in rows if row.release == version}
        running = {row.device: row.running for row in rows}
        if tried == {NAMES[0]: reason} and set(running.values()) == {good}:
            self.story.say(f"stopped: only {NAMES[0]} has tried it, and all three run version {good}", "bold green")
            return ""
        self.story.say(f"not as planned: tried by {tried}, running {running}", "bold red")
        return f"version {version}: tried by {tried}, running {running}"

    def _start(self, *words: str) -> None:
        self.fleet("rollout", "start", "--product", PRODUCT, *words, *GATES, lines=1)

    def _publish(self, bundle: Path, title: str) -> int:
        """The version that it became."""
        told = self.fleet("publish", str(bundle), "--product", PRODUCT, "--title", title, "--quiet", lines=6)
        return int(told.partition(" version ")[2].partition(":")[0])

    def _end(self, store: Store, results: list[str], page: Path | None) -> int:
        self.story.act("How the fleet stands")
        rows = [
            [
                row.device,
                f"version {row.running}",
                f"{row.release}: {row.outcome}",
                row.reason,
                labels_text(dict(row.labels)),
            ]
            for row in store.devices()
        ]
        self.story.table(["device", "runs", "newest attempt", "why", "labels"], rows)
        if page is not None:
            from toolchain.fleet.page import render_page

            page.write_text(render_page(store.overview(time.time())), encoding="utf-8")
            self.story.say(f"the status page: {page}")
        wrong = [result for result in results if result]
        count = len(results)
        lines = wrong or [
            "Every device has the newest good release.",
            f"{count} bad {'ones' if count > 1 else 'one'} reached the canary only, which found out by itself, and "
            "kept or brought back what worked.",
            "Nobody had to do anything.",
        ]
        self.story.end(lines, good=not wrong)
        return 1 if wrong else 0

    # What the acts need.

    def _room(self, name: str) -> Path:
        room = self.folder / name
        room.mkdir()
        return room

    def argv(self, *words: str) -> list[str]:
        """The command line tool, for this fleet."""
        return [sys.executable, "-m", "toolchain", "fleet", "--home", str(self.home), *words]

    def fleet(self, *words: str, lines: int = 4, secret: bool = False) -> str:
        """Run ``edgewright fleet …`` before everybody's eyes; so many lines of what it prints are shown."""
        shown = " ".join(shlex.quote(word.replace(f"{self.folder}/work/", "")) for word in words if word != "--quiet")
        self.story.command(f"edgewright fleet {shown}")
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode:
            raise ToolCrashError(f"edgewright fleet {words[0]} ended with {done.returncode}", seen=done.stderr[-1500:])
        told = "(a token, shown to nobody)" if secret else done.stdout.replace(f"{self.folder}/", "")
        self.story.output(told, lines)
        return done.stdout

    def watch(self, store: Store, until: Callable[[Kept], bool], what: str) -> list[DeviceRow]:
        """Tell what devices and the rollout do, until the condition holds.

        Raises:
            ToolCrashError: it does not within :data:`PATIENCE` seconds, or a program ended.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            kept, rows = store.rollout(PRODUCT, CHANNEL), store.devices()
            for row in rows:
                self._tell(row)
            if kept is not None:
                self._decisions(store, kept)
                if until(kept) and kept.published >= kept.rollout.plan.sequence:
                    return rows
            if ended := self.processes.ended():
                raise ToolCrashError(f"{ended[0]} ended", seen=self.processes.log(ended[0]))
            time.sleep(0.25)
        logs = "\n".join(self.processes.log(f"{name}-agent")[-600:] for name in NAMES)
        raise ToolCrashError(f"{what} did not come to an end", seen=logs, allowed=f"{PATIENCE:g} s")

    def _tell(self, row: DeviceRow) -> None:
        now = (row.release, row.stage if row.outcome == "underway" else "", row.outcome)
        if row.release and self.seen.get(row.device) != now:
            self.seen[row.device] = now
            self.story.device(row.device, row.release, row.stage, row.outcome, _short(row.detail) if row.reason else "")

    def _decisions(self, store: Store, kept: Kept) -> None:
        for each in reversed(store.decisions(kept)):
            if each.at > self.told and each.action != "start":
                self.story.rollout(f"{each.action}: {each.why}", stopped=each.action in ("stop", "abort"))
            self.told = max(self.told, each.at)


def _short(detail: str) -> str:
    """A device's own words, without what it recommends to people."""
    return detail.partition(" | next:")[0].rpartition("edgewright-runtime: ")[2].replace(" | ", ", ")
