"""Usage: runbook.py LAKE LEDGER TRUTH

Runs the statements of runbook.sql through DuckDB, as they stand, on the tables of the API usage example, and compares
each answer with what the producer wrote down: LEDGER is its ledger, TRUTH its folder of what must come out. The tables
are views with their own names, such as silver.api_usage_events. Prints one line per check and `N passed, N failed`
last; exits 1 if anything failed.
"""

import json
import math
import sys
from collections import Counter
from pathlib import Path

from engines import DuckDb
from read_tables import Account

STATEMENTS = Path(__file__).with_name("runbook.sql")
# The day that the statements name: that of the events.
DAY = "2026-01-28"
VIEWS = ("bronze.api_usage_events", "bronze.api_usage_events_dlq", "silver.api_usage_events")
LETTERS_MAX = 10


def attached(lake):
    """A connection in which the tables have their names."""
    connection = DuckDb().connection
    for name in VIEWS:
        schema, table = name.split(".")
        path = str(Path(lake) / schema / table).replace("'", "''")
        connection.execute(f"create schema if not exists {schema}")
        connection.execute(f"create view {name} as select * from delta_scan('{path}')")
    return connection


def statements():
    """The four statements."""
    found = [text.strip() for text in STATEMENTS.read_text("utf-8").split(";") if text.strip()]
    if len(found) != 4 or any(DAY not in text for text in found[:3]):
        raise ValueError(f"{STATEMENTS} holds other statements")
    return found


def days(connection, table, column):
    return [str(day) for (day,) in connection.execute(f"select distinct {column} from {table} order by 1").fetchall()]


def offsets(connection, statement):
    """Per partition: first and last offset, how many were expected, how many are there; over all days of bronze."""
    found = {}
    for day in days(connection, "bronze.api_usage_events", "_event_date"):
        for partition, *ends in connection.execute(statement.replace(DAY, day)).fetchall():
            first, last, expected, actual = found.get(partition, (ends[0], ends[1], 0, 0))
            found[partition] = (min(first, ends[0]), max(last, ends[1]), expected + ends[2], actual + ends[3])
    return found


def offsets_problems(connection, statement, ledger):
    wanted = {}
    for line in Path(ledger).read_text("utf-8").splitlines()[1:]:
        _, _, partition, offset = line.split("\t")
        wanted.setdefault(int(partition), []).append(int(offset))
    if not wanted:
        return [f"{ledger} holds no ids"]
    found = offsets(connection, statement)
    lines = {p: (min(of), max(of), max(of) - min(of) + 1, len(of)) for p, of in wanted.items()}
    return [
        f"partition {partition}: {found.get(partition)}, not {lines.get(partition)}"
        for partition in sorted(lines.keys() | found.keys())
        if found.get(partition) != lines.get(partition)
    ]


def doubled_problems(connection, statement, truth):
    """No id is there twice, and the statement looks at every row."""
    doubled = connection.execute(statement).fetchall()
    once = connection.execute(statement.replace("> 1", "= 1")).fetchall()
    wanted = len(lines_of(truth, "silver.jsonl"))
    problems = [f"{event} is there {count} times" for event, count in doubled]
    return problems + ([] if len(once) == wanted else [f"{len(once)} ids are there once, not {wanted}"])


def late_problems(connection, statement, truth):
    late = {row["event_id"] for row in lines_of(truth, "silver.jsonl") if row["late"]}
    every = connection.execute("select event_id, _arrival_delay_seconds from silver.api_usage_events").fetchall()
    delays = [delay for event, delay in every if event in late]
    ((count, mean),) = connection.execute(statement).fetchall()
    if not delays:
        return ["no late event was produced"]
    if count != len(late):
        return [f"{count} late events, not {len(late)}"]
    wanted = math.fsum(delays) / len(delays)
    return [] if math.isclose(mean, wanted, rel_tol=1e-9) else [f"they were {mean} s late, not {wanted}"]


def letters_problems(connection, statement, truth):
    letters = Counter(tuple(row["reasons"]) for row in lines_of(truth, "dead_letters.jsonl"))
    newest = days(connection, "bronze.api_usage_events_dlq", "_dlq_date")[-1:]
    today = str(connection.execute("select current_date").fetchone()[0])
    if newest != [today]:
        # Midnight has passed since they were produced.
        statement = statement.replace("CURRENT_DATE", "DATE '" + "".join(newest) + "'")
    found = Counter(tuple(flags) for (flags,) in connection.execute(statement).fetchall())
    wanted = min(LETTERS_MAX, letters.total())
    problems = [f"{count} letters with {flags}, which were not produced" for flags, count in (found - letters).items()]
    if found.total() != wanted or wanted == 0:
        problems.append(f"{found.total()} letters, not {wanted}")
    return problems


def lines_of(truth, name):
    return [json.loads(line) for line in (Path(truth) / name).read_text("utf-8").splitlines()]


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    lake, ledger, truth = arguments
    account = Account()
    connection, sql = attached(lake), statements()
    checks = (
        ("offsets per partition are the ledger's", lambda: offsets_problems(connection, sql[0], ledger)),
        ("no id is there twice", lambda: doubled_problems(connection, sql[1], truth)),
        ("late events and their delay are the truth's", lambda: late_problems(connection, sql[2], truth)),
        ("reasons of dead letters are the truth's", lambda: letters_problems(connection, sql[3], truth)),
    )
    for label, run in checks:
        account.check(f"runbook in duckdb: {label}", run)
    return account.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
