"""One FIX session without I/O: every state and every message, numbers, time, keys, damage."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fixed import KEY, START, Server, at, live, plainest, session
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import EncodeError, MissingKey, fix_sbe
from binance_sbe.api.fix import Splitter
from binance_sbe.api.fix_session import (
    Damaged,
    Failed,
    LoggedOn,
    LoggedOut,
    Maintenance,
    Received,
    Session,
)
from binance_sbe.api.fix_wire import SESSION_MESSAGES, signed_text
from binance_sbe.api.signing import signer_of
from binance_sbe.errors import FixError, LogonRefused

KINDS = list(fix_sbe.MESSAGES.values())
APPLICATION = [kind for kind in KINDS if kind not in (*SESSION_MESSAGES, fix_sbe.News)]


def sent(made: Session) -> list[Any]:
    """What a session has to send, as messages with their headers."""
    frames = Splitter().feed(made.to_send())
    return [(fix_sbe.decode_header(each), fix_sbe.decode(each)) for each in frames]


def test_a_logon_is_signed_as_the_exchange_checks_it() -> None:
    made = session(sender="me-1", heartbeat=20, recv_window=2.5, sequential=True, drop_copy=True)
    made.log_on(at(1.5))
    ((header, logon),) = sent(made)
    assert (header.seq_num, header.sending_time) == (1, START + 1_500_000)
    assert logon.to_dict() | {"raw_data": ""} == {
        "encrypt_method": 0, "heart_bt_int": 20, "reset_seq_num_flag": True,
        "message_handling": "Sequential", "response_mode": "Everything",
        "execution_report_type": None, "drop_copy_flag": True, "recv_window": 2_500_000,
        "sender_comp_id": "me-1", "target_comp_id": "SPOT", "raw_data": "", "username": "k" * 64,
    }  # fmt: skip
    text = signed_text("me-1", "SPOT", 1, header.sending_time)
    assert text == b"A\x01me-1\x01SPOT\x011\x0120260921-14:13:21.500000"
    KEY.public_key().verify(base64.b64decode(logon.raw_data), text)
    assert made.to_send() == b""
    with pytest.raises(FixError, match="logs on once"):
        made.log_on(at(2))


# What each state makes of each message: the state afterwards, and the events.
def expected(state: str, kind: Any) -> tuple[str, list[type]]:
    if state == "logging on":
        if kind is fix_sbe.LogonAck:
            return "live", [LoggedOn]
        return ("logging on", [Maintenance]) if kind is fix_sbe.News else ("closed", [Failed])
    if kind is fix_sbe.Logout:
        return "closed", [LoggedOut]
    if kind in (fix_sbe.Logon, fix_sbe.LogonAck):
        return "closed", [Failed]
    if kind in (fix_sbe.Heartbeat, fix_sbe.TestRequest):
        return state, []
    return state, [Maintenance] if kind is fix_sbe.News else [Received]


@pytest.mark.parametrize("state", ["new", "logging on", "live", "logging out", "closed"])
@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_every_message_in_every_state(state: str, kind: Any) -> None:
    made, server = session(), Server()
    if state != "new":
        made.log_on(at(0))
    if state not in ("new", "logging on"):
        made.receive(server.ack(), at(0))
    if state in ("logging out", "closed"):
        made.log_out(at(0))
    if state == "closed":
        made.receive(server.says(fix_sbe.Logout), at(0))
    assert made.state == state
    made.to_send()
    events = made.receive(server.frame(plainest(kind)), at(1))
    if state == "closed":
        assert (events, made.to_send()) == ([], b"")
        return
    if state == "new":  # nothing is taken, and nothing answered, before we have logged on
        (failed,) = events
        assert isinstance(failed, Failed)
        assert "before the logon" in str(failed.error)
        assert (made.state, made.to_send(), made.next_out) == ("closed", b"", 1)
        return
    after, kinds = expected(state, kind)
    assert (made.state, [type(each) for each in events]) == (after, kinds)
    answers = [type(message) for _, message in sent(made)]
    if kind is fix_sbe.TestRequest and state != "logging on":
        assert answers == [fix_sbe.Heartbeat]
    elif state == "live" and after == "closed":
        assert answers == [fix_sbe.Logout]
    else:
        assert answers == []
    if state == "logging on" and kinds == [Failed]:
        (failed,) = events
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, LogonRefused)


def test_a_message_comes_with_its_number_and_time() -> None:
    made, server = live()
    frame = server.says(fix_sbe.News, headline="x") + server.frame(plainest(KINDS[5]), 3.25)
    news, received = made.receive(frame, at(4))
    assert isinstance(news, Maintenance)
    assert isinstance(received, Received)
    assert (received.seq_num, received.sending_time) == (3, START + 3_250_000)
    assert made.clock_offset == -750_000


@pytest.mark.parametrize(
    ("number", "said"),
    [(5, "3 messages are missing before number 5"), (1, "number 1 came again, where 2 was to come"),
     (2**32 - 1, "4294967293 messages are missing")],
)  # fmt: skip
def test_a_number_that_is_not_the_next_ends_the_session(number: int, said: str) -> None:
    made, server = live()
    server.number = number
    *_, failed = made.receive(server.says(fix_sbe.Heartbeat), at(1))
    assert isinstance(failed, Failed)
    assert said in str(failed.error)
    assert made.state == "closed"
    ((_, logout),) = sent(made)
    assert said in logout.text


def test_a_refused_logon_says_why_and_how_far_the_clocks_are_apart() -> None:
    for seconds, words in ((130.0, "130.0 s behind the exchange's"), (-70.0, "70.0 s ahead of"),
                           (0.5, None)):  # fmt: skip
        made, server = session(), Server()
        made.log_on(at(0))
        reject = server.says(
            fix_sbe.Reject, seconds, error_code=-1021, text="too \x1b[31mlate", ref_msg_type="A"
        )
        (failed,) = made.receive(reject, at(0))
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, LogonRefused)
        assert failed.error.code == -1021
        assert "\x1b" not in str(failed.error)
        assert r"too \x1b[31mlate" in str(failed.error)
        assert (words is None) == ("this clock is" not in str(failed.error))
        assert "set the clock of this machine" in str(failed.error)
        assert words is None or words in str(failed.error)


def test_damage_within_a_message_ends_nothing_and_damage_of_the_stream_ends_all() -> None:
    made, server = live()
    bad = bytearray(fix_sbe.News.encode(headline="abc"))
    bad[-5:-3] = b"\xff\xff"
    damaged, news = made.receive(
        server.frame(bytes(bad)) + server.says(fix_sbe.News, headline="x"), at(1)
    )
    assert isinstance(damaged, Damaged)
    assert damaged.seq_num == 2
    assert isinstance(news, Maintenance)
    news, failed = made.receive(server.says(fix_sbe.News, headline="y") + b"\xff" * 30, at(1))
    assert isinstance(news, Maintenance)
    assert isinstance(failed, Failed)
    assert "out of step" in str(failed.error)
    assert made.receive(server.says(fix_sbe.News, headline="z"), at(1)) == []


def test_texts_that_are_none_are_shown_as_bytes_and_end_nothing_else() -> None:
    def bad(server: Server, kind: Any, **values: Any) -> bytes:
        return server.frame(kind.encode(**values).replace(b"cafe", b"caf\xe9"))

    made, server = live()
    received, maintenance = made.receive(
        server.frame(plainest(KINDS[5])) + bad(server, fix_sbe.News, headline="cafe"), at(1)
    )
    assert isinstance(received, Received)
    assert isinstance(maintenance, Maintenance)
    assert made.receive(bad(server, fix_sbe.TestRequest, test_req_id="cafe"), at(1)) == []
    assert sent(made)[-1][1].test_req_id == r"caf\xe9"
    assert made.receive(bad(server, fix_sbe.Logout, text="cafe"), at(1)) == [LoggedOut(r"caf\xe9")]
    assert made.state == "closed"
    made, server = session(), Server()
    made.log_on(at(0))
    (failed,) = made.receive(bad(server, fix_sbe.Reject, text="cafe", ref_msg_type="A"), at(0))
    assert isinstance(failed, Failed)
    assert r"caf\xe9" in str(failed.error)


@given(st.data())
def test_any_pieces_of_a_stream_bring_the_same(data: st.DataObject) -> None:
    made, server = live()
    whole, _ = live()
    kinds = data.draw(st.lists(st.sampled_from([*APPLICATION, fix_sbe.TestRequest, fix_sbe.News]),
                               max_size=8))  # fmt: skip
    stream = b"".join(server.frame(plainest(kind)) for kind in kinds)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    events = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += made.receive(stream[begin:end], at(1))
    assert list(map(repr, events)) == list(map(repr, whole.receive(stream, at(1))))
    assert made.to_send() == whole.to_send()


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_any_bytes_bring_events_and_no_exception(pieces: list[bytes], is_live: bool) -> None:
    if is_live:
        made, _ = live()
    else:
        made = session()
        made.log_on(at(0))
    for piece in pieces:
        for event in made.receive(piece, at(1)):
            assert isinstance(event, Failed | Damaged)
    made.end_of_stream(at(2))
    assert made.state in ("closed",)


# time


def test_a_heartbeat_is_sent_when_nothing_else_was() -> None:
    made, server = live(heartbeat=10)
    assert made.next_tick() == 10
    assert made.tick(at(9.9)) == []
    assert made.to_send() == b""
    made.receive(server.says(fix_sbe.Heartbeat), at(9))
    made.tick(at(10))
    ((header, beat),) = sent(made)
    assert (header.seq_num, type(beat)) == (2, fix_sbe.Heartbeat)
    made.receive(server.says(fix_sbe.Heartbeat), at(15))
    made.send(fix_sbe.LimitQuery, {"req_id": "a"}, at(19))
    made.to_send()
    assert made.next_tick() == 26  # 11 s after what came at 15; what was sent is later
    made.tick(at(25))
    assert made.to_send() == b""


def test_a_silent_exchange_is_tested_and_then_left() -> None:
    made, server = live(heartbeat=10)
    made.tick(at(10))
    made.to_send()
    assert made.next_tick() == 11
    assert made.tick(at(11)) == []
    ((_, test),) = sent(made)
    assert isinstance(test, fix_sbe.TestRequest)
    made.receive(server.says(fix_sbe.Heartbeat, test_req_id=test.test_req_id), at(12))
    assert made.tick(at(21)) == []
    assert made.tick(at(23)) == []
    made.tick(at(32))
    assert made.state == "live"
    (failed,) = made.tick(at(34))
    assert isinstance(failed, Failed)
    assert "silent for 22 s" in str(failed.error)


def test_a_logon_and_a_logout_that_nobody_answers_end() -> None:
    made = session()
    assert made.next_tick() == float("inf")
    made.log_on(at(0))
    assert made.next_tick() == 10
    assert made.tick(at(9)) == []
    (failed,) = made.tick(at(10))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, LogonRefused)
    made, _ = live()
    made.log_out(at(1))
    assert made.next_tick() == 6
    (out,) = made.tick(at(6))
    assert isinstance(out, LoggedOut)
    made = session()
    made.log_out(at(0))
    assert (made.state, made.to_send()) == ("closed", b"")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("new", Failed), ("logging on", Failed), ("live", Failed), ("logging out", LoggedOut)],
)
def test_the_end_of_the_stream_in_every_state(state: str, kind: type | None) -> None:
    made = session()
    if state != "new":
        made.log_on(at(0))
    if state in ("live", "logging out"):
        made.receive(Server().ack(), at(0))
    if state == "logging out":
        made.log_out(at(0))
    assert [type(each) for each in made.end_of_stream(at(1))] == ([kind] if kind else [])


def test_the_limit_of_messages_is_kept_and_leaves_room_for_heartbeats() -> None:
    made, _ = live(messages=30)
    for i in range(9):  # the logon was the first of ten
        made.send(fix_sbe.LimitQuery, {"req_id": str(i)}, at(i))
    assert made.wait(at(9)) == 51
    number = made.next_out
    with pytest.raises(FixError, match=r"30 messages in 60 s are the limit: .* in 51.0 s"):
        made.send(fix_sbe.LimitQuery, {"req_id": "x"}, at(9))
    assert made.next_out == number
    made.tick(at(40))
    assert made.next_out > number
    assert made.wait(at(60.5)) == 0  # of ten, the heartbeat included, two are over
    made.send(fix_sbe.LimitQuery, {"req_id": "y"}, at(60.5))
    assert made.wait(at(60.5)) == 0.5


def test_what_can_not_be_sent_sends_nothing() -> None:
    made, _ = live()
    for kind in (*SESSION_MESSAGES, fix_sbe, "Logon", None, int):
        with pytest.raises(ValueError, match="a session does not send"):
            made.send(kind, {}, at(1))
    with pytest.raises(EncodeError, match="req_id"):
        made.send(fix_sbe.LimitQuery, {}, at(1))
    assert (made.to_send(), made.next_out) == (b"", 2)
    made.log_out(at(1))
    with pytest.raises(FixError, match="the session is logging out"):
        made.send(fix_sbe.LimitQuery, {"req_id": "a"}, at(1))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"heartbeat": 4}, "heartbeat is 5 to 60"), ({"heartbeat": 61}, "heartbeat"),
     ({"heartbeat": 5.5}, "heartbeat"), ({"sender": ""}, "sender"),
     ({"sender": "a" * 9}, "sender"), ({"sender": "a b"}, "sender"), ({"recv_window": 0}, "recv_w"),
     ({"recv_window": 61}, "recv_window"), ({"messages": 20}, "messages is more than 20")],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        session(**options)


# keys


def pem(key: Any, password: bytes | None = None, is_public: bool = False) -> bytes:
    if is_public:
        found: bytes = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return found
    lock = serialization.BestAvailableEncryption(password) if password else None
    made: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        lock or serialization.NoEncryption(),
    )
    return made


def test_a_key_is_taken_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(KEY))
    locked = pem(KEY, b"secret")
    wanted = signer_of(KEY).sign(b"text")
    for key, password in (
        (KEY, None), (path, None), (str(path), None), (pem(KEY), None), (pem(KEY).decode(), None),
        (locked, "secret"), (locked, b"secret"), (path, "not needed"), (signer_of(KEY), None),
    ):  # fmt: skip
        assert signer_of(key, password).sign(b"text") == wanted


INSIDE = "MC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER"
WRAPPED = [f'"{INSIDE}"', f"'{INSIDE}'", f"{INSIDE[:50]}\\n{INSIDE[50:]}",
           f'{{"key":"{INSIDE}"}}', f"key:{INSIDE}", f"{INSIDE[:33]}\n{INSIDE[33:]}",
           f"{INSIDE[:33]} {INSIDE[33:]}", f"{INSIDE[:33]}/{INSIDE[33:]}"]  # fmt: skip


def test_a_path_may_be_as_long_as_a_key(tmp_path: Path) -> None:
    path = tmp_path / "binance_production_private_key_of_the_account"
    path.write_bytes(pem(KEY))
    for given_ in (path, str(path)):
        assert signer_of(given_).sign(b"text") == signer_of(KEY).sign(b"text")
    for named in ("/home/user/projects/trading/binance/keys/mykey", Path("/a") / ("b" * 30)):
        with pytest.raises(MissingKey, match=f"{named}: the private key can't be read: No such"):
            signer_of(named)
    with pytest.raises(MissingKey, match="neither the path") as caught:
        signer_of(Path(f"{INSIDE[:33]}/{INSIDE[33:]}"))
    assert INSIDE[:10] not in str(caught.value)
    with pytest.raises(MissingKey, match="no text that UTF-8 has"):
        signer_of(path, "\ud800")


def test_what_is_no_key_is_named_and_not_quoted(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("hunter2")
    damaged = bytearray(pem(KEY))
    damaged[40:60] = b"A" * 20
    locked = pem(KEY, b"secret")
    for key, password, said in (
        (None, None, "BINANCE_PRIVATE_KEY"),
        (7, None, "not int"),
        (tmp_path / "none", None, "can't be read: No such file"),
        (tmp_path, None, "can't be read: Is a directory"),
        (other, None, "no PEM"),
        (b"hunter2", None, "no PEM"),
        (pem(KEY, is_public=True), None, "the public key; the private one signs"),
        (pem(rsa.generate_private_key(65537, 2048)), None, "Ed25519 is needed, not RSA"),
        (pem(ec.generate_private_key(ec.SECP256R1())), None, "Ed25519 is needed, not EC"),
        (locked, None, "is encrypted: give its password"),
        (locked, "wrong", "its password is wrong, or it is damaged"),
        (bytes(damaged), None, "it is damaged"),
        (
            b"".join(pem(KEY).splitlines()[1:-1]).decode(),
            None,
            "neither the path of a file that can be read nor PEM",
        ),
        ("k" * 64, None, "neither the path"),
        ("a\0b", None, "it is no path"),
        *((quoted, None, "neither the path") for quoted in WRAPPED),
    ):
        with pytest.raises(MissingKey, match=said) as caught:
            signer_of(key, password)
        assert "hunter2" not in str(caught.value)
        assert "AAAA" not in str(caught.value)
        assert not isinstance(key, str) or len(key) < 10 or key[:10] not in str(caught.value)
        assert caught.value.__cause__ is None


def test_keys_are_in_no_repr_and_in_no_pickle() -> None:
    signer = signer_of(Ed25519PrivateKey.generate())
    assert repr(signer) == "<an Ed25519 key>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)
    made = session(sender="a")
    assert repr(made) == "<fix.Session a, new, 0 in>"
    assert "kkkk" not in f"{made!r} {vars(made)}"
