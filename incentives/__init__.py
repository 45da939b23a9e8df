"""Programmes, budgets, ledger, rewards, code pools."""
