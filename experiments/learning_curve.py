"""How long to train: the same model after more and more updates, each with its own full schedule.

    ovlab run experiments/learning_curve.py --suite shapes

Meant for the shapes suite; in the paper's suite 1600 updates are little. Cost, shapes:
seven runs of 2 to 40 minutes, the longest beside other work.
"""

from ovlab.specs.table import SIX_BENCHMARKS, Row, Table, Variation

TABLE = Table(
    name="learning_curve",
    title="mIoU (%) after more and more updates",
    columns=SIX_BENCHMARKS,
    rows=(
        Row(key="steps-25", label="25", run=Variation(schedule={"steps": 25})),
        Row(key="steps-50", label="50", run=Variation(schedule={"steps": 50})),
        Row(key="steps-100", label="100", run=Variation(schedule={"steps": 100})),
        Row(key="steps-200", label="200", run=Variation(schedule={"steps": 200})),
        Row(key="steps-400", label="400", run=Variation(schedule={"steps": 400})),
        Row(key="steps-800", label="800", run=Variation(schedule={"steps": 800})),
        Row(key="steps-1600", label="1600", run=Variation(schedule={"steps": 1600})),
    ),
)
