"""Text files as lines: `Blocks` against bytes split plainly, and what it says of files that cannot be read."""

from __future__ import annotations

import gzip
import os
import random
import re
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.engines import lines
from penstock.engines.lines import Blocks

ROWS = "SELECT line FROM (SELECT unnest(string_split(block, chr(10))) AS line FROM b) WHERE line <> ''"

# Line ends, text of every width, and bytes that are not UTF-8 in every way: cut short, overlong, surrogates, too large.
BYTES = [
    b"\n", b"\r\n", b"\r", b"a", b"\x00", b" ", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xc2\x85", b"\xe2\x80\xa8",
    b"\xe9", b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf",
]  # fmt: skip


def read(*paths: Path) -> list[str]:
    """The lines of files, in order."""
    table = pa.table(Blocks([str(path) for path in paths]))
    return [line for block in table.column("block").to_pylist() for line in block.split("\n") if line]


def plainly(content: bytes) -> list[str]:
    """The same from the bytes."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    return [line.decode("utf-8", "replace") for line in re.split(rb"\r\n|\n|\r", content) if line]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 18])
def test_any_bytes_are_lines_wherever_the_blocks_break(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line ends, byte order marks and broken characters mean the same at every place of a block."""
    monkeypatch.setattr(lines, "BLOCK", size)
    rng = random.Random(size)
    for number in range(300):
        content = b"".join(rng.choices(BYTES, k=rng.randrange(40)))
        file = tmp_path / f"{number}.log"
        file.write_bytes(content)

        assert read(file) == plainly(content)


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_files_follow_each_other_compressed_or_not(ending: str, tmp_path: Path) -> None:
    """A last line needs no line end, a gzip file may have several members, and an empty file has no line."""
    pack = {"": bytes, ".gz": gzip.compress, ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}[ending]
    first, second, third = (tmp_path / f"{name}.log{ending}" for name in "abc")
    first.write_bytes(pack(b"one\ntwo") + pack(b" and a half") if ending == ".gz" else pack(b"one\ntwo and a half"))
    second.write_bytes(pack(b""))
    third.write_bytes(pack(b"\xef\xbb\xbfthree"))

    assert read(first, second, third) == ["one", "two and a half", "three"]


def test_every_scan_reads_the_files_anew(tmp_path: Path) -> None:
    """A relation over the files can run twice, and sees what has been written meanwhile."""
    file = tmp_path / "a.log"
    file.write_text("one\n")
    with duckdb.connect() as connection:
        relation = connection.from_arrow(Blocks([str(file)])).query("b", ROWS)

        assert relation.fetchall() == [("one",)]
        file.write_text("one\ntwo\n")
        assert relation.fetchall() == [("one",), ("two",)]


def test_no_file_is_opened_before_the_relation_runs(tmp_path: Path) -> None:
    """Making a relation is lazy: it can be planned over files that are not there yet."""
    file = tmp_path / "later.log"
    with duckdb.connect() as connection:
        relation = connection.from_arrow(Blocks([str(file)])).query("b", ROWS)
        file.write_text("one")

        assert relation.fetchall() == [("one",)]


def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    """A named pipe gives short reads; lines that cross them stay whole."""
    pipe = tmp_path / "pipe.log"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as out:
            for part in (b"\xef\xbb\xbfon", b"e\nt", b"w", b"o\r", b"\nthree"):
                out.write(part)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = read(pipe)
    writer.join()

    assert found == ["one", "two", "three"]


def test_a_line_longer_than_the_blocks_is_whole(tmp_path: Path) -> None:
    """A line of some megabytes is one line."""
    file = tmp_path / "a.log"
    file.write_bytes(b"one\n" + b"x" * 5_000_000 + b"\ntwo")

    assert list(map(len, read(file))) == [3, 5_000_000, 3]


def test_a_line_beyond_the_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends a line is no text file, and is not gathered in memory for ever."""
    monkeypatch.setattr(lines, "LONGEST", 3 << 20)
    file = tmp_path / "a.log"
    file.write_bytes(b"one\n" + bytes(4 << 20) + b"\ntwo")

    with pytest.raises(pa.ArrowInvalid, match=r"a\.log has a line of more than 3 MB; is it a text file\?"):
        read(file)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_compressed_file_cut_short_is_an_error(ending: str, tmp_path: Path) -> None:
    """The lines before the cut are not passed off as the whole file."""
    content = b"one\n" * 10_000
    packed = gzip.compress(content) if ending == ".gz" else pa.compress(content, "zstd", asbytes=True)
    file = tmp_path / f"a.log{ending}"
    file.write_bytes(packed[:-6])

    with pytest.raises(pa.ArrowInvalid, match=r"cannot read .*Truncated compressed stream; the file may be cut short"):
        read(file)


def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path: Path) -> None:
    """Plain text named .gz is refused by name."""
    file = tmp_path / "a.log.gz"
    file.write_text("one\n")

    with pytest.raises(pa.ArrowInvalid, match=r"cannot read .*a\.log\.gz: .*header"):
        read(file)
