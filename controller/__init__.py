"""onecity: the coordinating controller of a city's networks."""
