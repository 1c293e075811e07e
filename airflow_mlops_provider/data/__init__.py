"""Tables in: files and queries become Arrow batches, pandas frames and fingerprints."""
