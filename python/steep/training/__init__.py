"""Trains networks: the trainer, its settings, its loop, its record. Files are in `saving`."""
