"""Sensors: wait for what a model needs or suffers."""
