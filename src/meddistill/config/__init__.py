"""Configs: where they lie, what they may say, and what is built of them."""
