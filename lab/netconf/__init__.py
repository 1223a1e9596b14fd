"""A NETCONF server for emulated devices: SSH, framing, sessions, a schema-driven datastore with cheap commits.

Knows nothing of what its configuration means: resources are checked by what the device hands in (`Inspector`).
"""
