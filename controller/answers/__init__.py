"""What callers ask and what they are told; the northbound room speaks to this one only by its ports."""
