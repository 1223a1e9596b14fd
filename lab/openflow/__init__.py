"""The same city with real packets: Mininet, Open vSwitch in userspace, OpenFlow 1.3, one OpenFlow process a domain."""
