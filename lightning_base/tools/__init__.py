"""What every other room uses: files written whole, the cache, the console, what a process inherits; without torch."""
