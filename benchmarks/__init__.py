"""What bin/bench runs: the product beside `floor.py`, the least that a Flask application can do for one answer."""
