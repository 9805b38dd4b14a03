"""Scoring on the workers of Spark."""
