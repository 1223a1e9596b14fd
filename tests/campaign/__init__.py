"""A seeded campaign of faults against a whole running controller. `make campaign` writes build/campaign.json."""
