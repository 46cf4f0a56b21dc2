"""Keys come and go; devices follow, and refuse those that went."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile

from profiles.errors import ConfigError
from tests.toolchain.fleet.fleet_homes import PASSPHRASE, a_plan, a_release, client_of, make_fleet, passphrase
from toolchain.fleet.home import create_home, open_home
from toolchain.fleet.trust.repository import Repository
from toolchain.fleet.trust.roles import ONLINE, ROLES

OTHER = "another long passphrase"


@pytest.fixture
def fleet(tmp_path):
    made = make_fleet(tmp_path / "home")
    made.add_release(a_release())
    made.set_plan(a_plan())
    return made


def keyids(fleet, role):
    return [row.keyid for row in fleet.roles() if row.role == role]


def again(fleet, secret=passphrase):
    """The same fleet in another process, with no key open."""
    return Repository(open_home(fleet.home.folder), secret)


def test_a_server_that_runs_takes_up_new_keys(fleet):
    """It was started before, and has the old keys open."""
    server = Repository(open_home(fleet.home.folder))
    server.set_plan(a_plan(2))
    fleet.rotate(*ONLINE)
    server.set_plan(a_plan(3))
    assert fleet.plan("cam", "stable").sequence == 3
    signed = set(server.state().roles["rollouts"].signatures)
    assert signed == set(keyids(fleet, "rollouts")), "the new key signs, and no other"


def test_a_key_that_another_process_made_can_be_revoked(fleet):
    """Ours was started before, and reads ``fleet.toml`` anew."""
    ours = again(fleet)
    (made,) = again(fleet).rotate("rollouts")
    ours.revoke(made)
    assert made not in keyids(fleet, "rollouts")


@pytest.mark.parametrize("role", ROLES)
def test_all_keys_of_a_role_are_replaced(fleet, tmp_path, role):
    old, new = client_of(fleet, tmp_path / "old"), client_of(fleet, tmp_path / "new")
    assert old.release() == a_release()
    before, files = keyids(fleet, role), set(fleet.home.keys.iterdir())
    made = fleet.rotate(role)
    assert keyids(fleet, role) == made and not set(made) & set(before)
    assert len(made) == len(before) and fleet.roles()[0].threshold == 2
    assert not [path for path in files - set(fleet.home.keys.iterdir()) if role not in path.name]
    assert len(list(fleet.home.keys.iterdir())) == len(files), "the old private keys are gone"
    for device in (old, new):
        assert device.release() == a_release() and device.plan() == a_plan()
    later = again(fleet)
    later.add_release(a_release(2))
    again(fleet, secret=lambda name: pytest.fail(f"{name} was asked for")).set_plan(a_plan(2, release=2))
    for device in (old, new):
        assert device.release(2) == a_release(2) and device.plan().release == 2


def test_a_device_that_slept_follows_all_roots(fleet, tmp_path):
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    for role in ("root", "timestamp", "root", "snapshot", "root", "targets"):
        fleet.rotate(role)
    versions = sorted(int(path.name.partition(".")[0]) for path in fleet.home.repository.rglob("*.root.json"))
    assert versions == list(range(1, 8)), "roots have consecutive versions"
    assert device.release() == a_release()
    assert again(fleet).home.root_metadata() == fleet.home.root_metadata(), "new devices begin at the first root"


def test_a_new_root_is_signed_by_the_old_one(fleet):
    old = fleet.state().roles["root"].signed
    fleet.rotate("root")
    new = fleet.state().roles["root"]
    for root in (old, new.signed):
        root.verify_delegate("root", new.signed_bytes, new.signatures)


CHAIN = {"releases": ("snapshot", "timestamp"), "rollouts": ("snapshot", "timestamp"), "snapshot": ("timestamp",)}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "rollouts", "releases"])
@pytest.mark.parametrize("revoked", [True, False], ids=["revoked", "still good"])
def test_a_key_that_was_revoked_signs_nothing_that_devices_take(fleet, tmp_path, role, revoked):
    """A thief has one key and the file server, and even has everything above signed by the right keys."""
    stolen = _signer(fleet, role)
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    if revoked:
        fleet.revoke(keyids(fleet, role)[0])
    _forge(fleet, role, stolen)
    for victim in (device, client_of(fleet, tmp_path / "fresh")):
        if revoked:
            with pytest.raises(RepositoryError, match="was signed by 0/1 keys"):
                victim.release(), victim.plan()
        else:
            assert victim.updater() and victim.release() == a_release(), "the forgery itself is sound"


def _signer(fleet, role):
    uri = fleet.home.settings.role(role).keys[0]
    return fleet.keys.signer(uri, fleet.keys.public()[uri])


def _forge(fleet, role, stolen):
    """A next version of the role, signed by the thief, in a repository that names it."""
    state, folder = fleet.state(), fleet.home.repository / "metadata"
    changed = {role: state.roles[role]}
    changed[role].signed.version += 1
    changed[role].sign(stolen)
    below = role
    for above in CHAIN.get(role, ()):
        changed[above] = state.roles[above]
        body = changed[above].signed
        body.version += 1
        meta = MetaFile.from_data(changed[below].signed.version, changed[below].to_bytes(), ["sha256"])
        if above == "snapshot":
            body.meta[f"{below}.json"] = meta
        else:
            body.snapshot_meta = meta
        changed[above].sign(_signer(fleet, above))
        below = above
    for name, metadata in changed.items():
        prefix = "" if name == "timestamp" else f"{metadata.signed.version}."
        metadata.to_file(str(folder / f"{prefix}{name}.json"))


def test_one_of_several_keys_is_revoked_and_replaced(fleet, tmp_path):
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    before = keyids(fleet, "root")
    (made,) = fleet.revoke(before[0][:8])
    assert set(keyids(fleet, "root")) == {*before[1:], made}
    assert device.release() == a_release()


def test_a_lost_root_key_can_be_revoked_without_it(fleet, tmp_path):
    """Two of three are there, and the third, whose passphrase nobody knows, is not asked for."""
    lost = keyids(fleet, "root")[0]

    def remembered(name):
        assert not name.endswith(lost[:8]), "the lost key was asked for"
        return PASSPHRASE

    again(fleet, remembered).revoke(lost)
    assert lost not in keyids(fleet, "root")
    assert client_of(fleet, tmp_path / "device").release() == a_release()


def test_a_server_that_was_lost_is_replaced_in_one_step(fleet, tmp_path):
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    for role in ONLINE:
        next(fleet.home.keys.glob(f"{role}-*")).unlink()
    broken = again(fleet)
    with pytest.raises(ConfigError, match="wanted 1 of 1 keys to sign for") as caught:
        broken.set_plan(a_plan(2))
    assert "No such file" in caught.value.seen
    broken.rotate(*ONLINE)
    broken.set_plan(a_plan(2))
    assert device.plan().sequence == 2


def test_below_the_threshold_nothing_is_signed(fleet, untouched):
    """One root key of three cannot change anything, nor can it bring a root that devices take."""
    ids = keyids(fleet, "root")
    for keyid in ids[1:]:
        next(fleet.home.keys.glob(f"root-{keyid[:8]}.pem")).unlink()
    check = untouched(fleet.home.repository)
    with pytest.raises(ConfigError, match="wanted 2 of 3 keys to sign for root"):
        again(fleet).rotate("timestamp")
    check()


def test_a_failed_rotation_can_be_repeated(fleet):
    """A wrong passphrase for the old keys: nothing has changed but a key that nobody uses, and the next try works."""
    asked = again(fleet, lambda name: "wrong" + PASSPHRASE)
    before = fleet.roles()
    with pytest.raises(ConfigError, match="wrong passphrase"):
        asked.rotate("root", new_passphrase=passphrase)
    assert again(fleet).roles() == before
    made = again(fleet).rotate("root")
    assert keyids(fleet, "root") == made
    unused = {path.stem[-8:] for path in fleet.home.keys.glob("root-*.pem")} - {keyid[:8] for keyid in made}
    assert not unused, "keys that no role has any more are removed"


def test_new_keys_can_have_another_passphrase(fleet):
    fleet.rotate("releases", new_passphrase=lambda name: OTHER)
    with pytest.raises(ConfigError, match="wrong passphrase"):
        again(fleet).add_release(a_release(2))
    again(fleet, lambda name: OTHER if name.startswith("releases") else PASSPHRASE).add_release(a_release(2))


def test_wrong_names_are_refused(fleet):
    with pytest.raises(ConfigError, match="wanted a role") as caught:
        fleet.rotate("timestmp")
    assert caught.value.next_step == "did you mean 'timestamp'?"
    for wrong in ("", "abc", "0" * 64):
        with pytest.raises(ConfigError, match="wanted the key"):
            fleet.revoke(wrong)


class Token(Signer):
    """A hardware token, as far as we see one: it has a PIN, and signs."""

    keys: dict = {}  # noqa: RUF012

    def __init__(self, signer):
        self._signer = signer

    @classmethod
    def from_priv_key_uri(cls, uri, public_key, secrets_handler=None):
        if secrets_handler("pin") != PASSPHRASE:
            raise RuntimeError("the token refuses this PIN")
        return cls(cls.keys[uri])

    @property
    def public_key(self):
        return self._signer.public_key

    def sign(self, payload):
        return self._signer.sign(payload)


@pytest.fixture
def token(monkeypatch):
    """Makes keys in a token of the scheme ``fake``: URI and public PEM."""
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "fake", Token)
    monkeypatch.setattr(Token, "keys", {})

    def make(name, kind=CryptoSigner.generate_ecdsa):
        signer = kind()
        Token.keys[f"fake:{name}"] = signer
        public = signer._private_key.public_key()
        return f"fake:{name}", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    return make


def test_tokens_sign_from_the_beginning(tmp_path, token):
    """Every root key in a token, and releases in one with RSA; no file has a key of these roles."""
    external = [("root", *token(f"r{number}")) for number in range(3)]
    external.append(("releases", *token("release", CryptoSigner.generate_rsa)))
    fleet = make_fleet(tmp_path / "home", external=external)
    assert not list(fleet.home.keys.glob("root-*")) and not list(fleet.home.keys.glob("releases-*"))
    fleet.add_release(a_release())
    device = client_of(fleet, tmp_path / "device")
    assert device.release() == a_release()
    rows = {row.role: row for row in fleet.roles()}
    assert (rows["root"].where, rows["root"].threshold, rows["root"].scheme) == ("external", 2, "ecdsa-sha2-nistp256")
    with pytest.raises(ConfigError, match="all of them are external"):
        fleet.rotate("root")
    fleet.rotate("timestamp")
    assert device.release() == a_release()


def test_a_token_is_added_and_the_file_revoked(fleet, tmp_path, token):
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    uri, pem = token("new")
    old = keyids(fleet, "releases")[0]
    made = fleet.add_key("releases", uri, pem)
    assert keyids(fleet, "releases") == [old, made]
    with pytest.raises(ConfigError, match="one of its keys already"):
        fleet.add_key("releases", uri, pem)
    fleet.revoke(made)
    assert keyids(fleet, "releases") == [old]
    assert device.release() == a_release()


def test_the_last_external_key_stays(tmp_path, token):
    fleet = make_fleet(tmp_path / "home", external=[("releases", *token("only"))])
    with pytest.raises(ConfigError, match="releases needs 1 keys"):
        fleet.revoke(keyids(fleet, "releases")[0])


@pytest.mark.parametrize(
    ("uri", "seen"), [("hsm:1?label=x", "hsm:1"), ("nosuch:1", "unknown scheme 'nosuch'"), ("fake:x", "this PIN")]
)
def test_a_token_that_is_not_there_is_told(tmp_path, token, uri, seen):
    token("x")
    pem = token("other")[1]
    with pytest.raises(ConfigError) as caught:
        create_home(tmp_path / "home", passphrase=lambda name: OTHER, external=[("releases", uri, pem)])
    assert seen in str(caught.value)
    assert not (tmp_path / "home").exists(), "a fleet that cannot sign is not made"


def test_what_is_no_public_key_is_refused(fleet):
    with pytest.raises(ConfigError, match="wanted a public key in hsm:2"):
        fleet.add_key("root", "hsm:2", b"-----BEGIN NOTHING-----")
    assert Metadata.from_bytes(fleet.home.root_metadata()).signed.version == 1


def _move(fleet, role, media):
    """As the guide says: the first key of a role goes to other media, and ``fleet.toml`` says where."""
    uri = fleet.home.settings.role(role).keys[0]
    media.mkdir(exist_ok=True)
    old = fleet.keys.path(uri)
    new = media / old.name
    old.rename(new)
    path = fleet.home.folder / "fleet.toml"
    path.write_text(path.read_text().replace(uri, f"file2:{new}"))
    return new


def test_offline_keys_can_be_moved_and_are_used_where_they_are(fleet, tmp_path):
    device = client_of(fleet, tmp_path / "device")
    device.updater()
    root, releases = _move(fleet, "root", tmp_path / "usb"), _move(fleet, "releases", tmp_path / "usb")
    fleet = again(fleet)
    rows = {row.uri: row.where for row in fleet.roles()}
    assert rows[f"file2:{root}"] == rows[f"file2:{releases}"] == "offline", "they are found where they are"
    fleet.add_release(a_release(2))
    again(fleet).rotate("timestamp")
    assert root.exists() and releases.exists(), "a rotation of other keys removed them"
    victim = keyids(fleet, "root")[2]
    again(fleet).revoke(victim)
    assert victim not in keyids(again(fleet), "root") and root.exists() and releases.exists()
    again(fleet).renew(["root", "releases"])
    assert device.release(2) == a_release(2)
    moved = keyids(fleet, "root")[0]
    again(fleet).revoke(moved)
    assert not root.exists(), "a key that was revoked goes from where it was moved to"
    again(fleet).rotate("root", "releases")
    assert not releases.exists() and device.release(2) == a_release(2)


def test_a_moved_file_with_another_key_in_it_is_refused(fleet, tmp_path):
    moved = _move(fleet, "releases", tmp_path / "usb")
    other = fleet.keys.path(fleet.home.settings.role("targets").keys[0])
    moved.write_bytes(other.read_bytes())
    with pytest.raises(ConfigError, match="holds another key"):
        again(fleet).add_release(a_release(2))


def test_a_key_of_which_nothing_is_known_is_told(fleet):
    path = fleet.home.folder / "fleet.toml"
    uri = fleet.home.settings.role("root").keys[0]
    path.write_text(path.read_text().replace(uri, "file2:/media/renamed.pem"))
    with pytest.raises(ConfigError, match="wanted the public keys of root") as caught:
        again(fleet).revoke(keyids(fleet, "root")[1])
    assert "renamed.pem" in caught.value.seen


def test_too_few_external_keys_do_not_lower_what_must_sign(tmp_path, token):
    with pytest.raises(ConfigError, match="2 keys must sign for root") as caught:
        make_fleet(tmp_path / "home", external=[("root", *token("only"))])
    assert "--keys root=1/1" in caught.value.next_step and not (tmp_path / "home").exists()
    made = make_fleet(tmp_path / "home", external=[("root", *token("one"))], sizes={"root": (1, 1)})
    assert made.roles()[0].threshold == 1
