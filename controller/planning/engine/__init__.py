"""Finds ways and admits traffic on arrays: what every part of planning that needs a path stands on.

`network`: directed links as arrays, trees of quickest ways. `pairs`: two ways that nothing takes down together.
`bounded`: the cheapest way under limits of delay, hops and loss. `room`: what is free, by period of time.
`batch`: many demands at once, by rank, with capacity held. Nodes and links are positions here, never names; the
callers (`planning/paths.py`, `planning/ahead.py`) know what stands behind them.
"""
