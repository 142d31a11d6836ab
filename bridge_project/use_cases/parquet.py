"""Parquet through pyarrow, which is an extra: ``pip install 'trading-bridge[parquet]'``."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from importlib import import_module
from typing import IO, Any

from bridge_project.use_cases.tables import Column
from ground.errors import BridgeError

NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
LARGEST_DECIMAL_THAT_CSV_READS = 38


class MissingPart(BridgeError):
    """Something that is not installed everywhere is needed."""

    code = "missing_part"


class ParquetFile:
    """Takes blocks of whole CSV rows without a header; each becomes a row group, so that memory stays the same."""

    group_bytes = 16 * 1024 * 1024

    def __init__(self, out: IO[bytes], columns: Sequence[Column]) -> None:
        try:
            self._arrow, self._csv = import_module("pyarrow"), import_module("pyarrow.csv")
            parquet = import_module("pyarrow.parquet")
        except ImportError:
            raise MissingPart("Parquet needs pyarrow: pip install 'pyarrow>=17'. CSV needs nothing.") from None
        self.rows = 0
        self._schema = self._arrow.schema([(column.name, self._type(column.type)) for column in columns])
        self._writer = parquet.ParquetWriter(out, self._schema, compression="zstd")

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, block: bytes) -> None:
        read = self._csv.read_csv(
            io.BytesIO(block),
            read_options=self._csv.ReadOptions(column_names=self._schema.names, block_size=len(block) + 1),
            parse_options=self._csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=self._csv.ConvertOptions(
                column_types={field.name: self._read_as(field.type) for field in self._schema},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,  # "" is an empty text, nothing at all is null
                true_values=["t"],
                false_values=["f"],
            ),
        )
        self._writer.write_table(read.cast(self._schema))
        self.rows += read.num_rows

    def _type(self, name: str) -> Any:
        """The Arrow type of a PostgreSQL type; text for what has none (uuid, jsonb, numbers without bounds)."""
        simple = {
            "boolean": self._arrow.bool_(),
            "smallint": self._arrow.int16(),
            "integer": self._arrow.int32(),
            "bigint": self._arrow.int64(),
            "double precision": self._arrow.float64(),
            "real": self._arrow.float32(),
            "date": self._arrow.date32(),
            "timestamp with time zone": self._arrow.timestamp("us", "UTC"),
            "timestamp without time zone": self._arrow.timestamp("us"),
        }
        bounded = NUMERIC.fullmatch(name)
        if bounded:
            precision, scale = map(int, bounded.groups())
            small = precision <= LARGEST_DECIMAL_THAT_CSV_READS
            return (self._arrow.decimal128 if small else self._arrow.decimal256)(precision, scale)
        return simple.get(name, self._arrow.string())

    def _read_as(self, kind: Any) -> Any:
        return self._arrow.string() if self._arrow.types.is_decimal256(kind) else kind
