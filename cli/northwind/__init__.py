"""Northwind Outdoor, a made-up shop for the demo: its people, what they say, and a year of what happened."""
