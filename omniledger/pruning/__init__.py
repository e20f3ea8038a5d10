"""Removing old raw rows, while the figures that were made of them stay as they are."""
