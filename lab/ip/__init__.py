"""The emulated IP domain controller: NETCONF and gNMI on the outside, the plant's physics on the inside."""
