"""QUEEN: free-viewpoint video from a few cameras, as a stream of residual frames on quantised Gaussians.

`encode` makes a stream of a clip; `train_frame` finds one residual. docs/queen.md says how. Source: Girish et al.,
"QUEEN: QUantized Efficient ENcoding of Dynamic Gaussians for Streaming Free-viewpoint Videos", NeurIPS 2024.
"""
