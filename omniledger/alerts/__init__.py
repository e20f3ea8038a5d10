"""Alerts: what is wrong now, told once when it begins and once when it ends."""
