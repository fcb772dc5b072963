"""Sources -> Cohort -> Split -> preprocessing -> the one LightningDataModule."""
