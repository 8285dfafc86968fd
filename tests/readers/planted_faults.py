"""Tests of the checks: sound tables pass, and each planted fault is caught by the check that is there for it.

A check that cannot fail is a defect. Every test below either reads a sound table made with deltalake for Python or
breaks one thing in it. Prints `FAILED <name>` for each failure and `N passed, N failed` last.
"""

import contextlib
import datetime
import decimal
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import deltalake
import pyarrow as pa

import canonical
import delta_log
import earthquakes
import read_tables
import runbook
import shares

ROWS = 50
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


def sample():
    """Two days of rows with every type our tables use; times on whole milliseconds, as delta-rs floors maxima."""
    index = range(ROWS)
    days = [START.date() + datetime.timedelta(days=i // 30) for i in index]
    return pa.table(
        {
            "event_id": pa.array([f"e-{i:03}" for i in index]),
            "price": pa.array([decimal.Decimal(i) / 4 for i in index], pa.decimal128(18, 4)),
            "_event_time": pa.array(
                [START + datetime.timedelta(milliseconds=1001 * i) for i in index], pa.timestamp("us", tz="UTC")
            ),
            "_quality_flags": pa.array([["late", "x"] if i % 3 else None for i in index], pa.list_(pa.string())),
            "nested": pa.array([{"a": i, "b": None} for i in index], pa.struct([("a", pa.int64()), ("b", pa.string())])),
            "_headers": pa.array([[("trace", str(i))] for i in index], pa.map_(pa.string(), pa.string())),
            "_raw_value": pa.array([bytes([i, 255]) for i in index]),
            "mag": pa.array([i / 3 for i in index]),
            "rms": pa.array([i / 3 for i in index], pa.float32()),
            "_is_late_arriving": pa.array([i % 2 == 0 for i in index]),
            "_kafka_partition": pa.array([i % 4 for i in index], pa.int32()),
            "_kafka_offset": pa.array([None if i == 7 else i for i in index], pa.int64()),
            "_event_date": pa.array(days, pa.date32()),
        }
    )


def write(path, table=None):
    table = sample() if table is None else table
    deltalake.write_deltalake(path, table, partition_by=["_event_date"], mode="append")


def edit_log(path, change):
    """Rewrites every action of the table's log with `change`, which edits it in place."""
    for entry in sorted((path / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in entry.read_text("utf-8").splitlines()]
        for action in actions:
            change(action)
        entry.write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")


def edit_statistics(path, change):
    def edit(action):
        if "add" in action:
            statistics = json.loads(action["add"]["stats"])
            change(statistics)
            action["add"]["stats"] = json.dumps(statistics)

    edit_log(path, edit)


class Tables(unittest.TestCase):
    """Faults in tables on disk."""

    def setUp(self):
        self.lake = Path(tempfile.mkdtemp(prefix="planted-"))
        self.addCleanup(shutil.rmtree, self.lake)
        self.path = self.lake / "silver" / "sample"

    def run_all(self):
        """Runs the program on the lake; gives its exit code and what it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = read_tables.main([str(self.lake)])
        return code, printed.getvalue()

    def test_a_sound_table_passes_every_check(self):
        write(self.path)
        write(self.path, sample())
        code, printed = self.run_all()
        self.assertEqual(code, 0, printed)
        self.assertIn("\n10 passed, 0 failed\n", printed)

    def test_a_table_without_rows_passes_every_check(self):
        write(self.path, sample().slice(0, 0))
        code, printed = self.run_all()
        self.assertEqual(code, 0, printed)

    def test_a_lake_without_tables_fails(self):
        code, printed = self.run_all()
        self.assertEqual(code, 1, printed)

    def test_a_partition_folder_by_another_name_is_caught_by_polars(self):
        write(self.path)
        for folder in self.path.glob("_event_date=*"):
            folder.rename(self.path / folder.name.replace("_event_date=", "day="))

        def rename(action):
            if "add" in action:
                action["add"]["path"] = action["add"]["path"].replace("_event_date=", "day=")

        edit_log(self.path, rename)
        code, printed = self.run_all()
        self.assertEqual(code, 1, printed)
        self.assertIn("is the same in polars", [line for line in printed.splitlines() if "FAILED" in line][0])

    def test_a_maximum_that_is_too_small_is_caught_in_the_log_and_by_a_reader(self):
        write(self.path)
        edit_statistics(self.path, lambda stats: stats["maxValues"].update(event_id="e-001"))
        self.assertTrue(any("maxValues e-001" in line for line in delta_log.statistics_problems(self.path)))
        code, printed = self.run_all()
        self.assertEqual(code, 1)
        self.assertTrue(any("FAILED" in line and "finds the ends" in line for line in printed.splitlines()), printed)

    def test_a_minimum_that_is_too_large_is_caught(self):
        write(self.path)
        edit_statistics(self.path, lambda stats: stats["minValues"].update(price=9999.5))
        self.assertTrue(any("minValues" in line for line in delta_log.statistics_problems(self.path)))

    def test_a_maximum_floored_to_the_millisecond_is_caught(self):
        late = START + datetime.timedelta(microseconds=1500)
        times = pa.array([late] * ROWS, pa.timestamp("us", tz="UTC"))
        table = sample()
        write(self.path, table.set_column(table.column_names.index("_event_time"), "_event_time", times))
        floored = "2024-01-01T00:00:00.001Z"
        edit_statistics(self.path, lambda stats: stats["maxValues"].update(_event_time=floored))
        self.assertTrue(any("_event_time" in line for line in delta_log.statistics_problems(self.path)))

    def test_wider_bounds_are_fine(self):
        write(self.path)

        def widen(stats):
            stats["minValues"].update(event_id="", price=-1, _event_time="2023-12-31T00:00:00Z")
            stats["maxValues"].update(event_id="f", price=10000, _event_time="2024-12-31T00:00:00.001Z")

        edit_statistics(self.path, widen)
        self.assertEqual(delta_log.statistics_problems(self.path), [])

    def test_wrong_counts_in_statistics_are_caught(self):
        write(self.path)
        edit_statistics(self.path, lambda stats: stats.update(numRecords=stats["numRecords"] + 1))
        self.assertTrue(any("numRecords" in line for line in delta_log.statistics_problems(self.path)))
        edit_statistics(self.path, lambda stats: stats["nullCount"].update(_kafka_offset=40))
        self.assertTrue(any("nullCount 40" in line for line in delta_log.statistics_problems(self.path)))

    def test_a_higher_protocol_is_caught(self):
        write(self.path)

        def raise_writer(action):
            if "protocol" in action:
                action["protocol"]["minWriterVersion"] = 3

        edit_log(self.path, raise_writer)
        self.assertEqual(delta_log.protocol_problems(self.path), ["protocol (1, 3), not (1, 2)"])

    def test_a_lost_file_fails_every_reader_and_nothing_else_hides_it(self):
        write(self.path)
        next(self.path.glob("_event_date=*/*.parquet")).unlink()
        code, printed = self.run_all()
        self.assertEqual(code, 1)
        self.assertIn("FAILED silver.sample is read by deltalake", printed)

    def test_the_orphan_is_gone_after_the_check(self):
        write(self.path)
        before = sorted(self.path.rglob("*"))
        self.assertEqual(delta_log.vacuum_problems(self.path), [])
        self.assertEqual(sorted(self.path.rglob("*")), before)


class Comparisons(unittest.TestCase):
    """Faults in what one of two readings says."""

    def found(self, other, reference=None):
        reference = sample() if reference is None else reference
        return canonical.differences(canonical.reading(reference), canonical.reading(other))

    def test_the_same_rows_in_another_order_are_equal(self):
        self.assertEqual(self.found(sample().take(list(reversed(range(ROWS))))), [])

    def test_encodings_of_the_same_type_are_equal(self):
        table = sample()
        for name, kind in (("event_id", pa.large_string()), ("_raw_value", pa.large_binary())):
            table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
        self.assertEqual(self.found(table), [])

    def test_a_dropped_row_is_caught(self):
        self.assertIn("50 rows against 49", self.found(sample().slice(1)))

    def test_a_doubled_row_in_place_of_another_is_caught(self):
        self.assertTrue(self.found(sample().take([0, 0, *range(2, ROWS)])))

    def test_values_swapped_between_two_rows_are_caught(self):
        table = sample()
        swapped = table.column("mag").take([1, 0, *range(2, ROWS)])
        other = table.set_column(table.column_names.index("mag"), "mag", swapped)
        self.assertEqual(self.found(other), ["every column has the same values, but they belong to other rows"])

    def test_one_flipped_bit_is_caught(self):
        table = sample()
        values = table.column("_raw_value").to_pylist()
        values[3] = bytes([values[3][0] ^ 1, values[3][1]])
        other = table.set_column(table.column_names.index("_raw_value"), "_raw_value", pa.array(values))
        self.assertTrue(self.found(other)[0].startswith("_raw_value: 1 only in the first"))

    def test_null_and_empty_and_zero_are_three_things(self):
        self.assertEqual(len({canonical.text_of(value) for value in (None, "", 0, 0.0, False, b"", [], {})}), 8)

    def test_another_type_with_the_same_values_is_caught(self):
        table = sample()
        wider = table.column("_kafka_partition").cast(pa.int64())
        other = table.set_column(table.column_names.index("_kafka_partition"), "_kafka_partition", wider)
        self.assertEqual(self.found(other), ["_kafka_partition: type int32 against int64"])

    def test_a_timestamp_without_its_zone_is_caught(self):
        table = sample()
        naive = table.column("_event_time").cast(pa.timestamp("us"))
        other = table.set_column(table.column_names.index("_event_time"), "_event_time", naive)
        self.assertTrue(any("type timestamp[us,UTC] against timestamp[us,None]" in line for line in self.found(other)))

    def test_a_vacuum_that_deletes_live_data_or_misses_orphans_is_caught(self):
        self.assertEqual(delta_log.vacuum_differences({"o"}, {"a"}, "o"), [])
        self.assertEqual(len(delta_log.vacuum_differences({"o", "a"}, {"a"}, "o")), 1)
        self.assertEqual(len(delta_log.vacuum_differences(set(), {"a"}, "o")), 1)


class Earthquakes(unittest.TestCase):
    """Faults in the daily counts."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="planted-"))
        self.addCleanup(shutil.rmtree, self.folder)
        midnight = int(START.timestamp() * 1000)
        times = [midnight - 1, midnight, midnight + 5, midnight + 86_400_000]
        features = [
            {"id": f"q{i}", "properties": {"mag": 1.5 + i, "time": time}} for i, time in enumerate(reversed(times))
        ]
        self.original = self.folder / "earthquakes.json"
        self.original.write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    def problems(self, rows):
        answer = self.folder / "answer.csv"
        answer.write_text("window_start,window_end,quakes,max_magnitude\n" + "".join(f"{row}\n" for row in rows))
        return earthquakes.compare(str(self.original), str(answer))

    SOUND = [
        "2023-12-31T00:00:00Z,2024-01-01T00:00:00Z,1,4.5",
        "2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2,3.5",
        "2024-01-02T00:00:00Z,2024-01-03T00:00:00Z,1,1.5",
    ]

    def test_the_true_answer_passes(self):
        self.assertEqual(self.problems(self.SOUND), [])

    def test_a_missing_day_is_caught(self):
        self.assertEqual(self.problems(self.SOUND[1:]), ["2023-12-31 is missing"])

    def test_a_day_too_many_is_caught(self):
        self.assertEqual(len(self.problems([*self.SOUND, "2024-02-02T00:00:00Z,2024-02-03T00:00:00Z,1,1.5"])), 1)

    def test_a_wrong_count_and_a_wrong_magnitude_are_caught(self):
        wrong = [self.SOUND[0].replace(",1,", ",2,"), self.SOUND[1].replace("3.5", "3.4"), self.SOUND[2]]
        self.assertEqual(len(self.problems(wrong)), 2)

    def test_a_day_twice_is_an_error(self):
        with self.assertRaises(ValueError):
            self.problems([*self.SOUND, self.SOUND[0]])


class Shares(unittest.TestCase):
    """Faults in the share prices."""

    ORIGINAL = [
        {"date": "2000-01-03", "close": "1455.219971", "volume": "931800000"},
        {"date": "2000-01-04", "close": "1399.420044", "volume": "1009000000"},
    ]

    def answer(self):
        return [row | {"_event_time": row["date"] + "T00:00:00Z"} for row in self.ORIGINAL]

    def test_the_true_answer_passes(self):
        self.assertEqual(shares.differences(self.ORIGINAL, self.answer()), [])

    def test_each_fault_is_caught(self):
        short, doubled, wrong, late = (self.answer() for _ in range(4))
        del short[0]
        doubled.append(doubled[0])
        wrong[1]["close"] = "1399.420045"
        late[0]["_event_time"] = "2000-01-03T01:00:00Z"
        for planted in (short, doubled, wrong, late):
            self.assertEqual(len(shares.differences(self.ORIGINAL, planted)), 1)


class Runbook(unittest.TestCase):
    """Faults in what the statements of a runbook look at."""

    def setUp(self):
        self.lake = Path(tempfile.mkdtemp(prefix="planted-"))
        self.addCleanup(shutil.rmtree, self.lake)
        ids = range(12)
        self.write_lines("ledger", ["{}", *(f"{i}\tp-{i}\t{i % 2}\t{i // 2}" for i in ids)])
        self.write_lines("silver.jsonl", [json.dumps({"event_id": f"p-{i}", "late": i % 3 == 0}) for i in ids])
        self.write_lines("dead_letters.jsonl", ['{"reasons": ["invalid_json"]}'])
        days = pa.array([datetime.date(2026, 1, 28)] * 12, pa.date32())
        self.bronze = pa.table({
            "_kafka_partition": pa.array([i % 2 for i in ids], pa.int32()),
            "_kafka_offset": pa.array([i // 2 for i in ids], pa.int64()),
            "_event_date": days,
        })
        self.silver = pa.table({
            "event_id": [f"p-{i}" for i in ids],
            "_is_late_arriving": [i % 3 == 0 for i in ids],
            "_arrival_delay_seconds": [float(i) for i in ids],
            "_event_date": days,
        })
        self.letters = ["invalid_json"]

    def write_lines(self, name, lines):
        (self.lake / name).write_text("\n".join(lines) + "\n", "utf-8")

    def failed(self):
        """Writes the tables, runs the program; the labels of the checks that failed."""
        write(self.lake / "bronze" / "api_usage_events", self.bronze)
        write(self.lake / "silver" / "api_usage_events", self.silver)
        path = self.lake / "bronze" / "api_usage_events_dlq"
        flags = pa.array([[reason] for reason in self.letters], pa.list_(pa.string()))
        day = pa.array([datetime.datetime.now(datetime.timezone.utc).date()] * len(self.letters), pa.date32())
        table = pa.table({"_quality_flags": flags, "_dlq_date": day})
        deltalake.write_deltalake(path, table, partition_by=["_dlq_date"])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runbook.main([str(self.lake), str(self.lake / "ledger"), str(self.lake)])
        return [line.split(": ")[1] for line in printed.getvalue().splitlines() if line.startswith("FAILED")]

    def test_sound_tables_pass(self):
        self.assertEqual(self.failed(), [])

    def test_a_row_that_bronze_lacks_is_caught(self):
        self.bronze = self.bronze.slice(0, 11)
        self.assertEqual(self.failed(), ["offsets per partition are the ledger's"])

    def test_an_id_that_is_there_twice_is_caught(self):
        self.silver = self.silver.take([*range(11), 10])
        self.assertEqual(self.failed(), ["no id is there twice"])

    def test_a_wrong_late_flag_is_caught(self):
        flags = pa.array([False] * 12)
        self.silver = self.silver.set_column(1, "_is_late_arriving", flags)
        self.assertEqual(self.failed(), ["late events and their delay are the truth's"])

    def test_a_dead_letter_with_another_reason_is_caught(self):
        self.letters = ["not_utf8"]
        self.assertEqual(self.failed(), ["reasons of dead letters are the truth's"])


def main():
    loaded = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(loaded)
    bad = result.failures + result.errors
    for test, _ in bad:
        print(f"FAILED {test.id().removeprefix('__main__.')}")
    print(f"{result.testsRun - len(bad)} passed, {len(bad)} failed", flush=True)
    return 1 if bad or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
