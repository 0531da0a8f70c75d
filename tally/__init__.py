"""Tally, the lender of this course."""
