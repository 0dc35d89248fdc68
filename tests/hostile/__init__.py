"""What a hostile, broken or confused client sends. Each case has a name."""
