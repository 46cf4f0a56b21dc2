"""The operator's folder and its ``fleet.toml``."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError, OutputError
from tests.toolchain.fleet.fleet_homes import make_fleet, passphrase
from toolchain.fleet import home as module
from toolchain.fleet.home import Home, create_home, open_home
from toolchain.fleet.settings import (
    Database,
    Role,
    Roles,
    Server,
    Settings,
    parse_settings,
    settings_text,
    with_keys,
)
from toolchain.fleet.trust.roles import ROLES


def test_a_new_fleet_is_opened_again(tmp_path):
    server = Server(url="https://fleet.example/files", checkin="https://fleet.example/api/")
    made = create_home(tmp_path / "deep" / "home", passphrase=passphrase, server=server)
    assert open_home(tmp_path / "deep" / "home") == made
    assert made.settings.server.url == "https://fleet.example/files/", "addresses end with a slash"
    assert made.repository == tmp_path / "deep" / "home" / "repository"
    names = sorted(path.name for path in made.folder.iterdir())
    assert names == ["fleet.toml", "keys", "repository", "root.json"]
    assert made.root_metadata() == (made.repository / "metadata" / "1.root.json").read_bytes()


def test_relative_homes_do_not_move_with_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = create_home("fleet", passphrase=passphrase)
    monkeypatch.chdir("/")
    assert made.folder == tmp_path / "fleet" and made.root_metadata()


def test_an_empty_folder_may_be_there(tmp_path):
    create_home(tmp_path, passphrase=passphrase)
    assert open_home(tmp_path).root_metadata()


def test_what_is_there_stays(tmp_path, untouched):
    make_fleet(tmp_path / "home")
    (tmp_path / "file").write_text("mine")
    check = untouched(tmp_path)
    for name in ("home", "file"):
        with pytest.raises(ConfigError, match="something is there already"):
            create_home(tmp_path / name, passphrase=passphrase)
    check()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        create_home(tmp_path / "file" / "home", passphrase=passphrase)


def test_a_fleet_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolchain.fleet.trust.founding.found_repository", fail)
    with pytest.raises(KeyboardInterrupt):
        create_home(tmp_path / "home", passphrase=passphrase)
    assert not list(tmp_path.iterdir()), "no key may be left behind"


def test_where_there_is_no_fleet(tmp_path):
    with pytest.raises(ConfigError, match="wanted to read") as caught:
        open_home(tmp_path / "nothing")
    assert "init" in caught.value.next_step


def test_a_lost_root_is_told(tmp_path):
    home = make_fleet(tmp_path / "home").home
    (home.folder / module.ROOT).unlink()
    with pytest.raises(ConfigError, match=r"root\.json"):
        home.root_metadata()


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("sqlite:///fleet.db", "sqlite:////srv/f/fleet.db"),
        ("sqlite+pysqlite:///deep/x.db", "sqlite+pysqlite:////srv/f/deep/x.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+psycopg://u:p@h:5/d", "postgresql+psycopg://u:p@h:5/d"),
    ],
)
def test_the_path_of_the_database_begins_at_the_home(tmp_path, url, wanted):
    settings = parse_settings(TEXT, "x").model_copy(update={"database": Database(url=url)})
    assert Home(module.Path("/srv/f"), settings).database_url == wanted


ROLE = Role(threshold=1, keys=("file2:k.pem",), expires_days=1)
TEXT = settings_text(Settings(roles=Roles(**dict.fromkeys(ROLES, ROLE))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("threshold = 1", "threshold = 2", "is more than there are keys"),
        ("threshold = 1", "threshold = 0", "threshold"),
        ("threshold = 1", "threshold = 1.5", "threshold"),
        ("threshold", "treshold", "treshold"),
        ('"file2:k.pem"', "", "keys"),
        ('"file2:k.pem"', '"k.pem"', "is no key"),
        ('"file2:k.pem"', '"file2:k.pem", "file2:k.pem"', "names a key twice"),
        ("expires_days = 1", "expires_days = 0", "expires_days"),
        ("expires_days = 1", "expires_days = nan", "expires_days"),
        ("[roles.root]", "[roles.rot]", "roles"),
        ("[server]", "[sever]", "sever"),
        ('url = "http://127', 'url = "ftp://127', "is no address"),
        ('url = "http://127.0.0.1:8440/"', 'url = "http://h/?q"', "is no address"),
        ("[database]", "[database", "TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, old, new, words):
    assert old in TEXT
    (tmp_path / "fleet.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"fleet\.toml") as caught:
        open_home(tmp_path)
    assert words in str(caught.value)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "fleet.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        open_home(tmp_path)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
URIS = st.lists(TEXTS.map("hsm:{}".format), min_size=1, max_size=4, unique=True).map(tuple)
SETTINGS = st.builds(
    Settings,
    server=st.just(Server()),
    database=st.builds(Database, url=TEXTS),
    roles=st.fixed_dictionaries(
        {name: st.builds(Role, threshold=st.just(1), keys=URIS, expires_days=st.integers(1, 999)) for name in ROLES}
    ).map(lambda roles: Roles(**roles)),
)


@given(SETTINGS)
def test_the_file_says_what_was_set(settings):
    assert parse_settings(settings_text(settings), "x") == settings


@given(SETTINGS, URIS, st.sampled_from(ROLES))
def test_keys_change_and_nothing_else_does(settings, keys, role):
    before = "# mine\n" + settings_text(settings).replace("threshold = 1", "threshold = 1  # ours", 3)
    after = with_keys(before, role, keys, "x")
    wanted = tomllib.loads(before)
    wanted["roles"][role]["keys"] = list(keys)
    assert tomllib.loads(after) == wanted and after.count("#") >= before.count("# ours") + 1


def test_keys_in_a_form_of_ones_own_are_left_to_their_owner():
    text = TEXT.replace("[roles.root]\nthreshold = 1\n", '[roles."root"]\nthreshold = 1\n')
    with pytest.raises(ConfigError, match="wanted to change the keys of root") as caught:
        with_keys(text, "root", ("file2:new.pem",), "fleet.toml")
    assert 'keys = ["file2:new.pem"]' in caught.value.next_step


def test_a_folder_that_its_owner_closed_stays_closed(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    create_home(tmp_path / "home", passphrase=passphrase)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
