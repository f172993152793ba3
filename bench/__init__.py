"""Side-by-side benchmarks: `./dev bench calls` and `./dev bench media`. Only ratios within one run are worth quoting."""
