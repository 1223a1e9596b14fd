"""The physical world under the domain controllers: fibres, faults, forwarding and a performance model."""
