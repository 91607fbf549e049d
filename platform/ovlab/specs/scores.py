"""The scores of an evaluation by name, best known first. `ovlab.metrics.summary` gives them."""

SCORES = (
    "miou",
    "legacy_miou",
    "seen_miou",
    "unseen_miou",
    "harmonic_miou",
    "fwiou",
    "pixel_accuracy",
    "mean_accuracy",
    "hallucination_rate",
)
