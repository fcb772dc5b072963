"""Anything that can be made to answer [rows, classes] log-probabilities."""
