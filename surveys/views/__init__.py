"""Pages of surveys: for customers (public) and for staff."""
