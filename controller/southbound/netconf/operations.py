"""The NETCONF operations that this driver sends, as XML text (RFC 6241, RFC 5277)."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

CANDIDATE = "urn:ietf:params:netconf:capability:candidate:1.0"
CONFIRMED_COMMIT = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
ROLLBACK_ON_ERROR = "urn:ietf:params:netconf:capability:rollback-on-error:1.0"
VALIDATE = ("urn:ietf:params:netconf:capability:validate:1.1", "urn:ietf:params:netconf:capability:validate:1.0")
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:1.0"

LOCK = "<lock><target><candidate/></target></lock>"
UNLOCK = "<unlock><target><candidate/></target></unlock>"
DISCARD = "<discard-changes/>"
VALIDATE_CANDIDATE = "<validate><source><candidate/></source></validate>"
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'

NOTHING = '<filter type="subtree"/>'  # selects nothing (RFC 6241 §6.4.2): the shortest question there is


def edit_config(config: str, *, rollback_on_error: bool) -> str:
    """Return an edit of the candidate; `config` is a complete `<config>` element."""
    option = "<error-option>rollback-on-error</error-option>" if rollback_on_error else ""
    return (
        "<edit-config><target><candidate/></target><default-operation>merge</default-operation>"
        f"{option}{config}</edit-config>"
    )


def commit_provisionally(txn: str, timeout_s: float) -> str:
    """Return a confirmed commit that survives its session and rolls back by itself after the timeout."""
    return (
        f"<commit><confirmed/><confirm-timeout>{max(1, math.ceil(timeout_s))}</confirm-timeout>"
        f"<persist>{escape(txn)}</persist></commit>"
    )


def commit_finally(txn: str) -> str:
    return f"<commit><persist-id>{escape(txn)}</persist-id></commit>"


def cancel_commit(txn: str) -> str:
    return f"<cancel-commit><persist-id>{escape(txn)}</persist-id></cancel-commit>"


def get_config(filter_element: str) -> str:
    """Return a read of running; `filter_element` is a complete subtree `<filter>`."""
    return f"<get-config><source><running/></source>{filter_element}</get-config>"


def get(filter_content: str) -> str:
    return f'<get><filter type="subtree">{filter_content}</filter></get>'
