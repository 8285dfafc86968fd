"""Usage: earthquakes.py ORIGINAL ANSWER

Compares what our gold model says about the earthquakes of each day with what DuckDB computes from the original file.
ORIGINAL is the GeoJSON file as published; ANSWER is the CSV that `watertight sql --format csv` printed for
`gold.quakes_daily`: one row per UTC day. Prints one line per check and `N passed, N failed` last.
"""

import csv
import datetime
import math
import sys

import duckdb

from read_tables import Account

# The names the columns of the answer may have, the example's own first.
DAY_COLUMNS = ("window_start",)
COUNT_COLUMNS = ("quakes", "quake_count", "earthquakes", "events", "count")
LARGEST_COLUMNS = ("max_magnitude", "largest_magnitude", "max_mag", "magnitude_max")

EXPECTED = """
    select (make_timestamp(feature.properties.time * 1000))::date as day,
           count(*) as quakes,
           max(feature.properties.mag) as largest
    from (select unnest(features) as feature
          from read_json(?, columns = {features: 'struct(id varchar, properties struct(mag double, time bigint))[]'},
                         maximum_object_size = 100000000))
    group by day order by day
"""


def expected(original):
    """Per UTC day: how many, and the largest magnitude, computed by DuckDB from the file."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    rows = connection.execute(EXPECTED, [original]).fetchall()
    return {day: (count, largest) for day, count, largest in rows}


def answered(answer):
    """The same from the CSV; a day that stands there twice is an error."""
    with open(answer, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("the answer has no rows")
    day, count, largest = (column(rows[0], names) for names in (DAY_COLUMNS, COUNT_COLUMNS, LARGEST_COLUMNS))
    days = {}
    for row in rows:
        start = datetime.date.fromisoformat(row[day][:10])
        if start in days:
            raise ValueError(f"{start} stands in the answer twice")
        days[start] = (int(row[count]), float(row[largest]))
    return days


def column(row, names):
    for name in names:
        if name in row:
            return name
    raise ValueError(f"the answer has none of the columns {', '.join(names)}, only {', '.join(row)}")


def day_differences(wanted, got):
    """What differs, one line per day."""
    found = [f"{day} is missing" for day in sorted(wanted.keys() - got.keys())]
    found += [f"{day} is not in the original" for day in sorted(got.keys() - wanted.keys())]
    for day in sorted(wanted.keys() & got.keys()):
        (count, largest), (our_count, our_largest) = wanted[day], got[day]
        if count != our_count:
            found.append(f"{day}: {our_count} earthquakes, not {count}")
        if not math.isclose(largest, our_largest, rel_tol=1e-9):
            found.append(f"{day}: largest magnitude {our_largest}, not {largest}")
    return found


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    account = Account()
    account.check("earthquakes per day equal DuckDB's", lambda: compare(*arguments))
    return account.close()


def compare(original, answer):
    wanted = expected(original)
    if not wanted:
        return [f"{original} holds no earthquakes"]
    return day_differences(wanted, answered(answer))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
