"""Tables of a key `k` and a value `v`, whose keys differ in number, skew, type and order."""

from __future__ import annotations

from pathlib import Path

from bench import data

__all__ = ["LAYOUTS", "laid_out"]

U = "hash(i, 0, 1) / 18446744073709551616.0"
#: The key as SQL over row i of {rows}, and the order of the rows.
LAYOUTS = {
    "uniform numbers": (f"floor({U} * {{rows}} / 10)::bigint", ""),
    "zipf numbers": (f"floor(pow({U}, 3) * {{rows}} / 10)::bigint", ""),
    "zipf text": (f"'key ' || floor(pow({U}, 4) * {{rows}} / 20)::bigint", ""),
    "few text": (f"'group ' || floor({U} * 200)::bigint", ""),
    "clustered numbers": (f"floor({U} * {{rows}} / 10)::bigint", "order by k"),
    "clustered text": (f"'key ' || lpad(floor({U} * {{rows}} / 50)::bigint::varchar, 9, '0')", "order by k"),
    "nearly unique": ("hash(i, 3, 1) // 2", ""),
}


def laid_out(name: str, rows: int) -> Path:
    """The Parquet file of one of them."""
    key, order = LAYOUTS[name]
    path = data.FOLDER / f"keys-{name.replace(' ', '-')}-{rows}.parquet"
    if not path.exists():
        data.FOLDER.mkdir(parents=True, exist_ok=True)
        value = "round(hash(i, 6, 1) / 18446744073709551616.0 * 1000, 2)"
        data.write(f"select {key.format(rows=rows)} as k, {value} as v from range({rows}) as r(i) {order}", path)
    return path
