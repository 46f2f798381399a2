"""Other ways to write a graph; each makes a `GraphSpec`, and runs on the one engine."""
