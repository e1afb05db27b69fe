r"""Text files as lines, for the embedded engine: what Spark has in `spark.read.text`.

Lines end in \n, \r\n or \r, and bytes that are not UTF-8 become U+FFFD, the replacement character. DuckDB has no reader
for lines. Its CSV reader can be made into one (a newline as the delimiter, no quotes) and is as fast, but it refuses
bytes that are not UTF-8, some of them even as Latin-1, and can lose a line that is longer than its buffer without a
word (DuckDB 2.0.0).
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa

from penstock.engines.files import filesystem, is_remote
from penstock.errors import InputError

__all__ = ["Blocks"]

SCHEMA = pa.schema({"block": pa.string(), "file": pa.string(), "first": pa.int64()})
CODECS = {".gz": "gzip", ".zst": "zstd"}
BLOCK = 1 << 18  # bytes: about one DuckDB vector of log lines; half or twice as many cost the same
LONGEST = 64 << 20  # bytes of a line


class Blocks:
    r"""The files as an Arrow stream, read anew by every scan.

    A row is a `block`, a text of whole lines, each with its \n but for a file's last; the `file` that it stands in, as
    it was named; and the number there of its `first` line, from 1.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's PyCapsule protocol; no file is opened before the first batch is asked for."""
        batches = (batch for path in self.paths for batch in _batches(path))
        return pa.RecordBatchReader.from_batches(SCHEMA, batches).__arrow_c_stream__(requested_schema)


def _batches(path: str) -> Iterator[pa.RecordBatch]:
    first, returned = 1, False  # whether the block before ended in \r: a \n that follows belongs to it
    for lines in _whole_lines(path):
        text = lines.removeprefix(b"\n") if returned else lines
        returned = lines.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield pa.record_batch([_text(text), [path], [first]], SCHEMA)
        first += text.count(b"\n")


def _whole_lines(path: str) -> Iterator[bytes]:
    begun: list[bytes] = []  # what the last blocks hold of a line that goes on
    mark = codecs.BOM_UTF8
    try:
        with _open(path) as file:
            while block := file.read(BLOCK):
                if end := max(block.rfind(b"\n"), block.rfind(b"\r")) + 1:
                    yield b"".join([*begun, block[:end]]).removeprefix(mark)
                    begun, mark = [], b""
                begun.append(block[end:])
                if sum(map(len, begun)) > LONGEST:
                    raise InputError(f"{path} has a line of more than {LONGEST >> 20} MB", "is it a text file?")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}", "the file may be cut short or compressed otherwise") from error
    yield b"".join(begun).removeprefix(mark)


def _open(path: str) -> IO[bytes]:
    file: IO[bytes] = filesystem(path).open(path) if is_remote(path) else open(path, "rb", buffering=0)  # noqa: SIM115
    codec = next((codec for ending, codec in CODECS.items() if path.endswith(ending)), None)
    stream: IO[bytes] = pa.input_stream(file, compression=codec) if codec else file
    return stream


def _text(lines: bytes) -> pa.Array:
    offsets = struct.pack("=ii", 0, len(lines))
    text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(lines)])
    try:
        text.validate(full=True)  # 25 GB/s; to decode and to encode again, 1 GB/s
    except pa.ArrowInvalid:
        return _text(lines.decode("utf-8", "replace").encode())
    return text
