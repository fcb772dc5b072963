"""Tables: a row a patient, a column a measurement."""
