"""What servers in use are known to get wrong, recognised by what they announce; each found with the real server.

A quirk is a way round, never a leap of faith: what a domain committed is read back whatever it announces.
"""

from __future__ import annotations

from collections.abc import Collection

_YUMA = ("http://netconfcentral.org/ns/yuma-", "http://yuma123.org/ns/")


def forgets_what_it_validated(capabilities: Collection[str]) -> bool:
    """Say whether a `<commit>` behind a `<validate>` answers ok and commits nothing (netconfd of yuma123, 2.13).

    Such a server still tests an edit before it takes it (test-option test-then-set, RFC 6241 §7.2), and all of the
    candidate when it commits.
    """
    return any(capability.startswith(_YUMA) for capability in capabilities)
