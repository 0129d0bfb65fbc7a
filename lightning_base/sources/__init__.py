"""Raw files fetched, listed, decoded and packed into samples."""
