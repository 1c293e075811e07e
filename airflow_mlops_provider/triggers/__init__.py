"""Triggers: watch from the triggerer, cheaply and without side effects."""
