"""Common wrong answers to the exercises of `exercises.regions`."""
