"""Forms of the desk and of the customer's case page, by audience."""
