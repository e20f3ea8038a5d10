"""Analytics on a server of their own, which keeps a copy of the gateway's logs up to date.

The copy has the names that the originals have, so models, gate and publishing know of no other
server; only the copying does.
"""
