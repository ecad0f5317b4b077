"""The sections of the page: one module each, from `ReportFacts` to markup."""
