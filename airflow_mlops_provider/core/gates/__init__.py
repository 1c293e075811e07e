"""Promotion gates, one per file; the file name is the gate's key."""
