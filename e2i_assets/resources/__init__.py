"""Doors to the outside: one backend each, handing out plain objects. No rule about data belongs here."""
