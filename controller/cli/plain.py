"""Messages as plain values for `-o json` and `-o yaml`: numbers stay numbers, enums become words, gaps become null.

protobuf's own JSON writes 64-bit numbers as text, which a person's jq filter does not expect.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Any) -> Any:
    """Return dicts, lists, text, numbers and None; field names as in the proto."""
    if isinstance(message, Timestamp):
        return message.ToDatetime(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields if _shown(message, field)}


def _shown(message: Any, field: FieldDescriptor) -> bool:
    """Of a oneof only the member that is set is shown."""
    oneof = field.containing_oneof
    return oneof is None or len(oneof.fields) == 1 or message.WhichOneof(oneof.name) == field.name


def _field(message: Any, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return dict(sorted(value.items()))
        return [_single(item, field) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(value, field)


def _single(value: Any, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return enum_word(field.enum_type, value)
    return plain(value) if field.message_type is not None else value


def enum_word(kind: Any, value: int) -> str | None:
    """ACTION_MAKE_BEFORE_BREAK → "make-before-break"; None for UNSPECIFIED."""
    known = kind.values_by_number.get(value)
    if not value or known is None:
        return None
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(known.name.removeprefix(prefix).lower().replace("_", "-"))


def as_text(value: Any, form: str) -> str:
    """Write plain values as json or yaml."""
    if form == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    import yaml

    return str(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)).rstrip("\n")
