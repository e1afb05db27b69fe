"""Who may talk to a worker: strangers on its port get nothing, and hold nobody up."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.exchange.transports import mesh, tcp
from penstock.exchange.transports.mesh import Mesh, Trust

pytestmark = pytest.mark.timeout(60)

SECRET = b"the secret of the run, 32 bytes."
Pair = tuple[Mesh, Mesh]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def trust(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Trust]:
    """What makes a `Trust` of a secret, with a short time for strangers."""
    files = tcp.certify(tmp_path) if request.param else None

    def make(secret: bytes) -> Trust:
        made = tcp._Credentials(secret, files)()
        return Trust(made.secret, made.server, made.client, greeting=1.0, strangers=8)

    return make


@pytest.fixture
def pair(trust: Callable[[bytes], Trust]) -> Iterator[Pair]:
    """Two workers that know each other."""
    listeners = [tcp._listening("127.0.0.1", 0) for _ in range(2)]
    addresses = [listener.getsockname() for listener in listeners]
    both = [Mesh(worker, addresses, listeners[worker], trust(SECRET), timeout=5.0) for worker in range(2)]
    yield both[0], both[1]
    for each in both:
        each.close()


def call(to: Mesh) -> socket.socket:
    """A stranger's connection."""
    stranger = socket.create_connection(to._listener.getsockname(), timeout=5.0)
    stranger.settimeout(5.0)
    return stranger


def heard(stranger: socket.socket) -> bytes:
    """All that a stranger is told until it is hung up on."""
    said = b""
    with stranger, pytest.MonkeyPatch.context():
        try:
            while more := stranger.recv(1000):
                said += more
        except ConnectionResetError:
            pass
    return said


def they_talk(pair: Pair) -> None:
    """The two reach each other, both ways."""
    for sender, receiver in (pair, pair[::-1]):
        sender.send(receiver._worker, b"hello" * 1000)
        assert receiver.recv() == b"hello" * 1000


def greeting(secret: bytes, sender: int = 0, to: int = 1) -> bytes:
    """The first words of a worker."""
    names = mesh.LENGTH.pack(sender) + mesh.LENGTH.pack(to)
    nonce = bytes(32)
    return mesh.GREETING.pack(mesh.MAGIC, sender, to, nonce, Trust(secret).proof(b"greeting", names, nonce))


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n" * 10, bytes(1000), (1 << 30).to_bytes(4, "little") + bytes(200), greeting(b"guess" * 4)],
    ids=["http", "zeros", "a length of 1 GB", "wrong secret"],
)
def test_a_stranger_gets_nothing(pair: Pair, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Who does not prove to know the secret is hung up on without a byte of ours, and logged; the others go on."""
    stranger = call(pair[1])
    stranger.sendall(said)
    answer = heard(stranger)

    they_talk(pair)
    assert answer == b"" or (answer[:1] == b"\x15" and len(answer) <= 14)  # TLS says that it does not understand
    assert "worker 1 refused ('127.0.0.1'" in caplog.text
    assert SECRET.decode() not in caplog.text


def test_a_stranger_inside_tls_gets_nothing(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """TLS accepts nobody without the run's certificate."""
    if pair[1]._trust.server is None:
        pytest.skip("the pair talks without TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionResetError)), context.wrap_socket(call(pair[1])) as stranger:
        stranger.sendall(greeting(SECRET))
        assert stranger.recv(100) == b""
        raise ConnectionResetError

    they_talk(pair)
    assert "worker 1 refused" in caplog.text


def test_half_open_and_dribbling_strangers_hold_nobody_up(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Who says nothing, or a byte now and then, has a second in all, and beyond a few no more are let in."""
    silent = [call(pair[1]) for _ in range(12)]
    dribbler = call(pair[0])
    over = threading.Event()

    def dribble() -> None:
        for byte in greeting(SECRET):
            if over.wait(0.1):
                return
            try:
                dribbler.send(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=dribble)
    thread.start()
    began = time.monotonic()
    assert heard(dribbler)[:1] in (b"", b"\x15")
    for each in silent:
        assert heard(each) == b""
    they_talk(pair)
    took = time.monotonic() - began
    over.set()
    thread.join()

    assert took < 4
    assert "too many connections wait to be proved" in caplog.text


def test_a_recorded_greeting_opens_nothing(trust: Callable[[bytes], Trust], caplog: pytest.LogCaptureFixture) -> None:
    """A worker's first words, said again by another, meet a question that only a worker can answer."""
    if trust(SECRET).server is not None:
        pytest.skip("inside TLS nothing can be recorded")
    listener = tcp._listening("127.0.0.1", 0)
    receiver = Mesh(1, [("127.0.0.1", 1), listener.getsockname()], listener, trust(SECRET), timeout=0.5)
    stranger = call(receiver)
    stranger.sendall(greeting(SECRET) + bytes(32) + mesh.LENGTH.pack(4) + b"evil")

    assert len(heard(stranger)) == mesh.ANSWER.size
    with pytest.raises(TimeoutError):
        receiver.recv()
    receiver.close()
    assert "it does not know the secret" in caplog.text


def test_a_listener_without_the_secret_learns_nothing(trust: Callable[[bytes], Trust]) -> None:
    """A worker sends no frame before the other side has proved itself too."""
    listeners = [tcp._listening("127.0.0.1", 0) for _ in range(2)]
    addresses = [listener.getsockname() for listener in listeners]
    good = Mesh(0, addresses, listeners[0], trust(SECRET), timeout=2.0)
    false = Mesh(1, addresses, listeners[1], trust(b"another secret, as long as that"), timeout=0.5)

    with pytest.raises(ConnectionError, match="worker 1 hung up on the greeting: is the secret the same there"):
        good.send(1, b"private")
    with pytest.raises(TimeoutError):
        false.recv()
    good.close()
    false.close()


def test_a_worker_that_announces_a_gigabyte_is_hung_up_on(pair: Pair) -> None:
    """No frame is longer than frames are, whoever sends it: nothing is set aside for it."""
    pair[0].send(1, b"first")
    assert pair[1].recv() == b"first"
    pair[0]._outgoing[1].sendall(mesh.LENGTH.pack(1 << 30) + b"x")

    with pytest.raises(ConnectionError, match="worker 0 announced a frame of 1073741824 bytes"):
        pair[1].recv()


def test_a_worker_that_is_gone_is_noticed(pair: Pair) -> None:
    """Who waits for a worker whose connection breaks gives up at once; who leaves in peace breaks nothing."""
    pair[0].send(1, b"first")
    assert pair[1].recv() == b"first"
    began = time.monotonic()
    mesh._shut(pair[0]._outgoing[1])

    with pytest.raises(ConnectionError, match="the connection from worker 0 is lost"):
        pair[1].recv()
    assert time.monotonic() - began < 2


def test_signs_of_life_are_kept(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that computes is not silent; one that stands still is named when the wait ends."""
    pair[0].send(1, b"first")
    pair[1].recv()
    before = pair[1]._heard[0]
    time.sleep(2.2)

    assert pair[1]._heard[0] > before
    monkeypatch.setattr(mesh, "SILENCE", -1.0)
    pair[1]._timeout = 0.1
    with pytest.raises(TimeoutError, match=r"nothing for 0.1 s, worker 0 silent for \d s"):
        pair[1].recv()


@pytest.mark.parametrize("secure", [False, True])
def test_workers_of_many_machines_join(secure: bool, tmp_path: Path) -> None:
    """Each is started by itself, in any order, with the list of addresses; they leave together."""
    listeners = [tcp._listening("127.0.0.1", 0) for _ in range(3)]
    addresses = [listener.getsockname() for listener in listeners]
    for listener in listeners:
        listener.close()
    files = tcp.certify(tmp_path) if secure else None
    results: dict[int, Any] = {}

    def member(worker: int) -> None:
        time.sleep(0.2 * worker)
        with tcp.join(worker, addresses, secret=SECRET, tls=files, timeout=10) as world:
            results[worker] = world.gather("ids", b"%d" % worker)

    threads = [threading.Thread(target=member, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [results[worker] for worker in range(3)] == [[b"0", b"1", b"2"]] * 3


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The key of a run's certificate can be read by nobody else."""
    _, key = tcp.certify(tmp_path)

    assert os.stat(key).st_mode & 0o077 == 0


def test_who_is_gone_is_not_called_refused(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that is ended in the middle of its greeting resets the connection; that is no warning."""
    gone = call(pair[1])
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()

    they_talk(pair)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
