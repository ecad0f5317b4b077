"""What others do with the same files: the named peers of the benchmarks, each a program of its own.

    python -m benchmarks.peers duckdb FOLDER OUTPUT       # bare read_json into zstd Parquet, the columns given
    python -m benchmarks.peers duckdb-otlp FOLDER OUTPUT  # the same of OTLP JSON, its documents unnested
    python -m benchmarks.peers duckdb-jaeger FOLDER OUTPUT
    python -m benchmarks.peers pandas FOLDER              # every line to a row, the nested fields normalised
    python -m benchmarks.peers quantiles TABLE            # the quantiles of `stats`, as a bare polars query
    python -m benchmarks.peers copy TABLE OUTPUT          # DuckDB's zstd Parquet of the same columns
    python -m benchmarks.peers jaeger TABLE               # Jaeger's rule, trace by trace, in Python
    python -m benchmarks.peers networkx TABLE             # networkx's longest path, trace by trace

Each imports only what it needs, and prints how many spans it has seen.
"""

import sys
from pathlib import Path

_COLUMNS = {
    "name": "VARCHAR",
    "context": "STRUCT(trace_id VARCHAR, span_id VARCHAR)",
    "kind": "VARCHAR",
    "parent_id": "VARCHAR",
    "start_time": "VARCHAR",
    "end_time": "VARCHAR",
    "status": "STRUCT(status_code VARCHAR, description VARCHAR)",
    "attributes": "JSON",
    "events": "JSON",
    "links": "JSON",
    "resource": "JSON",
}
_QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)
_LARGEST_OBJECT = 1 << 28


def duckdb_ingest(folder: str, output: str) -> int:
    """Read all files as JSON with the columns given, and write zstd Parquet: no checks, no copies counted once."""
    import duckdb

    names = sorted(map(str, Path(folder).iterdir()))
    is_lines = names[0].endswith(("l", "txt"))
    shape = "newline_delimited" if is_lines else "unstructured"
    columns = ", ".join(f"{name}: '{dtype}'" for name, dtype in _COLUMNS.items())
    source = f"read_json({names!r}, format='{shape}', columns={{{columns}}}, maximum_object_size={_LARGEST_OBJECT})"
    query = f"COPY (SELECT * FROM {source}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)"
    return int(duckdb.execute(query).fetchone()[0])  # type: ignore[index]


_OTLP = (
    "STRUCT(resource JSON, scopeSpans STRUCT(scope JSON, spans STRUCT(traceId VARCHAR, spanId VARCHAR, "
    "parentSpanId VARCHAR, name VARCHAR, kind INTEGER, startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, "
    "attributes JSON, status JSON, events JSON, links JSON)[])[])[]"
)
_JAEGER = (
    "STRUCT(traceID VARCHAR, spans STRUCT(traceID VARCHAR, spanID VARCHAR, operationName VARCHAR, startTime BIGINT, "
    'duration BIGINT, processID VARCHAR, "references" JSON, tags JSON, logs JSON)[], processes JSON)[]'
)


def duckdb_otlp(folder: str, output: str) -> int:
    """Read all documents as JSON with the columns given, and write a row a span."""
    groups = "SELECT unnest(scopeSpans) AS scope, resource FROM (SELECT unnest(one, recursive := true) FROM {source})"
    spans = f"SELECT unnest(scope.spans) AS span, resource FROM ({groups})"
    return _unnested(folder, output, "resourceSpans", _OTLP, f"SELECT unnest(span), resource FROM ({spans})")


def duckdb_jaeger(folder: str, output: str) -> int:
    """Read all documents as JSON with the columns given, and write a row a span."""
    spans = "SELECT unnest(one.spans) AS span FROM {source}"
    return _unnested(folder, output, "data", _JAEGER, f"SELECT unnest(span) FROM ({spans})")


def _unnested(folder: str, output: str, member: str, dtype: str, query: str) -> int:
    import duckdb

    names = sorted(map(str, Path(folder).iterdir()))
    documents = f"read_json({names!r}, columns={{{member}: '{dtype}'}}, maximum_object_size={_LARGEST_OBJECT})"
    rows = query.format(source=f"(SELECT unnest({member}) AS one FROM {documents})")
    copied = duckdb.execute(f"COPY ({rows}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    return int(copied[0])  # type: ignore[index]


def pandas_ingest(folder: str) -> int:
    """Read all files line by line into frames, and their nested fields into columns."""
    import pandas as pd

    frames = [pd.read_json(file, lines=True) for file in sorted(Path(folder).iterdir())]
    rows = pd.concat(frames, ignore_index=True)
    nested = [pd.json_normalize(rows[name].tolist()) for name in ("context", "attributes", "resource")]
    return len(pd.concat([rows, *nested], axis=1))


def quantiles(table: str) -> int:
    """Compute the quantiles of run, queue and submit times that `stats` shows, and nothing else."""
    import polars as pl

    spans = pl.scan_parquet(table)
    submits = spans.filter(pl.col("category") == "submit").select(
        "trace_id", parent_id="span_id", begun="start", done="end"
    )
    took = {
        "run": pl.col("end") - pl.col("start"),
        "queue": pl.col("start") - pl.col("done"),
        "submit": pl.col("done") - pl.col("begun"),
    }
    found = (
        spans.filter(pl.col("category") == "task")
        .select("trace_id", "parent_id", "function", "start", "end")
        .join(submits, on=["trace_id", "parent_id"], how="left")
        .select("function", **{name: time.dt.total_nanoseconds().clip(0) for name, time in took.items()})
        .group_by("function")
        .agg(
            pl.len(),
            pl.col(list(took)).sum(),
            *(pl.col(name).quantile(q, "linear").alias(f"{name} {q}") for name in took for q in _QUANTILES),
        )
        .collect(engine="streaming")
    )
    return int(found.get_column("len").sum())


def copy(table: str, output: str) -> int:
    """Have DuckDB write the same columns."""
    import duckdb

    query = f"COPY (SELECT * FROM '{table}') TO '{output}' (FORMAT parquet, COMPRESSION zstd)"
    return int(duckdb.execute(query).fetchone()[0])  # type: ignore[index]


def jaeger(table: str) -> int:
    """Find the path of every trace by Jaeger's rule."""
    import polars as pl

    from benchmarks.path_speed import peer_paths

    spans = pl.read_parquet(table, columns=["trace_id", "span_id", "parent_id", "start", "end"])
    peer_paths(spans)
    return spans.height


def networkx_paths(table: str) -> int:
    """Find the longest path of every trace: spans are edges from start to end, children hang between."""
    import networkx as nx
    import polars as pl

    rows = pl.read_parquet(table, columns=["trace_id", "span_id", "parent_id", "start", "end"])
    for trace in rows.partition_by("trace_id"):
        graph = nx.DiGraph()
        for span_id, parent_id, start, end in trace.select(
            "span_id", "parent_id", pl.col("start", "end").to_physical()
        ).iter_rows():
            graph.add_edge((span_id, 0), (span_id, 1), weight=end - start)
            if parent_id is not None:
                graph.add_edge((parent_id, 0), (span_id, 0), weight=0)
        nx.dag_longest_path(graph)
    return rows.height


PEERS = {
    "duckdb": duckdb_ingest,
    "duckdb-otlp": duckdb_otlp,
    "duckdb-jaeger": duckdb_jaeger,
    "pandas": pandas_ingest,
    "quantiles": quantiles,
    "copy": copy,
    "jaeger": jaeger,
    "networkx": networkx_paths,
}


def main() -> None:
    """Run the peer that was named."""
    print(PEERS[sys.argv[1]](*sys.argv[2:]))


if __name__ == "__main__":
    main()
