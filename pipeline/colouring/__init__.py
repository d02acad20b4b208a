"""Photographs coloured, many in one go, and where the results go."""
