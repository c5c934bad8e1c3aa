"""kanzoo: one plug-in interface for the basis functions of Kolmogorov-Arnold networks.

Import from the submodules (`kanzoo.layers`, `kanzoo.models`, `kanzoo.basis`, ...): `import kanzoo` itself loads nothing.
"""
