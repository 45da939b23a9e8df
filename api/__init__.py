"""/api/v1: one blueprint per resource, idempotency, problem+json."""
