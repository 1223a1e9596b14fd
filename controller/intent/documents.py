"""From the bytes of a file to plain documents, within hard limits.

A hostile or broken file must cost little and end in a sentence. So: the text is checked before YAML sees it;
scalars stay text (YAML's guesses, `no` → false or `12:30` → 750, never reach an intent); only mappings, lists
and scalars are built, never tags; aliases are counted as what they expand to. Documents are cut at their `---`
lines, which YAML allows nowhere else, so that one broken document does not hide the others and an unchanged one
is recognised by its bytes. Lines are looked up only once something is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from controller.errors import Violation

MOST_BYTES = 4 * 1024 * 1024  # of one source
MOST_NODES = 400_000  # of one document, aliases expanded; a plane of 5,000 sites has about 60,000
MOST_ENTRIES = 10_000  # of one list; from 5,000 on the shapes refuse it, which is dear for much longer ones
DEEPEST = 24  # levels of nesting; an intent needs 6

Path = tuple[str | int, ...]

_MARKER = re.compile(r"^(?:---|\.\.\.)(?=[ \t]|$)", re.MULTILINE)
_NOTHING = re.compile(r"(?:---)?(?:\s|#[^\n]*(?:\n|$))*")
_PLAIN, _TEXT = "plain", "text"
_TOO_DEEP = f"is nested more than {DEEPEST} levels deep; an intent needs 6"


class UnreadableError(Exception):
    """Why one document or source is not even YAML that we take, and where. Caught inside this room."""

    def __init__(self, problem: str, line: int = 0, field: str = "") -> None:
        super().__init__(problem)
        self.problem, self.line, self.field = problem, line, field


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its text and where it starts in its source."""

    source: str
    text: str
    first_line: int  # 1-based line of the source on which `text` starts

    @property
    def line(self) -> int:
        """The line of the first content, for what concerns the document as a whole."""
        gap = _NOTHING.match(self.text)
        return self.first_line + self.text.count("\n", 0, gap.end() if gap else 0)

    def violations(self, found: Sequence[tuple[Path, str]]) -> list[Violation]:
        """Return mistakes with the line of the deepest part of each path that the text holds, in line order."""
        try:
            root = _compose(self) if found else None
        except UnreadableError:
            root = None
        placed = [Violation(self.source, self._line(root, path), dotted(path), problem) for path, problem in found]
        return sorted(placed, key=lambda violation: violation.line)

    def _line(self, node: Node | None, path: Path) -> int:
        line = self.line
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            line, node = self.first_line + child[0], child[1]
        return line


def dotted(path: Path) -> str:
    """Return `spec.sites[3].bandwidth` for a path."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def split(source: str, text: str | bytes) -> list[Document]:
    """Return the documents of a source that hold anything. Raises UnreadableError for the source as a whole."""
    plain = _decoded(text)
    cuts = [0, *(found.start() for found in _MARKER.finditer(plain)), len(plain)]
    documents, line = [], 1
    for start, end in pairwise(cuts):
        piece = plain[start:end]
        if piece.startswith("..."):
            piece = piece[3:]
        gap = _NOTHING.match(piece)
        if gap is None or gap.end() < len(piece):
            documents.append(Document(source, piece, line))
        line += piece.count("\n")
    return documents


def _decoded(text: str | bytes) -> str:
    if len(text) > MOST_BYTES:
        size = f"{len(text) / 2**20:.1f} MB"
        raise UnreadableError(f"is {size}; the limit is {MOST_BYTES // 2**20} MB a file: split it into several files")
    if isinstance(text, bytes):
        text = _from_bytes(text)
    elif not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise UnreadableError(f"is more than {MOST_BYTES // 2**20} MB: split it into several files")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableError("holds a NUL byte; is this a YAML text file?", line)
    return text


def _from_bytes(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UnreadableError("is UTF-16 or UTF-32; save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "is this a YAML text file?" if b"\0" in data else "save the file as UTF-8"
        raise UnreadableError(f"byte 0x{data[error.start]:02x} is not UTF-8; {hint}", line) from None


def load(document: Document) -> tuple[object, list[UnreadableError]]:
    """Return the document as dicts, lists, text and None, and the fields written twice, of which the first is taken.

    Raises UnreadableError with the line.
    """
    builder = _Builder(document.first_line)
    return builder.build(_compose(document)), builder.twice


class _Loader(CParser):
    """libyaml with only the core of a resolver: whether a scalar was plain is all that we want to know."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.way: list[object] = []  # an index, the node of a key, or None for a key itself

    def resolve(self, kind: type[Node], value: str | None, implicit: Sequence[bool]) -> str:
        return _PLAIN if kind is ScalarNode and implicit[0] else _TEXT

    def descend_resolver(self, current: Node | None, index: object) -> None:
        """Called on the way into every node, before libyaml's binding recurses: it would overrun the C stack."""
        self.way.append(index)
        if len(self.way) > DEEPEST:
            raise _TooDeepError(current.start_mark.line if current is not None else 0)
        if type(index) is int and index >= MOST_ENTRIES:
            raise _TooLongError(current.start_mark.line if current is not None else 0, self._path())

    def ascend_resolver(self) -> None:
        """Called on the way out of every node."""
        self.way.pop()

    def _path(self) -> Path:
        """Return where the list is that the last step of the way goes into."""
        steps = (step.value if isinstance(step, ScalarNode) else step for step in self.way[:-1])
        return tuple(step for step in steps if isinstance(step, str | int))


_LIBYAML = Lock()  # its binding calls back into Python half-way through: one document at a time, whatever the threads


class _TooDeepError(Exception):
    """The line, from 0, on which the nesting goes too deep."""


class _TooLongError(Exception):
    """The line, from 0, on which a list begins that no intent needs, and its path. Found while it is being read."""


def _compose(document: Document) -> Node:
    try:
        with _LIBYAML:
            node = _Loader(document.text).get_single_node()
    except _TooDeepError as error:
        raise UnreadableError(_TOO_DEEP, document.first_line + int(error.args[0])) from None
    except _TooLongError as error:
        line, path = error.args
        problem = f"holds more than {MOST_ENTRIES:,} entries; at most 5,000 are taken"
        raise UnreadableError(problem, document.first_line + int(line), dotted(path)) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, document) from None
    except yaml.reader.ReaderError as error:
        line = document.first_line + document.text.count("\n", 0, int(error.position or 0))
        raise UnreadableError("holds a control character that YAML does not allow; remove it", line) from None
    except (yaml.YAMLError, RecursionError, UnicodeError, ValueError) as error:
        raise UnreadableError(f"is not YAML: {type(error).__name__}", document.line) from None
    if node is None:
        raise UnreadableError("holds nothing; begin with apiVersion: onecity/v1", document.line)
    return node


def _syntax(error: yaml.MarkedYAMLError, document: Document) -> UnreadableError:
    mark = error.problem_mark or error.context_mark
    row = mark.line if mark is not None else 0
    lines = document.text.split("\n")
    written = lines[row] if row < len(lines) else ""
    line = document.first_line + row
    if "\t" in written[: len(written) - len(written.lstrip())] or written[mark.column if mark else 0 :][:1] == "\t":
        return UnreadableError("a tab is used for indentation; YAML takes spaces only: replace the tab by spaces", line)
    if document.text.lstrip().startswith("%"):
        return UnreadableError("YAML directives (%YAML, %TAG) are not taken; remove the line", document.line)
    reason = " ".join(part for part in (error.context, error.problem) if part)
    hint = {
        "mapping values are not allowed": "quote text that holds `: `, or check the indentation",
        "could not find expected ':'": "write `field: value`",
        "undefined alias": "write the value itself",
        "did not find expected ',' or": "close the bracket that is open",
        "did not find expected key": "check the indentation",
        "cannot start any token": "quote text that begins with this character",
    }
    remedy = next((text for words, text in hint.items() if words in reason), "check quotes, brackets and indentation")
    return UnreadableError(f"is not YAML: {reason}; {remedy}", line)


class _Builder:
    """Builds plain values from nodes and counts what aliases expand to."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._nodes = 0
        self.twice: list[UnreadableError] = []

    def build(self, node: Node, depth: int = 0) -> object:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._refuse(node, f"holds more than {MOST_NODES:,} values once aliases are expanded; write fewer")
        if node.tag not in (_PLAIN, _TEXT) and node.tag != "!":
            self._refuse(node, f"the tag {node.tag[:60]} is not taken; write a plain value")
        if type(node) is ScalarNode:
            return None if node.tag == _PLAIN and node.value in ("", "~", "null") else node.value
        if depth >= DEEPEST:
            self._refuse(node, _TOO_DEEP)
        if type(node) is SequenceNode:
            return [self.build(child, depth + 1) for child in node.value]
        assert isinstance(node, MappingNode)
        return self._mapping(node, depth)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, object]:
        built: dict[str, object] = {}
        for key, value in node.value:
            if type(key) is not ScalarNode or key.tag not in (_PLAIN, _TEXT):
                self._refuse(key, "a field name must be plain text")
            if key.value == "<<":
                self._refuse(key, "merge keys (<<) are not taken; write the fields out")
            if key.value in built:
                problem = f'the field "{key.value[:60]}" is written twice in one mapping; keep one of them'
                self.twice.append(UnreadableError(problem, self._first_line + int(key.start_mark.line)))
                continue
            built[key.value] = self.build(value, depth + 1)
        return built

    def _refuse(self, node: Node, problem: str) -> None:
        raise UnreadableError(problem, self._first_line + int(node.start_mark.line))


def _child(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    """Return the child node and the line (from 0, in the document) on which its name or item starts."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return int(key.start_mark.line), value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return int(node.value[step].start_mark.line), node.value[step]
    return None
