"""Corpora whose layout more than one recipe reads."""
