"""Usage: shares.py ORIGINAL ANSWER

Compares silver's share prices with the CSV they came from, day by day, to the last digit. ANSWER is what
`watertight sql --format csv` printed. Prints one line per check and `N passed, N failed` last.
"""

import csv
import decimal
import sys

from read_tables import Account


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def differences(original, answer):
    """What differs, one line per day."""
    wanted = {row["date"]: row for row in original}
    found = []
    seen = set()
    for row in answer:
        day = row["date"]
        if day in seen:
            found.append(f"{day} stands in the answer twice")
        seen.add(day)
        if day not in wanted:
            found.append(f"{day} is not in the original")
            continue
        for name in ("close", "volume"):
            if decimal.Decimal(row[name]) != decimal.Decimal(wanted[day][name]):
                found.append(f"{day}: {name} {row[name]}, not {wanted[day][name]}")
        if row["_event_time"] != f"{day}T00:00:00Z":
            found.append(f"{day}: event time {row['_event_time']}")
    found += [f"{day} is missing" for day in sorted(wanted.keys() - seen)]
    return found


def compare(original, answer):
    wanted = rows_of(original)
    if not wanted:
        return [f"{original} holds no share prices"]
    return differences(wanted, rows_of(answer))


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    account = Account()
    account.check("share prices per day equal the original's", lambda: compare(*arguments))
    return account.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
