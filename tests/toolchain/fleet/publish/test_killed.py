"""A process that is killed while it publishes: no release names a file that is not whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.toolchain.fleet.fleet_homes import client_of, make_bundle, make_fleet
from toolchain.fleet.publish import publish
from toolchain.fleet.publish.blobs import Blobs

HERE = Path(__file__).parents[4]
LOOP = """
import sys
from pathlib import Path
from tests.toolchain.fleet.fleet_homes import make_bundle, passphrase
from toolchain.fleet.home import open_home
from toolchain.fleet.publish import publish
from toolchain.fleet.trust.repository import Repository
home = open_home(sys.argv[1])
fleet, number = Repository(home, passphrase), int(sys.argv[3])
print("ready", flush=True)
while True:
    number += 1
    same = bytes(range(256)) * 400
    bundle = make_bundle(Path(sys.argv[2]) / str(number), files={"model.bin": same + b"%d" % number})
    publish(home, fleet, [bundle], product="cam")
"""


def test_every_file_of_every_release_is_whole(tmp_path):
    fleet = make_fleet(tmp_path / "home")
    blobs, device = Blobs(fleet.home.repository), client_of(fleet, tmp_path / "device")
    publish(fleet.home, fleet, [make_bundle(tmp_path / "first")], product="cam")
    for number in range(6):
        words = [fleet.home.folder, tmp_path / "bundles", 100 * (number + 1)]
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP, *map(str, words)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            cwd=HERE,
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.15 + 0.061 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        fleet.refresh()
        for version in fleet.versions("cam")[-3:]:
            release = device.release(version)
            for file in release.bundles[0].files:
                blobs.check(file.content)
                for delta in file.deltas:
                    blobs.check(delta.patch)
    assert fleet.versions("cam")[-1] >= 4, "the processes must have published something"
    assert publish(fleet.home, fleet, [make_bundle(tmp_path / "last")], product="cam").version == len(
        fleet.versions("cam")
    )
