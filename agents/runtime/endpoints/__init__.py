"""The client of endpoints that speak OpenAI's chat completions, in their many dialects."""
