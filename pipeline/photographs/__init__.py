"""Photographs as people have them: what a file holds (reading), and what its pixels mean (tones)."""
