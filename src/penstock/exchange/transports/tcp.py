"""Workers that talk through TCP: with TLS, and only to those that know the run's secret.

`run` starts them on this machine; `join` is one worker of many machines, for whatever starts programs there.
"""

from __future__ import annotations

import datetime
import os
import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from penstock.errors import MissingExtra, UsageError
from penstock.exchange.transports.mesh import Address, Mesh, Trust
from penstock.exchange.transports.supervise import Plan, supervise
from penstock.exchange.world import World

__all__ = ["certify", "join", "run"]

P = TypeVar("P")
R = TypeVar("R")

Files = tuple[str | os.PathLike[str], str | os.PathLike[str]]


def run(
    fn: Callable[[P, World], R],
    parts: Sequence[P],
    *,
    secret: bytes | str | None = None,
    tls: bool | Files = True,
    host: str = "127.0.0.1",
    timeout: float = 60.0,
    checkpoint: str | os.PathLike[str] | None = None,
    restarts: int = 0,
    part_of: Callable[[int], P] | None = None,
    start: str = "fork",
) -> list[R]:
    """Run every worker in a process of its own on this machine, on free ports.

    Args:
        fn: What each does, as `fn(part, world)`; with checkpoint= it must do the same every time that it is started.
        parts: One for each worker.
        secret: What workers prove to know; made for the run when none is given.
        tls: Certificate and key files that all workers present and expect; True makes a pair for the run; False is for
            networks that nobody else can read or write, because the secret then guards the opening only.
        host: The address to listen at.
        timeout: Seconds that a worker waits for another before it gives up.
        checkpoint: A folder that keeps every phase; needed for the two that follow.
        restarts: How often a worker that dies is started again.
        part_of: `part_of(worker)` reads a part anywhere: a healthy worker takes over one that is lost for good.
        start: "fork" shares the parts with the workers; "spawn" where the calling process runs threads that hold locks.
    """
    listeners = [_listening(host, 0) for _ in parts]
    addresses: list[Address] = [listener.getsockname()[:2] for listener in listeners]
    key = secrets.token_bytes(32) if secret is None else _key(secret)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:  # mode 0700
        files = certify(folder) if tls is True else tls
        plan = Plan(
            fn,
            addresses,
            listeners,
            _Credentials(key, files or None),
            timeout=timeout,
            checkpoint=checkpoint,
            restarts=restarts,
            part_of=part_of,
            start=start,
        )
        return supervise(plan, parts)


@contextmanager
def join(
    worker_id: int,
    addresses: Sequence[tuple[str, int]],
    *,
    secret: bytes | str,
    tls: Files | None,
    timeout: float = 60.0,
    checkpoint: str | os.PathLike[str] | None = None,
    run: str = "",
) -> Iterator[World]:
    """The world of one worker of many machines, until the block ends; all leave it together.

    Args:
        worker_id: Which of the addresses is this worker's own.
        addresses: Host and port of every worker, the same list everywhere.
        secret: What workers prove to know.
        tls: Certificate and key files, the same everywhere (`certify` makes them); None as `tls=False` of `run`.
        timeout: Seconds that a worker waits for another before it gives up; at the start for it to come up.
        checkpoint: A folder that keeps every phase. When a worker was lost, start all of them again with it.
        run: A name that the messages of this run carry.
    """
    mesh = Mesh(
        worker_id,
        addresses,
        _listening(*addresses[worker_id]),
        _Credentials(_key(secret), tls)(),
        timeout=timeout,
    )
    world = World(
        worker_id,
        len(addresses),
        mesh.send,
        mesh.recv,
        timeout=None,
        checkpoint=checkpoint,
        run=run,
        buffered=True,
    )
    try:
        yield world
        world.reduce("the end", b"", lambda left, right: b"")  # nobody hangs up while another still needs him
    finally:
        mesh.close()


def certify(folder: str | os.PathLike[str]) -> Files:
    """Make a self-signed certificate and its key, valid for a week: the two files of `tls=`."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise MissingExtra.of("cryptography", "tls") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "penstock exchange")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = Path(folder, "certificate.pem"), Path(folder, "key.pem")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class _Credentials:
    """The secret and the files, until a worker makes its `Trust` of them: a TLS context cannot go between processes."""

    def __init__(self, secret: bytes, files: Files | None) -> None:
        self._secret = secret
        self._files = files

    def __call__(self) -> Trust:
        if self._files is None:
            return Trust(self._secret)
        return Trust(self._secret, self._context(ssl.PROTOCOL_TLS_SERVER), self._context(ssl.PROTOCOL_TLS_CLIENT))

    def _context(self, side: int) -> ssl.SSLContext:
        """Both sides present the run's certificate and accept no other."""
        certificate, key = self._files or ("", "")
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the certificate is the run's, not a host's
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(certificate)
        if side == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # a connection goes one way: nothing would read them
        return context


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


def _key(secret: bytes | str) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < 16:
        raise UsageError(f"a secret of {len(key)} bytes can be guessed", "give 16 or more: secrets.token_bytes(32)")
    return key
