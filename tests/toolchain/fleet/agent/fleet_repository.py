"""A TUF repository of static files, made with python-tuf's own API, with every key at hand: also for attackers."""

import copy
import datetime
import hashlib
import json
import shutil

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from toolchain.fleet.documents.release import Blob
from toolchain.fleet.documents.strict import to_bytes

THRESHOLDS = {"root": 2, "targets": 1, "releases": 1, "rollouts": 1, "snapshot": 1, "timestamp": 1}
COUNTS = {"root": 3, "releases": 2}


def in_days(days):
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=days)


class Mirror:
    """What a web server serves, and the keys that sign it."""

    def __init__(self, folder, thresholds=None):
        self.folder = folder
        self.thresholds = {**THRESHOLDS, **(thresholds or {})}
        self.keys = {role: self.new_keys(role) for role in self.thresholds}
        self.root = Root(consistent_snapshot=True, expires=in_days(365))
        self.docs = {"snapshot": Snapshot(expires=in_days(7)), "timestamp": Timestamp(expires=in_days(1))}
        for role in ("targets", "releases", "rollouts"):
            self.docs[role] = Targets(expires=in_days(30))
        for role in ("root", "targets", "snapshot", "timestamp"):
            self.grant(role)
        self.delegate()
        for role in self.docs:
            self.docs[role].version = 0
        self.sign_root()
        self.sign("targets", "releases", "rollouts")

    def become(self, other):
        """Another mirror's content, in this one's folder."""
        shutil.copytree(other.folder, self.folder, dirs_exist_ok=True)
        self.keys = {role: list(signers) for role, signers in other.keys.items()}
        self.root, self.docs = copy.deepcopy(other.root), copy.deepcopy(other.docs)

    @staticmethod
    def new_keys(role):
        return [CryptoSigner.generate_ed25519() for _ in range(COUNTS.get(role, 1))]

    def grant(self, role):
        self.root.roles[role].threshold = self.thresholds[role]
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for signer in self.keys[role]:
            self.root.add_key(signer.public_key, role)

    def delegate(self):
        delegated = {
            name: DelegatedRole(
                name, [each.public_key.keyid for each in self.keys[name]], self.thresholds[name], True,
                paths=[f"{name}/*/*.json"],
            )
            for name in ("releases", "rollouts")
        }  # fmt: skip
        public = {each.public_key.keyid: each.public_key for name in delegated for each in self.keys[name]}
        self.docs["targets"].delegations = Delegations(public, delegated)

    def put(self, path, content):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def signed(self, document, signers):
        metadata = Metadata(copy.deepcopy(document))
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def sign_root(self, extra=()):
        """Write the root of now; ``extra`` are signers of the one before."""
        content = self.signed(self.root, [*self.keys["root"], *extra])
        self.put(f"metadata/{self.root.version}.root.json", content)
        return content

    def new_root(self, extra=(), expires=None):
        self.root.version += 1
        self.root.expires = expires or self.root.expires
        return self.sign_root(extra)

    def first_root(self):
        return (self.folder / "metadata/1.root.json").read_bytes()

    def sign(self, *roles, signers=None):
        """New versions of these targets roles, and of snapshot and timestamp."""
        for role in roles:
            self.docs[role].version += 1
            content = self.signed(self.docs[role], (signers or {}).get(role, self.keys[role]))
            self.put(f"metadata/{self.docs[role].version}.{role}.json", content)
            self.docs["snapshot"].meta[f"{role}.json"] = self.meta(role, content)
        self.docs["snapshot"].version += 1
        content = self.signed(self.docs["snapshot"], (signers or {}).get("snapshot", self.keys["snapshot"]))
        self.put(f"metadata/{self.docs['snapshot'].version}.snapshot.json", content)
        self.docs["timestamp"].snapshot_meta = self.meta("snapshot", content)
        self.sign_timestamp((signers or {}).get("timestamp"))

    def meta(self, role, content):
        return MetaFile(self.docs[role].version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})

    def sign_timestamp(self, signers=None):
        self.docs["timestamp"].version += 1
        self.put("metadata/timestamp.json", self.signed(self.docs["timestamp"], signers or self.keys["timestamp"]))

    def target(self, role, path, content):
        """A target's bytes, and its line in the role's metadata; not signed yet."""
        info = TargetFile.from_data(path, content)
        self.docs[role].targets[path] = info
        folder, _, name = path.rpartition("/")
        self.put(f"targets/{folder}/{info.hashes['sha256']}.{name}", content)

    def blob(self, content):
        blob = Blob(hashlib.sha256(content).hexdigest(), len(content))
        self.put(blob.url_path, content)
        return blob

    def release(self, release, signers=None):
        self.target("releases", release.target_path, to_bytes(release))
        self.sign("releases", signers={"releases": signers} if signers else None)

    def plan(self, plan):
        self.target("rollouts", plan.target_path, to_bytes(plan))
        self.sign("rollouts")

    def edit(self, path, change):
        """Change a metadata file without signing it."""
        file = self.folder / "metadata" / path
        data = json.loads(file.read_bytes())
        change(data)
        file.write_bytes(json.dumps(data).encode())
