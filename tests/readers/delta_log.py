"""What a table's log says about its files, held against the files themselves.

Statistics are read from the log entries as they were written, not through a library that might correct them. A bound
may be wider than the data (timestamps are kept to the millisecond, long strings are cut), never narrower: a reader
would skip a file that holds what it looks for. Counts are exact.
"""

import datetime
import decimal
import json
import os
import time
import urllib.parse
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

READER_VERSION = 1
WRITER_VERSION = 2
ORPHAN = "part-orphan-planted-by-the-readers-check.parquet"
ORPHAN_AGE_SECONDS = 3600


def protocol_problems(path):
    """Every reader of the field reads protocol 1/2; more is a promise they may not keep."""
    protocol = deltalake.DeltaTable(path).protocol()
    versions = (protocol.min_reader_version, protocol.min_writer_version)
    if versions != (READER_VERSION, WRITER_VERSION):
        return [f"protocol {versions}, not {(READER_VERSION, WRITER_VERSION)}"]
    return []


def statistics_problems(path):
    """Differences between the statistics of the live files and what the files hold."""
    found = []
    written = written_statistics(path)
    for file in sorted(live_files(path)):
        statistics = written.get(file)
        if statistics is None:
            found.append(f"{file}: no log entry holds its statistics")
            continue
        # The file alone: a partition column is not in it and has no statistics.
        data = pyarrow.parquet.ParquetFile(Path(path) / file).read()
        if statistics.get("numRecords") != data.num_rows:
            found.append(f"{file}: numRecords {statistics.get('numRecords')}, but {data.num_rows} rows")
        found += [f"{file}: {problem}" for problem in column_problems(statistics, data)]
    return found


def written_statistics(path):
    """The last statistics each file was added with, by its path relative to the table."""
    written = {}
    for entry in sorted((Path(path) / "_delta_log").glob("*.json")):
        for line in entry.read_text("utf-8").splitlines():
            added = json.loads(line).get("add") if line.strip() else None
            if added:
                statistics = json.loads(added.get("stats") or "{}", parse_float=decimal.Decimal)
                written[urllib.parse.unquote(added["path"])] = statistics
    return written


def live_files(path):
    """The files of the newest version, relative to the table."""
    actions = pa.table(deltalake.DeltaTable(path).get_add_actions(flatten=True))
    return {urllib.parse.unquote(file) for file in actions.column("path").to_pylist()}


def column_problems(statistics, data):
    found = []
    for name in data.column_names:
        column = data.column(name)
        nulls = statistics.get("nullCount", {}).get(name)
        if isinstance(nulls, int) and nulls != column.null_count:
            found.append(f"{name}: nullCount {nulls}, but {column.null_count} nulls")
        for key, beyond in (("minValues", less), ("maxValues", greater)):
            bound = statistics.get(key, {}).get(name)
            if bound is None or isinstance(bound, dict) or column.null_count == len(column):
                continue
            smallest, largest = pc.min_max(column).as_py().values()
            actual = smallest if key == "minValues" else largest
            if beyond(actual, typed(bound, column.type)):
                found.append(f"{name}: {key} {bound} leaves out {actual}")
    return found


def less(actual, bound):
    return actual < bound


def greater(actual, bound):
    return actual > bound


def typed(bound, kind):
    """A bound as JSON holds it, as the Python value the column's values have."""
    if pa.types.is_timestamp(kind):
        moment = datetime.datetime.fromisoformat(bound.replace("Z", "+00:00"))
        return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(bound)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(str(bound))
    if pa.types.is_floating(kind):
        return float(bound)
    return bound


def vacuum_problems(path):
    """A foreign VACUUM (dry run) must list an orphan among the data and must not list a live file."""
    live = live_files(path)
    folder = Path(path) / Path(min(live)).parent if live else Path(path)
    orphan = folder / ORPHAN
    orphan.write_bytes(b"PAR1PAR1")
    try:
        old = time.time() - ORPHAN_AGE_SECONDS
        os.utime(orphan, (old, old))
        table = deltalake.DeltaTable(path)
        listed = table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False, full=True)
    finally:
        orphan.unlink()
    return vacuum_differences({urllib.parse.unquote(file) for file in listed}, live, str(orphan.relative_to(path)))


def vacuum_differences(listed, live, orphan):
    found = [f"VACUUM would delete the live file {file}" for file in sorted(listed & live)]
    if orphan not in listed:
        found.append(f"VACUUM does not see the orphan {orphan}")
    return found
