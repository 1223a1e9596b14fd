"""What pydantic found wrong with the shape of a document, in our words: what is wrong, what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from controller.intent.documents import Path
from controller.intent.quantities import nearest, shown

Found = list[tuple[Path, str]]


def complaints(error: ValidationError, model: type[BaseModel]) -> Found:
    """Return each mistake with its path, in the order in which pydantic met them."""
    found: Found = []
    for detail in error.errors(include_url=False):
        path: Path = tuple(step if isinstance(step, int) else str(step) for step in detail["loc"])
        found.append((path, _sentence(detail["type"], detail, path, model)))
    return found


def _sentence(kind: str, detail: Mapping[str, Any], path: Path, model: type[BaseModel]) -> str:
    context, value = detail.get("ctx", {}), detail.get("input")
    match kind:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return f"is not a field here; {nearest(str(path[-1]), _fields(_shape_at(model, path[:-1])))}"
        case "missing":
            return _missing(model, path)
        case "literal_error":
            return f"{shown(value)} is not taken here; write {context['expected'].strip(chr(39))}"
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            fields = _fields(_shape_at(model, path))
            example = f", as {fields[0]}: …" if fields else ""
            return f"must be a mapping of fields{example}, and not {_what(value)}"
        case "list_type":
            return f"must be a list (lines that begin with `- `), and not {_what(value)}"
        case "too_long":
            return f"holds {context['actual_length']:,} entries; at most {context['max_length']:,} are taken"
        case "too_short":
            return f"holds {context['actual_length']} entries; at least {context['min_length']} are needed"
        case _:
            return f"{shown(value)} is not taken here: {detail['msg']}"


def _what(value: object) -> str:
    return "empty" if value is None else shown(value)


def _missing(model: type[BaseModel], path: Path) -> str:
    parent = _shape_at(model, path[:-1])
    declared = parent.model_fields.items() if parent is not None else ()
    field = next((field for name, field in declared if (field.alias or name) == path[-1]), None)
    hints = {"apiVersion": "write apiVersion: onecity/v1", "metadata": "write metadata: {name: …, tenant: …}"}
    hint = hints.get(str(path[-1]))
    if hint is None and field is not None and field.description:
        hint = field.description[0].lower() + field.description[1:].rstrip(".")
    return f"is missing; {hint}" if hint else "is missing; write it"


def _fields(shape: type[BaseModel] | None) -> list[str]:
    if shape is None:
        return []
    return [field.alias or name for name, field in shape.model_fields.items() if name != "status"]


def _shape_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """Return the shape of the mapping at `path`, or None where free keys stand."""
    shape: type[BaseModel] | None = model
    for step in path:
        if isinstance(step, int):
            continue
        if shape is None:
            return None
        fields = shape.model_fields.items()
        annotation = next((field.annotation for name, field in fields if (field.alias or name) == step), None)
        shape = _shape_in(annotation)
    return shape


def _shape_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_shape_in, get_args(annotation)) if found is not None), None)
