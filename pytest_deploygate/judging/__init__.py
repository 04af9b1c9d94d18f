"""Pure helpers of judges: statistics, and sentences that several of them say."""
