"""The fair trial: arms, splits, tries and students, and what they answered."""
