"""What was attained, told to those who pay for it: composed from durable records, with advice and a forecast."""
