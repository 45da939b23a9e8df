"""No business words: configuration, database, clock, errors, access, outbox, events, tokens, files."""
