"""From scores to intervals and tests, and the facts about each metric; without torch."""
