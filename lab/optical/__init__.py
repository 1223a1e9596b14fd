"""The optical domain controller of the emulated city: what it can carry, what it holds, and its two-phase interface."""
