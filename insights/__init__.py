"""Roll-ups, reports, the home page by role."""
