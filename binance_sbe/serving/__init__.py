"""Serves streams as the exchange does: one server, for the local exchange and for relays."""
