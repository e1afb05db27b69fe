"""What goes to a worker and comes back, as bytes: plain values and arrays, without pickle.

A parcel is some JSON that says what stands where, then the raw bytes of texts, bytes and arrays. Reading one makes
values only and runs nothing; of classes it knows those that stand in `penstock.exchange`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from penstock.errors import UsageError

__all__ = ["packed", "unpacked"]

Form = list[Any]

DATES = (dt.date, dt.datetime, dt.time)


def packed(value: object) -> bytes:
    """The parcel of a value; an error that names the type which cannot go in."""
    bodies: list[bytes] = []
    form = json.dumps(_form(value, bodies)).encode()
    return b"".join((len(form).to_bytes(8, "little"), form, *bodies))


def unpacked(parcel: bytes) -> Any:
    """The value of a parcel."""
    start = 8 + int.from_bytes(parcel[:8], "little")
    return _value(json.loads(parcel[8:start]), _Reader(memoryview(parcel), start))


def _form(value: object, bodies: list[bytes]) -> Form:
    kind = type(value)
    if value is None or kind is bool:
        return ["plain", value]
    if kind is int:
        return ["int", str(value)]
    if kind is float:
        return ["float", value.hex()]  # type: ignore[attr-defined]
    if isinstance(value, (str, bytes, bytearray, PurePath)):
        data = value if isinstance(value, (bytes, bytearray)) else str(value).encode("utf-8", "surrogatepass")
        bodies.append(bytes(data))
        name = "path" if isinstance(value, PurePath) else "bytes" if data is value else "text"
        return [name, len(data)]
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(value)
        if not array.dtype.hasobject:
            bodies.append(array.tobytes())
            is_scalar = isinstance(value, np.generic)
            return ["scalar" if is_scalar else "array", array.dtype.str, list(np.shape(value)), array.nbytes]
        if kind is np.ndarray:
            return ["objects", list(array.shape), [_form(each, bodies) for each in array.ravel().tolist()]]
    if kind in DATES:
        return [kind.__name__, value.isoformat()]  # type: ignore[attr-defined]
    if kind is dt.timedelta:
        return ["timedelta", *map(int, (value.days, value.seconds, value.microseconds))]  # type: ignore[attr-defined]
    if kind in (list, tuple, set, frozenset):
        return [kind.__name__, [_form(each, bodies) for each in value]]  # type: ignore[attr-defined]
    if kind is dict:
        pairs = [[_form(key, bodies), _form(each, bodies)] for key, each in value.items()]  # type: ignore[attr-defined]
        return ["dict", pairs]
    if (fields := _fields(kind)) is not None:
        return ["ours", kind.__module__, kind.__name__, [_form(getattr(value, field), bodies) for field in fields]]
    if isinstance(value, tuple):
        return ["tuple", [_form(each, bodies) for each in value]]
    raise UsageError(
        f"a {kind.__name__} cannot go between workers",
        "give and return numbers, text, bytes, dates, paths, arrays, or lists, tuples, sets and dicts of them",
    )


def _fields(kind: type) -> Sequence[str] | None:
    """The fields of a named tuple or a data class of this exchange."""
    if not kind.__module__.startswith("penstock.exchange."):
        return None
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    fields: Sequence[str] | None = getattr(kind, "_fields", None)
    return fields


def _value(form: Form, reader: _Reader) -> Any:
    match form:
        case ["plain", value]:
            return value
        case ["int", digits]:
            return int(digits)
        case ["float", digits]:
            return float.fromhex(digits)
        case ["bytes", length]:
            return bytes(reader.take(length))
        case ["text", length]:
            return str(reader.take(length), "utf-8", "surrogatepass")
        case ["date" | "datetime" | "time" as name, written]:
            return next(kind for kind in DATES if kind.__name__ == name).fromisoformat(written)
        case ["timedelta", days, seconds, microseconds]:
            return dt.timedelta(days, seconds, microseconds)
        case ["path", length]:
            return PurePath(str(reader.take(length), "utf-8", "surrogatepass"))
        case ["array" | "scalar" as name, dtype, shape, length]:
            array = np.frombuffer(bytearray(reader.take(length)), dtype).reshape(shape)
            return array[()] if name == "scalar" else array
        case ["objects", shape, forms]:
            objects = np.empty(len(forms), object)
            objects[:] = [_value(each, reader) for each in forms]
            return objects.reshape(shape)
        case ["list" | "tuple" | "set" | "frozenset" as name, forms]:
            kinds: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
            return kinds[name](_value(each, reader) for each in forms)
        case ["dict", pairs]:
            return {_value(key, reader): _value(each, reader) for key, each in pairs}
        case ["ours", module, name, forms]:
            kind = getattr(importlib.import_module(module), name) if module.startswith("penstock.exchange.") else None
            if isinstance(kind, type) and _fields(kind) is not None:
                return kind(*(_value(each, reader) for each in forms))
    raise UsageError(f"a parcel holds what this version does not know: {form[:1]}", "run one version everywhere")


class _Reader:
    """The raw bytes behind the form, taken in order."""

    def __init__(self, data: memoryview, start: int) -> None:
        self._data = data
        self._start = start

    def take(self, length: int) -> memoryview:
        """The next bytes."""
        self._start += length
        return self._data[self._start - length : self._start]
