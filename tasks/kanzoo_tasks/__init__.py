"""The built-in tasks, one file a task, each reached by name through `kanzoo.registry`."""
