"""The driver for optical domain controllers: onecity.optical.v1 over gRPC."""
