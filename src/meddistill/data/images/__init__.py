"""Pictures: read from files and arrays, one size and one number of channels."""
