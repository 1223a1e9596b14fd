"""The driver for IP domain controllers: NETCONF over SSH."""
