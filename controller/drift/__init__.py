"""Drift: what domains run against what is desired, and the ways out where they differ."""
