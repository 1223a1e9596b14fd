"""Frozen values to JSON and back, driven by their type hints.

One place decides how a value looks on disk, so that no room writes its own serialiser and none needs pickle.
A plan (a pair of closures) is compiled once per type and cached. Every field is written, also one that equals
its default: a default that changes later must not change what was stored. A field missing on disk takes its
default, so fields may be added; a field unknown to this program is refused, because dropping it would lose it.

    dataclass    {"field": …}                  NamedTuple, tuple    […]
    frozenset    sorted […]                    enum                 its value
    datetime     ISO 8601                      address, network     text
    bytes        base64                        Mapping[str, …]      {…}
    A | B        ["A", …] by class name        Tree                 {…} in order; a list entry's step is written
                                               as NUL, then its parts joined by NUL (which XML cannot contain)
"""

from __future__ import annotations

import base64
import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import isfinite
from typing import Any, NamedTuple, TypeVar, cast

import orjson

from controller.errors import StoreError
from controller.rendering.tree import Leaf, Tree

T = TypeVar("T")

Convert = Callable[[Any], Any]
_NUL = "\0"
# Tree names itself in its own definition, which is looked up in the module of whoever uses it.
_RECURSIVE = {"Tree": Tree, "Leaf": Leaf}
_TEXTS = (IPv4Address, IPv4Network, IPv6Address, IPv6Network)
_SCALARS = (str, int, bool)


class _Plan(NamedTuple):
    """How one type is written and read. None: JSON carries it as it is."""

    encode: Convert | None
    decode: Convert | None


def dumps(tp: Any, value: object) -> str:
    """Return `value`, which is of type `tp`, as JSON text. Raises StoreError where it cannot be written."""
    encode = _plan(tp).encode
    data = encode(value) if encode else value
    try:
        return orjson.dumps(data).decode()
    except TypeError:  # infinity, or a number beyond 64 bits
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def loads(tp: type[T], text: str) -> T:
    """Return the value of type `tp` that `dumps` wrote."""
    return decode(tp, json.loads(text))


def encode(tp: Any, value: object) -> Any:
    """Return `value` as plain JSON data (dicts, lists, text, numbers)."""
    plan = _plan(tp).encode
    return plan(value) if plan else value


def decode(tp: type[T], data: Any) -> T:
    """Return the value of type `tp` that `encode` turned into `data`. Raises StoreError where it does not fit."""
    plan = _plan(cast(Any, tp)).decode
    try:
        return cast(T, plan(data) if plan else data)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as err:
        name = getattr(tp, "__name__", tp)
        raise StoreError(f"stored {name} cannot be read ({err}); restore a backup of the store") from err


class _Beyond(float):
    """A number that JSON has no word for; orjson would write null, and nobody would notice before the next start."""


def _number(number: float) -> float:
    return number if isfinite(number) else _Beyond(number)


@cache
def _plan(tp: Any) -> _Plan:
    while isinstance(tp, typing.NewType):
        tp = tp.__supertype__
    if tp in _SCALARS:
        return _Plan(None, None)
    if tp is float:
        return _Plan(_number, None)
    if tp in _TEXTS:
        return _Plan(str, tp)
    if tp is datetime:
        return _Plan(datetime.isoformat, datetime.fromisoformat)
    if tp is bytes:
        return _Plan(lambda raw: base64.b64encode(raw).decode(), base64.b64decode)
    if isinstance(tp, type) and not isinstance(tp, types.GenericAlias):
        if issubclass(tp, Enum):
            return _Plan(lambda member: member.value, tp)
        if dataclasses.is_dataclass(tp):
            return _dataclass(tp)
        if issubclass(tp, tuple) and hasattr(tp, "_fields"):
            return _named_tuple(tp)
    return _generic(tp)


def _generic(tp: Any) -> _Plan:
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if origin in (typing.Union, types.UnionType):
        return _union(args)
    if origin is tuple:
        return _sequence(args[0], tuple) if len(args) == 2 and args[1] is Ellipsis else _row(args)
    if origin is list:
        return _sequence(args[0], list)
    if origin is frozenset:
        return _set(args[0])
    if _is_tree(tp):
        return _Plan(_encode_tree, _decode_tree)
    if origin is not None and issubclass(origin, Mapping) and args[0] in (str, int):
        return _mapping(args[0], args[1])
    raise StoreError(f"the store has no way to write a value of type {tp}")


def _dataclass(cls: Any) -> _Plan:
    hints = typing.get_type_hints(cls, localns=_RECURSIVE)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    order = tuple(field.name for field in fields)
    names = frozenset(order)

    @cache  # compiled at first use, not now, so that a class may contain itself
    def rows() -> tuple[tuple[str, Convert | None, Convert | None], ...]:
        return tuple((field.name, *_plan(hints[field.name])) for field in fields)

    @cache
    def converted() -> tuple[tuple[str, Convert], ...]:
        """Return the fields that JSON does not carry as they are."""
        return tuple((name, enc) for name, enc, _ in rows() if enc is not None)

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise StoreError(f"expected a {cls.__name__} to store, got {type(value).__name__}")
        out = {name: getattr(value, name) for name in order}
        for name, enc in converted():
            out[name] = enc(out[name])
        return out

    def decode(data: dict[str, Any]) -> Any:
        if unknown := data.keys() - names:
            raise StoreError(
                f"stored {cls.__name__} has the field {sorted(unknown)[0]!r}, which this program does not know; "
                "run the onecity that wrote it, or a newer one"
            )
        return cls(**{name: dec(data[name]) if dec else data[name] for name, _, dec in rows() if name in data})

    return _Plan(encode, decode)


def _named_tuple(cls: Any) -> _Plan:
    hints = typing.get_type_hints(cls, localns=_RECURSIVE)
    row = _row(tuple(hints[name] for name in cls._fields))
    decode = cast(Convert, row.decode)
    return _Plan(row.encode, lambda data: cls(*decode(data)))


def _row(members: tuple[Any, ...]) -> _Plan:
    plans = [_plan(member) for member in members]

    def encode(value: tuple[Any, ...]) -> list[Any]:
        return [plan.encode(item) if plan.encode else item for plan, item in zip(plans, value, strict=True)]

    def decode(data: list[Any]) -> tuple[Any, ...]:
        return tuple(plan.decode(item) if plan.decode else item for plan, item in zip(plans, data, strict=True))

    return _Plan(encode, decode)


def _sequence(member: Any, build: Callable[[Any], Any]) -> _Plan:
    enc, dec = _plan(member)
    return _Plan(
        (lambda value: [enc(item) for item in value]) if enc else list,
        (lambda data: build([dec(item) for item in data])) if dec else build,
    )


def _set(member: Any) -> _Plan:
    enc, dec = _plan(member)
    return _Plan(
        lambda value: sorted(enc(item) for item in value) if enc else sorted(value),
        (lambda data: frozenset(dec(item) for item in data)) if dec else frozenset,
    )


def _mapping(key: type[str] | type[int], member: Any) -> _Plan:
    enc, dec = _plan(member)

    def encode(value: Mapping[Any, Any]) -> dict[str, Any]:
        return {str(name): enc(item) if enc else item for name, item in value.items()}

    def decode(data: dict[str, Any]) -> dict[Any, Any]:
        return {key(name): dec(item) if dec else item for name, item in data.items()}

    return _Plan(encode, decode)


def _union(members: tuple[Any, ...]) -> _Plan:
    if any(_is_tree(member) for member in members) or set(members) <= {str, tuple[str, ...], type(None)}:
        return _Plan(_encode_tree, _decode_tree)  # Tree | Leaf | None, Step, Leaf: JSON's own types tell them apart
    solid = [member for member in members if member is not type(None)]
    inner = _plan(solid[0]) if len(solid) == 1 else _tagged(solid)
    if len(solid) == len(members):
        return inner
    enc, dec = inner
    return _Plan(
        (lambda value: None if value is None else enc(value)) if enc else None,
        (lambda data: None if data is None else dec(data)) if dec else None,
    )


def _tagged(members: list[Any]) -> _Plan:
    by_name = {member.__name__: member for member in members}

    def encode(value: Any) -> list[Any]:
        name = type(value).__name__
        if name not in by_name:
            raise StoreError(f"expected one of {', '.join(by_name)} to store, got {name}")
        enc = _plan(by_name[name]).encode
        return [name, enc(value) if enc else value]

    def decode(data: list[Any]) -> Any:
        name, body = data
        dec = _plan(by_name[name]).decode
        return dec(body) if dec else body

    return _Plan(encode, decode)


def _is_tree(tp: Any) -> bool:
    """Tree is the one dict whose keys are steps: text, or a tuple for a list entry."""
    if typing.get_origin(tp) is not dict:
        return False
    return tuple[str, ...] in typing.get_args(typing.get_args(tp)[0])


def _encode_tree(node: Any) -> Any:
    if isinstance(node, dict):  # most of what it holds are leaves of text, under a name: no call for those
        return {
            step if type(step) is str and step[:1] != _NUL else _encode_step(step): child
            if type(child) is str
            else _encode_tree(child)
            for step, child in node.items()
        }
    return list(node) if isinstance(node, tuple) else node


def _decode_tree(data: Any) -> Any:
    if isinstance(data, dict):
        return {_decode_step(step): _decode_tree(child) for step, child in data.items()}
    return tuple(data) if isinstance(data, list) else data


def _encode_step(step: str | tuple[str, ...]) -> str:
    if isinstance(step, str):
        if step.startswith(_NUL):
            raise StoreError("a step of a tree may not begin with NUL")
        return step
    joined = _NUL.join(step)
    if not step or joined.count(_NUL) != len(step) - 1:
        raise StoreError("the key of a list entry is empty or contains NUL")
    return _NUL + joined


def _decode_step(text: str) -> str | tuple[str, ...]:
    return tuple(text[1:].split(_NUL)) if text.startswith(_NUL) else text
