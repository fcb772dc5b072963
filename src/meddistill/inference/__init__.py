"""Trained models in folders, and their answers to raw rows."""
