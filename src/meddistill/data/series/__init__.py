"""Time series beside static columns: a patient is steps of several variables, with gaps."""
