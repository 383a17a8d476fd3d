"""The figures of the lessons that `npmaskrcnn.plots` does not have: a module for each lesson, a function for each
figure, so that a lesson's own cells hold its ideas and not its drawing. Each takes arrays and returns a Figure."""
