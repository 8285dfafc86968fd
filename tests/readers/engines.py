"""Three programs that are not ours, reading a Delta table from a local folder.

Each engine reads a whole table into Arrow, and counts the rows that equal one value, which is what makes it skip
files by their statistics and folders by their partition values. Nothing is downloaded: DuckDB's Delta extension
comes as a package and is loaded from its file.
"""

import decimal
from pathlib import Path

import deltalake
import duckdb
import duckdb_extension_delta
import polars
import pyarrow
import pyarrow.compute
import pyarrow.dataset


class DeltaRs:
    """deltalake for Python, through PyArrow's dataset."""

    name = "deltalake"

    def read(self, path):
        return deltalake.DeltaTable(path).to_pyarrow_table()

    def count_equal(self, path, column, value, kind):
        dataset = deltalake.DeltaTable(path).to_pyarrow_dataset()
        return dataset.count_rows(filter=pyarrow.dataset.field(column) == pyarrow.scalar(value, kind))


class DuckDb:
    """DuckDB, through `delta_scan`."""

    name = "duckdb"

    def __init__(self):
        settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        self.connection = duckdb.connect(config=settings)
        self.connection.execute(f"load '{extension_file()}'")
        self.connection.execute("set TimeZone = 'UTC'")

    def read(self, path):
        return self.connection.execute("select * from delta_scan(?)", [str(path)]).to_arrow_table()

    def count_equal(self, path, column, value, kind):
        # A decimal is compared as text, since DuckDB would take the parameter for a wider one.
        given = str(value) if isinstance(value, decimal.Decimal) else value
        cast = f"::decimal({kind.precision},{kind.scale})" if isinstance(value, decimal.Decimal) else ""
        query = f'select count(*) from delta_scan(?) where "{column}" = ?{cast}'
        return self.connection.execute(query, [str(path), given]).fetchone()[0]


class Polars:
    """Polars, through `scan_delta`."""

    name = "polars"

    def read(self, path):
        return polars.scan_delta(str(path)).collect().to_arrow()

    def count_equal(self, path, column, value, kind):
        literal = polars.from_arrow(pyarrow.array([value], kind)).to_frame("value").select(column="value")
        wanted = polars.lit(literal["column"].item(), dtype=literal.schema["column"])
        rows = polars.scan_delta(str(path)).filter(polars.col(column) == wanted)
        return rows.select(polars.len()).collect().item()


def extension_file():
    """The Delta extension for exactly this version of DuckDB, from its package."""
    folder = Path(duckdb_extension_delta.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    path = folder / "delta.duckdb_extension"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; the versions of duckdb and duckdb_extension_delta must be equal")
    return path


def engines():
    """All of them; the first is the reference of the comparisons."""
    return [DeltaRs(), DuckDb(), Polars()]
