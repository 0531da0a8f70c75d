"""Tally lets a shopper pay later at the checkout: what it earns, whom it approves, and what decides in production."""
