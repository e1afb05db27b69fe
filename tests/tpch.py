"""TPC-H for tests: its 22 queries, and tables of its schema that are tiny, so that nothing is downloaded.

The queries stand in `optimising/tpch/`, one file each, in the dialect of DuckDB as a user would write them, with the
parameters of the validation run that the specification has. The values of the tiny tables are drawn from few, those
that the queries ask for among them, so that every query finds rows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["QUERIES", "SCHEMAS", "tables_of", "tiny"]

#: q01 … q22 and their SQL.
QUERIES = {file.stem: file.read_text() for file in sorted(Path(__file__).parent.glob("optimising/tpch/q*.sql"))}

_KEY, _NUMBER, _MONEY, _TEXT, _DATE = pa.int64(), pa.int32(), pa.decimal128(15, 2), pa.string(), pa.date32()

#: Columns and types as `tpchgen-cli parquet` writes them.
SCHEMAS = {
    "region": {"r_regionkey": _KEY, "r_name": _TEXT, "r_comment": _TEXT},
    "nation": {"n_nationkey": _KEY, "n_name": _TEXT, "n_regionkey": _KEY, "n_comment": _TEXT},
    "supplier": {
        "s_suppkey": _KEY, "s_name": _TEXT, "s_address": _TEXT, "s_nationkey": _KEY, "s_phone": _TEXT,
        "s_acctbal": _MONEY, "s_comment": _TEXT,
    },
    "customer": {
        "c_custkey": _KEY, "c_name": _TEXT, "c_address": _TEXT, "c_nationkey": _KEY, "c_phone": _TEXT,
        "c_acctbal": _MONEY, "c_mktsegment": _TEXT, "c_comment": _TEXT,
    },
    "part": {
        "p_partkey": _KEY, "p_name": _TEXT, "p_mfgr": _TEXT, "p_brand": _TEXT, "p_type": _TEXT, "p_size": _NUMBER,
        "p_container": _TEXT, "p_retailprice": _MONEY, "p_comment": _TEXT,
    },
    "partsupp": {
        "ps_partkey": _KEY, "ps_suppkey": _KEY, "ps_availqty": _NUMBER, "ps_supplycost": _MONEY, "ps_comment": _TEXT,
    },
    "orders": {
        "o_orderkey": _KEY, "o_custkey": _KEY, "o_orderstatus": _TEXT, "o_totalprice": _MONEY, "o_orderdate": _DATE,
        "o_orderpriority": _TEXT, "o_clerk": _TEXT, "o_shippriority": _NUMBER, "o_comment": _TEXT,
    },
    "lineitem": {
        "l_orderkey": _KEY, "l_partkey": _KEY, "l_suppkey": _KEY, "l_linenumber": _NUMBER, "l_quantity": _MONEY,
        "l_extendedprice": _MONEY, "l_discount": _MONEY, "l_tax": _MONEY, "l_returnflag": _TEXT,
        "l_linestatus": _TEXT, "l_shipdate": _DATE, "l_commitdate": _DATE, "l_receiptdate": _DATE,
        "l_shipinstruct": _TEXT, "l_shipmode": _TEXT, "l_comment": _TEXT,
    },
}  # fmt: skip


def tables_of(sql: str) -> list[str]:
    """The tables that a query names."""
    return [name for name in SCHEMAS if re.search(rf"\b{name}\b", sql)]


def tiny(folder: Path, seed: int = 1) -> dict[str, Path]:
    """The eight tables, of at most some hundreds of rows, as Parquet files in a folder; the same in every run."""
    files = {}
    for name, rows in _rows(random.Random(seed)).items():
        schema = pa.schema([pa.field(column, kind, nullable=False) for column, kind in SCHEMAS[name].items()])
        columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
        files[name] = folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), files[name])
    return files


# -- rows --------------------------------------------------------------------------------------------------------------

_REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
_NATIONS = [
    ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
    ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0),
    ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2),
    ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
]  # fmt: skip
_NAMED = [2, 3, 6, 7, 8, 20, 21]  # the nations that queries ask for, and two of Asia
_WORDS = [
    "forest", "green", "ivory", "lemon", "special", "express", "requests", "Customer", "Complaints", "pending", "sleep",
]  # fmt: skip
_SEGMENTS = ["AUTOMOBILE", "BUILDING", "MACHINERY"]
_BRANDS = ["Brand#12", "Brand#23", "Brand#34", "Brand#45"]
_TYPES = ["ECONOMY ANODIZED STEEL", "PROMO BRUSHED COPPER", "MEDIUM POLISHED TIN", "STANDARD PLATED BRASS"]
_CONTAINERS = ["SM CASE", "MED BOX", "LG PACK"]
_SIZES = [3, 9, 15, 49]
_PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "5-LOW"]
_HOW = ["DELIVER IN PERSON", "COLLECT COD", "NONE"]
_MODES = ["AIR", "AIR REG", "MAIL", "SHIP", "TRUCK"]
_SUPPLIERS, _CUSTOMERS, _PARTS, _ORDERS = 30, 90, 80, 400
_TODAY = date(1995, 6, 17)  # the specification's: what is shipped later is open

Rows = list[tuple[Any, ...]]


def _rows(chance: random.Random) -> dict[str, Rows]:
    offers = {part: chance.sample(range(1, _SUPPLIERS + 1), 4) for part in range(1, _PARTS + 1)}
    orders, lines = _sales(chance, offers)
    return {
        "region": [(key, name, _text(chance)) for key, name in enumerate(_REGIONS)],
        "nation": [(key, name, region, _text(chance)) for key, (name, region) in enumerate(_NATIONS)],
        "supplier": [
            (key, f"Supplier#{key:09}", _text(chance), nation, _phone(chance, nation), _money(chance, -999, 9999), said)
            for key, nation, said in _people(chance, _SUPPLIERS)
        ],
        "customer": [
            (
                key, f"Customer#{key:09}", _text(chance), nation, _phone(chance, nation), _money(chance, -999, 9999),
                chance.choice(_SEGMENTS), said,
            )
            for key, nation, said in _people(chance, _CUSTOMERS)
        ],
        "part": [
            (
                key, _text(chance), f"Manufacturer#{key % 5 + 1}", chance.choice(_BRANDS), chance.choice(_TYPES),
                chance.choice(_SIZES), chance.choice(_CONTAINERS), _money(chance, 900, 2000), _text(chance),
            )
            for key in offers
        ],
        "partsupp": [
            (part, supplier, chance.randint(1, 9999), _money(chance, 1, 1000), _text(chance))
            for part, suppliers in offers.items()
            for supplier in suppliers
        ],
        "orders": orders,
        "lineitem": lines,
    }  # fmt: skip


def _sales(chance: random.Random, offers: dict[int, list[int]]) -> tuple[Rows, Rows]:
    orders: Rows = []
    lines: Rows = []
    for order in range(1, _ORDERS + 1):
        customer = chance.choice([key for key in range(1, _CUSTOMERS + 1) if key % 3])  # a third buys nothing
        day = date(1992, 1, 1) + timedelta(chance.randrange(2400))
        own = list(_lines(chance, order, day, offers))
        shipped = {line[9] for line in own}
        status = shipped.pop() if len(shipped) == 1 else "P"
        price = sum(line[5] for line in own)
        orders.append(
            (order, customer, status, price, day, chance.choice(_PRIORITIES), f"Clerk#{order:09}", 0, _text(chance))
        )
        lines.extend(own)
    return orders, lines


def _lines(chance: random.Random, order: int, day: date, offers: dict[int, list[int]]) -> Iterator[tuple[Any, ...]]:
    large = chance.random() < 0.1  # an order of more than 300 pieces
    for number in range(1, 8 if large else chance.randint(1, 4)):
        part = chance.choice(list(offers))
        pieces = chance.randint(45, 50) if large else chance.choice([1, chance.randint(1, 50)])
        ship, commit = (day + timedelta(chance.randint(*days)) for days in [(1, 121), (30, 90)])
        receipt = ship + timedelta(chance.randint(1, 30))
        status = "O" if ship > _TODAY else "F"
        flag = "N" if receipt > _TODAY else chance.choice("RA")
        discount, tax = (Decimal(chance.randint(0, most)).scaleb(-2) for most in (10, 8))
        yield (
            order, part, chance.choice(offers[part]), number, Decimal(pieces), pieces * _money(chance, 900, 2000),
            discount, tax, flag, status, ship, commit, receipt, chance.choice(_HOW), chance.choice(_MODES),
            _text(chance),
        )  # fmt: skip


def _people(chance: random.Random, count: int) -> Iterator[tuple[int, int, str]]:
    for key in range(1, count + 1):
        yield key, chance.choice([*_NAMED, chance.randrange(25)]), _text(chance)


def _phone(chance: random.Random, nation: int) -> str:
    return f"{nation + 10}-{chance.randint(100, 999)}-{chance.randint(100, 999)}-{chance.randint(1000, 9999)}"


def _money(chance: random.Random, least: int, most: int) -> Decimal:
    return Decimal(chance.randint(least * 100, most * 100)).scaleb(-2)


def _text(chance: random.Random) -> str:
    return " ".join(chance.sample(_WORDS, 5))
