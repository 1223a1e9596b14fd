"""Documents in, services out, or one IntentError with every mistake in all of them.

A document that was read before, byte for byte, is not read again: a second apply of a thousand services is then
a matter of digests. The memory of them only saves time; dropping it changes no answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from hashlib import blake2b
from threading import Lock
from typing import Any

from pydantic import BaseModel, ValidationError

from controller.errors import IntentError, Violation
from controller.intent import agreement
from controller.intent.agreement import Catalogue, Lans
from controller.intent.assured import assurance_plain, read_assurance
from controller.intent.clauses import Found, Plain, at, metadata
from controller.intent.complaints import complaints
from controller.intent.documents import Document, Path, UnreadableError, dotted, load, split
from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.intent.plane import plane_plain, read_plane
from controller.intent.quantities import nearest, shown
from controller.intent.shapes import API_VERSION, KINDS, DocumentShape, PlaneShape, SliceShape, VipShape
from controller.intent.slices import read_slice, slice_plain

Documents = Sequence[tuple[str, str | bytes | Mapping[str, object]]]  # source name, and text or a typed order

ANYWHERE = Catalogue()  # where nothing is known of the city, everything may be named
MOST_VIOLATIONS = 500  # told at once; a file of another kind has a mistake a line
# Fields that others are judged by.
_PIVOTS = (
    "name", "access", "hub", "hubs", "topology", "connectivity", "demands", "attach", "pool", "prefixLength",
    "bandwidth",
)  # fmt: skip


class Memory:
    """Services by the digest of the document that they were read from; the least recently used go first."""

    def __init__(self, most_bytes: int = 64 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._read: OrderedDict[bytes, tuple[Service, int]] = OrderedDict()
        self._lock = Lock()  # the daemon reads in worker threads

    def get(self, digest: bytes) -> Service | None:
        """Return the service of a document read before."""
        with self._lock:
            known = self._read.get(digest)
            if known is None:
                return None
            self._read.move_to_end(digest)
            return known[0]

    def put(self, digest: bytes, service: Service, size: int) -> None:
        """Remember a service; `size` is that of its document, a fair measure of what it holds."""
        with self._lock:
            if digest not in self._read:
                self._read[digest] = (service, size)
                self._bytes += size
            while self._bytes > self._most_bytes:
                _, (_, freed) = self._read.popitem(last=False)
                self._bytes -= freed


_MEMORY = Memory()


def read(
    documents: Documents,
    now: datetime,
    catalogue: Catalogue = ANYWHERE,
    *,
    memory: Memory | None = None,
) -> tuple[Service, ...]:
    """Return the services of all documents, in the order of the text.

    documents: (source name, text) pairs; bytes are taken as UTF-8, a mapping is a typed order. catalogue: what
    the city has, where that is known. Raises IntentError with every mistake, ordered by source and line. `now`
    only tells a window far in the future, a slip of the pen; windows that have passed are `check_windows`' matter.
    """
    memory = _MEMORY if memory is None else memory
    services: list[tuple[Document, Service]] = []
    wrong: list[Violation] = []
    for source, text in documents:
        found: list[Violation] = []
        if isinstance(text, Mapping):
            services.extend(_typed(source, text, catalogue, found))
            wrong.extend(found)
            continue
        try:
            pieces = split(source, text)
            if not pieces:
                raise UnreadableError("holds no document; begin with apiVersion: onecity/v1")
        except UnreadableError as error:
            wrong.append(Violation(source, error.line, "", error.problem))
            continue
        for piece in pieces:
            service = _remembered(piece, memory, catalogue, found)
            if service is not None:
                services.append((piece, service))
        wrong.extend(found)
    wrong.extend(_disagreements(services, now, catalogue))
    if wrong:
        order = {source: index for index, (source, _) in enumerate(reversed(documents))}
        raise _error(sorted(wrong, key=lambda violation: (-order[violation.source], violation.line)))
    return tuple(service for _, service in services)


def from_document(document: Mapping[str, object], source: str = "") -> Service:
    """Return the service of one document that is already a mapping (a typed order, or one kept by the store)."""
    wrong: list[Violation] = []
    read_one = _typed(source, document, ANYWHERE, wrong)
    if wrong:
        raise _error(wrong)
    return read_one[0][1]


def to_document(service: Service) -> dict[str, Any]:
    """Return the document of a service, complete with its defaults; reading it gives an equal service."""
    place = service.metadata
    head: Plain = {"name": place.name, "tenant": place.tenant}
    if place.labels:
        head["labels"] = dict(place.labels)
    return {"apiVersion": API_VERSION, "kind": service.kind, "metadata": head, "spec": _spec(service)}


def check_windows(
    services: Sequence[Service], now: datetime, known: AbstractSet[ServiceId], documents: Documents = ()
) -> None:
    """Refuse windows that have passed, except those of services already `known`: these are merely expired.

    documents: what the services were read from, to tell the line of a mistake; without, the document's is told.
    """
    wrong = [
        _at_service(service, path, problem, documents)
        for service in services
        if service.metadata.service not in known
        for path, problem in agreement.passed(service, now)
    ]
    if wrong:
        raise _error(wrong)


def check_references(
    services: Sequence[Service], standing: Mapping[ServiceId, Service], documents: Documents = ()
) -> None:
    """Refuse references to services that are neither in `services` nor `standing`, or that cannot serve."""
    known = {**standing, **{service.metadata.service: service for service in services}}
    wrong = [
        _at_service(service, path, problem, documents)
        for service in services
        for path, problem in (*agreement.unknown_references(service, known), *agreement.misfits(service, known))
    ]
    if wrong:
        raise _error(wrong)


def check_hosts(vips: Iterable[tuple[VipAssurance, DedicatedPlane, Lans]]) -> None:
    """Refuse conferences with hosts outside the prefixes that their plane's accesses were given from its pool."""
    wrong = [
        _at_service(vip, path, problem, ())
        for vip, plane, lans in vips
        for path, problem in agreement.misplaced_hosts(vip, plane, lans)
    ]
    if wrong:
        raise _error(wrong)


def _spec(service: Service) -> Plain:
    if isinstance(service, DedicatedPlane):
        return plane_plain(service)
    return slice_plain(service) if isinstance(service, ExclusiveSlice) else assurance_plain(service)


def _remembered(piece: Document, memory: Memory, catalogue: Catalogue, wrong: list[Violation]) -> Service | None:
    encoded = piece.text.encode("utf-8", "surrogatepass")
    digest = blake2b(encoded, digest_size=20).digest()
    service = memory.get(digest)
    if service is not None:
        place = at(service.metadata, piece.source, piece.line)
        return service if place is service.metadata else replace(service, metadata=place)
    found: Found = []
    try:
        document, twice = load(piece)
        service = _understood(document, piece.source, piece.line, catalogue, found)
    except UnreadableError as error:
        wrong.append(Violation(piece.source, error.line, error.field, error.problem))
        return None
    wrong.extend(Violation(piece.source, error.line, error.field, error.problem) for error in twice)
    if service is None or found or twice:
        wrong.extend(piece.violations(found))
        return None
    memory.put(digest, service, len(encoded))
    return service


def _typed(
    source: str, document: Mapping[str, object], catalogue: Catalogue, wrong: list[Violation]
) -> list[tuple[Document, Service]]:
    piece = Document(source, "", 0)
    found: Found = []
    service = _understood(document, source, 0, catalogue, found)
    wrong.extend(piece.violations(found))
    return [(piece, service)] if service is not None and not found else []


def _understood(document: object, source: str, line: int, catalogue: Catalogue, found: Found) -> Service | None:
    """Return the service that a document means; with mistakes in `found` it means nothing."""
    if not isinstance(document, Mapping):
        found.append(((), "is not a document; begin with apiVersion: onecity/v1, kind, metadata and spec"))
        return None
    model = _model(document, found)
    if model is None:
        return None
    try:
        service = _service(model.model_validate(document), source, line, found)
    except ValidationError as error:
        found.extend(complaints(error, model))
        _rules_on_the_rest(document, model, catalogue, found)
        return None
    if found:
        found.extend(agreement.strange(service, catalogue))
    return service


def _model(document: Mapping[str, object], found: Found) -> type[PlaneShape] | type[SliceShape] | type[VipShape] | None:
    kind = document.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is not None:
        return model
    if kind is None:
        found.append((("kind",), f"is missing; write one of {', '.join(KINDS)}"))
    else:
        problem = f"{shown(kind)} is not a kind; {nearest(kind if isinstance(kind, str) else '', set(KINDS))}"
        found.append((("kind",), problem))
    head = {key: value for key, value in document.items() if key not in ("kind", "spec")}
    try:
        DocumentShape.model_validate(head)
    except ValidationError as error:
        found.extend(complaints(error, DocumentShape))
    return None


def _service(shape: BaseModel, source: str, line: int, found: Found) -> Service:
    assert isinstance(shape, PlaneShape | SliceShape | VipShape)
    place = metadata(shape.metadata, source, line, found)
    if isinstance(shape, PlaneShape):
        return read_plane(shape.spec, place, found)
    if isinstance(shape, SliceShape):
        return read_slice(shape.spec, place, found)
    return read_assurance(shape.spec, place, found)


def _rules_on_the_rest(
    document: Mapping[str, object], model: type[BaseModel], catalogue: Catalogue, found: Found
) -> None:
    """Apply the rules that span fields to what is left without the broken fields, where that has the right shape.

    So that one broken rate does not hide two overlapping prefixes until the next attempt. Not where a broken field
    is one that others are judged by: then what is left would be blamed for it.
    """
    broken = [path for path, _ in found]
    last = [str(path[-1]) for path in broken if path[:1] == ("spec",)]
    meant = {name for field in last for name in get_close_matches(field, _PIVOTS, 1)}
    if meant - {"bandwidth"}:
        return
    rest: object = document
    for path in broken:
        rest = _without(rest, path)
    more: Found = []
    try:
        service = _service(model.model_validate(rest), "", 0, more)
    except ValidationError:
        return
    more += agreement.strange(service, catalogue)
    for path, problem in more:
        apart = not any(path[: len(other)] == other or other[: len(path)] == path for other in broken)
        if apart and path[-1] not in meant:
            found.append((path, problem))


def _without(value: object, path: Path) -> object:
    """Return the value without the field at `path`; copies only what is on the way."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping) and step in value:
        if not rest:
            return {key: item for key, item in value.items() if key != step}
        return {**value, step: _without(value[step], rest)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value) and rest:
        return [*value[:step], _without(value[step], rest), *value[step + 1 :]]
    return value


def _disagreements(
    services: Sequence[tuple[Document, Service]], now: datetime, catalogue: Catalogue
) -> list[Violation]:
    """Return the mistakes that show only beside the other documents, the city or the calendar."""
    wrong: list[Violation] = []
    known: dict[ServiceId, Service] = {}
    first: dict[ServiceId, Document] = {}
    for document, service in services:
        name = service.metadata.service
        if name in first:
            other = first[name]
            where = f"{other.source}:{other.line}" if other.line else other.source
            problem = f"{name} is already written at {where}; rename one of them"
            wrong.extend(document.violations([(("metadata", "name"), problem)]))
        else:
            known[name], first[name] = service, document
    for document, service in services:
        found: Found = [
            *agreement.misfits(service, known),
            *agreement.far_ahead(service, now),
            *agreement.strange(service, catalogue),
        ]
        if found:
            wrong.extend(document.violations(found))
    return wrong


def _at_service(service: Service, path: Path, problem: str, documents: Documents) -> Violation:
    """Place a mistake that showed only once all documents were read: the text is cut again to find its line."""
    place = service.metadata
    for source, text in documents:
        if source == place.source and not isinstance(text, Mapping):
            for piece in split(source, text):
                if piece.line == place.line:
                    return piece.violations([(path, problem)])[0]
    return Violation(place.source or place.service, place.line, dotted(path), problem)


def _error(wrong: list[Violation]) -> IntentError:
    if len(wrong) > MOST_VIOLATIONS:
        left = len(wrong) - MOST_VIOLATIONS
        last = wrong[MOST_VIOLATIONS]
        more = Violation(last.source, last.line, "", f"and {left:,} more mistakes from here on; mend these first")
        return IntentError((*wrong[:MOST_VIOLATIONS], more), left)
    return IntentError(tuple(wrong))
