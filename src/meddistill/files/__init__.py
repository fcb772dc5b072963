"""Files that are whole or absent, and what the file system refuses."""
