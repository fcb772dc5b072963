"""What passes from a teacher to a student besides answers: a part of its parameters."""
