"""Devices check in; attackers do not. On both databases."""

import base64
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.fleet_people import NOW, Person, Watch, attempt, enrol, parsed, signed_bytes
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.report import MOST_REPORT, Answer
from toolchain.fleet.server.checkin import CheckIn
from toolchain.fleet.server.limits import Limits
from toolchain.fleet.store import Store

ADDRESS = "192.0.2.7"


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def checkin(store, watch):
    return CheckIn(store, watch, interval=60.0)


@pytest.fixture
def token(store):
    return store.make_token("eyes", uses=5, now=NOW, lasts=60)


def ask(checkin, path, body, address=ADDRESS):
    status, answer = checkin.handle(path, body, address)
    fields = {"next", "counter", "schema"} if status == 200 else {"wanted", "seen", "allowed", "next_step"}
    assert set(parsed(answer)) == fields, f"{status} has another shape: {answer}"
    return int(status)


def test_enrol_and_report(checkin, store, token):
    person = Person("a", labels={"site": "lab"})
    assert ask(checkin, "v1/enrol", person.enrolment(token)) == 200
    status, body = checkin.handle("/v1/report", person.said(3, running=1, attempt=attempt(1)), ADDRESS)
    answer = strict.from_bytes(Answer, body)
    assert (status, answer.counter) == (200, 3)
    assert 54 <= answer.next <= 66, "check-ins spread by a tenth around the interval"
    (row,) = store.devices()
    assert (row.device, row.running, row.seen, row.labels) == ("a", 1, NOW, {"site": "lab"})


def test_an_enrolment_whose_answer_was_lost_is_repeated(checkin, store, token):
    person = Person("a")
    for _ in range(3):
        assert ask(checkin, "v1/enrol", person.enrolment(token)) == 200
    assert store.tokens()[0].left == 4, "one device took one use"


def test_a_taken_name_is_not_given_away(checkin, store, token):
    assert ask(checkin, "v1/enrol", Person("a").enrolment(token)) == 200
    before = store.identity("a")
    assert ask(checkin, "v1/enrol", Person("a").enrolment(token)) == 409
    assert store.identity("a") == before


def test_one_key_is_one_device(checkin, token):
    person = Person("a")
    assert ask(checkin, "v1/enrol", person.enrolment(token)) == 200
    assert ask(checkin, "v1/enrol", Person("b", person.key).enrolment(token)) == 409


@pytest.mark.parametrize("wrong", ["", "ewft_nonsense", "' OR 1=1 --", "x" * 5000])
def test_a_wrong_token_enrols_nobody(checkin, store, token, wrong):
    assert ask(checkin, "v1/enrol", Person("a").enrolment(wrong)) == 401
    assert store.devices() == []


def test_an_enrolment_is_signed_with_the_key_that_it_brings(checkin, store, token):
    mine, other = Person("a"), Person("a")
    assert ask(checkin, "v1/enrol", mine.enrolment(token, public_key=other.public_key)) == 401
    assert store.devices() == []


def test_keys_of_other_kinds_are_refused(checkin, token):
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for key in (pem, "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "k" * 5000):
        assert ask(checkin, "v1/enrol", Person("a").enrolment(token, public_key=key)) == 400


def test_a_report_in_the_name_of_another_device_is_refused(checkin, store):
    victim, thief = enrol(store, Person("victim")), enrol(store, Person("thief"))
    forged = thief.sealed(victim.report(5))
    assert ask(checkin, "v1/report", forged) == 401
    pretended = parsed(forged)
    pretended["signatures"][0]["keyid"] = store.identity("victim").keyid
    assert ask(checkin, "v1/report", json.dumps(pretended).encode()) == 401
    assert store.identity("victim").counter == 0


def test_a_changed_report_is_refused(checkin, store):
    person = enrol(store, Person("a"))
    envelope = parsed(person.said(5))
    payload = base64.b64decode(envelope["payload"]).replace(b'"counter":5', b'"counter":6')
    envelope["payload"] = base64.b64encode(payload).decode()
    assert ask(checkin, "v1/report", json.dumps(envelope).encode()) == 401


def test_an_unknown_device_and_a_wrong_key_are_told_the_same(checkin, store):
    enrol(store, Person("known"))
    answers = [checkin.handle("v1/report", Person(name).said(1), ADDRESS) for name in ("known", "unknown")]
    assert answers[0] == answers[1], "the answer tells an attacker which names there are"


def test_a_replay_and_a_reordered_report_are_refused(checkin, store):
    person = enrol(store, Person("a"))
    second, third = person.said(2, running=1), person.said(3, running=2)
    assert [ask(checkin, "v1/report", each) for each in (third, third, second)] == [200, 409, 409]
    assert store.devices()[0].running == 2
    assert parsed(checkin.handle("v1/report", third, ADDRESS)[1])["allowed"] == "above 3"


def test_an_enrolment_is_no_report_and_the_other_way_round(checkin, store, token):
    person = enrol(store, Person("a"))
    assert ask(checkin, "v1/report", person.enrolment(token)) == 400
    assert ask(checkin, "v1/enrol", person.said(1)) == 400


def test_another_payload_type_is_refused(checkin, store):
    person = enrol(store, Person("a"))
    body = signed_bytes(person.key, strict.to_bytes(person.report(1)), "application/vnd.in-toto+json")
    assert ask(checkin, "v1/report", body) == 400


def test_a_revoked_device_is_told_so(checkin, store, token):
    person = enrol(store, Person("a"))
    store.revoke("a", NOW)
    assert ask(checkin, "v1/report", person.said(1)) == 403
    assert ask(checkin, "v1/enrol", person.enrolment(token)) == 409, "its name and key stay taken"
    assert store.identity("a").counter == 0


def test_only_the_device_itself_learns_that_it_is_revoked(checkin, store):
    enrol(store, Person("a"))
    store.revoke("a", NOW)
    assert ask(checkin, "v1/report", Person("a").said(1)) == 401


def test_a_device_stays_with_its_product_and_may_change_its_channel(checkin, store):
    person = enrol(store, Person("a"))
    person.product = "ears"
    assert ask(checkin, "v1/report", person.said(1)) == 403
    person.product, person.channel = "eyes", "beta"
    assert ask(checkin, "v1/report", person.said(2)) == 200
    assert [each.device for each in store.facts("eyes", "beta")] == ["a"]


@pytest.mark.parametrize("skew", [-1.8e9, 1e12], ids=["1970", "far future"])
def test_a_wrong_clock_is_noted_and_not_trusted(checkin, store, skew):
    person = enrol(store, Person("a"))
    assert ask(checkin, "v1/report", person.said(1, time=NOW + skew)) == 200
    (row,) = store.devices()
    assert (row.skew, row.seen) == (skew, NOW)
    assert store.overview(NOW).wrong_clocks == 1


@pytest.mark.parametrize(
    "path", ["", "v1", "v1/report/../enrol", "v2/report", "v1/report%00", "../fleet.db", "x" * 9999]
)
def test_unknown_paths(checkin, path):
    assert ask(checkin, path, b"{}") == 404


def test_an_oversized_body_is_refused_before_it_is_read(checkin, store):
    enrol(store, Person("a"))
    assert ask(checkin, "v1/report", b"[" * (MOST_REPORT + 1)) == 413


def test_a_report_may_be_as_large_as_a_detail_allows(checkin, store):
    person = enrol(store, Person("a"))
    said = attempt(1, "failed", reason="internal", detail="ü" * 1000)
    assert ask(checkin, "v1/report", person.said(1, attempt=said)) == 200


BAD = [
    b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 60000, b'{"payload":1,"payloadType":2,"signatures":3}',
    b'{"payload":"","payloadType":"application/vnd.edgewright.report+json","signatures":[]}',
    b'{"payload":"!","payloadType":"application/vnd.edgewright.report+json","signatures":[{"keyid":"a","sig":"b"}]}',
    b'{"payload":"e30=","payloadType":"application/vnd.edgewright.report+json","signatures":[{"keyid":"a","sig":1}]}',
    b'{"payload":"e30=","payloadType":"application/vnd.edgewright.report+json","signatures":[[]]}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("path", ["v1/report", "v1/enrol"])
def test_nonsense_is_a_400(checkin, path, body):
    assert ask(checkin, path, body) == 400


def test_two_signatures_are_one_too_many(checkin, store):
    person, other = enrol(store, Person("a")), Person("b")
    envelope = parsed(person.said(1))
    envelope["signatures"] += parsed(other.said(1))["signatures"]
    assert ask(checkin, "v1/report", json.dumps(envelope).encode()) == 400


@given(body=st.binary(max_size=300), inside=st.booleans())
def test_no_bytes_make_it_fail(body, inside):
    person = Person("a")
    with Store("sqlite://") as store:
        enrol(store, person)
        checkin = CheckIn(store, Watch())
        sent = signed_bytes(person.key, body) if inside else body
        assert checkin.handle("v1/report", sent, ADDRESS)[0] == 400
        assert checkin.handle("v1/enrol", sent, ADDRESS)[0] == 400


@given(st.text(min_size=1, max_size=80))
def test_names_of_any_kind_are_refused_or_unknown(name):
    person = Person("a")
    with Store("sqlite://") as store:
        body = strict.to_bytes(person.report(1)).replace(b'"device":"a"', b'"device":' + json.dumps(name).encode())
        status, _ = CheckIn(store, Watch()).handle("v1/report", signed_bytes(person.key, body), ADDRESS)
        assert status in (400, 401)


def test_flooding_from_an_address_is_cut_and_leaves_others_alone(store, watch):
    person = enrol(store, Person("a"))
    checkin = CheckIn(store, watch, Limits(address_rate=1.0, address_burst=10.0))
    statuses = [ask(checkin, "v1/report", b"{}") for _ in range(30)]
    assert statuses == [400] * 10 + [429] * 20
    assert ask(checkin, "v1/report", person.said(1), "192.0.2.8") == 200
    watch.now += 1
    assert ask(checkin, "v1/report", person.said(2)) == 200, "after a second there is room for one again"


def test_a_flood_of_forgeries_does_not_use_up_a_devices_own_rate(store, watch):
    person = enrol(store, Person("a"))
    checkin = CheckIn(store, watch, Limits(device_burst=3.0, device_rate=0.1))
    for _ in range(50):
        assert ask(checkin, "v1/report", Person("a").said(1), "198.51.100.1") == 401
    found = [ask(checkin, "v1/report", person.said(counter)) for counter in range(1, 6)]
    assert found == [200, 200, 200, 429, 429]


def test_guessing_tokens_is_slow(store, watch):
    checkin = CheckIn(store, watch, Limits(address_rate=1.0, address_burst=50.0, enrol_cost=10.0))
    statuses = [ask(checkin, "v1/enrol", Person("a").enrolment(f"guess{n}")) for n in range(8)]
    assert statuses == [401] * 5 + [429] * 3


def test_a_database_that_is_gone_is_a_503_and_said_in_the_log(tmp_path, caplog):
    person = Person("a")
    with Store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        enrol(store, person)
        checkin = CheckIn(store, Watch())
        store.close()
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / "fleet.db").mkdir()
        assert ask(checkin, "v1/report", person.said(1)) == 503
    assert "503" in caplog.text
    assert str(tmp_path) not in checkin.handle("v1/report", person.said(2), ADDRESS)[1].decode()


def test_a_restarted_postgresql_costs_one_request_at_most(postgres, watch):
    with Store(postgres.new()) as store:
        person = enrol(store, Person("a"))
        checkin = CheckIn(store, watch)
        assert ask(checkin, "v1/report", person.said(1)) == 200
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert [ask(checkin, "v1/report", person.said(counter)) for counter in (2, 3)] == [503, 200]


def test_nothing_secret_is_logged(checkin, store, token, caplog):
    caplog.set_level(logging.DEBUG)
    person, other = Person("a"), Person("b")
    checkin.handle("v1/enrol", person.enrolment(token), ADDRESS)
    checkin.handle("v1/enrol", Person("a").enrolment(token), ADDRESS)
    checkin.handle("v1/enrol", other.enrolment("ewft_guess"), ADDRESS)
    checkin.handle(
        "v1/report", person.said(1, attempt=attempt(1, "failed", reason="internal", detail="pin 1234")), ADDRESS
    )
    checkin.handle("v1/report", other.sealed(person.report(2)), ADDRESS)
    assert "enrolled a for eyes/stable" in caplog.text
    for secret in (token, "ewft_guess", "pin 1234", person.public_key.splitlines()[1]):
        assert secret not in caplog.text


def test_replays_of_a_report_do_not_use_up_a_devices_own_rate(checkin, store):
    person = enrol(store, Person("a"))
    captured = person.said(1)
    assert ask(checkin, "v1/report", captured) == 200
    assert {ask(checkin, "v1/report", captured, "198.51.100.1") for _ in range(25)} == {409}
    assert ask(checkin, "v1/report", person.said(2)) == 200, "somebody else has silenced this device"


def huge(person, **fields):
    """A signed report with numbers that no report of ours would have."""
    body = {**parsed(strict.to_bytes(person.report(1))), **fields}
    return signed_bytes(person.key, json.dumps(body).encode())


ODD = {
    "time": {"time": 10**400}, "counter": {"counter": 10**400}, "running": {"running": 1 << 63},
    "before": {"before": 5e-324}, "after": {"after": 10**400}, "release": {"attempt": {"release": 1 << 63}},
    "fetched": {"attempt": {"fetched": -1}}, "label": {"labels": {"a": "\x9b2J"}}, "agent": {"agent": "\u202e"},
}  # fmt: skip


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD)
def test_odd_numbers_and_characters_are_a_400_and_change_nothing(checkin, store, fields):
    person = enrol(store, Person("a"))
    assert ask(checkin, "v1/report", huge(person, **fields)) == 400
    assert store.identity("a").counter == 0


def test_the_largest_numbers_are_kept_and_shown(checkin, store):
    from tests.toolchain.fleet.fleet_homes import a_plan
    from toolchain.fleet.page.render import render_page
    from toolchain.fleet.rollout.policy import Policy

    store.begin(Policy(), a_plan(1, 1, product="eyes"), "", "", NOW)
    for number, (before, after) in enumerate([(1e-9, 1e6), (1e6, 1e-9), (0.0, 0.0), (1e-9, 0.0)]):
        person = enrol(store, Person(f"d{number}"))
        said = attempt(1, fetched=1 << 53, full=1 << 53, sequence=1 << 53)
        sent = person.said(1 << 53, running=1 << 53, attempt=said, before=before, after=after)
        assert ask(checkin, "v1/report", sent) == 200
    assert "eyes" in render_page(store.overview(NOW))


@pytest.mark.parametrize(
    "path", ["v1/x\n2031 INFO: all is well", "\x1b[2Jv1", "v1/re\u202eport"], ids=["line", "escape", "direction"]
)
def test_a_path_cannot_forge_a_line_of_the_log(checkin, caplog, path):
    caplog.set_level(logging.INFO)
    checkin.handle(path, b"", ADDRESS)
    assert [each.getMessage() for each in caplog.records] == [f"?: 404 from {ADDRESS}: there is nothing here"]
