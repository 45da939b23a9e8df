"""Staff, roles and permissions, sign-in, API keys."""
