"""The emulated city: domain controllers, the plant under them, and the command that starts them."""
