"""Reports: one file a format, from finished predictions. They know nothing of how those came about."""
