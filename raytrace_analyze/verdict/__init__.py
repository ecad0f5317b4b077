"""The whole answer about a job, in one value: what the other analyses say, put together so that they agree."""
