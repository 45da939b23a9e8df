"""Pages of the desk and of the customer's case, by audience."""
