"""Where the tasks' data come from. Nothing here imports torch: wrong input is refused before anything heavy is loaded."""
