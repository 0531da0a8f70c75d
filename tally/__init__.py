"""Tally lets a shopper pay later at the till: what it earns, whom it approves, and what decides in production."""
