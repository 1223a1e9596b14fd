"""Turns the published YANG modules into `subset.json`: the table of all nodes that controller and domains exchange.

Run by hand after a change of a module: `python protos/yang/generate.py <folder with rfc/ and draft/>`. The output is
committed, so that neither the product nor its build needs the published modules or pyang. Choices and cases are left
out, groupings and augmentations resolved, typedefs followed to their base types with every restriction on the way.
`mandatory` means: there whenever its parent is; where it depends on a case, `case` names it instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyang import context, repository

HERE = Path(__file__).resolve().parent

# The prefixes by which the product names these modules; everything else keeps its own.
PREFIXES = {
    "ietf-l3vpn-ntw": "l3nm",
    "ietf-te": "te",
    "ietf-network": "nw",
    "ietf-network-topology": "nt",
    "ietf-te-topology": "tet",
    "ietf-nrp": "nrp",
    "ietf-network-vpn-pm": "nvp",
    "onecity-binding": "oc",
}
ROOTS = ("ietf-l3vpn-ntw", "ietf-te", "ietf-network")

# Subtrees that neither side uses. Cut by name of the last step below a root, to keep the table small.
PRUNED = (
    "/te:te/te:lsps",
    "/te:te/te:globals/te:named-path-constraints",
    "/te:te/te:tunnels/te:tunnel/te:primary-paths/te:primary-path/te:computed-paths-properties",
    "/te:te/te:tunnels/te:tunnel/te:secondary-paths/te:secondary-path/te:computed-paths-properties",
    "/nw:networks/tet:te/tet:templates",
    "/nw:networks/nw:network/nw:node/tet:te/tet:te-node-template",
    "/nw:networks/nw:network/nw:node/tet:te/tet:te-node-attributes/tet:connectivity-matrices",
    "/nw:networks/nw:network/nw:node/tet:te/tet:information-source-entry",
    "/nw:networks/nw:network/nw:node/tet:te/tet:tunnel-termination-point",
    "/nw:networks/nw:network/nt:link/tet:te/tet:information-source-entry",
    "/nw:networks/nw:network/nt:link/tet:te/tet:te-link-attributes/tet:underlay",
    "/nw:networks/nw:network/nt:link/tet:te/tet:bundle-stack-level",
)
PRUNED_NAMES = frozenset(
    {"te:computed-paths-properties", "te:computed-path-error-infos", "te:primary-reverse-path", "te:lsps"}
)
KINDS = frozenset({"container", "list", "leaf", "leaf-list"})


def load(folder: Path) -> context.Context:
    """Read every module that the product uses, resolved and checked; raises SystemExit where pyang finds an error."""
    repos = repository.FileRepository(":".join(map(str, (folder / "rfc", folder / "draft", HERE))), use_env=False)
    ctx = context.Context(repos)
    ctx.strict = False
    newest = {
        path.name.split("@")[0]: path for part in ("rfc", "draft") for path in sorted((folder / part).glob("*@*.yang"))
    }
    newest |= {path.name.split("@")[0]: path for path in sorted(HERE.glob("*@*.yang"))}
    for name in PREFIXES:
        if ctx.add_module(str(newest[name]), newest[name].read_text()) is None:
            raise SystemExit(f"{newest[name]} cannot be read")
    ctx.validate()
    errors = [(str(pos), tag, args) for pos, tag, args in ctx.errors if tag in {"MODULE_NOT_FOUND", "NODE_NOT_FOUND"}]
    if errors:
        raise SystemExit(f"the modules do not fit together: {errors}")
    return ctx


def prefix_of(module: Any) -> str:
    return PREFIXES.get(module.arg) or str(module.search_one("prefix").arg)


def step_of(stmt: Any) -> str:
    return f"{prefix_of(stmt.i_module)}:{stmt.arg}"


def data_path(stmt: Any) -> str:
    """Return the absolute data path of a node: choices and cases are not part of it."""
    steps: list[str] = []
    while stmt is not None and stmt.keyword in KINDS | {"choice", "case"}:
        if stmt.keyword in KINDS:
            steps.append(step_of(stmt))
        stmt = getattr(stmt, "parent", None)
    return "/" + "/".join(reversed(steps))


def identity_name(stmt: Any) -> str:
    return f"{stmt.i_module.arg}:{stmt.arg}"


def bounds(text: str) -> list[list[str | int]]:
    """Read a range or length statement: "1..4094 | 5000" → [[1, 4094], [5000, 5000]]; min and max stay words."""

    def number(part: str) -> str | int:
        part = part.strip()
        return int(part) if part.lstrip("+-").isdigit() else part

    out = []
    for part in text.split("|"):
        low, _, high = part.partition("..")
        out.append([number(low), number(high or low)])
    return out


def describe_type(stmt: Any, leaf: Any) -> dict[str, Any]:
    """Return the base type of a type statement, with all restrictions between the leaf and the base."""
    out: dict[str, Any] = {}
    patterns: list[str] = []
    while True:
        for sub in stmt.substmts:
            match sub.keyword:
                case "range" | "length":
                    out.setdefault(sub.keyword, bounds(sub.arg))
                case "pattern":
                    inverted = sub.search_one("modifier") is not None
                    patterns.append(("!" if inverted else "") + sub.arg)
                case "enum" | "bit":
                    out.setdefault(sub.keyword, [one.arg for one in stmt.search(sub.keyword)])
                case "fraction-digits":
                    out.setdefault("fraction-digits", int(sub.arg))
                case "base":
                    out.setdefault("identity-base", identity_name(sub.i_identity))
        typedef = getattr(stmt, "i_typedef", None)
        if typedef is None:
            break
        if typedef.i_module is not None:
            out["typedef"] = identity_name(typedef)  # the last one, closest to the base, decides the canonical form
        stmt = typedef.search_one("type")
    out["base"] = stmt.arg
    if patterns:
        out["patterns"] = patterns
    if stmt.arg == "union":
        out["types"] = [describe_type(member, leaf) for member in stmt.search("type")]
    if stmt.arg == "leafref":
        target = getattr(leaf, "i_leafref_ptr", None)
        if target is not None:
            out["path"] = data_path(target[0])
            out["target"] = describe_type(target[0].search_one("type"), target[0])
        else:
            out["path"] = stmt.search_one("path").arg
    return out


def default_of(leaf: Any) -> str | None:
    """Return the value a leaf has when absent: its own default, or that of its typedef; never for mandatory leaves."""
    mandatory = leaf.search_one("mandatory")
    if mandatory is not None and mandatory.arg == "true":
        return None
    stmt = leaf
    while stmt is not None:
        found = stmt.search_one("default")
        if found is not None:
            return str(found.arg)
        kind = stmt.search_one("type")
        stmt = getattr(kind, "i_typedef", None) if kind is not None else None
    return None


def selects_its_case(leaf: Any) -> bool:
    """A leaf that stands directly in a case which is not the default one: leaving it out would unselect the case."""
    case = leaf.parent
    if case.keyword != "case":
        return False
    chosen = case.parent.search_one("default")
    return chosen is None or chosen.arg != case.arg


def case_of(stmt: Any) -> list[str]:
    """Return "choice:case" from the outside in: nodes of different cases of one choice exclude each other."""
    found: list[str] = []
    case = stmt.parent
    while case.keyword in {"case", "choice"}:
        if case.keyword == "case":
            found.append(f"{case.parent.arg}:{case.arg}")
        case = case.parent
    return found[::-1]


def qualified_default(leaf: Any, kind: dict[str, Any], value: str) -> str:
    """Name an identity by its module, like every identity in a tree."""
    if kind["base"] != "identityref":
        return value
    local = value.split(":")[-1]
    module = leaf.search_one("type")
    while module is not None and module.search_one("base") is None:
        module = getattr(module, "i_typedef", None).search_one("type")
    owner = leaf.i_orig_module if hasattr(leaf, "i_orig_module") else leaf.i_module
    if ":" in value:
        return f"{owner.i_prefixes[value.split(':')[0]][0]}:{local}"
    return f"{owner.arg}:{local}"


def walk(stmt: Any, config: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    if stmt.keyword in {"choice", "case"}:
        for child in stmt.i_children:
            yield from walk(child, config)
        return
    if stmt.keyword not in KINDS:
        return
    path = data_path(stmt)
    if path in PRUNED or step_of(stmt) in PRUNED_NAMES:
        return
    config = config and getattr(stmt, "i_config", True) is not False
    node: dict[str, Any] = {"kind": stmt.keyword, "config": config}
    if stmt.keyword == "container" and stmt.search_one("presence") is not None:
        node["presence"] = True
    if stmt.keyword == "list":
        node["keys"] = [step_of(key) for key in getattr(stmt, "i_key", None) or ()]
    ordered = stmt.search_one("ordered-by")
    if ordered is not None and ordered.arg == "user":
        node["ordered"] = "user"
    case = case_of(stmt)
    if case:
        node["case"] = case
    mandatory = stmt.search_one("mandatory")
    if mandatory is not None and mandatory.arg == "true" and not case:
        node["mandatory"] = True
    least = stmt.search_one("min-elements")
    if least is not None and least.arg != "0":
        node["min-elements"] = int(least.arg)
    if stmt.keyword in {"leaf", "leaf-list"}:
        node["type"] = describe_type(stmt.search_one("type"), stmt)
        default = default_of(stmt) if stmt.keyword == "leaf" and not selects_its_case(stmt) else None
        if default is not None:
            node["default"] = qualified_default(stmt, node["type"], default)
    yield path, node
    for child in getattr(stmt, "i_children", ()):
        yield from walk(child, config)


def identities(ctx: context.Context) -> dict[str, list[str]]:
    """Return every identity with all identities it derives from, directly or not."""
    direct: dict[str, list[str]] = {}
    for module in ctx.modules.values():
        for stmt in module.i_identities.values():
            direct[identity_name(stmt)] = [identity_name(base.i_identity) for base in stmt.search("base")]

    def closure(name: str) -> set[str]:
        found: set[str] = set()
        for base in direct.get(name, ()):
            found |= {base} | closure(base)
        return found

    return {name: sorted(closure(name)) for name in sorted(direct)}


def main(folder: Path, target: Path = HERE / "subset.json") -> None:
    """Write the table of what the modules in `folder` and our own say."""
    ctx = load(folder)
    modules = {module.arg: module for module in ctx.modules.values() if module.keyword == "module"}
    nodes: dict[str, dict[str, Any]] = {}
    for root in ROOTS:
        for child in modules[root].i_children:
            nodes.update(walk(child, True))
    prefixes = {path.rsplit("/", 1)[1].split(":")[0] for path in nodes}
    used_types = {kind["identity-base"] for kind in all_types(nodes) if "identity-base" in kind}
    known = {name: bases for name, bases in identities(ctx).items() if name in used_types or used_types & set(bases)}
    named = {name.split(":")[0] for name in known} | {
        name for name, module in modules.items() if prefix_of(module) in prefixes
    }
    table = {
        name: {
            "prefix": prefix_of(module),
            "namespace": module.search_one("namespace").arg,
            "revision": module.i_latest_revision or "",
        }
        for name, module in sorted(modules.items())
        if name in named
    }
    write(target, table, known, nodes)


def all_types(nodes: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    stack = [node["type"] for node in nodes.values() if "type" in node]
    while stack:
        kind = stack.pop()
        yield kind
        stack.extend(kind.get("types", ()))
        if "target" in kind:
            stack.append(kind["target"])


def write(path: Path, modules: dict[str, Any], known: dict[str, Any], nodes: dict[str, Any]) -> None:
    """One entry a line, so that a change of a module reads as a change of its nodes."""

    def block(entries: dict[str, Any]) -> str:
        return ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in entries.items())

    parts = {"modules": modules, "identities": known, "nodes": nodes}
    blocks = ",\n".join(f'"{name}": {{\n{block(part)}\n}}' for name, part in parts.items())
    path.write_text(f"{{{blocks}}}\n")
    print(f"{len(nodes)} nodes, {len(known)} identities, {path.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
