"""Gouache: pictures from words, drawn by a small model of its own on an ordinary processor."""

__version__ = "0.1.0"
