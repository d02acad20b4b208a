"""Photographs coloured: many in one go, where the results go, and how small colours reach a large picture."""
