"""Pure helpers of judges: statistics, and shared sentences."""
