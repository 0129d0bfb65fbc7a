"""Suspicions: what looks like a leak and may be none; each is told, and by itself refuses no training."""
