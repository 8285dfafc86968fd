"""One text for one value, whichever engine read it.

Three engines give the same table with different Arrow types for the same thing: large strings, views, dictionaries,
other names for list items. This module reduces types to names and values to texts that are equal exactly when the
Delta values are, adds the hashes of the texts up without regard to order, and says where two readings differ.

It never rounds: floats are compared bit for bit, decimals with their scale, timestamps to the microsecond.
"""

import datetime
import decimal
import hashlib
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

HASH_BYTES = 16
EXAMPLES_MAX = 3
UTC_NAMES = {"UTC", "Etc/UTC", "+00:00"}


@dataclass(frozen=True)
class Reading:
    """What one engine read: `types` and `texts` by column in the table's order, `whole` over complete rows."""

    rows: int
    types: dict
    texts: dict
    checksums: dict
    whole: int


def reading(table):
    """The reading of an Arrow table, independent of the order of its rows."""
    types = {field.name: type_name(field.type) for field in table.schema}
    texts = {name: [text_of(value) for value in table.column(name).to_pylist()] for name in table.column_names}
    checksums = {name: checksum(column) for name, column in texts.items()}
    rows = ["\x1f".join(row) for row in zip(*texts.values())]
    return Reading(table.num_rows, types, texts, checksums, checksum(rows))


def type_name(kind):
    """The Delta-like name of an Arrow type; names of list items, nullability and encodings don't count."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)},{type_name(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name}:{type_name(field.type)}" for field in kind) + ">"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "binary"
    if pa.types.is_timestamp(kind):
        zone = "UTC" if kind.tz in UTC_NAMES else str(kind.tz)
        return f"timestamp[{kind.unit},{zone}]"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return str(kind)


def text_of(value):
    """A text that two values share exactly if they are equal and of the same kind."""
    if value is None:
        return "~"
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{value.hex()}"
    if isinstance(value, str):
        return f"s{value!r}"
    if isinstance(value, bytes):
        return f"x{value.hex()}"
    if isinstance(value, decimal.Decimal):
        return f"d{value:f}"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return f"t{value.isoformat()} without a zone"
        return f"t{value.astimezone(datetime.timezone.utc).isoformat()}"
    if isinstance(value, datetime.date):
        return f"D{value.isoformat()}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}={text_of(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(text_of(item) for item in value) + "]"
    raise TypeError(f"no canonical text for {type(value).__name__}; add it to canonical.py")


def checksum(texts):
    """The sum of the texts' hashes: the same for any order, different for a lost, doubled or changed text."""
    total = 0
    for text in texts:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES)
        total += int.from_bytes(digest.digest(), "big")
    return total % (1 << (8 * HASH_BYTES))


def differences(reference, other):
    """What differs, one line each; none if both readings are of the same table."""
    found = []
    if reference.rows != other.rows:
        found.append(f"{reference.rows} rows against {other.rows}")
    if list(reference.types) != list(other.types):
        found.append(f"columns {list(reference.types)} against {list(other.types)}")
    for name in reference.types.keys() & other.types.keys():
        if reference.types[name] != other.types[name]:
            found.append(f"{name}: type {reference.types[name]} against {other.types[name]}")
        if reference.checksums[name] != other.checksums[name]:
            found.append(f"{name}: {examples(reference.texts[name], other.texts[name])}")
    if not found and reference.whole != other.whole:
        found.append("every column has the same values, but they belong to other rows")
    return found


def examples(reference, other):
    """Some of the values that only one side has, with how often it has more of them."""
    mine, theirs = Counter(reference), Counter(other)
    sides = []
    for left, right, label in ((mine, theirs, "only in the first"), (theirs, mine, "only in the second")):
        extra = left - right
        shown = ", ".join(f"{text[:60]} ×{count}" for text, count in sorted(extra.items())[:EXAMPLES_MAX])
        sides.append(f"{sum(extra.values())} {label}" + (f" ({shown})" if shown else ""))
    return "; ".join(sides)
