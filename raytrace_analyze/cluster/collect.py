"""Gathers the span files of all nodes of a Ray cluster: merged where they lie, brought together, merged here."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace

from raytrace_analyze.cluster import node as on_node
from raytrace_analyze.cluster.destination import PARTS, TABLE, Destination
from raytrace_analyze.cluster.node import FileState, Listing, Part
from raytrace_analyze.cluster.ray_cluster import Failed, Node, call_on, nodes
from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.values import frozen

_TABLE_END, _LIST_END = ".parquet", ".json"
_GONE = "it has left the cluster; what lay on it was not collected"


@frozen
class NodeReport:
    """What a node gave."""

    node: Node
    files: int = 0
    """Span files and side files found there, but for those on a disk that an earlier node has too."""
    size_bytes: int = 0
    spans: int = 0
    """In its part of the table, if it was made anew."""
    is_changed: bool = False
    """Whether there was anything that the destination did not have."""
    removed: int = 0
    """Files that went, after all was written."""
    failed: str = ""
    """Why nothing came from it."""
    is_gone: bool = False
    """Whether it had left the cluster before; then nothing was asked of it, and what it gave earlier stays."""
    unreadable: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@frozen
class Collected:
    """What one round of collecting did."""

    nodes: tuple[NodeReport, ...]
    table: str
    """Where the table of all nodes is."""
    is_written: bool
    """False where nothing has changed since the last time."""
    spans: int
    problems: tuple[Problem, ...] = ()
    """What the last merge noticed: parents that are on no node, copies that contradict each other."""

    @property
    def is_damaged(self) -> bool:
        """Whether a node or a file is missing in the table, so that the exit code has to say so."""
        lost = any(report.failed and not report.is_gone for report in self.nodes)
        return lost or any(problem.is_damage for report in self.nodes for problem in report.problems)


def collect(destination: Destination, paths: Sequence[str] = (), *, move: bool = False) -> Collected:
    """Bring the span files of all live nodes to the destination; to be called within `ray_cluster.connected`.

    `paths` are files and folders on the nodes; by default those where hooks leave their files. What the destination has
    is not read again, and what it has of nodes that are gone stays. With `move`, files of processes that have ended go
    from the nodes once the table is written. Raises OSError where the destination cannot be written.
    """
    known = nodes()
    found = call_on({node: (on_node.list_files, (tuple(paths),)) for node in known if node.is_alive})
    listings = {node: listing for node, listing in found.items() if not isinstance(listing, Failed)}
    owned = _owned(listings)
    parts = _bring_parts(destination, owned)
    reports = [_report(node, found[node], owned.get(node, ()), parts.get(node)) for node in found]
    gone = [node for node in known if not node.is_alive]
    reports += [NodeReport(node, failed="" if _has(destination, node) else _GONE, is_gone=True) for node in gone]
    whole = _merge_all(destination) if parts or destination.read(TABLE) is None else None
    if move and not any(isinstance(part, Failed) for part in parts.values()):
        removed = call_on({node: (on_node.remove_files, (files,)) for node, files in owned.items() if files})
        reports = [replace(report, removed=_count(removed.get(report.node))) for report in reports]
    return Collected(
        nodes=tuple(reports),
        table=destination.shown(TABLE),
        is_written=whole is not None and whole.spans > 0,
        spans=whole.spans if whole else 0,
        problems=whole.problems if whole else (),
    )


def _owned(listings: dict[Node, Listing]) -> dict[Node, tuple[FileState, ...]]:
    """Give each file to one node: those on a shared disk are found on many."""
    owner: dict[FileState, Node] = {}
    for node, listing in listings.items():
        for state in listing.files:
            owner.setdefault(state, node)
    return {node: tuple(state for state in listing.files if owner[state] == node) for node, listing in listings.items()}


def _bring_parts(destination: Destination, owned: dict[Node, tuple[FileState, ...]]) -> dict[Node, Part | Failed]:
    """Have the nodes merge their files where any is new, and bring the parts to the destination; gives those."""
    before = {node: _files_had(destination, node) for node in owned}
    changed = {node: files for node, files in owned.items() if set(files) - before[node]}
    keep = {node: bool(_paths(before[node]) - _paths(files)) for node, files in changed.items()}
    given: dict[Node, Part | Failed] = call_on(
        {
            node: (on_node.merge_files, (sorted(_paths(files)), destination, _part_name(node), keep[node]))
            for node, files in changed.items()
        }
    )
    for node, part in given.items():
        if isinstance(part, Failed):
            continue
        if not destination.is_shared:
            given[node] = on_node.put(part, destination, _part_name(node), keep=keep[node])
        # What is listed is never more than what the part has: a killed run reads some of it again.
        destination.write(_list_name(node), _as_json(changed[node]))
    return given


def _report(node: Node, found: Listing | Failed, files: Iterable[FileState], part: Part | Failed | None) -> NodeReport:
    if isinstance(found, Failed):
        return NodeReport(node, failed=found.reason)
    states = tuple(files)
    report = NodeReport(node, len(states), sum(state.size_bytes for state in states), unreadable=found.unreadable)
    if isinstance(part, Failed):
        return replace(report, failed=part.reason)
    if part is None:
        return report
    own = tuple(problem for problem in part.problems if problem.kind is not ProblemKind.MISSING_PARENT)
    return replace(report, spans=part.spans, is_changed=True, problems=own)


def _merge_all(destination: Destination) -> Part:
    """Merge the parts of all nodes, those included that are gone."""
    names = [name for name in destination.names(PARTS) if name.endswith(_TABLE_END)]
    part = on_node.joined(content for name in names if (content := destination.read(f"{PARTS}/{name}")))
    if part.table:
        destination.write(TABLE, part.table)
    return part


def _part_name(node: Node) -> str:
    return f"{PARTS}/{node.node_id}{_TABLE_END}"


def _list_name(node: Node) -> str:
    return f"{PARTS}/{node.node_id}{_LIST_END}"


def _has(destination: Destination, node: Node) -> bool:
    return destination.read(_list_name(node)) is not None


def _paths(files: Iterable[FileState]) -> set[str]:
    return {state.path for state in files}


def _files_had(destination: Destination, node: Node) -> set[FileState]:
    """Give the files whose spans the destination has; none where its list is not to be read."""
    try:
        listed = json.loads(destination.read(_list_name(node)) or b"[]")
        return {FileState(*fields) for fields in listed}
    except (ValueError, TypeError):
        return set()


def _as_json(files: Iterable[FileState]) -> bytes:
    return json.dumps([astuple(state) for state in files]).encode()


def _count(removed: object) -> int:
    return removed if isinstance(removed, int) else 0
