"""The built-in bases, one file a family. Import a family from its own file, or reach it by name through `kanzoo.registry`."""
