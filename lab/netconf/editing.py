"""`edit-config` on shared data: every dict on the way is copied once, everything else stays shared.

The given version is never changed, so an edit that fails half way leaves no trace whatever its error-option says.
Types are checked here; what spans nodes (references, mandatory leaves) waits for validate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from lxml import etree

from lab.netconf.data import Data
from lab.netconf.errors import BASE, NetconfError
from lab.netconf.schema import CONTAINER, LEAF, LIST, InstancePath, Schema, SchemaNode

_OPERATION = f"{{{BASE}}}operation"
_YANG = "{urn:ietf:params:xml:ns:yang:1}"
_INSERT, _KEY, _VALUE = f"{_YANG}insert", f"{_YANG}key", f"{_YANG}value"
_OPERATIONS = frozenset(("merge", "replace", "create", "delete", "remove"))
_PREDICATE = re.compile(r"""\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]""")


class Guard(Protocol):
    """Says which places belong to the device."""

    def denies(self, node: SchemaNode, path: InstancePath, operation: str) -> bool:
        """Whether a client may not do this to a guarded node; `path` ends in it, with the keys of all lists."""


class Editing:
    """One edit-config request on one version of the data."""

    def __init__(self, schema: Schema, guard: Guard, data: Data) -> None:
        self._schema, self._guard = schema, guard
        self.data = dict(data)
        self._own: set[int] = {id(self.data)}  # dicts made by this edit, free to change

    def apply(self, config: etree._Element, default_operation: str) -> Data:
        """Apply the children of <config>; raises NetconfError. Returns the new version."""
        self._fill(self._schema.root, self.data, config, default_operation, ())
        return self.data

    def _fill(self, node: SchemaNode, data: Data, element: etree._Element, inherited: str, path: InstancePath) -> None:
        by_tag = node.by_tag
        for child in element:
            target = by_tag.get(child.tag)
            if target is None:
                if isinstance(child.tag, str):
                    raise self._unknown(child, path)
                continue
            operation = child.get(_OPERATION)
            if operation is None:
                operation = inherited
            elif operation not in _OPERATIONS:
                raise self._error("bad-attribute", f"{operation!r} is not an operation", (*path, target.name))
            if not target.config:
                raise self._error("unknown-element", f"{target.local} is state", (*path, target.name))
            if target.kind == LEAF:
                if not target.is_key:
                    self._leaf(target, data, child, operation, path)
            elif target.kind == LIST:
                self._entry(target, data, child, operation, path)
            elif target.kind == CONTAINER:
                self._container(target, data, child, operation, path)
            else:
                self._leaf_list(target, data, child, operation, path)

    def _leaf(self, node: SchemaNode, data: Data, element: etree._Element, operation: str, path: InstancePath) -> None:
        if operation in ("delete", "remove"):
            if data.pop(node.name, None) is None and operation == "delete":
                raise self._error("data-missing", "there is nothing to delete", (*path, node.name))
            return
        value = self.value(node, element, path)
        if operation == "create" and node.name in data:
            raise self._error("data-exists", "the leaf is there already", (*path, node.name))
        if operation == "none":
            return
        self._leave_other_cases(node, data)
        data[node.name] = value

    def value(self, node: SchemaNode, element: etree._Element, path: InstancePath) -> str:
        """Return the stored form of a leaf's text; raises invalid-value."""
        assert node.check is not None

        def resolve(prefix: str) -> str | None:
            return self._schema.module_of_namespace.get(element.nsmap.get(prefix or None, ""))

        try:
            return node.check(element.text or "", resolve)
        except ValueError as error:
            raise self._error("invalid-value", str(error), (*path, node.name)) from None

    def _leave_other_cases(self, node: SchemaNode, data: Data) -> None:
        for other in node.parent.exclusive.get(node.name, ()) if node.parent else ():
            data.pop(other, None)

    def _owned(self, parent: Data, key: Any) -> Data:
        """Return the dict at `key`, made or copied so that it may be changed."""
        there = parent.get(key)
        if there is not None and id(there) in self._own:
            return there  # type: ignore[no-any-return]
        fresh = parent[key] = {} if there is None else dict(there)
        self._own.add(id(fresh))
        return fresh

    def _fresh(self, parent: Data, key: Any) -> Data:
        fresh: Data = {}
        parent[key] = fresh
        self._own.add(id(fresh))
        return fresh

    def _container(
        self, node: SchemaNode, data: Data, element: etree._Element, operation: str, path: InstancePath
    ) -> None:
        here = (*path, node.name)
        if node.guarded and self._guard.denies(node, here, operation):
            raise self._error("access-denied", "this belongs to the device and can only be read", here)
        exists = node.name in data
        if operation in ("delete", "remove"):
            if not exists and operation == "delete":
                raise self._error("data-missing", "there is nothing to delete", here)
            data.pop(node.name, None)
            return
        if operation == "create" and exists:
            raise self._error("data-exists", "the container is there already", here)
        if operation == "none" and not exists and len(element) == 0:
            return
        self._leave_other_cases(node, data)
        inside = self._fresh(data, node.name) if operation == "replace" else self._owned(data, node.name)
        self._fill(node, inside, element, _below(operation), here)
        if not inside and not node.presence:
            del data[node.name]

    def _entry(self, node: SchemaNode, data: Data, element: etree._Element, operation: str, path: InstancePath) -> None:
        key = self._key(node, element, path)
        here = (*path, (node.name, key))
        if node.guarded and self._guard.denies(node, here, operation):
            raise self._error("access-denied", "this belongs to the device and can only be read", here)
        there = data.get(node.name)
        exists = there is not None and key in there
        if operation in ("delete", "remove"):
            self._delete_entry(node, data, key, exists or operation == "remove", here)
            return
        if exists and operation == "create":
            raise self._error("data-exists", "the entry is there already", here)
        if not exists and operation == "none":
            raise self._error("data-missing", "the entry is not there", here)
        self._leave_other_cases(node, data)
        entries = self._owned(data, node.name)
        inside = self._owned(entries, key) if exists and operation != "replace" else self._fresh(entries, key)
        if not exists or operation == "replace":
            inside.update(zip(node.keys, key, strict=True))
        self._fill(node, inside, element, _below(operation), here)
        insert = element.get(_INSERT)
        if insert is not None:
            _move(entries, key, insert, self._anchor(node, element, insert, entries, here))

    def _delete_entry(self, node: SchemaNode, data: Data, key: tuple[str, ...], ok: bool, here: InstancePath) -> None:
        if not ok:
            raise self._error("data-missing", "the entry is not there", here)
        if node.name not in data:
            return
        entries = self._owned(data, node.name)
        entries.pop(key, None)
        if not entries:
            del data[node.name]

    def _key(self, node: SchemaNode, element: etree._Element, path: InstancePath) -> tuple[str, ...]:
        values = []
        for name in node.keys:
            child = node.children[name]
            leaf = element.find(child.tag)
            if leaf is None:
                message = f"an entry of {node.local} needs its key {child.local}"
                raise self._error("missing-element", message, (*path, node.name))
            values.append(self.value(child, leaf, (*path, node.name)))
        return tuple(values)

    def _anchor(
        self, node: SchemaNode, element: etree._Element, insert: str, entries: Data, here: InstancePath
    ) -> tuple[str, ...] | None:
        if insert in ("first", "last"):
            return None
        text = element.get(_KEY)
        if insert not in ("before", "after") or text is None:
            raise self._error("bad-attribute", "insert needs first, last, or before/after with a key", here)
        given = {name: single or double for name, single, double in _PREDICATE.findall(text)}
        anchor = tuple(given.get(node.children[name].local, "") for name in node.keys)
        if anchor not in entries:
            raise self._error("bad-attribute", f"{text} names no entry", here, "missing-instance")
        return anchor

    def _leaf_list(
        self, node: SchemaNode, data: Data, element: etree._Element, operation: str, path: InstancePath
    ) -> None:
        value = self.value(node, element, path)
        values: tuple[str, ...] = data.get(node.name, ())
        here = (*path, node.name)
        if operation in ("delete", "remove"):
            if value not in values and operation == "delete":
                raise self._error("data-missing", f"{value} is not there", here)
            left = tuple(v for v in values if v != value)
            if left:
                data[node.name] = left
            else:
                data.pop(node.name, None)
            return
        if value in values and operation == "create":
            raise self._error("data-exists", f"{value} is there already", here)
        if operation == "none":
            return
        insert = element.get(_INSERT)
        order: dict[str, None] = dict.fromkeys((*values, value))
        if insert is not None:
            anchor = element.get(_VALUE)
            if insert in ("before", "after") and anchor not in order:
                raise self._error("bad-attribute", f"{anchor} is not in the list", here, "missing-instance")
            _move(order, value, insert, anchor)
        self._leave_other_cases(node, data)
        data[node.name] = tuple(order)

    def _unknown(self, element: etree._Element, path: InstancePath) -> NetconfError:
        name = etree.QName(element)
        tag = "unknown-element" if name.namespace in self._schema.module_of_namespace else "unknown-namespace"
        where = self._schema.text(path)
        return NetconfError(
            tag,
            f"{name.localname} is not known under {where or '/'}",
            path=where,
            prefixes=used_prefixes(self._schema, path),
            info=(("bad-element", name.localname),),
        )

    def _error(self, tag: str, message: str, path: InstancePath, app_tag: str = "") -> NetconfError:
        return schema_error(self._schema, tag, message, path, app_tag)


def schema_error(schema: Schema, tag: str, message: str, path: InstancePath, app_tag: str = "") -> NetconfError:
    """An rpc-error that names an instance."""
    text = schema.text(path)
    return NetconfError(tag, f"{message}: {text}", path=text, app_tag=app_tag, prefixes=used_prefixes(schema, path))


def used_prefixes(schema: Schema, path: InstancePath) -> tuple[tuple[str, str], ...]:
    used: Mapping[str, None] = dict.fromkeys((s if isinstance(s, str) else s[0]).partition(":")[0] for s in path)
    namespaces = dict(schema.namespaces())
    return tuple((prefix, namespaces[prefix]) for prefix in used)


def _below(operation: str) -> str:
    """What children inherit: inside something new or replaced there is nothing left to collide with."""
    return "merge" if operation in ("create", "replace") else operation


def _move(entries: dict[Any, Any], key: Any, insert: str, anchor: Any) -> None:
    """Put an entry that stands anywhere to its place; costs nothing where it is there already."""
    value = entries.pop(key)
    last = next(reversed(entries)) if entries else None
    if not entries or insert == "last" or (insert == "after" and anchor == last):
        entries[key] = value
        return
    standing = list(entries.items())
    entries.clear()
    if insert == "first":
        entries[key] = value
    for other, content in standing:
        if insert == "before" and other == anchor:
            entries[key] = value
        entries[other] = content
        if insert == "after" and other == anchor:
            entries[key] = value
