"""Whether a model file that somebody brings may be opened here. Everything that reads it runs in a disposable child."""
