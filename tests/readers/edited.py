"""Usage: edited.py WATERTIGHT LAKE

Edits copies of a lake's tables by hand, as one does with deltalake for Python, and has `watertight verify` look at them: a
row that was changed or deleted must be named to the offset, a data file that was removed must be named, and a table that
was only compacted must balance. Prints one line per check and `N passed, N failed` last; exits 1 if anything failed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deltalake import DeltaTable

from read_tables import Account

STREAM = "stock_ticks"
BRONZE, SILVER = f"bronze/{STREAM}", f"silver/{STREAM}"


def verified(program, lake):
    """Exit code and report."""
    done = subprocess.run([program, "verify", "--lake", str(lake), "--format", "json"], capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


def row_of(lake, table):
    """Partition and offset of a row in the middle of a table."""
    rows = DeltaTable(str(lake / table)).to_pyarrow_table(columns=["_kafka_partition", "_kafka_offset"])
    middle = rows.num_rows // 2
    return rows["_kafka_partition"][middle].as_py(), rows["_kafka_offset"][middle].as_py()


def names(report, code, partition, offset):
    """Whether a finding of this code is at this offset."""
    for finding in report["findings"]:
        place = finding["place"]
        ends = place.get("offsets")
        if finding["code"] == code and place.get("partition") == partition and ends and ends[0] <= offset < ends[1]:
            return True
    return False


def at(partition, offset):
    return f"_kafka_partition = {partition} and _kafka_offset = {offset}"


def changed(lake):
    partition, offset = row_of(lake, SILVER)
    DeltaTable(str(lake / SILVER)).update(predicate=at(partition, offset), updates={"price": "price + 1"})
    return "rows.value", partition, offset


def deleted_from_bronze(lake):
    partition, offset = row_of(lake, BRONZE)
    DeltaTable(str(lake / BRONZE)).delete(at(partition, offset))
    return "offsets.lost", partition, offset


def deleted_from_silver(lake):
    partition, offset = row_of(lake, SILVER)
    DeltaTable(str(lake / SILVER)).delete(at(partition, offset))
    return "rows.lost", partition, offset


def untouched(program, lake):
    code, report = verified(program, lake)
    return [] if code == 0 else [f"verify ends with {code}: {report['counts']}"]


def edited(program, lake, edit):
    finding, partition, offset = edit(lake)
    code, report = verified(program, lake)
    problems = []
    if code != 1 or not names(report, finding, partition, offset):
        problems.append(f"exit {code}, no {finding} at {partition}/{offset}: {report['counts']}")
    if "log.foreign_change" not in report["counts"]:
        problems.append("the commit of another program is not named")
    return problems


def removed(program, lake, table):
    """A data file of the table is removed by hand."""
    path = sorted((lake / table).glob("*=*/*.parquet"))[0]
    path.unlink()
    code, report = verified(program, lake)
    missing = [finding["place"].get("file") for finding in report["findings"] if finding["code"] == "log.file_missing"]
    wanted = [str(path.relative_to(lake / table))]
    return [] if code == 1 and missing == wanted else [f"exit {code}, missing {missing}: {report['counts']}"]


def compacted(program, lake):
    for table in (BRONZE, SILVER):
        DeltaTable(str(lake / table)).optimize.compact()
    code, report = verified(program, lake)
    notes = report["counts"].get("log.foreign_commit")
    return [] if code == 0 and notes == 2 else [f"exit {code}: {report['counts']} {report['findings'][:2]}"]


def main(program, lake):
    tables = sorted(str(path.parent.relative_to(lake)) for path in lake.glob("*/*/_delta_log"))
    checks = [("untouched: balanced", untouched)]
    for edit in (changed, deleted_from_bronze, deleted_from_silver):
        checks.append((f"{edit.__name__} by deltalake: named to the offset", lambda *of, edit=edit: edited(*of, edit)))
    for table in tables:
        checks.append((f"a file of {table} removed: named", lambda *of, table=table: removed(*of, table)))
    checks.append(("only compacted by deltalake: balanced, and noted", compacted))
    account = Account()
    for label, run in checks:
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(shutil.copytree(lake, Path(scratch) / "lake"))
            account.check(f"verify: {label}", lambda run=run, copy=copy: run(program, copy))
    return account.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
