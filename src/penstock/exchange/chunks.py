"""What a worker's values may come as, and how each chunk of them becomes arrays of one kind, without nulls.

Arrow's arrays, and what pandas and Polars keep beside NumPy's types, go through Arrow: pandas makes floats of its
integers with nulls for NumPy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import UsageError
from penstock.exchange.dates import DAY_TIME, IN_UTC, date_kind, dates_as_numpy, times_as_numbers

__all__ = ["BATCH", "chunks_of", "sorted_out"]

Array = npt.NDArray[Any]

BATCH = 1 << 16  # values at a time, where they come one by one


def chunks_of(values: Any) -> Iterator[Any]:
    """The chunks of what was given; single values become chunks too."""
    if isinstance(values, (str, bytes, dict)) or not (_is_chunk(values) or isinstance(values, Iterable)):
        raise UsageError(f"a {type(values).__name__} is no list of values", "give an array, a list, or chunks of them")
    if _is_chunk(values) and not (isinstance(values, (list, tuple)) and values and _is_chunk(values[0])):
        yield values
        return
    batch: list[Any] = []
    for item in values:
        if _is_chunk(item):
            yield item
            continue
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def sorted_out(chunk: Any) -> tuple[int, list[tuple[str, Array]]]:
    """How many nulls are in a chunk, and the other values: an array for each kind."""
    if len(getattr(chunk, "shape", (0,))) != 1:  # also of a DataFrame or a table
        shape = " x ".join(map(str, chunk.shape)) or "no"
        raise UsageError(f"a {type(chunk).__name__} of {shape} values is no list of values", "give one column")
    if hasattr(chunk, "to_arrow"):
        chunk = chunk.to_arrow()
    elif _keeps_apart_from_numpy(chunk):
        chunk = _through_arrow(chunk)
    elif hasattr(chunk, "to_numpy") and not hasattr(chunk, "drop_null"):
        chunk = chunk.to_numpy()
    if hasattr(chunk, "drop_null"):
        return chunk.null_count, _of_arrow(chunk.drop_null())
    if not isinstance(chunk, np.ndarray):
        return _of_objects(list(chunk))
    nulls = 0
    if hasattr(chunk, "compressed"):  # a masked array; its module takes 30 ms to import, and few have one
        nulls = chunk.size - len(chunk.compressed())
        chunk = chunk.compressed()
    more, arrays = _of_numpy(chunk)
    return nulls + more, arrays


def _is_chunk(item: Any) -> bool:
    if isinstance(item, (list, tuple, np.ndarray)) or hasattr(item, "to_arrow") or hasattr(item, "drop_null"):
        return True
    # A Timestamp of pandas has a `to_numpy` too, and an extension array of pandas only a type and Arrow's protocol.
    return hasattr(item, "__len__") and (hasattr(item, "to_numpy") or hasattr(item, "__arrow_array__"))


# -- arrays ------------------------------------------------------------------------------------------------------------


def _keeps_apart_from_numpy(chunk: Any) -> bool:
    """Whether it is of pandas, and of a type that NumPy does not have. Sparse ones lose nothing in NumPy."""
    dtype = getattr(chunk, "dtype", None)
    is_sparse = hasattr(dtype, "fill_value")
    return type(chunk).__module__.split(".")[0] == "pandas" and not isinstance(dtype, np.dtype) and not is_sparse


def _through_arrow(chunk: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(chunk)
    except (pa.ArrowException, TypeError) as error:
        raise UsageError(
            f"values of type {chunk.dtype} cannot be counted here: {error}", "convert them to numbers, text or bytes"
        ) from error


def _of_arrow(column: Any) -> list[tuple[str, Array]]:
    """The values of an Arrow array that has no nulls."""
    import pyarrow as pa

    of = column.type
    if pa.types.is_dictionary(of):
        of = of.value_type
        column = column.cast(of)
    if pa.types.is_time(of):
        try:
            numbers = column.cast(pa.time64("us")).cast(pa.int64())
        except pa.ArrowInvalid:
            raise UsageError(
                "there are times of day that are finer than microseconds",
                "cast them to microseconds, or to whole numbers of nanoseconds",
            ) from None
        return [(DAY_TIME, np.asarray(numbers))]
    if isinstance(of, pa.BaseExtensionType) or pa.types.is_nested(of):
        raise UsageError(f"values of type {of} cannot be counted here", "convert them to numbers, text or bytes")
    zone = IN_UTC if pa.types.is_timestamp(of) and of.tz is not None else ""
    return [(kind + zone, array) for kind, array in _of_numpy(np.asarray(column))[1]]


def _of_numpy(array: Array) -> tuple[int, list[tuple[str, Array]]]:
    kind = array.dtype.kind
    if kind in "mM":
        there = array[~np.isnat(array)].astype(array.dtype.newbyteorder("="), copy=False)
        return len(array) - len(there), [(there.dtype.str[1:], there.view(np.int64))]
    if kind in "biuf":
        name = {"b": "bool", "f": "float"}.get(kind, "int")
        like = {"b": np.bool_, "i": np.int64, "u": np.uint64, "f": np.float64}[kind]
        return 0, [(name, array.astype(like, copy=False))]
    return _of_objects(array.tolist())


# -- values one by one -------------------------------------------------------------------------------------------------


def _of_objects(items: list[Any]) -> tuple[int, list[tuple[str, Array]]]:
    values = [item for item in items if not _is_null(item)]
    nulls = len(items) - len(values)
    by_type = {type_: _kind_of(type_) for type_ in set(map(type, values))}
    if "" in by_type.values():
        kinds = [by_type[type(value)] or date_kind(value) for value in values]
    else:
        kinds = [by_type[type(value)] for value in values] if len(set(by_type.values())) > 1 else []
    arrays: list[tuple[str, Array]] = []
    for kind in sorted(set(kinds) or set(by_type.values())):
        mine = [value for value, its in zip(values, kinds, strict=True) if its == kind] if kinds else values
        if kind == "int":
            arrays += _of_integers(list(map(int, mine)))
        elif kind == "text":
            arrays.append((kind, _objects([text.encode("utf-8", "surrogatepass") for text in mine])))
        elif kind == "bytes":
            arrays.append((kind, _objects(list(map(bytes, mine)))))
        elif kind in ("bool", "float"):
            arrays.append((kind, np.array(mine, np.bool_ if kind == "bool" else np.float64)))
        elif kind == DAY_TIME:
            arrays.append((kind, times_as_numbers(mine)))
        else:
            more, dates = _of_numpy(dates_as_numpy(kind, mine))
            nulls += more
            arrays += [(name + (IN_UTC if kind.endswith(IN_UTC) else ""), array) for name, array in dates]
    return nulls, arrays


def _of_integers(values: list[int]) -> Iterator[tuple[str, Array]]:
    try:
        yield "int", np.array(values, np.int64)
        return
    except OverflowError:
        small = [value for value in values if -(1 << 63) <= value < 1 << 63]
        large = [value for value in values if 1 << 63 <= value < 1 << 64]
        yield "int", np.array(small, np.int64)
        yield "int", np.array(large, np.uint64)
        yield "int", _objects([value for value in values if not -(1 << 63) <= value < 1 << 64])


def _objects(items: list[Any]) -> Array:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def _is_null(item: Any) -> bool:
    return item is None or type(item).__name__ in ("NAType", "NaTType", "MaskedConstant")


def _kind_of(type_: type) -> str:
    """The kind of a type; empty where `date_kind` knows the value's."""
    for kind, types in (
        ("", (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64)),  # NumPy's durations are integers too
        ("bool", (bool, np.bool_)),
        ("int", (int, np.integer)),
        ("float", (float, np.floating)),
        ("text", (str,)),
        ("bytes", (bytes, bytearray, memoryview)),
    ):
        if issubclass(type_, types):
            return kind
    raise UsageError(
        f"values of type {type_.__name__} cannot be counted here", "convert them to numbers, text or bytes"
    )
