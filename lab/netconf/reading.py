"""What `get` and `get-config` return: a subtree filter (RFC 6241 §6) picks, a printer writes text.

The filter walks only what it names: an entry given by its keys costs one lookup, whatever the list holds.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from lxml import etree

from lab.netconf.data import Data
from lab.netconf.schema import LEAF, LEAF_LIST, LIST, Schema, SchemaNode


def select(schema: Schema, data: Data, subtree: etree._Element | None) -> Data:
    """Return what a <filter> selects; everything if there is none."""
    if subtree is None:
        return data
    chosen: Data = {}
    for element in subtree:
        for node in _named(schema.root, element):
            if node.name in data:
                _add(schema, node, data[node.name], element, chosen)
    return chosen


def _named(parent: SchemaNode, element: etree._Element) -> list[SchemaNode]:
    """The children that a filter element names; one without namespace names all of that local name."""
    if not isinstance(element.tag, str):
        return []
    if not element.tag.startswith("{"):
        return parent.by_local.get(element.tag, [])
    found = parent.by_tag.get(element.tag)
    return [found] if found else []


def _add(schema: Schema, node: SchemaNode, value: object, element: etree._Element, chosen: Data) -> None:
    """Put into `chosen` (the parent's selection) what `element` selects of `value`."""
    if node.kind in (LEAF, LEAF_LIST):
        chosen[node.name] = value
        return
    assert isinstance(value, dict)
    if node.kind == LIST:
        picked = chosen.get(node.name, {})
        for key in _candidates(schema, node, value, element):
            inside = _inside(schema, node, value[key], element)
            if inside is not None:
                picked[key] = _union(picked[key], inside) if key in picked else inside
        if picked:
            chosen[node.name] = picked
        return
    inside = _inside(schema, node, value, element)
    if inside is not None:
        chosen[node.name] = _union(chosen[node.name], inside) if node.name in chosen else inside


def _candidates(schema: Schema, node: SchemaNode, entries: Data, element: etree._Element) -> list[tuple[str, ...]]:
    """The keys worth looking at: one if the filter gives every key, else all."""
    wanted: list[str] = []
    for name in node.keys:
        child = node.children[name]
        leaf = element.find(child.tag)
        if leaf is None or not (leaf.text or "").strip():
            return list(entries)
        text = _stored(schema, child, leaf)
        if text is None:
            return []
        wanted.append(text)
    return [tuple(wanted)] if wanted and tuple(wanted) in entries else ([] if wanted else list(entries))


def _stored(schema: Schema, node: SchemaNode, element: etree._Element) -> str | None:
    assert node.check is not None
    try:
        return node.check(
            (element.text or "").strip(),
            lambda prefix: schema.module_of_namespace.get(element.nsmap.get(prefix or None, "")),
        )
    except ValueError:
        return None


def _inside(schema: Schema, node: SchemaNode, data: Data, element: etree._Element) -> Data | None:
    """What the filter selects within one container or entry; None if a content match fails."""
    selecting: list[tuple[SchemaNode, etree._Element]] = []
    matched: Data = {}
    named_any = False
    for child in element:
        if not isinstance(child.tag, str):
            continue
        named_any = True
        for target in _named(node, child):
            if target.kind in (LEAF, LEAF_LIST) and (child.text or "").strip():
                there, wanted = data.get(target.name), _stored(schema, target, child)
                if there is None or (wanted != there if target.kind == LEAF else wanted not in there):
                    return None
                matched[target.name] = there
            else:
                selecting.append((target, child))
    if not named_any or (matched and not selecting):
        return data
    chosen: Data = {name: data[name] for name in node.keys if name in data}
    chosen.update(matched)
    keys_only = len(chosen)
    for target, child in selecting:
        if target.name in data:
            _add(schema, target, data[target.name], child, chosen)
    return chosen if len(chosen) > keys_only or matched or any(t.is_key for t, _ in selecting) else None


def _union(a: Data, b: Data) -> Data:
    result = dict(a)
    for key, value in b.items():
        there = result.get(key)
        both = isinstance(there, dict) and isinstance(value, dict)
        result[key] = _union(there, value) if both and there is not value else value  # type: ignore[arg-type]
    return result


def data_xml(schema: Schema, data: Data) -> str:
    """Print a selection as the <data> of a reply; declares every prefix that an identity may use."""
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in schema.namespaces())
    out = [f"<data{declared}>"]
    _print(schema, schema.root, data, "", out)
    out.append("</data>")
    return "".join(out)


def _print(schema: Schema, node: SchemaNode, data: Data, namespace: str, out: list[str]) -> None:
    children = node.children
    for name, value in data.items():
        child = children[name]
        opening = child.open_here if child.namespace == namespace else child.open_foreign
        kind = child.kind
        if kind == LEAF:
            out.append(f"{opening}{_text(schema, child, value)}{child.close}")
        elif kind == LIST:
            for entry in value.values():
                out.append(opening)
                _print(schema, child, entry, child.namespace, out)
                out.append(child.close)
        elif kind == LEAF_LIST:
            out.extend(f"{opening}{_text(schema, child, item)}{child.close}" for item in value)
        else:
            out.append(opening)
            _print(schema, child, value, child.namespace, out)
            out.append(child.close)


def _text(schema: Schema, node: SchemaNode, value: str) -> str:
    return escape(schema.wire_identity(value) if node.identities else value)
