"""The stages of the load path: one small file a rule, each with a function from a `Load` to findings."""
