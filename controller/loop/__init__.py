"""The closed loop: what streams tell becomes health, faults, repairs, proposals, incidents and attainment."""
