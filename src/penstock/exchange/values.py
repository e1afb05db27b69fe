"""What values are, and how they become keys: unsigned numbers in the order of the values, or byte strings.

A worker's values come as an array, a list or an iterable of such chunks: integers of any size, floats, booleans, dates
and times, strings, bytes. Nulls (None, NaT, masked, Arrow's and pandas') are skipped and counted. NaN equals NaN and is
above every number, -0.0 is 0.0, strings compare by their UTF-8 bytes.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import PenstockError, UsageError
from penstock.exchange.chunks import BATCH, chunks_of, sorted_out
from penstock.exchange.dates import from_number
from penstock.exchange.shelf import Shelf, Strings
from penstock.exchange.world import World

__all__ = ["EXACT", "Domain", "Held", "agree", "agree_on_numbers", "hold", "sorted_strings"]

Array = npt.NDArray[Any]

SIGN = np.uint64(1 << 63)
ENTRY = 160  # bytes that a string takes in a Counter, beside its letters
EXACT = 1 << 53  # integers up to here are floats too

#: The kinds that have one meaning together, and which.
TOGETHER = {frozenset(("bool", "int")): "int", frozenset(("float", "int")): "float"}


@dataclass
class Held:
    """The values of one worker, without nulls."""

    kinds: set[str] = field(default_factory=set)
    arrays: list[Array] = field(default_factory=list)  # int64, uint64, float64, bool
    tally: Counter[Any] = field(default_factory=Counter)  # byte strings, and integers that no 64 bits hold
    pieces: list[tuple[Strings, Array]] = field(default_factory=list)  # strings in files, each with its counts
    nulls: int = 0
    rows: int = 0
    least: int | None = None
    greatest: int | None = None
    wrong: str = ""

    def add(self, kind: str, values: Array, shelf: Shelf) -> None:
        """Take a chunk of one kind."""
        self.kinds.add(kind)
        self.rows += len(values)
        if values.dtype.kind in "iu" or kind == "int":
            least, greatest = int(values.min()), int(values.max())
            self.least = least if self.least is None else min(least, self.least)
            self.greatest = greatest if self.greatest is None else max(greatest, self.greatest)
        if values.dtype.kind == "O":
            self.tally.update(values.tolist())
            length = sum(map(len, values)) / len(values) if kind != "int" else 0
            if kind != "int" and not shelf.holds(len(self.tally) * (length + ENTRY)):
                strings, counts = sorted_strings(self.tally)
                column = shelf.strings()
                column.add(strings)
                self.pieces.append((column.array(), counts))
                self.tally.clear()
        else:
            self.arrays.append(values)


@dataclass(frozen=True)
class Domain:
    """What the values of all workers are."""

    kind: str  # "" where there are none
    bits: int  # of a key; 0 where keys are byte strings
    least: int  # the value of key 0, where values are integers
    greatest: int
    width: int  # bytes of a key where integers are beyond 64 bits
    rows: int
    most: int  # rows of the worker that has most
    nulls: int

    @property
    def numeric(self) -> bool:
        """Whether values can be added and halved."""
        return self.kind in ("bool", "int", "float")

    def blocks(self, held: Held) -> Iterator[npt.NDArray[np.uint64]]:
        """The keys of a worker's arrays, in no order, a few at a time: new arrays that may be changed."""
        for values in held.arrays:
            for start in range(0, len(values), BATCH):
                block = values[start : start + BATCH]
                if self.kind == "float":
                    yield _float_keys(block.astype(np.float64))
                else:
                    keys = block.astype(np.int64) if block.dtype == np.bool_ else block
                    yield keys.view(np.uint64) - np.uint64(self.least % (1 << 64))

    def strings(self, held: Held) -> Counter[bytes]:
        """The keys of a worker as byte strings, and how often each occurs."""
        if self.kind != "int":
            return held.tally
        tally: Counter[int] = held.tally.copy()
        for values in held.arrays:
            tally.update(map(int, values.tolist()))
        return Counter({(value - self.least).to_bytes(self.width, "big"): n for value, n in tally.items()})

    def numbers(self, held: Held, origin: Any = 0) -> Iterator[npt.NDArray[np.float64]]:
        """The values as floats, for sums: distances from an origin that lies between 0 and all of them."""
        for values in held.arrays:
            if self.kind == "float" or not origin:
                yield (
                    values.astype(np.float64, copy=False) - origin if origin else values.astype(np.float64, copy=False)
                )
            else:  # all are on one side of 0, and distances fit into 64 bits without a sign
                start = np.uint64(origin % (1 << 64))
                away = values.astype(np.uint64) - start if origin > 0 else start - values.astype(np.uint64)
                yield away.astype(np.float64) * (1 if origin > 0 else -1)
        if held.tally:
            yield np.array([float(value - origin) for value in held.tally.elements()])

    def value(self, key: Any) -> Any:
        """The value of a key, as Python has it."""
        if self.kind in ("text", "bytes"):
            return key.decode("utf-8", "surrogatepass") if self.kind == "text" else bytes(key)
        if self.kind == "float":
            return float(_floats(np.array([key], np.uint64))[0])
        value = self.least + (int.from_bytes(key, "big") if self.width else int(key))
        if self.kind in ("bool", "int"):
            return bool(value) if self.kind == "bool" else value
        return from_number(self.kind, value)


def sorted_strings(tally: Counter[bytes]) -> tuple[Array, Array]:
    """Byte strings in order, and how often each occurs."""
    keys = np.empty(len(tally), object)
    keys[:] = sorted(tally)
    return keys, np.fromiter(map(tally.__getitem__, keys), np.uint64, len(keys))


def hold(values: Any, shelf: Shelf) -> Held:
    """Read a worker's values. What is wrong with them is kept for `agree`, so that all workers stop together."""
    held = Held()
    try:
        for chunk in chunks_of(values):
            nulls, arrays = sorted_out(chunk)
            held.nulls += nulls
            for kind, array in arrays:
                if len(array):
                    held.add(kind, array if array is values else shelf.keep(array), shelf)
    except PenstockError as error:
        held.wrong = str(error)
    return held


def agree(held: Held, world: World) -> Domain:
    """Look at what all workers have; an error of one of them is raised on every one."""
    mine = {
        "kinds": sorted(held.kinds),
        "rows": held.rows,
        "most": held.rows,
        "nulls": held.nulls,
        "least": held.least,
        "greatest": held.greatest,
        "wrong": f"the values of worker {world.id}: {held.wrong}" if held.wrong else "",
    }
    all_ = json.loads(world.reduce("kinds", json.dumps(mine).encode(), _both))
    if all_["wrong"]:
        raise UsageError(all_["wrong"])
    kinds = all_["kinds"]
    kind = kinds[0] if len(kinds) == 1 else TOGETHER.get(frozenset(kinds), "")
    if kinds and not kind:
        raise UsageError(f"the workers have values of unlike kinds: {', '.join(kinds)}", "convert them to one kind")
    least, greatest = all_["least"] or 0, all_["greatest"] or 0
    if kind == "float" and len(kinds) > 1 and not -EXACT <= least <= greatest <= EXACT:
        raise UsageError("some values are floats, others are integers that no float is", "convert them to one kind")
    if kinds == ["bool", "int"]:
        least, greatest = min(least, 0), max(greatest, 1)
    if kind == "bool":
        least, greatest = 0, 1
    bits = 64 if kind == "float" else 0 if kind in ("text", "bytes") else max(1, (greatest - least).bit_length())
    in_tally = kind == "int" and not -(1 << 63) <= least <= greatest < 1 << 64
    width = -(-bits // 8) if bits > 64 or in_tally else 0
    return Domain(kind, 0 if width else bits, least, greatest, width, all_["rows"], all_["most"], all_["nulls"])


def agree_on_numbers(held: Held, world: World) -> Domain:
    """As `agree`, where values have to be numbers that can be added up."""
    domain = agree(held, world)
    if domain.rows and not domain.numeric:
        raise UsageError(f"values of {domain.kind} cannot be added up", "give numbers")
    if domain.kind == "int" and max(-domain.least, domain.greatest) > sys.float_info.max:
        raise UsageError("some integers are larger than any float", "divide them first")
    return domain


def _both(one: bytes, other: bytes) -> bytes:
    a, b = json.loads(one), json.loads(other)
    leasts = [part["least"] for part in (a, b) if part["least"] is not None]
    greatests = [part["greatest"] for part in (a, b) if part["greatest"] is not None]
    return json.dumps(
        {
            "kinds": sorted({*a["kinds"], *b["kinds"]}),
            "rows": a["rows"] + b["rows"],
            "most": max(a["most"], b["most"]),
            "nulls": a["nulls"] + b["nulls"],
            "least": min(leasts, default=None),
            "greatest": max(greatests, default=None),
            "wrong": a["wrong"] or b["wrong"],
        }
    ).encode()


# -- floats ------------------------------------------------------------------------------------------------------------


def _float_keys(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Bits in the order of the numbers: negative ones reversed, NaN on top."""
    keys: npt.NDArray[np.uint64] = (values + 0.0).view(np.uint64)  # adding makes 0.0 of -0.0
    keys[np.isnan(values)] = np.array(np.nan).view(np.uint64)
    keys ^= np.where(values < 0, np.uint64(2**64 - 1), SIGN)
    return keys


def _floats(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return np.where(keys >= SIGN, keys ^ SIGN, ~keys).view(np.float64)
