"""Client for endpoints that implement OpenAI's chat completions, in their many dialects."""
