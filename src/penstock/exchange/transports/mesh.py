"""Stream sockets between all workers: every worker connects to each that it sends to, and reads from all at once.

A connection goes one way, opens with a proof from both sides that they know the run's secret, and then carries frames
of a known greatest size. Threads read, so that no worker waits because another is slow, silent or a stranger.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import logging
import queue
import secrets
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from penstock.exchange import wire

__all__ = ["Address", "Mesh", "Trust"]

Address = str | tuple[str, int]

LENGTH: Final = struct.Struct("<I")
LONGEST: Final = wire.FRAME + wire.HEADER.size
GREETING: Final = struct.Struct("<4sII32s32s")  # magic, from, to, nonce, proof
ANSWER: Final = struct.Struct("<32s32s")  # nonce, proof
PROOF: Final = 32
BYE: Final = 2**32 - 1  # instead of a length: nothing more comes, and nothing is lost
BEAT: Final = 1.0  # seconds between signs of life
SILENCE: Final = 10.0  # seconds without one, after which a worker is called silent
MAGIC: Final = b"pnxg"

log = logging.getLogger("penstock.exchange")


@dataclass(frozen=True)
class Trust:
    """What makes a connection one of this run: the secret, and TLS where there is a network in between."""

    secret: bytes
    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None
    greeting: float = 5.0  # seconds for a stranger to become a worker
    strangers: int = 256  # connections at a time that are not yet proved, beyond one for each worker

    def proof(self, role: bytes, *said: bytes) -> bytes:
        """What only a holder of the secret can say."""
        return hmac.digest(self.secret, role + b"".join(said), "sha256")


class Mesh:
    """One worker's connections.

    Args:
        worker: Its id.
        addresses: Where each worker listens.
        listener: The listening socket of this one.
        trust: Who may connect.
        timeout: Seconds that a receive may wait, or that a send may try.
        waits: Workers that are lost will come back: wait for them up to `timeout` instead of giving up at once.
    """

    def __init__(
        self,
        worker: int,
        addresses: Sequence[Address],
        listener: socket.socket,
        trust: Trust,
        *,
        timeout: float = 60.0,
        waits: bool = False,
    ) -> None:
        self._worker = worker
        self._addresses = addresses
        self._listener = listener
        self._trust = trust
        self._timeout = timeout
        self._waits = waits
        self._arrived: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._outgoing: dict[int, socket.socket] = {}
        self._met: set[int] = set()
        self._locks = [threading.Lock() for _ in addresses]
        self._heard: dict[int, float] = {}
        self._strangers = threading.BoundedSemaphore(trust.strangers + len(addresses))
        self._incoming: set[socket.socket] = set()
        self._over = threading.Event()
        for work in (self._accept, self._beat):
            threading.Thread(target=work, name=f"{work.__name__} {worker}", daemon=True).start()

    def send(self, to: int, data: bytes) -> None:
        """Give a frame to a worker's reader; connect first where needed, again and again while it may come back."""
        end = time.monotonic() + self._timeout
        pause = 0.01
        while not self._over.is_set():
            try:
                with self._locks[to]:
                    self._connection(to, end).sendall(LENGTH.pack(len(data)) + data)
                return
            except OSError as error:
                self._hang_up(to)
                not_up_yet = error.errno in (errno.ECONNREFUSED, errno.ENOENT) and to not in self._met
                if not (self._waits or not_up_yet) or time.monotonic() + pause > end:
                    raise
                log.debug("worker %d sends to worker %d again: %s", self._worker, to, error)
                time.sleep(pause)
                pause = min(2 * pause, 0.5)
        raise EOFError("the run is over")

    def recv(self) -> bytes:
        """The next frame of anyone; a TimeoutError names the workers that show no sign of life."""
        try:
            arrived = self._arrived.get(timeout=self._timeout)
        except queue.Empty:
            now = time.monotonic()
            silent = [
                f"worker {who} silent for {now - at:.0f} s" for who, at in self._heard.items() if now - at > SILENCE
            ]
            raise TimeoutError(f"nothing for {self._timeout:g} s{', '.join(['', *silent])}") from None
        if isinstance(arrived, BaseException):
            self._arrived.put(arrived)  # for whoever asks again
            raise arrived
        return arrived

    def close(self) -> None:
        """Hang up on everyone; `recv` ends with EOFError."""
        self._over.set()
        self._arrived.put(EOFError("the run is over"))
        _shut(self._listener)
        for to, connection in list(self._outgoing.items()):
            if _ready(connection, select.POLLOUT) and self._locks[to].acquire(blocking=False):
                with contextlib.suppress(OSError):
                    connection.sendall(LENGTH.pack(BYE))
                self._locks[to].release()
            self._hang_up(to)
        for connection in list(self._incoming):
            _shut(connection)

    # -- out -----------------------------------------------------------------------------------------------------------

    def _connection(self, to: int, end: float) -> socket.socket:
        if to in self._outgoing:
            # Nothing ever comes back on it, so if there is something to read, the other side is gone. Without this look
            # the first frame after its end would vanish in the kernel without an error.
            if not _ready(self._outgoing[to], select.POLLIN):
                return self._outgoing[to]
            self._hang_up(to)
        address = self._addresses[to]
        plain = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        connection: socket.socket = plain
        try:
            # A listener whose worker is about to be started again takes the connection and says nothing yet.
            plain.settimeout(max(0.1, end - time.monotonic()))
            plain.connect(address)
            if plain.family == socket.AF_INET:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._trust.client is not None:
                connection = self._trust.client.wrap_socket(plain)
            self._introduce(connection, to)
            connection.settimeout(self._timeout)
        except BaseException:
            _shut(connection)
            _shut(plain)
            raise
        self._outgoing[to] = connection
        self._met.add(to)
        return connection

    def _introduce(self, connection: socket.socket, to: int) -> None:
        """Prove to know the secret, have it proved, and prove it afresh: a recorded greeting opens nothing."""
        names = LENGTH.pack(self._worker) + LENGTH.pack(to)
        ours = secrets.token_bytes(32)
        connection.sendall(GREETING.pack(MAGIC, self._worker, to, ours, self._trust.proof(b"greeting", names, ours)))
        try:
            theirs, proof = ANSWER.unpack(_exactly(connection, ANSWER.size))
        except ConnectionError:
            raise ConnectionError(f"worker {to} hung up on the greeting: is the secret the same there?") from None
        if not hmac.compare_digest(proof, self._trust.proof(b"answer", names, ours, theirs)):
            raise ConnectionRefusedError(f"who listens as worker {to} does not know the secret")
        connection.sendall(self._trust.proof(b"last word", names, ours, theirs))

    def _hang_up(self, to: int) -> None:
        connection = self._outgoing.pop(to, None)
        if connection is not None:
            _shut(connection)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            for to, connection in list(self._outgoing.items()):
                if self._locks[to].acquire(blocking=False):  # a frame on its way is a sign of life by itself
                    try:
                        if _ready(connection, select.POLLOUT):
                            connection.sendall(LENGTH.pack(0))
                    except OSError:
                        self._hang_up(to)
                    finally:
                        self._locks[to].release()

    # -- in ------------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                if self._over.is_set():
                    return
                time.sleep(0.05)  # out of descriptors, or a peer that left before it was greeted
                continue
            if not self._strangers.acquire(blocking=False):
                log.warning("worker %d refused %s: too many connections wait to be proved", self._worker, peer)
                _shut(connection)
                continue
            threading.Thread(target=self._read, args=(connection, peer), daemon=True).start()

    def _read(self, plain: socket.socket, peer: Any) -> None:
        self._incoming.add(plain)
        connection: socket.socket = plain
        sender = None
        try:
            try:
                connection, sender = self._welcome(plain, peer)
            except (OSError, ValueError):
                return
            finally:
                self._strangers.release()
            self._incoming.add(connection)
            connection.settimeout(None)
            while True:
                [length] = LENGTH.unpack(_exactly(connection, LENGTH.size))
                self._heard[sender] = time.monotonic()
                if length == BYE:
                    return
                if length > LONGEST:
                    raise ConnectionError(f"worker {sender} announced a frame of {length} bytes; {LONGEST} is the most")
                if length:
                    self._arrived.put(_exactly(connection, length))
        except OSError as error:
            if not self._over.is_set() and not self._waits:
                self._arrived.put(ConnectionError(f"the connection from worker {sender} is lost: {error}"))
        finally:
            for each in (connection, plain):
                _shut(each)
                self._incoming.discard(each)

    def _welcome(self, plain: socket.socket, peer: Any) -> tuple[socket.socket, int]:
        """Have a stranger prove that it is a worker of this run; it is told nothing before, and has little time."""
        until = time.monotonic() + self._trust.greeting
        plain.settimeout(self._trust.greeting)
        connection: socket.socket = plain
        try:
            if self._trust.server is not None:
                wrapped = self._trust.server.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                connection = wrapped
                wrapped.do_handshake()
            magic, sender, to, theirs, proof = GREETING.unpack(_exactly(connection, GREETING.size, until))
            names = LENGTH.pack(sender) + LENGTH.pack(to)
            if magic != MAGIC or not hmac.compare_digest(proof, self._trust.proof(b"greeting", names, theirs)):
                raise ConnectionRefusedError("it does not know the secret")
            if to != self._worker or sender >= len(self._addresses):
                raise ConnectionRefusedError(f"it is worker {sender} and looks for worker {to}")
            ours = secrets.token_bytes(32)
            connection.sendall(ANSWER.pack(ours, self._trust.proof(b"answer", names, theirs, ours)))
            last = _exactly(connection, PROOF, until)
            if not hmac.compare_digest(last, self._trust.proof(b"last word", names, theirs, ours)):
                raise ConnectionRefusedError("it does not know the secret")
        except (OSError, ValueError) as error:
            # Said before the line is cut, so that whoever sees the end of it finds it logged. One that is gone was
            # refused nothing: a worker that was ended in the middle of its greeting, mostly.
            level = logging.DEBUG if isinstance(error, (ConnectionResetError, BrokenPipeError)) else logging.WARNING
            log.log(level, "worker %d refused %s: %s", self._worker, peer or "a local process", error)
            _shut(connection)
            raise
        return connection, sender


def _exactly(connection: socket.socket, length: int, until: float | None = None) -> bytes:
    """So many bytes, or an error when the other side ends before, or dribbles beyond the time that it has."""
    data = bytearray(length)
    view = memoryview(data)
    while view:
        if until is not None:
            connection.settimeout(max(0.001, until - time.monotonic()))
        count = connection.recv_into(view)
        if not count:
            raise ConnectionError("it hung up")
        view = view[count:]
    return bytes(data)


def _ready(connection: socket.socket, event: int) -> bool:
    """Whether there is something to read, or room to write a few bytes; also when the connection is broken."""
    poller = select.poll()
    try:
        poller.register(connection, event)
    except ValueError:  # closed
        return True
    return bool(poller.poll(0))


def _shut(connection: socket.socket) -> None:
    """Close a socket, and wake whoever reads from it."""
    with contextlib.suppress(OSError):  # never connected, or gone already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
