"""Usage: read_tables.py LAKE

Reads every Delta table below the folder LAKE with deltalake for Python, DuckDB and Polars, and compares: schemas,
row counts, and a checksum of every value. Also held to account: the protocol, the statistics of every file, finding
the smallest and largest value of each column (which goes through statistics and partition folders), and what a
foreign VACUUM would delete. Prints one line per check and `N passed, N failed` last; exits 1 if anything failed.
"""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from canonical import differences, reading
from delta_log import protocol_problems, statistics_problems, vacuum_problems
from engines import engines

PROBLEMS_SHOWN_MAX = 8


class Account:
    """Counts checks and prints each as it ends."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, label, run):
        """Runs a check that returns its problems; an exception is one."""
        try:
            problems = run()
        except Exception as error:  # another program's failure is the finding, whatever its kind
            problems = [f"{type(error).__name__}: {error}"]
        if problems:
            self.failed += 1
            shown = problems[:PROBLEMS_SHOWN_MAX]
            more = len(problems) - len(shown)
            print(f"FAILED {label}: " + "; ".join(shown) + (f"; and {more} more" if more else ""))
        else:
            self.passed += 1
            print(f"ok     {label}")

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1


def tables(lake):
    """The folders that hold a Delta log, in order of their names."""
    found = []
    for folder, below, _ in os.walk(lake):
        if "_delta_log" in below:
            found.append(Path(folder))
            below.clear()
    return sorted(found)


def check_table(account, path, label, readers):
    """All checks of one table."""
    first, *others = readers
    read = {}

    def whole():
        read["table"] = first.read(path)
        read["reading"] = reading(read["table"])
        return []

    account.check(f"{label} is read by {first.name}", whole)
    account.check(f"{label} has protocol 1/2", lambda: protocol_problems(path))
    account.check(f"{label} has true statistics", lambda: statistics_problems(path))
    account.check(f"{label} keeps its files in a foreign VACUUM", lambda: vacuum_problems(path))
    if not read:
        return
    for other in others:
        same = f"{label} is the same in {other.name} ({read['reading'].rows} rows)"
        account.check(same, lambda other=other: differences(read["reading"], reading(other.read(path))))
    for engine in readers:
        found = f"{label}: {engine.name} finds the ends of every column"
        account.check(found, lambda engine=engine: lost_ends(engine, path, read["table"]))


def lost_ends(engine, path, table):
    """Smallest and largest values an engine does not find again when it may skip files."""
    lost = []
    for field in table.schema:
        if not is_skippable(field.type):
            continue
        column = table.column(field.name)
        for end in pc.min_max(column).as_py().values():
            if end is None:
                continue
            wanted = pc.sum(pc.equal(column, pa.scalar(end, field.type))).as_py()
            got = engine.count_equal(path, field.name, end, field.type)
            if got != wanted:
                lost.append(f"{field.name} = {end}: {got} rows, not {wanted}")
    return lost


def is_skippable(kind):
    """Types whose equality is exact and for which statistics are kept."""
    checks = (pa.types.is_string, pa.types.is_integer, pa.types.is_timestamp, pa.types.is_date, pa.types.is_decimal)
    return any(check(kind) for check in checks)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    lake = Path(arguments[0]).resolve()
    account = Account()
    found = tables(lake)
    account.check(f"{lake} holds tables", lambda: [] if found else ["no folder with a _delta_log below it"])
    readers = engines()
    for path in found:
        check_table(account, path, str(path.relative_to(lake)).replace("/", "."), readers)
    return account.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
