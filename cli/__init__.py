"""Commands: worker, clock, demo, import, staff."""
