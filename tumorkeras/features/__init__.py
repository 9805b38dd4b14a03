"""Features of motion and of networks: extraction, selection, clustering."""
