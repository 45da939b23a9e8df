"""Complaints and the recovery desk: cases, queues, clocks, promises, outcome."""
