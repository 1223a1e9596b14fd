"""What people ask for: YAML text becomes `Service` values, or one error that names every mistake.

Knows nothing of networks; takes no clock, disk or network.
"""

from controller.intent.agreement import Catalogue
from controller.intent.changed import FieldChange, Impact, changed_fields
from controller.intent.reading import check_hosts, check_references, check_windows, from_document, read, to_document
from controller.intent.shapes import json_schema

__all__ = [
    "Catalogue",
    "FieldChange",
    "Impact",
    "changed_fields",
    "check_hosts",
    "check_references",
    "check_windows",
    "from_document",
    "json_schema",
    "read",
    "to_document",
]
